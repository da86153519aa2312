// What every kernel needs: SIMD128 intrinsics, exports, number formats. No libc, no allocation, no globals.
//
// Numerics, the same on every build and engine (docs/determinism.md): no fused multiply-add (-ffp-contract=off, no
// relaxed madd), one defined order for every float sum, no function of the engine's own libm.
#pragma once
#include <stdint.h>

#ifdef __wasm__
#include <wasm_simd128.h>
#define EXPORT(name) __attribute__((export_name(#name)))
#else // native build, for ASan and UBSan: the same intrinsics through SIMDe
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/wasm/simd128.h>
#include <simde/wasm/relaxed-simd.h>
#define EXPORT(name)
#endif

// Kernels' inner loops stay rolled: V8 spills accumulators when they are unrolled (docs/kernels.md).
#define ROLLED _Pragma("clang loop unroll(disable)")
// Loops over the vectors of a register tile: unrolled, so that the tile lives in registers.
#define UNROLLED _Pragma("clang loop unroll(full)")
// Skeletons that take a function as a constant: inlined, so that nothing is called through a pointer.
#define ALWAYS_INLINE inline __attribute__((always_inline))

// Three builds: relaxed.wasm (RELAXED), plain.wasm (neither) and wide.wasm (RELAXED and WIDE), whose kernels are made for an
// engine that joins pairs of 128-bit vectors, stored side by side, to vectors of 256 bits (docs/kernels.md).
#ifndef WIDE
#define WIDE 0
#endif

#define BLOCK 32      // columns of a quantization block
#define PANEL_ROWS 16 // rows of a weight panel

static inline uint32_t f32_bits(float x) { return __builtin_bit_cast(uint32_t, x); }
static inline float f32_from_bits(uint32_t u) { return __builtin_bit_cast(float, u); }

// Round to nearest, ties to even. NaN is not kept.
static inline uint16_t f32_to_bf16(float x) {
  const uint32_t u = f32_bits(x);
  return (uint16_t)((u + 0x7fff + ((u >> 16) & 1)) >> 16);
}
static inline float bf16_to_f32(uint16_t h) { return f32_from_bits((uint32_t)h << 16); }

// 4 bf16 in memory as f32.
static inline v128_t load_bf16x4(const uint16_t *p) { return wasm_i32x4_shl(wasm_u32x4_load16x4(p), 16); }

// Each of 4 words in memory, broadcast.
typedef struct {
  v128_t of[4];
} splat_words;

static inline splat_words load_splats(const void *p) {
#if WIDE // as V8 joins them; what it makes of shuffles is slower
  const uint32_t *w = (const uint32_t *)p;
  return (splat_words){{wasm_v128_load32_splat(w), wasm_v128_load32_splat(w + 1), wasm_v128_load32_splat(w + 2),
                        wasm_v128_load32_splat(w + 3)}};
#else // one load: engines without guard pages (Deno, workerd) check every access's bounds, which takes three instructions
  const v128_t v = wasm_v128_load(p);
  return (splat_words){{wasm_i32x4_shuffle(v, v, 0, 0, 0, 0), wasm_i32x4_shuffle(v, v, 1, 1, 1, 1),
                        wasm_i32x4_shuffle(v, v, 2, 2, 2, 2), wasm_i32x4_shuffle(v, v, 3, 3, 3, 3)}};
#endif
}

// Two vectors side by side. What they are made of is read before the first is written: V8 joins them, and all that leads
// to them, only if nothing is read in between.
static ALWAYS_INLINE void store_pair(void *p, v128_t low, v128_t high) {
  if (WIDE)
    __asm__ volatile("" ::: "memory");
  wasm_v128_store(p, low);
  wasm_v128_store((uint8_t *)p + 16, high);
}

// A table of constants, each four times, that the compiler must not see through: V8 builds a vector constant anew at each
// use, with three instructions; what is loaded once stays in a register or on the stack.
#define FOUR(x) x, x, x, x
static ALWAYS_INLINE const float *opaque_table(const float *table) {
  __asm__ volatile("" : "+r"(table));
  return table;
}

// (lane 0 + lane 1) + (lane 2 + lane 3): the one order of every horizontal sum.
static inline float sum_lanes(v128_t v) {
  return (wasm_f32x4_extract_lane(v, 0) + wasm_f32x4_extract_lane(v, 1)) +
         (wasm_f32x4_extract_lane(v, 2) + wasm_f32x4_extract_lane(v, 3));
}
static inline float max_lanes(v128_t v) {
  v = wasm_f32x4_pmax(v, wasm_i32x4_shuffle(v, v, 2, 3, 0, 1));
  v = wasm_f32x4_pmax(v, wasm_i32x4_shuffle(v, v, 1, 0, 3, 2));
  return wasm_f32x4_extract_lane(v, 0);
}

// 1.5 * 2^23: a float plus this has the nearest integer, ties to even, in its low bits. For |x| < 2^22.
#define ROUNDING_MAGIC 12582912.0f

static inline v128_t round_to_i32(v128_t x) {
  const v128_t magic = wasm_f32x4_const_splat(ROUNDING_MAGIC);
  return wasm_i32x4_sub(wasm_f32x4_add(x, magic), magic); // as integers, so the difference is the integer
}
