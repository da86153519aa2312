// y = W x with 4-bit weights: q4 (w = d * (q - 8)) and q4m (w = d * q + m), and int8 activations.
//
//   y  (rows,) or (tokens, ldy) f32
//   w  (rows / 16,) panels          rows: padded to 16; cols: a multiple of 32
//   a  activations of 1 or `tokens` rows, tokens padded to 4 (activation.h)
//
// Variants: dot and m take relaxed SIMD's int8 products as int32 or as int16; simd does without.
// All give the same bits. Order of sums: gemv.h, gemm.h.

#include "gemm.h"
#include "gemv.h"

#if RELAXED

static ALWAYS_INLINE panel_vector dot_block_dot(const uint8_t *codes, const uint8_t *x, v128_t start) {
  panel_vector acc = splat_panel(start);
  ROLLED for (int g = 0; g < 4; g++, codes += 64) {
    const v128_t low = wasm_v128_load32_splat(x + 4 * g), high = wasm_v128_load32_splat(x + 16 + 4 * g);
    UNROLLED for (int v = 0; v < 4; v++) {
      const v128_t w = wasm_v128_load(codes + 16 * v);
      acc.quad[v] = dot_bytes(low, low_nibbles(w), acc.quad[v]);
      acc.quad[v] = dot_bytes(high, high_nibbles(w), acc.quad[v]);
    }
  }
  return acc;
}

// Sums stay in int16 for the whole block: 8 * 2 * 15 * 128 = 30720.
static ALWAYS_INLINE panel_vector dot_block_m(const uint8_t *codes, const uint8_t *x, v128_t start) {
  panel_vector acc = splat_panel(wasm_i16x8_const_splat(0));
  ROLLED for (int g = 0; g < 4; g++, codes += 64) {
    const v128_t low = wasm_v128_load32_splat(x + 4 * g), high = wasm_v128_load32_splat(x + 16 + 4 * g);
    UNROLLED for (int v = 0; v < 4; v++) {
      const v128_t w = wasm_v128_load(codes + 16 * v);
      acc.quad[v] = wasm_i16x8_add(acc.quad[v], dot_pairs(low, low_nibbles(w)));
      acc.quad[v] = wasm_i16x8_add(acc.quad[v], dot_pairs(high, high_nibbles(w)));
    }
  }
  UNROLLED for (int v = 0; v < 4; v++) acc.quad[v] = wasm_i32x4_add(add_pairs(acc.quad[v]), start);
  return acc;
}

static ALWAYS_INLINE tile dot_tile_m(const uint8_t *codes, const uint8_t *values, tile start) {
  tile acc = zero_tile();
  ROLLED for (int g = 0; g < 8; g++, codes += 32, values += 16) {
    const v128_t w0 = wasm_v128_load(codes), w1 = wasm_v128_load(codes + 16);
    UNROLLED for (int m = 0; m < TILE_ROWS; m++) {
      const v128_t x = wasm_v128_load32_splat(values + 4 * m);
      acc.of[0][m] = wasm_i16x8_add(acc.of[0][m], dot_pairs(x, w0));
      acc.of[1][m] = wasm_i16x8_add(acc.of[1][m], dot_pairs(x, w1));
    }
  }
  UNROLLED for (int m = 0; m < TILE_ROWS; m++) {
    acc.of[0][m] = wasm_i32x4_add(add_pairs(acc.of[0][m]), start.of[0][m]);
    acc.of[1][m] = wasm_i32x4_add(add_pairs(acc.of[1][m]), start.of[1][m]);
  }
  return acc;
}

static ALWAYS_INLINE void unpack_quad(uint8_t *to, const uint8_t *codes, int32_t quad) {
  unpack_bytes(to, unpack_q4(codes, quad));
}

#define GEMV_FORM(zero, minimum, dot) ((gemv_form){Q4_CODES_BYTES, 32, zero, minimum, dot})
#define GEMM_FORM(zero, minimum, dot) ((gemm_form){Q4_CODES_BYTES, 256, 128, zero, minimum, unpack_quad, dot})

EXPORT(gemv_q4_dot)
void gemv_q4_dot(float *y, const uint8_t *w, const uint8_t *a, int32_t rows, int32_t cols, int32_t accumulate) {
  gemv(GEMV_FORM(Q4_ZERO, 0, dot_block_dot), y, w, a, rows, cols, accumulate);
}

EXPORT(gemv_q4m_dot)
void gemv_q4m_dot(float *y, const uint8_t *w, const uint8_t *a, int32_t rows, int32_t cols, int32_t accumulate) {
  gemv(GEMV_FORM(0, 1, dot_block_dot), y, w, a, rows, cols, accumulate);
}

EXPORT(gemv_q4_m)
void gemv_q4_m(float *y, const uint8_t *w, const uint8_t *a, int32_t rows, int32_t cols, int32_t accumulate) {
  gemv(GEMV_FORM(Q4_ZERO, 0, dot_block_m), y, w, a, rows, cols, accumulate);
}

EXPORT(gemv_q4m_m)
void gemv_q4m_m(float *y, const uint8_t *w, const uint8_t *a, int32_t rows, int32_t cols, int32_t accumulate) {
  gemv(GEMV_FORM(0, 1, dot_block_m), y, w, a, rows, cols, accumulate);
}

