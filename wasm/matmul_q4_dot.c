// y = W x with 4-bit weights (q4: w = d * (q - 8); q4m: w = d * q + m), by relaxed SIMD's int8 dot products in int32.
//
//   y  (rows,) or (tokens, ldy) f32
//   w  (rows / 16,) panels          rows: padded to 16; cols: a multiple of 32 (src/pack/forms.ts)
//   a  activations of 1 or of `tokens` rows, tokens padded to 4 (activation.h)
//
// Fast where the CPU has the instruction and the engine uses it; else matmul_q4_m.c. All variants give the same bits.

#if RELAXED
#include "tile.h"

enum { PARKED = 1, STREAMS = 2, CODES_BYTES = Q4_CODES_BYTES, VALUES_BYTES = 32, UNPACKED_BYTES = 128 * TILE_QUADS, TILE_VALUES_BYTES = 128 };
#include "gemm.h"
#include "gemv.h"

static ALWAYS_INLINE panel_vector dot_block(const uint8_t *codes, const uint8_t *values, int32_t zero) {
  panel_vector acc = splat_panel(wasm_i32x4_splat(-zero));
  ROLLED for (int g = 0; g < 4; g++, codes += 64, values += 4) {
    const v128_t low = wasm_v128_load32_splat(values), high = wasm_v128_load32_splat(values + 16);
    UNROLLED for (int v = 0; v < 4; v++) {
      const v128_t w = wasm_v128_load(codes + 16 * v);
      acc.quad[v] = dot_bytes(low, low_nibbles(w), acc.quad[v]);
      acc.quad[v] = dot_bytes(high, high_nibbles(w), acc.quad[v]);
    }
  }
  return acc;
}

static ALWAYS_INLINE void unpack_quad(uint8_t *to, const uint8_t *codes, int32_t quad, int32_t zero_point) {
  (void)zero_point; // dot_tile takes it off
  store_bytes(to, unpack_q4(codes, quad));
}

static ALWAYS_INLINE tile dot_tile(const uint8_t *codes, const uint8_t *values, const int32_t *sums, int32_t zero_point) {
  return dot_tile_bytes(codes, values, start_tile(sums, zero_point));
}

// One body for both forms.
static __attribute__((noinline)) void gemm_any(float *y, const uint8_t *w, const uint8_t *a, uint8_t *scratch,
                                               int32_t tokens, int32_t rows, int32_t cols, int32_t ldy,
                                               int32_t accumulate, int32_t has_minimum, int32_t zero_point) {
  gemm(y, w, a, scratch, tokens, rows, cols, ldy, accumulate, has_minimum, zero_point);
}

EXPORT(gemv_q4_dot)
void gemv_q4_dot(float *y, const uint8_t *w, const uint8_t *a, int32_t rows, int32_t cols, int32_t accumulate) {
  gemv(y, w, a, rows, cols, accumulate, 0, Q4_ZERO);
}

EXPORT(gemm_q4_dot)
void gemm_q4_dot(float *y, const uint8_t *w, const uint8_t *a, uint8_t *scratch, int32_t tokens, int32_t rows,
                 int32_t cols, int32_t ldy, int32_t accumulate) {
  gemm_any(y, w, a, scratch, tokens, rows, cols, ldy, accumulate, 0, Q4_ZERO);
}

EXPORT(gemv_q4m_dot)
void gemv_q4m_dot(float *y, const uint8_t *w, const uint8_t *a, int32_t rows, int32_t cols, int32_t accumulate) {
  gemv(y, w, a, rows, cols, accumulate, 1, 0);
}

EXPORT(gemm_q4m_dot)
void gemm_q4m_dot(float *y, const uint8_t *w, const uint8_t *a, uint8_t *scratch, int32_t tokens, int32_t rows,
                  int32_t cols, int32_t ldy, int32_t accumulate) {
  gemm_any(y, w, a, scratch, tokens, rows, cols, ldy, accumulate, 1, 0);
}

#endif
