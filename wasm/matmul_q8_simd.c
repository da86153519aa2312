// y = W x with 8-bit weights, in plain SIMD128: products of int16.
// Arguments as in matmul_q4_dot.c.

#if !RELAXED
#include "gemm.h"

enum { STREAMS = 1, CODES_BYTES = Q8_CODES_BYTES, VALUES_BYTES = 64 };
#include "gemv.h"

static ALWAYS_INLINE panel_vector dot_block(const uint8_t *codes, const uint8_t *values, int32_t zero) {
  panel_vector acc = splat_panel(wasm_i32x4_splat(-zero));
  ROLLED for (int g = 0; g < 8; g++, codes += 64, values += 8) {
    const v128_t even = wasm_v128_load32_splat(values), odd = wasm_v128_load32_splat(values + 4);
    UNROLLED for (int v = 0; v < 4; v++) {
      const v128_t w = wasm_v128_load(codes + 16 * v);
      acc.quad[v] = dot_words(even_bytes(w), even, acc.quad[v]);
      acc.quad[v] = dot_words(odd_bytes(w), odd, acc.quad[v]);
    }
  }
  return acc;
}

EXPORT(gemv_q8_simd)
void gemv_q8_simd(float *y, const uint8_t *w, const uint8_t *a, int32_t rows, int32_t cols, int32_t accumulate) {
  gemv(y, w, a, rows, cols, accumulate, 0, Q8_ZERO, SCALES_BYTES);
}

EXPORT(gemm_q8_simd)
void gemm_q8_simd(float *y, const uint8_t *w, const uint8_t *a, uint8_t *scratch, int32_t tokens, int32_t rows,
                  int32_t cols, int32_t ldy, int32_t accumulate) {
  static const gemm_form form = {
      .unpack = unpack_q8_words,
      .dot_unpacked = dot_unpacked_words,
      .codes_bytes = Q8_CODES_BYTES,
      .unpacked_bytes = TILE_QUADS * 256,
      .values_bytes = TILE_I16_BYTES,
      .zero_point = Q8_ZERO,
  };
  gemm(y, w, a, scratch, tokens, rows, cols, ldy, accumulate, &form);
}

#endif