EXPORT(gemm_q4_dot)
void gemm_q4_dot(float *y, const uint8_t *w, const uint8_t *a, uint8_t *scratch, int32_t tokens, int32_t rows,
                 int32_t cols, int32_t ldy, int32_t accumulate) {
  gemm(GEMM_FORM(Q4_ZERO, 0, dot_tile_bytes), y, w, a, scratch, tokens, rows, cols, ldy, accumulate);
}

EXPORT(gemm_q4m_dot)
void gemm_q4m_dot(float *y, const uint8_t *w, const uint8_t *a, uint8_t *scratch, int32_t tokens, int32_t rows,
                  int32_t cols, int32_t ldy, int32_t accumulate) {
  gemm(GEMM_FORM(0, 1, dot_tile_bytes), y, w, a, scratch, tokens, rows, cols, ldy, accumulate);
}

EXPORT(gemm_q4_m)
void gemm_q4_m(float *y, const uint8_t *w, const uint8_t *a, uint8_t *scratch, int32_t tokens, int32_t rows,
               int32_t cols, int32_t ldy, int32_t accumulate) {
  gemm(GEMM_FORM(Q4_ZERO, 0, dot_tile_m), y, w, a, scratch, tokens, rows, cols, ldy, accumulate);
}

EXPORT(gemm_q4m_m)
void gemm_q4m_m(float *y, const uint8_t *w, const uint8_t *a, uint8_t *scratch, int32_t tokens, int32_t rows,
                int32_t cols, int32_t ldy, int32_t accumulate) {
  gemm(GEMM_FORM(0, 1, dot_tile_m), y, w, a, scratch, tokens, rows, cols, ldy, accumulate);
}

#else

// Nibbles stay where they are in their 16 bits, as 1, 256, 16 or 1 times themselves; the activations
// (NIBBLES in activation.h) make every product 256 times too large.
static ALWAYS_INLINE panel_vector dot_block_simd(const uint8_t *codes, const uint8_t *x, v128_t start) {
  const v128_t nibble0 = wasm_i16x8_const_splat(0x000f), nibble1 = wasm_i16x8_const_splat(0x00f0),
               nibble2 = wasm_i16x8_const_splat(0x0f00);
  panel_vector acc = splat_panel(wasm_i32x4_const_splat(0));
  _Pragma("clang loop unroll_count(2)") for (int g = 0; g < 4; g++, codes += 64, x += 16) {
    const v128_t x0 = wasm_v128_load32_splat(x), x2 = wasm_v128_load32_splat(x + 4),
                 x1 = wasm_v128_load32_splat(x + 8), x3 = wasm_v128_load32_splat(x + 12);
    UNROLLED for (int v = 0; v < 4; v++) {
      const v128_t w = wasm_v128_load(codes + 16 * v);
      acc.quad[v] = dot_words(wasm_v128_and(w, nibble0), x0, acc.quad[v]);
      acc.quad[v] = dot_words(wasm_v128_and(w, nibble2), x2, acc.quad[v]);
      acc.quad[v] = dot_words(wasm_v128_and(w, nibble1), x1, acc.quad[v]);
      acc.quad[v] = dot_words(wasm_u16x8_shr(w, 12), x3, acc.quad[v]);
    }
  }
  UNROLLED for (int v = 0; v < 4; v++) acc.quad[v] = wasm_i32x4_add(wasm_i32x4_shr(acc.quad[v], 8), start);
  return acc;
}

static ALWAYS_INLINE void unpack_q4_quad(uint8_t *to, const uint8_t *codes, int32_t quad) {
  unpack_words(to, unpack_q4(codes, quad), Q4_ZERO);
}
static ALWAYS_INLINE void unpack_q4m_quad(uint8_t *to, const uint8_t *codes, int32_t quad) {
  unpack_words(to, unpack_q4(codes, quad), 0);
}

EXPORT(gemv_q4_simd)
void gemv_q4_simd(float *y, const uint8_t *w, const uint8_t *a, int32_t rows, int32_t cols, int32_t accumulate) {
  const gemv_form form = {Q4_CODES_BYTES, 64, Q4_ZERO, 0, dot_block_simd};
  gemv(form, y, w, a, rows, cols, accumulate);
}

EXPORT(gemv_q4m_simd)
void gemv_q4m_simd(float *y, const uint8_t *w, const uint8_t *a, int32_t rows, int32_t cols, int32_t accumulate) {
  const gemv_form form = {Q4_CODES_BYTES, 64, 0, 1, dot_block_simd};
  gemv(form, y, w, a, rows, cols, accumulate);
}

EXPORT(gemm_q4_simd)
void gemm_q4_simd(float *y, const uint8_t *w, const uint8_t *a, uint8_t *scratch, int32_t tokens, int32_t rows,
                  int32_t cols, int32_t ldy, int32_t accumulate) {
  const gemm_form form = {Q4_CODES_BYTES, 512, 256, 0, 0, unpack_q4_quad, dot_tile_words};
  gemm(form, y, w, a, scratch, tokens, rows, cols, ldy, accumulate);
}

EXPORT(gemm_q4m_simd)
void gemm_q4m_simd(float *y, const uint8_t *w, const uint8_t *a, uint8_t *scratch, int32_t tokens, int32_t rows,
                   int32_t cols, int32_t ldy, int32_t accumulate) {
  const gemm_form form = {Q4_CODES_BYTES, 512, 256, 0, 1, unpack_q4m_quad, dot_tile_words};
  gemm(form, y, w, a, scratch, tokens, rows, cols, ldy, accumulate);
}

#endif
