// The frame of the GEMMs: what does not depend on the form.
#include "gemm.h"

#define IN_PLACE_TOKENS 16 // more pay for unpacking a panel

// Scales or minima of a panel, f32 [strips][blocks][STRIP_ROWS].
static __attribute__((noinline)) void unpack_scales(float *to, const uint8_t *from, int32_t stride, int32_t blocks,
                                                    int32_t scales_bytes, int32_t is_signed) {
  ROLLED for (int32_t b = 0; b < blocks; b++, from += stride, to += STRIP_ROWS) {
    const panel_vector scales = load_panel_numbers(from, scales_bytes, is_signed);
    UNROLLED for (int v = 0; v < 4; v++)
        wasm_v128_store(to + v / TILE_QUADS * blocks * STRIP_ROWS + 4 * (v % TILE_QUADS), scales.quad[v]);
  }
}

// The minima's part of a tile: a pass of its own, since its sums and the products' do not fit the registers together.
static __attribute__((noinline)) void sum_minima(tile *m, const float *minima, const float *scaled_sums, int32_t blocks) {
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

// y = the sums of float(dots) * (token scale * row scale) + m, in units of the rows, whose header is moved by the strip's
// first row; y is added where `accumulate`; m is 0 where the form has none.
static __attribute__((noinline)) void store_tile(float *y, int32_t ldy, int32_t accumulate, const uint8_t *parked,
                                                 const float *row_scales, const uint8_t *token_scales, int32_t stride,
                                                 int32_t blocks, const tile *m, const uint8_t *header) {
  tile d = zero_tile();
  ROLLED for (int32_t b = 0; b < blocks; b++, parked += PARKED_BYTES, row_scales += STRIP_ROWS, token_scales += stride) {
    const tile dots = load_parked(parked);
    const quad_vectors rows = load_quads(row_scales);
    UNROLLED for (int t = 0; t < TILE_ROWS; t++) {
      const v128_t s = wasm_v128_load32_splat((const float *)token_scales + t);
      UNROLLED for (int q = 0; q < TILE_QUADS; q++) {
        const v128_t dot = wasm_f32x4_convert_i32x4(dots.of[t][q]);
        d.of[t][q] = wasm_f32x4_add(d.of[t][q], wasm_f32x4_mul(dot, wasm_f32x4_mul(s, rows.of[q])));
      }
    }
  }
  quad_vectors unit, minimum_unit;
  UNROLLED for (int q = 0; q < TILE_QUADS; q++) {
    unit.of[q] = powers_of_two(header + 4 * q);
    minimum_unit.of[q] = powers_of_two(header + PANEL_ROWS + 4 * q);
  }
  const tile products = d; // a copy, so that d stays in registers
  ROLLED for (int t = 0; t < TILE_ROWS; t++, y += ldy) {
    quad_vectors sums;
    UNROLLED for (int q = 0; q < TILE_QUADS; q++) sums.of[q] = wasm_f32x4_mul(products.of[t][q], unit.of[q]);
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

// Scratch: f32 minima and scales [STRIPS][blocks][STRIP_ROWS] each, unpacked codes, the dots of a strip and a tile.
void gemm(float *y, const uint8_t *w, const uint8_t *a, uint8_t *scratch, int32_t tokens, int32_t rows, int32_t cols,
          int32_t ldy, int32_t accumulate, const gemm_form *form) {
  const int32_t scales_bytes = form->has_short_scales ? SHORT_SCALES_BYTES : SCALES_BYTES;
  const int32_t blocks = cols / BLOCK, minima_bytes = form->has_minimum ? scales_bytes : 0;
  const int32_t block_bytes = minima_bytes + scales_bytes + form->codes_bytes;
  const int32_t value_stride = TILE_HEADER_BYTES + form->values_bytes;
  const int32_t tile_bytes = blocks * (4 * TILE_ROWS + value_stride);
  const int32_t in_place = form->dot_packed && tokens <= IN_PLACE_TOKENS;
  float *minima = (float *)scratch, *scales = minima + blocks * PANEL_ROWS;
  uint8_t *unpacked = (uint8_t *)(scales + blocks * PANEL_ROWS), *parked = unpacked + STRIPS * blocks * form->unpacked_bytes;
  for (int32_t row = 0; row < rows; row += PANEL_ROWS, w += PANEL_HEADER_BYTES + blocks * block_bytes) {
    const uint8_t *first = w + PANEL_HEADER_BYTES, *codes = first + minima_bytes + scales_bytes;
    if (!in_place) form->unpack(unpacked, codes, block_bytes, blocks);
    ROLLED for (int32_t strip = 0; strip < STRIPS; strip++) {
      float *out = y + row + strip * STRIP_ROWS;
      const int32_t before = strip * blocks * STRIP_ROWS;
      const uint8_t *tokens4 = a;
      for (int32_t t = 0; t < tokens; t += TILE_ROWS, tokens4 += tile_bytes, out += TILE_ROWS * ldy) {
        const uint8_t *values = tokens4 + blocks * 4 * TILE_ROWS;
        tile m;
        if (in_place) {
          form->dot_packed(parked, codes + strip * TILE_QUADS * form->quad_bytes, block_bytes, values + TILE_HEADER_BYTES,
                           blocks, form->zero_point);
        } else {
          form->dot_unpacked(parked, unpacked + strip * blocks * form->unpacked_bytes, form->unpacked_bytes,
                             values + TILE_HEADER_BYTES, blocks, form->zero_point);
        }
        if (!strip && !t) {
          if (minima_bytes) unpack_scales(minima, first, block_bytes, blocks, scales_bytes, 1);
          unpack_scales(scales, first + minima_bytes, block_bytes, blocks, scales_bytes, 0);
        }
        if (minima_bytes) sum_minima(&m, minima + before, (const float *)tokens4, blocks);
        store_tile(out, ldy, accumulate, parked, scales + before, values, value_stride, blocks, minima_bytes ? &m : 0,
                   w + strip * STRIP_ROWS);
      }
    }
  }
}
