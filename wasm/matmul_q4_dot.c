// y = W x with 4-bit weights (q4: w = d * (q - 8); q4m: w = d * q + m), by relaxed SIMD's int8 dot products in int32.
//
//   y  (rows,) or (tokens, ldy) f32
//   w  (rows / 16,) panels          rows: padded to 16; cols: a multiple of 32 (src/pack/forms.ts)
//   a  activations of 1 or of `tokens` rows, tokens padded to 4 (activation.h)
//
// Fast where the CPU has the instruction and the engine uses it; else matmul_q4_m.c. All variants give the same bits.

#if RELAXED
#include "gemm.h"

#include "gemv_q4_dot.h"

MAP_QUADS(low_nibble_quads, low_nibbles)
MAP_QUADS(high_nibble_quads, high_nibbles)

static ALWAYS_INLINE tile dot_packed_tile(const uint8_t *codes, const uint8_t *values, const int32_t *sums,
                                          int32_t zero_point) {
  tile acc = start_tile(sums, zero_point);
  ROLLED for (int g = 0; g < 4; g++, codes += 64, values += 16) {
    const quad_vectors w = load_quads(codes);
    add_dot_bytes(&acc, low_nibble_quads(w), values);
    add_dot_bytes(&acc, high_nibble_quads(w), values + 64);
  }
  return acc;
}
DOT_BLOCKS(dot_packed_q4, dot_packed_tile, TILE_I8_BYTES)

EXPORT(gemv_q4_dot)
void gemv_q4_dot(float *y, const uint8_t *w, const uint8_t *a, int32_t rows, int32_t cols, int32_t accumulate) {
  gemv(y, w, a, rows, cols, accumulate, 0, Q4_ZERO, SCALES_BYTES);
}

EXPORT(gemm_q4_dot)
void gemm_q4_dot(float *y, const uint8_t *w, const uint8_t *a, uint8_t *scratch, int32_t tokens, int32_t rows,
                 int32_t cols, int32_t ldy, int32_t accumulate) {
  static const gemm_form form = {
      .unpack = unpack_q4_bytes,
      .dot_unpacked = dot_unpacked_bytes,
      .dot_packed = dot_packed_q4,
      .codes_bytes = Q4_CODES_BYTES,
      .quad_bytes = 16,
      .unpacked_bytes = TILE_QUADS * 128,
      .values_bytes = TILE_I8_BYTES,
      .zero_point = Q4_ZERO,
  };
  gemm(y, w, a, scratch, tokens, rows, cols, ldy, accumulate, &form);
}

EXPORT(gemv_q4m_dot)
void gemv_q4m_dot(float *y, const uint8_t *w, const uint8_t *a, int32_t rows, int32_t cols, int32_t accumulate) {
  gemv(y, w, a, rows, cols, accumulate, 1, 0, SCALES_BYTES);
}

EXPORT(gemm_q4m_dot)
void gemm_q4m_dot(float *y, const uint8_t *w, const uint8_t *a, uint8_t *scratch, int32_t tokens, int32_t rows,
                  int32_t cols, int32_t ldy, int32_t accumulate) {
  static const gemm_form form = {
      .unpack = unpack_q4_bytes,
      .dot_unpacked = dot_unpacked_bytes,
      .dot_packed = dot_packed_q4,
      .codes_bytes = Q4_CODES_BYTES,
      .quad_bytes = 16,
      .unpacked_bytes = TILE_QUADS * 128,
      .values_bytes = TILE_I8_BYTES,
      .has_minimum = 1,
  };
  gemm(y, w, a, scratch, tokens, rows, cols, ldy, accumulate, &form);
}

#endif
