// y = W x with 6-bit weights and a minimum (q6m: w = d * q + m), by relaxed SIMD's int8 dot products in int32.
// Arguments as in matmul_q4_dot.c.

#if RELAXED
#include "tile.h"

enum { PARKED = 0, STREAMS = 2, CODES_BYTES = Q6_CODES_BYTES, VALUES_BYTES = 32, UNPACKED_BYTES = 128 * TILE_QUADS, TILE_VALUES_BYTES = 128 };
#include "gemm.h"
#include "gemv.h"

static ALWAYS_INLINE panel_vector dot_block(const uint8_t *codes, const uint8_t *values, int32_t zero) {
  panel_vector acc = splat_panel(wasm_i32x4_splat(-zero));
  ROLLED for (int half = 0; half < 2; half++, codes += Q6_HALF_BYTES, values += 16) {
    const splat_words x = load_splats(values);
    UNROLLED for (int v = 0; v < 4; v++) {
      const half_codes w = unpack_q6_half(codes + Q6_QUAD_BYTES * v);
      UNROLLED for (int g = 0; g < 4; g++) acc.quad[v] = dot_bytes(x.of[g], w.group[g], acc.quad[v]);
    }
  }
  return acc;
}

static ALWAYS_INLINE void unpack_quad(uint8_t *to, const uint8_t *codes, int32_t quad, int32_t zero_point) {
  (void)zero_point; // the minimum stands for it
  store_bytes(to, unpack_q6(codes, quad));
}

static ALWAYS_INLINE tile dot_tile(const uint8_t *codes, const uint8_t *values, const int32_t *sums, int32_t zero_point) {
  return dot_tile_bytes(codes, values, start_tile(sums, zero_point));
}

EXPORT(gemv_q6m_dot)
void gemv_q6m_dot(float *y, const uint8_t *w, const uint8_t *a, int32_t rows, int32_t cols, int32_t accumulate) {
  gemv(y, w, a, rows, cols, accumulate, 1, 0);
}

EXPORT(gemm_q6m_dot)
void gemm_q6m_dot(float *y, const uint8_t *w, const uint8_t *a, uint8_t *scratch, int32_t tokens, int32_t rows,
                  int32_t cols, int32_t ldy, int32_t accumulate) {
  gemm(y, w, a, scratch, tokens, rows, cols, ldy, accumulate, 1, 0);
}

#endif
