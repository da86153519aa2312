// y = W x with 6-bit weights and a minimum, in plain SIMD128.
// Arguments as in matmul_q4_dot.c.

#if !RELAXED
#include "gemm.h"

enum { STREAMS = 1, CODES_BYTES = Q6_CODES_BYTES, VALUES_BYTES = 64 };
#include "gemv.h"

static ALWAYS_INLINE panel_vector dot_block(const uint8_t *codes, const uint8_t *values, int32_t zero) {
  panel_vector acc = splat_panel(wasm_i32x4_splat(-zero));
  ROLLED for (int half = 0; half < 2; half++, codes += Q6_HALF_BYTES, values += 32) {
    UNROLLED for (int v = 0; v < 4; v++) {
      const half_codes w = unpack_q6_half(codes + Q6_QUAD_BYTES * v);
      UNROLLED for (int g = 0; g < 4; g++) {
        acc.quad[v] = dot_words(even_bytes(w.group[g]), wasm_v128_load32_splat(values + 8 * g), acc.quad[v]);
        acc.quad[v] = dot_words(odd_bytes(w.group[g]), wasm_v128_load32_splat(values + 8 * g + 4), acc.quad[v]);
      }
    }
  }
  return acc;
}

EXPORT(gemv_q6m_simd)
void gemv_q6m_simd(float *y, const uint8_t *w, const uint8_t *a, int32_t rows, int32_t cols, int32_t accumulate) {
  gemv(y, w, a, rows, cols, accumulate, 1, 0, SCALES_BYTES);
}

EXPORT(gemm_q6m_simd)
void gemm_q6m_simd(float *y, const uint8_t *w, const uint8_t *a, uint8_t *scratch, int32_t tokens, int32_t rows,
                   int32_t cols, int32_t ldy, int32_t accumulate) {
  static const gemm_form form = {
      .unpack = unpack_q6_words,
      .dot_unpacked = dot_unpacked_words,
      .codes_bytes = Q6_CODES_BYTES,
      .unpacked_bytes = TILE_QUADS * 256,
      .values_bytes = TILE_I16_BYTES,
      .has_minimum = 1,
  };
  gemm(y, w, a, scratch, tokens, rows, cols, ldy, accumulate, &form);
}

#endif
