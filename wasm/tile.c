// The minima's part of a GEMM tile: a pass of its own, since its sums and the products' do not fit the registers together.
#include "tile.h"

void sum_tile_minima(tile *m, const float *minima, const float *scaled_sums, const v128_t *units, int32_t blocks) {
  tile acc = zero_tile();
  ROLLED for (int32_t b = 0; b < blocks; b++, minima += HALF_ROWS, scaled_sums += TILE_ROWS) {
    const v128_t m0 = wasm_v128_load(minima), m1 = wasm_v128_load(minima + 4);
    UNROLLED for (int t = 0; t < TILE_ROWS; t++) {
      const v128_t s = wasm_v128_load32_splat(scaled_sums + t);
      acc.of[0][t] = wasm_f32x4_add(acc.of[0][t], wasm_f32x4_mul(s, m0));
      acc.of[1][t] = wasm_f32x4_add(acc.of[1][t], wasm_f32x4_mul(s, m1));
    }
  }
  ROLLED for (int t = 0; t < TILE_ROWS; t++) {
    m->of[0][t] = wasm_f32x4_mul(acc.of[0][t], units[0]);
    m->of[1][t] = wasm_f32x4_mul(acc.of[1][t], units[1]);
  }
}
