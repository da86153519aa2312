// y = W x with 4-bit weights, by relaxed SIMD's int8 dot products in int16, which every CPU with SIMD has.
// Arguments as in matmul_q4_dot.c.

#if RELAXED
#include "gemm.h"

enum { STREAMS = 1, CODES_BYTES = Q4_CODES_BYTES, VALUES_BYTES = 32 };
#include "gemv.h"

// Sums stay in int16 for a whole block: 8 groups * 2 * 15 * 127 = 30480.
static ALWAYS_INLINE panel_vector dot_block(const uint8_t *codes, const uint8_t *values, int32_t zero) {
  panel_vector acc = splat_panel(wasm_i16x8_const_splat(0));
  ROLLED for (int g = 0; g < 4; g++, codes += 64, values += 4) {
    const v128_t low = wasm_v128_load32_splat(values), high = wasm_v128_load32_splat(values + 16);
    UNROLLED for (int v = 0; v < 4; v++) {
      const v128_t w = wasm_v128_load(codes + 16 * v);
      acc.quad[v] = wasm_i16x8_add(acc.quad[v], dot_pairs(low, low_nibbles(w)));
      acc.quad[v] = wasm_i16x8_add(acc.quad[v], dot_pairs(high, high_nibbles(w)));
    }
  }
  const v128_t z = wasm_i32x4_splat(zero);
  UNROLLED for (int v = 0; v < 4; v++) acc.quad[v] = wasm_i32x4_sub(add_pairs(acc.quad[v]), z);
  return acc;
}

static ALWAYS_INLINE void add_dot_pairs(tile *acc, quad_vectors w, const uint8_t *values) {
  const splat_words x = load_splats(values);
  UNROLLED for (int m = 0; m < TILE_ROWS; m++)
    UNROLLED for (int q = 0; q < TILE_QUADS; q++)
      acc->of[m][q] = wasm_i16x8_add(acc->of[m][q], dot_pairs(x.of[m], w.of[q]));
}

static ALWAYS_INLINE tile widen_pairs(tile acc, const int32_t *sums, int32_t zero_point) {
  const tile start = start_tile(sums, zero_point);
  UNROLLED for (int m = 0; m < TILE_ROWS; m++)
    UNROLLED for (int q = 0; q < TILE_QUADS; q++) acc.of[m][q] = wasm_i32x4_add(add_pairs(acc.of[m][q]), start.of[m][q]);
  return acc;
}

static ALWAYS_INLINE tile dot_unpacked_tile(const uint8_t *codes, const uint8_t *values, const int32_t *sums,
                                            int32_t zero_point) {
  tile acc = zero_tile();
  ROLLED for (int g = 0; g < 8; g++, codes += 16 * TILE_QUADS, values += 16) add_dot_pairs(&acc, load_quads(codes), values);
  return widen_pairs(acc, sums, zero_point);
}
static DOT_BLOCKS(dot_unpacked, dot_unpacked_tile, TILE_I8_BYTES)

EXPORT(gemv_q4_m)
void gemv_q4_m(float *y, const uint8_t *w, const uint8_t *a, int32_t rows, int32_t cols, int32_t accumulate) {
  gemv(y, w, a, rows, cols, accumulate, 0, Q4_ZERO);
}

EXPORT(gemm_q4_m)
void gemm_q4_m(float *y, const uint8_t *w, const uint8_t *a, uint8_t *scratch, int32_t tokens, int32_t rows,
               int32_t cols, int32_t ldy, int32_t accumulate) {
  static const gemm_form form = {
      .unpack = unpack_q4_bytes,
      .dot_unpacked = dot_unpacked,
      .codes_bytes = Q4_CODES_BYTES,
      .unpacked_bytes = TILE_QUADS * 128,
      .values_bytes = TILE_I8_BYTES,
      .zero_point = Q4_ZERO,
  };
  gemm(y, w, a, scratch, tokens, rows, cols, ldy, accumulate, &form);
}

EXPORT(gemv_q4m_m)
void gemv_q4m_m(float *y, const uint8_t *w, const uint8_t *a, int32_t rows, int32_t cols, int32_t accumulate) {
  gemv(y, w, a, rows, cols, accumulate, 1, 0);
}

EXPORT(gemm_q4m_m)
void gemm_q4m_m(float *y, const uint8_t *w, const uint8_t *a, uint8_t *scratch, int32_t tokens, int32_t rows,
                int32_t cols, int32_t ldy, int32_t accumulate) {
  static const gemm_form form = {
      .unpack = unpack_q4_bytes,
      .dot_unpacked = dot_unpacked,
      .codes_bytes = Q4_CODES_BYTES,
      .unpacked_bytes = TILE_QUADS * 128,
      .values_bytes = TILE_I8_BYTES,
      .has_minimum = 1,
  };
  gemm(y, w, a, scratch, tokens, rows, cols, ldy, accumulate, &form);
}

#endif
