// The intrinsics that Debian's SIMDe (0.7.4) lacks; included before every kernel in the native build.
#pragma once
#include <stdint.h>
#include <stdlib.h>
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/wasm/simd128.h>

#define wasm_i8x16_const_splat(x) wasm_i8x16_splat(x)
#define wasm_i16x8_const_splat(x) wasm_i16x8_splat(x)
#define wasm_i32x4_const_splat(x) wasm_i32x4_splat(x)
#define wasm_f32x4_const_splat(x) wasm_f32x4_splat(x)

// Relaxed SIMD's dot products. Engines agree only while the second operand has 7 bits and the 16-bit sums do not
// saturate: anything else aborts.
static inline v128_t relaxed_pairs(v128_t x, v128_t w) {
  int8_t a[16], b[16];
  int16_t sums[8];
  wasm_v128_store(a, x);
  wasm_v128_store(b, w);
  for (int i = 0; i < 8; i++) {
    if (b[2 * i] < 0 || b[2 * i + 1] < 0)
      abort();
    const int sum = a[2 * i] * b[2 * i] + a[2 * i + 1] * b[2 * i + 1];
    if (sum > INT16_MAX || sum < INT16_MIN)
      abort();
    sums[i] = (int16_t)sum;
  }
  return wasm_v128_load(sums);
}

static inline v128_t relaxed_quads(v128_t x, v128_t w, v128_t acc) {
  int16_t pairs[8];
  int32_t sums[4];
  wasm_v128_store(pairs, relaxed_pairs(x, w));
  wasm_v128_store(sums, acc);
  for (int i = 0; i < 4; i++)
    sums[i] += pairs[2 * i] + pairs[2 * i + 1];
  return wasm_v128_load(sums);
}

#define wasm_i16x8_relaxed_dot_i8x16_i7x16(x, w) relaxed_pairs(x, w)
#define wasm_i32x4_relaxed_dot_i8x16_i7x16_add(x, w, acc) relaxed_quads(x, w, acc)
