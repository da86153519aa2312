// The minima's part of a GEMM tile: a pass of its own, since its sums and the products' do not fit the registers together.
#include "tile.h"

void sum_tile_minima(tile *m, const float *minima, const float *scaled_sums, int32_t blocks) {
  tile acc = zero_tile();
  ROLLED for (int32_t b = 0; b < blocks; b++, minima += STRIP_ROWS, scaled_sums += TILE_ROWS) {
    const quad_vectors rows = load_quads(minima);
    UNROLLED for (int t = 0; t < TILE_ROWS; t++) {
      const v128_t s = wasm_v128_load32_splat(scaled_sums + t);
      UNROLLED for (int q = 0; q < TILE_QUADS; q++) acc.of[t][q] = wasm_f32x4_add(acc.of[t][q], wasm_f32x4_mul(s, rows.of[q]));
    }
  }
  *m = acc;
}

void store_tile(float *y, const tile *d, const tile *m, const uint8_t *header, int32_t ldy, int32_t accumulate) {
  ROLLED for (int q = 0; q < TILE_QUADS; q++, y += 4, header += 4) {
    const v128_t unit = powers_of_two(header), minimum_unit = powers_of_two(header + PANEL_ROWS);
    ROLLED for (int t = 0; t < TILE_ROWS; t++) {
      float *out = y + t * ldy;
      v128_t sum = wasm_f32x4_mul(d->of[t][q], unit);
      if (m) sum = wasm_f32x4_add(sum, wasm_f32x4_mul(m->of[t][q], minimum_unit));
      if (accumulate) sum = wasm_f32x4_add(wasm_v128_load(out), sum);
      wasm_v128_store(out, sum);
    }
  }
}
