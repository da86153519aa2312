// The GEMV of 4-bit codes by relaxed SIMD's int8 dot products in int16: what q4, q4m and q4s share.
#pragma once
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
