// y = W x with 4-bit weights, by relaxed SIMD's int8 dot products in int16, which every CPU with SIMD has.
// Arguments as in matmul_q4_dot.c.

#if RELAXED
#include "gemm.h"

#include "gemv_q4_m.h"

static ALWAYS_INLINE void add_dot_pairs(tile *acc, quad_vectors w, const uint8_t *values) {
  const splat_words x = load_splats(values);
  UNROLLED for (int m = 0; m < TILE_ROWS; m++)
    UNROLLED for (int q = 0; q < TILE_QUADS; q++)
      acc->of[m][q] = wasm_i16x8_add(acc->of[m][q], dot_pairs(x.of[m], w.of[q]));
}

static ALWAYS_INLINE tile widen_pairs(tile acc, const int32_t *sums, int32_t zero_point) {
  const tile start = start_tile(sums, zero_point);
  UNROLLED for (int m = 0; m < TILE_ROWS; m++)
    UNROLLED for (int q = 0; q < TILE_QUADS; q++) acc.of[m][q] = wasm_i32x4_add(add_pairs(acc.of[m][q]), start.of[m][q]);
  return acc;
}

static ALWAYS_INLINE tile dot_unpacked_tile(const uint8_t *codes, const uint8_t *values, const int32_t *sums,
                                            int32_t zero_point) {
  tile acc = zero_tile();
  ROLLED for (int g = 0; g < 8; g++, codes += 16 * TILE_QUADS, values += 16) add_dot_pairs(&acc, load_quads(codes), values);
  return widen_pairs(acc, sums, zero_point);
}
DOT_BLOCKS(dot_unpacked_q4_m, dot_unpacked_tile, TILE_I8_BYTES)

EXPORT(gemv_q4_m)
void gemv_q4_m(float *y, const uint8_t *w, const uint8_t *a, int32_t rows, int32_t cols, int32_t accumulate) {
  gemv(y, w, a, rows, cols, accumulate, 0, Q4_ZERO, SCALES_BYTES);
}

EXPORT(gemm_q4_m)
void gemm_q4_m(float *y, const uint8_t *w, const uint8_t *a, uint8_t *scratch, int32_t tokens, int32_t rows,
               int32_t cols, int32_t ldy, int32_t accumulate) {
  static const gemm_form form = {
      .unpack = unpack_q4_bytes,
      .dot_unpacked = dot_unpacked_q4_m,
      .codes_bytes = Q4_CODES_BYTES,
      .unpacked_bytes = TILE_QUADS * 128,
      .values_bytes = TILE_I8_BYTES,
      .zero_point = Q4_ZERO,
  };
  gemm(y, w, a, scratch, tokens, rows, cols, ldy, accumulate, &form);
}

EXPORT(gemv_q4m_m)
void gemv_q4m_m(float *y, const uint8_t *w, const uint8_t *a, int32_t rows, int32_t cols, int32_t accumulate) {
  gemv(y, w, a, rows, cols, accumulate, 1, 0, SCALES_BYTES);
}

EXPORT(gemm_q4m_m)
void gemm_q4m_m(float *y, const uint8_t *w, const uint8_t *a, uint8_t *scratch, int32_t tokens, int32_t rows,
                int32_t cols, int32_t ldy, int32_t accumulate) {
  static const gemm_form form = {
      .unpack = unpack_q4_bytes,
      .dot_unpacked = dot_unpacked_q4_m,
      .codes_bytes = Q4_CODES_BYTES,
      .unpacked_bytes = TILE_QUADS * 128,
      .values_bytes = TILE_I8_BYTES,
      .has_minimum = 1,
  };
  gemm(y, w, a, scratch, tokens, rows, cols, ldy, accumulate, &form);
}

#endif
