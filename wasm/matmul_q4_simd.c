// y = W x with 4-bit weights, in plain SIMD128: products of int16.
// Arguments as in matmul_q4_dot.c.

#if !RELAXED
#include "gemm.h"

enum { STREAMS = 1, CODES_BYTES = Q4_CODES_BYTES, VALUES_BYTES = 64 };
#include "gemv.h"

// Nibbles stay where they are in their 16 bits, as 1, 256, 16 or 1 times themselves; the activations (NIBBLES in
// activation.h) make every product 256 times too large.
static ALWAYS_INLINE panel_vector dot_block(const uint8_t *codes, const uint8_t *values, int32_t zero) {
  const v128_t nibble0 = wasm_i16x8_const_splat(0x000f), nibble1 = wasm_i16x8_const_splat(0x00f0),
               nibble2 = wasm_i16x8_const_splat(0x0f00);
  panel_vector acc = splat_panel(wasm_i32x4_const_splat(0));
  _Pragma("clang loop unroll_count(2)") for (int g = 0; g < 4; g++, codes += 64, values += 16) {
    const v128_t x0 = wasm_v128_load32_splat(values), x2 = wasm_v128_load32_splat(values + 4),
                 x1 = wasm_v128_load32_splat(values + 8), x3 = wasm_v128_load32_splat(values + 12);
    UNROLLED for (int v = 0; v < 4; v++) {
      const v128_t w = wasm_v128_load(codes + 16 * v);
      acc.quad[v] = dot_words(wasm_v128_and(w, nibble0), x0, acc.quad[v]);
      acc.quad[v] = dot_words(wasm_v128_and(w, nibble2), x2, acc.quad[v]);
      acc.quad[v] = dot_words(wasm_v128_and(w, nibble1), x1, acc.quad[v]);
      acc.quad[v] = dot_words(wasm_u16x8_shr(w, 12), x3, acc.quad[v]);
    }
  }
  const v128_t z = wasm_i32x4_splat(zero);
  UNROLLED for (int v = 0; v < 4; v++) acc.quad[v] = wasm_i32x4_sub(wasm_i32x4_shr(acc.quad[v], 8), z);
  return acc;
}

EXPORT(gemv_q4_simd)
void gemv_q4_simd(float *y, const uint8_t *w, const uint8_t *a, int32_t rows, int32_t cols, int32_t accumulate) {
  gemv(y, w, a, rows, cols, accumulate, 0, Q4_ZERO, SCALES_BYTES);
}

EXPORT(gemm_q4_simd)
void gemm_q4_simd(float *y, const uint8_t *w, const uint8_t *a, uint8_t *scratch, int32_t tokens, int32_t rows,
                  int32_t cols, int32_t ldy, int32_t accumulate) {
  static const gemm_form form = {
      .unpack = unpack_q4_words,
      .dot_unpacked = dot_unpacked_words,
      .codes_bytes = Q4_CODES_BYTES,
      .unpacked_bytes = TILE_QUADS * 256,
      .values_bytes = TILE_I16_BYTES,
      .zero_point = Q4_ZERO,
  };
  gemm(y, w, a, scratch, tokens, rows, cols, ldy, accumulate, &form);
}

// One body for q4m and q4s: two would take 1 KB more, for 2 % of q4m's speed.
static __attribute__((noinline)) void gemv_with_minimum(float *y, const uint8_t *w, const uint8_t *a, int32_t rows,
                                                        int32_t cols, int32_t accumulate, size_t scales_bytes) {
  gemv(y, w, a, rows, cols, accumulate, 1, 0, scales_bytes);
}

EXPORT(gemv_q4m_simd)
void gemv_q4m_simd(float *y, const uint8_t *w, const uint8_t *a, int32_t rows, int32_t cols, int32_t accumulate) {
  gemv_with_minimum(y, w, a, rows, cols, accumulate, SCALES_BYTES);
}

EXPORT(gemm_q4m_simd)
void gemm_q4m_simd(float *y, const uint8_t *w, const uint8_t *a, uint8_t *scratch, int32_t tokens, int32_t rows,
                   int32_t cols, int32_t ldy, int32_t accumulate) {
  static const gemm_form form = {
      .unpack = unpack_q4_words,
      .dot_unpacked = dot_unpacked_words,
      .codes_bytes = Q4_CODES_BYTES,
      .unpacked_bytes = TILE_QUADS * 256,
      .values_bytes = TILE_I16_BYTES,
      .has_minimum = 1,
  };
  gemm(y, w, a, scratch, tokens, rows, cols, ldy, accumulate, &form);
}

EXPORT(gemv_q4s_simd)
void gemv_q4s_simd(float *y, const uint8_t *w, const uint8_t *a, int32_t rows, int32_t cols, int32_t accumulate) {
  gemv_with_minimum(y, w, a, rows, cols, accumulate, SHORT_SCALES_BYTES);
}

EXPORT(gemm_q4s_simd)
void gemm_q4s_simd(float *y, const uint8_t *w, const uint8_t *a, uint8_t *scratch, int32_t tokens, int32_t rows,
                   int32_t cols, int32_t ldy, int32_t accumulate) {
  static const gemm_form form = {
      .unpack = unpack_q4_words,
      .dot_unpacked = dot_unpacked_words,
      .codes_bytes = Q4_CODES_BYTES,
      .unpacked_bytes = TILE_QUADS * 256,
      .values_bytes = TILE_I16_BYTES,
      .has_minimum = 1,
      .has_short_scales = 1,
  };
  gemm(y, w, a, scratch, tokens, rows, cols, ldy, accumulate, &form);
}

#endif
