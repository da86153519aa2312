// y = W x with 6-bit weights and a minimum (q6m: w = d * q + m), and int8 activations.
// Arguments, variants and order of sums as in matmul_q4.c.

#include "gemm.h"
#include "gemv.h"

#if RELAXED

static ALWAYS_INLINE v128_t dot_quad_dot(quad_codes w, const uint8_t *x) {
  v128_t acc = wasm_i32x4_const_splat(0);
  UNROLLED for (int g = 0; g < 8; g++) acc = dot_bytes(wasm_v128_load32_splat(x + 4 * g), w.group[g], acc);
  return acc;
}

// Two groups at a time fit an int16: 2 * 2 * 63 * 127 = 32004.
static ALWAYS_INLINE v128_t dot_quad_m(quad_codes w, const uint8_t *x) {
  v128_t acc = wasm_i32x4_const_splat(0);
  UNROLLED for (int g = 0; g < 8; g += 2) {
    const v128_t a = dot_pairs(wasm_v128_load32_splat(x + 4 * g), w.group[g]);
    const v128_t b = dot_pairs(wasm_v128_load32_splat(x + 4 * g + 4), w.group[g + 1]);
    acc = wasm_i32x4_add(acc, add_pairs(wasm_i16x8_add(a, b)));
  }
  return acc;
}

static ALWAYS_INLINE panel_vector dot_block_dot(const uint8_t *codes, const uint8_t *x, v128_t start) {
  panel_vector out = splat_panel(start);
  UNROLLED for (int v = 0; v < 4; v++) out.quad[v] = dot_quad_dot(unpack_q6(codes, v), x);
  return out;
}

static ALWAYS_INLINE panel_vector dot_block_m(const uint8_t *codes, const uint8_t *x, v128_t start) {
  panel_vector out = splat_panel(start);
  UNROLLED for (int v = 0; v < 4; v++) out.quad[v] = dot_quad_m(unpack_q6(codes, v), x);
  return out;
}

static ALWAYS_INLINE tile dot_tile_m(const uint8_t *codes, const uint8_t *values, tile acc) {
  ROLLED for (int g = 0; g < 8; g += 2, codes += 64, values += 32) {
    const v128_t w0 = wasm_v128_load(codes), w1 = wasm_v128_load(codes + 16);
    const v128_t w2 = wasm_v128_load(codes + 32), w3 = wasm_v128_load(codes + 48);
    UNROLLED for (int m = 0; m < TILE_ROWS; m++) {
      const v128_t x = wasm_v128_load32_splat(values + 4 * m), z = wasm_v128_load32_splat(values + 16 + 4 * m);
      acc.of[0][m] = wasm_i32x4_add(acc.of[0][m], add_pairs(wasm_i16x8_add(dot_pairs(x, w0), dot_pairs(z, w2))));
      acc.of[1][m] = wasm_i32x4_add(acc.of[1][m], add_pairs(wasm_i16x8_add(dot_pairs(x, w1), dot_pairs(z, w3))));
    }
  }
  return acc;
}

static ALWAYS_INLINE void unpack_quad(uint8_t *to, const uint8_t *codes, int32_t quad) {
  unpack_bytes(to, unpack_q6(codes, quad));
}

EXPORT(gemv_q6m_dot)
void gemv_q6m_dot(float *y, const uint8_t *w, const uint8_t *a, int32_t rows, int32_t cols, int32_t accumulate) {
  const gemv_form form = {Q6_CODES_BYTES, 32, 0, 1, dot_block_dot};
  gemv(form, y, w, a, rows, cols, accumulate);
}

EXPORT(gemv_q6m_m)
void gemv_q6m_m(float *y, const uint8_t *w, const uint8_t *a, int32_t rows, int32_t cols, int32_t accumulate) {
  const gemv_form form = {Q6_CODES_BYTES, 32, 0, 1, dot_block_m};
  gemv(form, y, w, a, rows, cols, accumulate);
}

EXPORT(gemm_q6m_dot)
void gemm_q6m_dot(float *y, const uint8_t *w, const uint8_t *a, uint8_t *scratch, int32_t tokens, int32_t rows,
                  int32_t cols, int32_t ldy, int32_t accumulate) {
  const gemm_form form = {Q6_CODES_BYTES, 256, 128, 0, 1, unpack_quad, dot_tile_bytes};
  gemm(form, y, w, a, scratch, tokens, rows, cols, ldy, accumulate);
}

EXPORT(gemm_q6m_m)
void gemm_q6m_m(float *y, const uint8_t *w, const uint8_t *a, uint8_t *scratch, int32_t tokens, int32_t rows,
                int32_t cols, int32_t ldy, int32_t accumulate) {
  const gemm_form form = {Q6_CODES_BYTES, 256, 128, 0, 1, unpack_quad, dot_tile_m};
  gemm(form, y, w, a, scratch, tokens, rows, cols, ldy, accumulate);
}

#else

static ALWAYS_INLINE v128_t dot_quad_simd(quad_codes w, const uint8_t *x) {
  v128_t acc = wasm_i32x4_const_splat(0);
  UNROLLED for (int g = 0; g < 8; g++) {
    acc = dot_words(even_bytes(w.group[g]), wasm_v128_load32_splat(x + 8 * g), acc);
    acc = dot_words(odd_bytes(w.group[g]), wasm_v128_load32_splat(x + 8 * g + 4), acc);
  }
  return acc;
}

static ALWAYS_INLINE panel_vector dot_block_simd(const uint8_t *codes, const uint8_t *x, v128_t start) {
  panel_vector out = splat_panel(start);
  UNROLLED for (int v = 0; v < 4; v++) out.quad[v] = dot_quad_simd(unpack_q6(codes, v), x);
  return out;
}

static ALWAYS_INLINE void unpack_quad(uint8_t *to, const uint8_t *codes, int32_t quad) {
  unpack_words(to, unpack_q6(codes, quad), 0);
}

EXPORT(gemv_q6m_simd)
void gemv_q6m_simd(float *y, const uint8_t *w, const uint8_t *a, int32_t rows, int32_t cols, int32_t accumulate) {
  const gemv_form form = {Q6_CODES_BYTES, 64, 0, 1, dot_block_simd};
  gemv(form, y, w, a, rows, cols, accumulate);
}

EXPORT(gemm_q6m_simd)
void gemm_q6m_simd(float *y, const uint8_t *w, const uint8_t *a, uint8_t *scratch, int32_t tokens, int32_t rows,
                   int32_t cols, int32_t ldy, int32_t accumulate) {
  const gemm_form form = {Q6_CODES_BYTES, 512, 256, 0, 1, unpack_quad, dot_tile_words};
  gemm(form, y, w, a, scratch, tokens, rows, cols, ldy, accumulate);
}

#endif
