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
  quad_vectors unit, minimum_unit;
  UNROLLED for (int q = 0; q < TILE_QUADS; q++) {
    unit.of[q] = powers_of_two(header + 4 * q);
    minimum_unit.of[q] = powers_of_two(header + PANEL_ROWS + 4 * q);
  }
  ROLLED for (int t = 0; t < TILE_ROWS; t++, y += ldy) {
    quad_vectors sums;
    UNROLLED for (int q = 0; q < TILE_QUADS; q++) sums.of[q] = wasm_f32x4_mul(d->of[t][q], unit.of[q]);
    if (m) {
      UNROLLED for (int q = 0; q < TILE_QUADS; q++)
          sums.of[q] = wasm_f32x4_add(sums.of[q], wasm_f32x4_mul(m->of[t][q], minimum_unit.of[q]));
    }
    if (accumulate) {
      UNROLLED for (int q = 0; q < TILE_QUADS; q++)
          sums.of[q] = wasm_f32x4_add(wasm_v128_load(y + 4 * q), sums.of[q]);
    }
    UNROLLED for (int q = 0; q < TILE_QUADS; q += 2) store_pair(y + 4 * q, sums.of[q], sums.of[q + 1]);
  }
}
