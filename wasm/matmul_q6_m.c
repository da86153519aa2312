// y = W x with 6-bit weights and a minimum, by relaxed SIMD's int8 dot products in int16.
// Arguments as in matmul_q4_dot.c.

#if RELAXED
#include "tile.h"

enum { PARKED = 0, STREAMS = 1, CODES_BYTES = Q6_CODES_BYTES, VALUES_BYTES = 32, UNPACKED_BYTES = 128 * TILE_QUADS, TILE_VALUES_BYTES = 128 };
#include "gemm.h"
#include "gemv.h"

// Two groups at a time fit an int16: 2 * 2 * 63 * 127 = 32004.
static ALWAYS_INLINE panel_vector dot_block(const uint8_t *codes, const uint8_t *values, int32_t zero) {
  panel_vector acc = splat_panel(wasm_i32x4_splat(-zero));
  ROLLED for (int half = 0; half < 2; half++, codes += Q6_HALF_BYTES, values += 16) {
    const splat_words x = load_splats(values);
    UNROLLED for (int v = 0; v < 4; v++) {
      const half_codes w = unpack_q6_half(codes + Q6_QUAD_BYTES * v);
      UNROLLED for (int g = 0; g < 4; g += 2) {
        const v128_t pair = wasm_i16x8_add(dot_pairs(x.of[g], w.group[g]), dot_pairs(x.of[g + 1], w.group[g + 1]));
        acc.quad[v] = wasm_i32x4_add(acc.quad[v], add_pairs(pair));
      }
    }
  }
  return acc;
}

static ALWAYS_INLINE void unpack_quad(uint8_t *to, const uint8_t *codes, int32_t quad, int32_t zero_point) {
  (void)zero_point; // the minimum stands for it
  store_bytes(to, unpack_q6(codes, quad));
}

static ALWAYS_INLINE tile dot_tile(const uint8_t *codes, const uint8_t *values, const int32_t *sums, int32_t zero_point) {
  tile acc = start_tile(sums, zero_point);
  ROLLED for (int g = 0; g < 8; g += 2, codes += 32 * TILE_QUADS, values += 32) {
    const quad_vectors w0 = load_quads(codes), w1 = load_quads(codes + 16 * TILE_QUADS);
    UNROLLED for (int m = 0; m < TILE_ROWS; m++) {
      const v128_t x = wasm_v128_load32_splat(values + 4 * m), z = wasm_v128_load32_splat(values + 16 + 4 * m);
      UNROLLED for (int q = 0; q < TILE_QUADS; q++) {
        const v128_t sums = wasm_i16x8_add(dot_pairs(x, w0.of[q]), dot_pairs(z, w1.of[q]));
        acc.of[m][q] = wasm_i32x4_add(acc.of[m][q], add_pairs(sums));
      }
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
