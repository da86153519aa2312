// Exact dot products of int8 activations with 4-, 6-, 7- or 8-bit weights, 4 columns at a time.
//
// The relaxed instructions are exact when the second operand has at most 7 bits: beyond that engines differ.
// Plain SIMD128 has only the product of int16.
#pragma once
#include "kernel.h"

// acc[i] + x[2i] * w[2i] + x[2i+1] * w[2i+1], int16 to int32.
static inline v128_t dot_words(v128_t x, v128_t w, v128_t acc) {
  return wasm_i32x4_add(acc, wasm_i32x4_dot_i16x8(x, w));
}

#if RELAXED
// acc[i] + sum over j < 4 of x[4i+j] * w[4i+j]; x int8, w 7 bits.
static inline v128_t dot_bytes(v128_t x, v128_t w, v128_t acc) {
  return wasm_i32x4_relaxed_dot_i8x16_i7x16_add(x, w, acc);
}

// x[2i] * w[2i] + x[2i+1] * w[2i+1], int16; x int8, w 7 bits: at most 2 * 128 * 127, no overflow.
static inline v128_t dot_pairs(v128_t x, v128_t w) { return wasm_i16x8_relaxed_dot_i8x16_i7x16(x, w); }

// Neighbouring int16 added into int32.
static inline v128_t add_pairs(v128_t sums) { return wasm_i32x4_dot_i16x8(sums, wasm_i16x8_const_splat(1)); }
#endif
