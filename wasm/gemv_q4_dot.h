// The GEMV of 4-bit codes by relaxed SIMD's int8 dot products in int32: what q4, q4m and q4s share.
#pragma once
enum { STREAMS = 2, CODES_BYTES = Q4_CODES_BYTES, VALUES_BYTES = 32 };
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
