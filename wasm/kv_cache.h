// The layout of the KV cache.
//
//   K       (kv_heads, ctx / 8, head_dim / W, 8 positions, W)
//   V       (kv_heads, 2 slabs, ceil(ctx / 64), strips, 64 / W, 8 dims, W), the slabs being the first half of the
//           ceil(head_dim / 8) strips, which is the larger one, and the second
//   scales  (kv_heads, ctx) f32 of K and of V, one per head vector: integer caches only, value = scale * integer.
//           Finer ones, per 32 dimensions, would double the work on p; beside 4-bit weights their gain does not show.
//
// W elements make one 32-bit word of arithmetic: a pair of int16 for integer caches (int8 is widened), one f32 for
// float caches (bf16 is widened). A step is 8 words, of 8 positions (K) or of 8 dimensions (V), so a step of any cache
// is 16 or 32 bytes. Both are read from their first byte to the last: V in blocks of 64 positions, whose p stays in the L1
// cache while each strip of 8 dimensions goes over it, and in slabs, so that there are two streams to read. ctx % 8 == 0, head_dim % 2 == 0. Sizes: src/backends/wasm/kv-layout.ts.
#pragma once
#include "kernel.h"
#include <stddef.h>

enum { TILE = 8 };
enum { V_BLOCK = 64 }; // positions; those of integer caches share a scale of p

#define I8_MAX 127.0f
#define I16_MAX 1023.0f // 11 bits with sign: what bf16 keeps of a vector's largest element, and room for exact sums

// A vector whose largest magnitude is below this becomes integers of zero: the reciprocal would overflow.
#define TINY 0x1p-100f

static inline int first_strips(int strips) { return (strips + 1) / 2; } // of V's first slab
static inline int v_blocks_of(int n) { return (n + V_BLOCK - 1) / V_BLOCK; }
static inline int tiles_of(int n) { return (n + TILE - 1) / TILE; }
static inline int whole_tiles(int n) { return tiles_of(n) * TILE; }

// Elements before the tile of K that holds `position`, and before the strip of V with `dim` at the step that begins with
// `position`.
static inline size_t k_offset(int kv_head, int position, int head_dim, int ctx) {
  return ((size_t)kv_head * ctx + position / TILE * TILE) * head_dim;
}
static inline size_t v_offset(int kv_head, int dim, int position, int head_dim, int ctx) {
  const int strips = tiles_of(head_dim), first = first_strips(strips), strip = dim / TILE, second = strip >= first;
  const size_t blocks = v_blocks_of(ctx), slab = (blocks * kv_head) * strips + (second ? blocks * first : 0);
  const size_t before = (size_t)(position / V_BLOCK) * (second ? strips - first : first) + strip - (second ? first : 0);
  return (slab + before) * TILE * V_BLOCK + position % V_BLOCK * TILE;
}

// x[d, d + 4), with zeros for what lies beyond the head: head_dim is even, so two or none.
static inline v128_t load_dims(const float *x, int d, int head_dim) {
  return d + 4 <= head_dim ? wasm_v128_load(x + d) : wasm_v128_load64_zero(x + d);
}

// The largest magnitude of a head vector; NaN when it holds one: as integers, non-negative floats are ordered alike,
// and NaN is above all. A scale made of it is NaN too, so that results show it.
static inline float largest(const float *x, int head_dim) {
  v128_t top = wasm_i32x4_const_splat(0);
  ROLLED for (int d = 0; d < head_dim; d += 4) top = wasm_i32x4_max(top, wasm_f32x4_abs(load_dims(x, d, head_dim)));
  top = wasm_i32x4_max(top, wasm_i32x4_shuffle(top, top, 2, 3, 0, 1));
  top = wasm_i32x4_max(top, wasm_i32x4_shuffle(top, top, 1, 0, 3, 2));
  return wasm_f32x4_extract_lane(top, 0);
}
