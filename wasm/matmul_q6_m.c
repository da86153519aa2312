// y = W x with 6-bit weights and a minimum, by relaxed SIMD's int8 dot products in int16.
// Arguments as in matmul_q4_dot.c.

#if RELAXED
#include "tile.h"

enum { PARKED = 0, STREAMS = 1, CODES_BYTES = Q6_CODES_BYTES, VALUES_BYTES = 32, UNPACKED_BYTES = 256, TILE_VALUES_BYTES = 128 };
#include "gemm.h"
#include "gemv.h"

// Two groups at a time fit an int16: 2 * 2 * 63 * 127 = 32004.
static ALWAYS_INLINE v128_t dot_quad(quad_codes w, const uint8_t *values) {
  v128_t acc = wasm_i32x4_const_splat(0);
  UNROLLED for (int g = 0; g < 8; g += 2) {
    const v128_t a = dot_pairs(wasm_v128_load32_splat(values + 4 * g), w.group[g]);
    const v128_t b = dot_pairs(wasm_v128_load32_splat(values + 4 * g + 4), w.group[g + 1]);
    acc = wasm_i32x4_add(acc, add_pairs(wasm_i16x8_add(a, b)));
  }
  return acc;
}

static ALWAYS_INLINE panel_vector dot_block(const uint8_t *codes, const uint8_t *values, int32_t zero) {
  panel_vector out = splat_panel(wasm_i32x4_splat(-zero));
  UNROLLED for (int v = 0; v < 4; v++) out.quad[v] = wasm_i32x4_add(out.quad[v], dot_quad(unpack_q6(codes, v), values));
  return out;
}

static ALWAYS_INLINE void unpack_quad(uint8_t *to, const uint8_t *codes, int32_t quad, int32_t zero_point) {
  (void)zero_point; // the minimum stands for it
  store_bytes(to, unpack_q6(codes, quad));
}

static ALWAYS_INLINE tile dot_tile(const uint8_t *codes, const uint8_t *values, const int32_t *sums, int32_t zero_point) {
  tile acc = start_tile(sums, zero_point);
  ROLLED for (int g = 0; g < 8; g += 2, codes += 64, values += 32) {
    const v128_t w0 = wasm_v128_load(codes), w1 = wasm_v128_load(codes + 16);
    const v128_t w2 = wasm_v128_load(codes + 32), w3 = wasm_v128_load(codes + 48);
    UNROLLED for (int m = 0; m < TILE_ROWS; m++) {
      const v128_t x = wasm_v128_load32_splat(values + 4 * m), z = wasm_v128_load32_splat(values + 16 + 4 * m);
      const v128_t sums0 = wasm_i16x8_add(dot_pairs(x, w0), dot_pairs(z, w2));
      const v128_t sums1 = wasm_i16x8_add(dot_pairs(x, w1), dot_pairs(z, w3));
      acc.of[0][m] = wasm_i32x4_add(acc.of[0][m], add_pairs(sums0));
      acc.of[1][m] = wasm_i32x4_add(acc.of[1][m], add_pairs(sums1));
    }
  }
  return acc;
}

EXPORT(gemv_q6m_m)
void gemv_q6m_m(float *y, const uint8_t *w, const uint8_t *a, int32_t rows, int32_t cols, int32_t accumulate) {
  gemv(y, w, a, rows, cols, accumulate, 1, 0);
}

EXPORT(gemm_q6m_m)
void gemm_q6m_m(float *y, const uint8_t *w, const uint8_t *a, uint8_t *scratch, int32_t tokens, int32_t rows,
                int32_t cols, int32_t ldy, int32_t accumulate) {
  gemm(y, w, a, scratch, tokens, rows, cols, ldy, accumulate, 1, 0);
}

#endif
