// y = W x with 4-bit weights whose scales and minima have 8 bits (w = d * q + m), by relaxed SIMD's int8 dot products in
// int32. Arguments as in matmul_q4_dot.c. A file of its own: with both widths in one the compiler folds fewer addresses,
// which cost q4m up to a seventh of its speed.

#if RELAXED
#include "gemm.h"
#include "gemv_q4_dot.h"

EXPORT(gemv_q4s_dot)
void gemv_q4s_dot(float *y, const uint8_t *w, const uint8_t *a, int32_t rows, int32_t cols, int32_t accumulate) {
  gemv(y, w, a, rows, cols, accumulate, 1, 0, SHORT_SCALES_BYTES);
}

EXPORT(gemm_q4s_dot)
void gemm_q4s_dot(float *y, const uint8_t *w, const uint8_t *a, uint8_t *scratch, int32_t tokens, int32_t rows,
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
      .has_short_scales = 1,
  };
  gemm(y, w, a, scratch, tokens, rows, cols, ldy, accumulate, &form);
}

#endif
