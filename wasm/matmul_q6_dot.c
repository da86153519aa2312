// y = W x with 6-bit weights and a minimum (q6m: w = d * q + m), by relaxed SIMD's int8 dot products in int32.
// Arguments as in matmul_q4_dot.c.

#if RELAXED
#include "gemm.h"

enum { STREAMS = 2, CODES_BYTES = Q6_CODES_BYTES, VALUES_BYTES = 32 };
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

MAP_QUADS(low_6_bit_quads, low_6_bits)

// Half a block of q6 codes.
typedef struct {
  quad_vectors of[3];
} half_quads;

static ALWAYS_INLINE half_quads load_q6_half(const uint8_t *codes) {
  half_quads w;
  UNROLLED for (int i = 0; i < 3; i++)
    UNROLLED for (int q = 0; q < TILE_QUADS; q++) w.of[i].of[q] = wasm_v128_load(codes + 16 * i + Q6_QUAD_BYTES * q);
  return w;
}

static ALWAYS_INLINE quad_vectors top_pair_quads(half_quads w) {
  quad_vectors top;
  UNROLLED for (int q = 0; q < TILE_QUADS; q++) top.of[q] = top_pairs(w.of[0].of[q], w.of[1].of[q], w.of[2].of[q]);
  return top;
}

static ALWAYS_INLINE tile dot_packed_tile(const uint8_t *codes, const uint8_t *values, const int32_t *sums,
                                          int32_t zero_point) {
  tile acc = start_tile(sums, zero_point);
  ROLLED for (int half = 0; half < 2; half++, codes += Q6_HALF_BYTES, values += 64) {
    const half_quads w = load_q6_half(codes);
    UNROLLED for (int g = 0; g < 3; g++) add_dot_bytes(&acc, low_6_bit_quads(w.of[g]), values + 16 * g);
    add_dot_bytes(&acc, top_pair_quads(w), values + 16 * 3);
  }
  return acc;
}
static DOT_BLOCKS(dot_packed, dot_packed_tile, TILE_I8_BYTES)

EXPORT(gemv_q6m_dot)
void gemv_q6m_dot(float *y, const uint8_t *w, const uint8_t *a, int32_t rows, int32_t cols, int32_t accumulate) {
  gemv(y, w, a, rows, cols, accumulate, 1, 0, SCALES_BYTES);
}

EXPORT(gemm_q6m_dot)
void gemm_q6m_dot(float *y, const uint8_t *w, const uint8_t *a, uint8_t *scratch, int32_t tokens, int32_t rows,
                  int32_t cols, int32_t ldy, int32_t accumulate) {
  static const gemm_form form = {
      .unpack = unpack_q6_bytes,
      .dot_unpacked = dot_unpacked_bytes,
      .dot_packed = dot_packed,
      .codes_bytes = Q6_CODES_BYTES,
      .quad_bytes = Q6_QUAD_BYTES,
      .unpacked_bytes = TILE_QUADS * 128,
      .values_bytes = TILE_I8_BYTES,
      .has_minimum = 1,
  };
  gemm(y, w, a, scratch, tokens, rows, cols, ldy, accumulate, &form);
}

#endif
