// y = W x with 6-bit weights and a minimum, by relaxed SIMD's int8 dot products in int16.
// Arguments as in matmul_q4_dot.c.

#if RELAXED
#include "gemm.h"

enum { STREAMS = 1, CODES_BYTES = Q6_CODES_BYTES, VALUES_BYTES = 32 };
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

// Two groups of 4 columns.
static ALWAYS_INLINE void add_groups(tile *acc, quad_vectors w0, quad_vectors w1, const uint8_t *values) {
  UNROLLED for (int m = 0; m < TILE_ROWS; m++) {
    const v128_t x0 = wasm_v128_load32_splat(values + 4 * m), x1 = wasm_v128_load32_splat(values + 16 + 4 * m);
    UNROLLED for (int q = 0; q < TILE_QUADS; q++) {
      const v128_t pairs = wasm_i16x8_add(dot_pairs(x0, w0.of[q]), dot_pairs(x1, w1.of[q]));
      acc->of[m][q] = wasm_i32x4_add(acc->of[m][q], add_pairs(pairs));
    }
  }
}

static ALWAYS_INLINE tile dot_unpacked_tile(const uint8_t *codes, const uint8_t *values, const int32_t *sums,
                                            int32_t zero_point) {
  tile acc = start_tile(sums, zero_point);
  ROLLED for (int g = 0; g < 8; g += 2, codes += 32 * TILE_QUADS, values += 32)
      add_groups(&acc, load_quads(codes), load_quads(codes + 16 * TILE_QUADS), values);
  return acc;
}
static DOT_BLOCKS(dot_unpacked, dot_unpacked_tile, TILE_I8_BYTES)

EXPORT(gemv_q6m_m)
void gemv_q6m_m(float *y, const uint8_t *w, const uint8_t *a, int32_t rows, int32_t cols, int32_t accumulate) {
  gemv(y, w, a, rows, cols, accumulate, 1, 0, SCALES_BYTES);
}

EXPORT(gemm_q6m_m)
void gemm_q6m_m(float *y, const uint8_t *w, const uint8_t *a, uint8_t *scratch, int32_t tokens, int32_t rows,
                int32_t cols, int32_t ldy, int32_t accumulate) {
  static const gemm_form form = {
      .unpack = unpack_q6_bytes,
      .dot_unpacked = dot_unpacked,
      .codes_bytes = Q6_CODES_BYTES,
      .unpacked_bytes = TILE_QUADS * 128,
      .values_bytes = TILE_I8_BYTES,
      .has_minimum = 1,
  };
  gemm(y, w, a, scratch, tokens, rows, cols, ldy, accumulate, &form);
}

#endif
