// y = W x with 8-bit weights, by relaxed SIMD's int8 dot products in int16; its GEMM is the plain one.
// Arguments as in matmul_q4_dot.c; the GEMM's activations are TILE_WORDS.

#if RELAXED
#include "gemm.h"

enum { STREAMS = 1, CODES_BYTES = Q8_CODES_BYTES, VALUES_BYTES = 32 };
#include "gemv.h"

// A weight has the signed 8 bits that relaxed dots allow one side; the activation, split into its positive and negative
// parts, has the 7 bits of the other.
typedef struct {
  v128_t positive, negative; // x = positive - negative, both in 0..127
} split_bytes;

static ALWAYS_INLINE split_bytes split(v128_t x) {
  const v128_t positive = wasm_i8x16_max(x, wasm_i8x16_const_splat(0));
  return (split_bytes){positive, wasm_i8x16_sub(positive, x)};
}

static ALWAYS_INLINE v128_t signed_weights(const uint8_t *codes) {
  return wasm_v128_xor(wasm_v128_load(codes), wasm_i8x16_const_splat(-128));
}

// Of each activation one part is 0, so the difference of two int16 sums is at most 2 * 128 * 127.
static ALWAYS_INLINE panel_vector dot_block(const uint8_t *codes, const uint8_t *values, int32_t zero) {
  (void)zero; // signed_weights() took it off
  panel_vector acc = splat_panel(wasm_i32x4_const_splat(0));
  ROLLED for (int g = 0; g < 8; g++, codes += 64, values += 4) {
    const split_bytes x = split(wasm_v128_load32_splat(values));
    UNROLLED for (int v = 0; v < 4; v++) {
      const v128_t w = signed_weights(codes + 16 * v);
      const v128_t sums = wasm_i16x8_sub(dot_pairs(w, x.positive), dot_pairs(w, x.negative));
      acc.quad[v] = wasm_i32x4_add(acc.quad[v], add_pairs(sums));
    }
  }
  return acc;
}

// 8 bits leave int16 sums no room beyond one pair, and the split would be made for every token: the plain GEMM.
EXPORT(gemv_q8_m)
void gemv_q8_m(float *y, const uint8_t *w, const uint8_t *a, int32_t rows, int32_t cols, int32_t accumulate) {
  gemv(y, w, a, rows, cols, accumulate, 0, Q8_ZERO, SCALES_BYTES);
}

EXPORT(gemm_q8_m)
void gemm_q8_m(float *y, const uint8_t *w, const uint8_t *a, uint8_t *scratch, int32_t tokens, int32_t rows,
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
