// y = W x with 8-bit weights (q8: w = d * (q - 128)) and int8 activations.
// Arguments, variants and order of sums as in matmul_q4.c.
//
// Relaxed dots take 8 signed bits and 7 unsigned ones, so one side must be halved:
// GEMV gives the weight the 8 bits and splits the activation into its positive and negative parts, which have 7 each;
// GEMM unpacks the weight's q = 2h + l into planes of h (7 bits) and l (1 bit), once for all tokens.

#include "gemm.h"
#include "gemv.h"

static ALWAYS_INLINE void unpack_word_quad(uint8_t *to, const uint8_t *codes, int32_t quad) {
  unpack_words(to, unpack_q8(codes, quad), Q8_ZERO);
}

#if RELAXED

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

static ALWAYS_INLINE panel_vector dot_block_dot(const uint8_t *codes, const uint8_t *values, v128_t start) {
  panel_vector up = splat_panel(start), down = splat_panel(wasm_i32x4_const_splat(0));
  ROLLED for (int g = 0; g < 8; g++, codes += 64) {
    const split_bytes x = split(wasm_v128_load32_splat(values + 4 * g));
    UNROLLED for (int v = 0; v < 4; v++) {
      const v128_t w = signed_weights(codes + 16 * v);
      up.quad[v] = dot_bytes(w, x.positive, up.quad[v]);
      down.quad[v] = dot_bytes(w, x.negative, down.quad[v]);
    }
  }
  UNROLLED for (int v = 0; v < 4; v++) up.quad[v] = wasm_i32x4_sub(up.quad[v], down.quad[v]);
  return up;
}

// Of each activation one part is 0, so the difference of two int16 sums is at most 2 * 128 * 127.
static ALWAYS_INLINE panel_vector dot_block_m(const uint8_t *codes, const uint8_t *values, v128_t start) {
  panel_vector acc = splat_panel(start);
  ROLLED for (int g = 0; g < 8; g++, codes += 64) {
    const split_bytes x = split(wasm_v128_load32_splat(values + 4 * g));
    UNROLLED for (int v = 0; v < 4; v++) {
      const v128_t w = signed_weights(codes + 16 * v);
      const v128_t sums = wasm_i16x8_sub(dot_pairs(w, x.positive), dot_pairs(w, x.negative));
      acc.quad[v] = wasm_i32x4_add(acc.quad[v], add_pairs(sums));
    }
  }
  return acc;
}

static ALWAYS_INLINE void unpack_planes_quad(uint8_t *to, const uint8_t *codes, int32_t quad) {
  const quad_codes w = unpack_q8(codes, quad);
  UNROLLED for (int g = 0; g < 8; g++) {
    wasm_v128_store(to + 32 * g, wasm_v128_and(wasm_u16x8_shr(w.group[g], 1), wasm_i8x16_const_splat(127)));
    wasm_v128_store(to + 256 + 32 * g, wasm_v128_and(w.group[g], wasm_i8x16_const_splat(1)));
  }
}

// start counts for the h plane alone, so it is half of what the zero point asks for.
static ALWAYS_INLINE tile dot_tile_planes(const uint8_t *codes, const uint8_t *values, tile start) {
  tile acc = dot_tile_bytes(codes, values, start);
  UNROLLED for (int m = 0; m < TILE_ROWS; m++) {
    acc.of[0][m] = wasm_i32x4_shl(acc.of[0][m], 1);
    acc.of[1][m] = wasm_i32x4_shl(acc.of[1][m], 1);
  }
  return dot_tile_bytes(codes + 256, values, acc);
}

EXPORT(gemv_q8_dot)
void gemv_q8_dot(float *y, const uint8_t *w, const uint8_t *a, int32_t rows, int32_t cols, int32_t accumulate) {
  const gemv_form form = {Q8_CODES_BYTES, 32, 0, 0, dot_block_dot};
  gemv(form, y, w, a, rows, cols, accumulate);
}

EXPORT(gemv_q8_m)
void gemv_q8_m(float *y, const uint8_t *w, const uint8_t *a, int32_t rows, int32_t cols, int32_t accumulate) {
  const gemv_form form = {Q8_CODES_BYTES, 32, 0, 0, dot_block_m};
  gemv(form, y, w, a, rows, cols, accumulate);
}

EXPORT(gemm_q8_dot)
void gemm_q8_dot(float *y, const uint8_t *w, const uint8_t *a, uint8_t *scratch, int32_t tokens, int32_t rows,
                 int32_t cols, int32_t ldy, int32_t accumulate) {
  const gemm_form form = {Q8_CODES_BYTES, 512, 128, Q8_ZERO / 2, 0, unpack_planes_quad, dot_tile_planes};
  gemm(form, y, w, a, scratch, tokens, rows, cols, ldy, accumulate);
}

// int16 products: 8 bits leave the relaxed int16 sums no room. Activations: TILE_WORDS.
EXPORT(gemm_q8_m)
void gemm_q8_m(float *y, const uint8_t *w, const uint8_t *a, uint8_t *scratch, int32_t tokens, int32_t rows,
               int32_t cols, int32_t ldy, int32_t accumulate) {
  const gemm_form form = {Q8_CODES_BYTES, 512, 256, 0, 0, unpack_word_quad, dot_tile_words};
  gemm(form, y, w, a, scratch, tokens, rows, cols, ldy, accumulate);
}

#else

static ALWAYS_INLINE panel_vector dot_block_simd(const uint8_t *codes, const uint8_t *x, v128_t start) {
  panel_vector acc = splat_panel(start);
  ROLLED for (int g = 0; g < 8; g++, codes += 64, x += 8) {
    const v128_t even = wasm_v128_load32_splat(x), odd = wasm_v128_load32_splat(x + 4);
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
  const gemv_form form = {Q8_CODES_BYTES, 64, Q8_ZERO, 0, dot_block_simd};
  gemv(form, y, w, a, rows, cols, accumulate);
}

EXPORT(gemm_q8_simd)
void gemm_q8_simd(float *y, const uint8_t *w, const uint8_t *a, uint8_t *scratch, int32_t tokens, int32_t rows,
                  int32_t cols, int32_t ldy, int32_t accumulate) {
  const gemm_form form = {Q8_CODES_BYTES, 512, 256, 0, 0, unpack_word_quad, dot_tile_words};
  gemm(form, y, w, a, scratch, tokens, rows, cols, ldy, accumulate);
}

#endif
