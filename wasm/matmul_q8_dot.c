// y = W x with 8-bit weights (q8: w = d * (q - 128)), by relaxed SIMD's int8 dot products in int32.
// Arguments as in matmul_q4_dot.c.

#if RELAXED
#include "gemm.h"

enum { STREAMS = 2, CODES_BYTES = Q8_CODES_BYTES, VALUES_BYTES = 32 };
#include "gemv.h"

// A weight has the signed 8 bits that relaxed dots allow one side; the activation, split into its positive and negative
// parts, has the 7 bits of the other.
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

static ALWAYS_INLINE panel_vector dot_block(const uint8_t *codes, const uint8_t *values, int32_t zero) {
  (void)zero; // signed_weights() took it off
  panel_vector up = splat_panel(wasm_i32x4_const_splat(0)), down = up;
  ROLLED for (int g = 0; g < 8; g++, codes += 64, values += 4) {
    const split_bytes x = split(wasm_v128_load32_splat(values));
    UNROLLED for (int v = 0; v < 4; v++) {
      const v128_t w = signed_weights(codes + 16 * v);
      up.quad[v] = dot_bytes(w, x.positive, up.quad[v]);
      down.quad[v] = dot_bytes(w, x.negative, down.quad[v]);
    }
  }
  UNROLLED for (int v = 0; v < 4; v++) up.quad[v] = wasm_i32x4_sub(up.quad[v], down.quad[v]);
  return up;
}

// The GEMM splits the weights instead, once for all tokens: q = 2h + l, in planes of h (7 bits) and of l (1 bit).
#define PLANE_BYTES (128 * TILE_QUADS)

static ALWAYS_INLINE v128_t high_bits(v128_t w) { return wasm_v128_and(wasm_u16x8_shr(w, 1), wasm_i8x16_const_splat(127)); }
static ALWAYS_INLINE v128_t low_bits(v128_t w) { return wasm_v128_and(w, wasm_i8x16_const_splat(1)); }
MAP_QUADS(high_bit_quads, high_bits)
MAP_QUADS(low_bit_quads, low_bits)

static ALWAYS_INLINE void store_planes(uint8_t *to, quad_codes w) {
  UNROLLED for (int g = 0; g < 8; g++) {
    wasm_v128_store(to + 16 * TILE_QUADS * g, high_bits(w.group[g]));
    wasm_v128_store(to + PLANE_BYTES + 16 * TILE_QUADS * g, low_bits(w.group[g]));
  }
}
static UNPACK_BLOCKS(unpack_planes, store_planes, unpack_q8, 2 * PLANE_BYTES)

static ALWAYS_INLINE tile double_tile(tile acc) {
  UNROLLED for (int m = 0; m < TILE_ROWS; m++)
    UNROLLED for (int q = 0; q < TILE_QUADS; q++) acc.of[m][q] = wasm_i32x4_shl(acc.of[m][q], 1);
  return acc;
}

// The zero point is doubled with the high bits.
static ALWAYS_INLINE tile dot_unpacked_tile(const uint8_t *codes, const uint8_t *values, const int32_t *sums,
                                            int32_t zero_point) {
  const tile acc = dot_tile_bytes(codes, values, start_tile(sums, zero_point / 2));
  return dot_tile_bytes(codes + PLANE_BYTES, values, double_tile(acc));
}
static DOT_BLOCKS(dot_unpacked, dot_unpacked_tile, TILE_I8_BYTES)

static ALWAYS_INLINE tile dot_packed_tile(const uint8_t *codes, const uint8_t *values, const int32_t *sums,
                                          int32_t zero_point) {
  tile acc = start_tile(sums, zero_point / 2);
  ROLLED for (int g = 0; g < 8; g++) add_dot_bytes(&acc, high_bit_quads(load_quads(codes + 64 * g)), values + 16 * g);
  acc = double_tile(acc);
  ROLLED for (int g = 0; g < 8; g++) add_dot_bytes(&acc, low_bit_quads(load_quads(codes + 64 * g)), values + 16 * g);
  return acc;
}
static DOT_BLOCKS(dot_packed, dot_packed_tile, TILE_I8_BYTES)

EXPORT(gemv_q8_dot)
void gemv_q8_dot(float *y, const uint8_t *w, const uint8_t *a, int32_t rows, int32_t cols, int32_t accumulate) {
  gemv(y, w, a, rows, cols, accumulate, 0, Q8_ZERO, SCALES_BYTES);
}

EXPORT(gemm_q8_dot)
void gemm_q8_dot(float *y, const uint8_t *w, const uint8_t *a, uint8_t *scratch, int32_t tokens, int32_t rows,
                 int32_t cols, int32_t ldy, int32_t accumulate) {
  static const gemm_form form = {
      .unpack = unpack_planes,
      .dot_unpacked = dot_unpacked,
      .dot_packed = dot_packed,
      .codes_bytes = Q8_CODES_BYTES,
      .quad_bytes = 16,
      .unpacked_bytes = 2 * PLANE_BYTES,
      .values_bytes = TILE_I8_BYTES,
      .zero_point = Q8_ZERO,
  };
  gemm(y, w, a, scratch, tokens, rows, cols, ldy, accumulate, &form);
}

#endif
