// Causal attention with grouped heads, for integer or for float caches (INTEGER, from the including file).
// Every path (decode, prefill, any tile) gives each output the same bits:
//
//   score[t] = q . k[t] * scale * log2(e)
//              integer caches: exact integer dot, as f32, times (query scale * key scale)
//              float caches: sum over dimensions ascending of (q * scale * log2(e)) * k
//   p[t]     = 2^(score[t] - max) for t <= position, exactly zero beyond; two passes, never online
//   sum      = four lanes (t mod 4), each ascending, then (0 + 1) + (2 + 3)
//   out      = (sum over t of p[t] * v[t]) * (1 / sum)
//              integer caches: p times V's scale becomes an integer per block of V_BLOCK absolute positions; exact
//              integer dots, blocks ascending
//              float caches: positions ascending
#pragma once
#include "kv_cache.h"

enum { ROWS_MAX = 48 }; // rows (a query of one head each) that share a pass over K and V in prefill
enum { GROUP_MAX = 4 }; // heads that share one in decoding: 8 sums, 2 vectors of K or V and a word fit 15 registers
enum { GROUP = INTEGER ? GROUP_MAX : 1 }; // float caches, there for comparison, get a quarter of the code
enum { W = INTEGER ? 2 : 1 };
_Static_assert(ROWS_MAX % TILE == 0, "rows are taken by tiles");

#define NOINLINE __attribute__((noinline)) // called once a row or a pass: one copy

typedef struct {
  float *out;
  const float *q;
  const uint8_t *k, *v;             // the cache, as bytes
  const float *k_scales, *v_scales; // null for float caches
  uint8_t *scratch;
  int rows, ldq, ldo, position, heads, kv_heads, head_dim, ctx;
  float scale;
  int narrow;         // int8 or bf16: a step of the cache is 16 bytes, not 32
  float q_max, p_max; // integer caches: the largest integers of q and of p
} attention_args;

static inline v128_t zero(void) { return wasm_i32x4_const_splat(0); }
static inline v128_t splat(float x) { return wasm_f32x4_splat(x); }

// Words and f32 in scratch, by index.
static inline v128_t load4(const uint8_t *p, size_t index) { return wasm_v128_load(p + 4 * index); }
static inline v128_t load_splat(const uint8_t *p, size_t index) { return wasm_v128_load32_splat(p + 4 * index); }
static inline void store4(uint8_t *p, size_t index, v128_t v) { wasm_v128_store(p + 4 * index, v); }
static inline void store1(uint8_t *p, size_t index, v128_t v) { wasm_v128_store32_lane(p + 4 * index, v, 0); }

// A step of the cache, as 8 words.
typedef struct {
  v128_t low, high;
} cache_step;

static ALWAYS_INLINE cache_step load_step(const uint8_t *p, const int narrow) {
  if (!narrow)
    return (cache_step){wasm_v128_load(p), wasm_v128_load(p + 16)};
#if WIDE // V8 13.6 and 14.1 join extending loads wrongly
  const v128_t v = wasm_v128_load(p);
  if (INTEGER)
    return (cache_step){wasm_i16x8_extend_low_i8x16(v), wasm_i16x8_extend_high_i8x16(v)};
  return (cache_step){wasm_i32x4_shl(wasm_u32x4_extend_low_u16x8(v), 16),
                      wasm_i32x4_shl(wasm_u32x4_extend_high_u16x8(v), 16)};
#else
  if (INTEGER)
    return (cache_step){wasm_i16x8_load8x8(p), wasm_i16x8_load8x8(p + 8)};
  return (cache_step){wasm_i32x4_shl(wasm_u32x4_load16x4(p), 16), wasm_i32x4_shl(wasm_u32x4_load16x4(p + 8), 16)};
#endif
}
static inline int step_bytes(const int narrow) { return narrow ? 16 : 32; }

// sum + x * w, word by word.
static inline v128_t multiply_add(v128_t sum, v128_t x, v128_t w) {
  return INTEGER ? wasm_i32x4_add(sum, wasm_i32x4_dot_i16x8(x, w)) : wasm_f32x4_add(sum, wasm_f32x4_mul(x, w));
}

// A sum over the positions of a block starts from this, and this is the total after it.
static inline v128_t start_sum(v128_t total) { return INTEGER ? zero() : total; }
static inline v128_t end_sum(v128_t total, v128_t sum, v128_t p_scale) {
  return INTEGER ? wasm_f32x4_add(total, wasm_f32x4_mul(wasm_f32x4_convert_i32x4(sum), p_scale)) : sum;
}

static inline const float *scales_of(const attention_args *a, const float *scales, int kv_head) {
  return INTEGER ? scales + (size_t)kv_head * a->ctx : 0;
}
static inline size_t element_bytes(const attention_args *a) { return (a->narrow ? 2 : 4) / W; }
// One head of a query as words, `stride` words apart; up to 3 words after them (for a head_dim that is no multiple of
// 4) are written too. Returns the factor from dots to scores (integer caches).
static NOINLINE v128_t pack_query(uint8_t *words, int stride, const float *q, const attention_args *a) {
  const float factor = a->scale * 1.44269504f; // log2(e): softmax works with powers of two
  const float top = INTEGER ? largest(q, a->head_dim) : 1.0f;
  const v128_t multiplier = splat(!INTEGER ? factor : top >= TINY ? a->q_max / top : 0.0f);
  ROLLED for (int d = 0; d < a->head_dim; d += 4) {
    v128_t x = wasm_f32x4_mul(load_dims(q, d, a->head_dim), multiplier);
    if (INTEGER)
      x = wasm_i16x8_narrow_i32x4(round_to_i32(x), zero());
    wasm_v128_store32_lane(words, x, 0), words += 4 * stride;
    wasm_v128_store32_lane(words, x, 1), words += 4 * stride;
    if (INTEGER)
      continue;
    wasm_v128_store32_lane(words, x, 2), words += 4 * stride;
    wasm_v128_store32_lane(words, x, 3), words += 4 * stride;
  }
  return INTEGER ? splat(top / a->q_max * factor) : zero();
}

// Writes 8 outputs, or the `dims` that the head has left.
static NOINLINE void store_dims(float *out, int dims, const uint8_t *total, v128_t inverse_sum) {
  v128_t low = wasm_f32x4_mul(load4(total, 0), inverse_sum);
  const v128_t high = wasm_f32x4_mul(load4(total, 4), inverse_sum);
  if (dims >= 4) {
    wasm_v128_store(out, low);
    out += 4, dims -= 4, low = high;
  }
  if (dims >= 4)
    wasm_v128_store(out, low);
  else if (dims == 2)
    wasm_v128_store64_lane(out, low, 0);
}

#include "attention_softmax.h"

#include "attention_decode.h"
#include "attention_prefill.h"

static void attention(const attention_args *a) {
  if (a->rows == 1)
    decode(a);
  else
    prefill(a);
}
