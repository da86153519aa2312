// Softmax in place over the visible keys, without the division; included by attention.h. Both forms give the same bits.
//
// In: the sums of q * k. Out: float caches: p, zero beyond the visible keys; integer caches: words of p * V's scale in
// integers, in the first half of the space, and one f32 scale per block of V_BLOCK positions.
#pragma once

static const float EXP2[] = {FOUR(-96.0f),         FOUR(12582912.0f),    FOUR(0x1.5bba12p-10f), FOUR(0x1.3cea88p-7f),
                             FOUR(0x1.c6b752p-5f), FOUR(0x1.ebf9bcp-3f), FOUR(0x1.62e42ap-1f),  FOUR(1.0f)};

typedef struct {
  v128_t lowest, magic, c5, c4, c3, c2, c1, one;
} exp2_constants;

static ALWAYS_INLINE exp2_constants load_exp2(void) {
  const float *c = opaque_table(EXP2);
  return (exp2_constants){wasm_v128_load(c),      wasm_v128_load(c + 4),  wasm_v128_load(c + 8),  wasm_v128_load(c + 12),
                          wasm_v128_load(c + 16), wasm_v128_load(c + 20), wasm_v128_load(c + 24), wasm_v128_load(c + 28)};
}

// A splat through memory: the compiler would shuffle it anew at each use.
static ALWAYS_INLINE v128_t load_splat_once(float x) {
  const v128_t v = splat(x);
  __asm__ volatile("" ::"r"(&v) : "memory");
  return v;
}

// Not less than 2^-96: p times a scale of V stays a normal number, where a subnormal one would take 100 cycles.
// 2^x for x <= 0, relative error under 2e-7, at least 2^-96: x = n + f, a polynomial in f (minimax on [-1/2, 1/2]), n
// added to its exponent.
static ALWAYS_INLINE v128_t exp2_f32x4(v128_t x, const exp2_constants *c) {
  x = wasm_f32x4_pmax(x, c->lowest);
  const v128_t t = wasm_f32x4_add(x, c->magic); // 1.5 * 2^23: n lands in the low bits
  const v128_t f = wasm_f32x4_sub(x, wasm_f32x4_sub(t, c->magic));
  v128_t p = wasm_f32x4_add(wasm_f32x4_mul(c->c5, f), c->c4);
  p = wasm_f32x4_add(wasm_f32x4_mul(p, f), c->c3);
  p = wasm_f32x4_add(wasm_f32x4_mul(p, f), c->c2);
  p = wasm_f32x4_add(wasm_f32x4_mul(p, f), c->c1);
  p = wasm_f32x4_add(wasm_f32x4_mul(p, f), c->one);
  return wasm_i32x4_add(p, wasm_i32x4_shl(t, 23));
}

// The integer nearest to x * factor (ties to even) in the low bits, plus the bits of 1.5 * 2^23, whose lower half is
// zero.
static ALWAYS_INLINE v128_t to_magic(v128_t x, v128_t factor, const exp2_constants *c) {
  return wasm_f32x4_add(wasm_f32x4_mul(x, factor), c->magic);
}

static inline v128_t to_score(v128_t sum, v128_t query_scale, v128_t key_scale) {
  return INTEGER ? wasm_f32x4_mul(wasm_f32x4_convert_i32x4(sum), wasm_f32x4_mul(query_scale, key_scale)) : sum;
}

// From a block's largest p: the factor that makes integers, zero for a block of (nearly) nothing, and their scale.
static inline v128_t p_factor(v128_t top, float p_max) {
  return wasm_v128_and(wasm_f32x4_div(splat(p_max), top), wasm_f32x4_ge(top, splat(TINY)));
}
static inline v128_t p_scale(v128_t top, float p_max) { return wasm_f32x4_div(top, splat(p_max)); }

// The larger of non-negative numbers, or NaN.
static inline v128_t larger(v128_t a, v128_t b) { return wasm_i32x4_max(a, b); }

// One row of `group`: s (end,) sums, of which n are visible; end is n rounded up to whole tiles. Writes words of p
// (end / W, group) and p_scales (blocks, group). Returns 1 / sum.
static NOINLINE v128_t softmax_row(const attention_args *a, int kv_head, uint8_t *s, int n, int end, float scale,
                                   uint8_t *words, uint8_t *p_scales, int group) {
  const float *k_scales = scales_of(a, a->k_scales, kv_head), *v_scales = scales_of(a, a->v_scales, kv_head);
  const exp2_constants c = load_exp2();
  const v128_t lanes0 = wasm_i32x4_const(0, 1, 2, 3), lanes1 = wasm_i32x4_const(4, 5, 6, 7), query_scale = splat(scale);
  v128_t max = splat(-__builtin_inff());
  ROLLED for (int t = 0; t < end; t += TILE) {
    uint8_t *at = s + 4 * (size_t)t;
    const float *key = INTEGER ? k_scales + t : 0;
    v128_t low = to_score(load4(at, 0), query_scale, INTEGER ? wasm_v128_load(key) : zero());
    v128_t high = to_score(load4(at, 4), query_scale, INTEGER ? wasm_v128_load(key + 4) : zero());
    if (INTEGER)
      store_pair(at, low, high);
    if (t + TILE > n) {
      low = wasm_v128_bitselect(low, max, wasm_i32x4_lt(lanes0, wasm_i32x4_splat(n - t)));
      high = wasm_v128_bitselect(high, max, wasm_i32x4_lt(lanes1, wasm_i32x4_splat(n - t)));
    }
    max = wasm_f32x4_pmax(wasm_f32x4_pmax(max, low), high);
  }
  max = load_splat_once(max_lanes(max));

  v128_t sum = zero(), visible0 = wasm_i32x4_const_splat(-1), visible1 = visible0;
  for (int block = 0; block < end; block += V_BLOCK) {
    const int block_end = block + V_BLOCK < end ? block + V_BLOCK : end;
    v128_t top = zero();
    ROLLED for (int t = block; t < block_end; t += TILE) {
      if (t + TILE > n) {
        visible0 = wasm_i32x4_lt(lanes0, wasm_i32x4_splat(n - t));
        visible1 = wasm_i32x4_lt(lanes1, wasm_i32x4_splat(n - t));
      }
      uint8_t *at = s + 4 * (size_t)t;
      const float *value = INTEGER ? v_scales + t : 0;
      v128_t low = wasm_v128_and(exp2_f32x4(wasm_f32x4_sub(load4(at, 0), max), &c), visible0);
      v128_t high = wasm_v128_and(exp2_f32x4(wasm_f32x4_sub(load4(at, 4), max), &c), visible1);
      sum = wasm_f32x4_add(wasm_f32x4_add(sum, low), high);
      if (INTEGER) {
        low = wasm_v128_and(wasm_f32x4_mul(low, wasm_v128_load(value)), visible0);
        high = wasm_v128_and(wasm_f32x4_mul(high, wasm_v128_load(value + 4)), visible1);
        top = larger(larger(top, low), high);
      }
      store_pair(at, low, high);
    }
    top = larger(top, wasm_i32x4_shuffle(top, top, 2, 3, 0, 1));
    top = larger(top, wasm_i32x4_shuffle(top, top, 1, 0, 3, 2));
    const v128_t factor = p_factor(top, a->p_max);
    if (INTEGER)
      store1(p_scales, (size_t)(block / V_BLOCK) * group, p_scale(top, a->p_max));
    ROLLED for (int t = block; t < block_end; t += 4 * W) {
      v128_t p = load4(s, t);
      if (INTEGER) {
        const v128_t low = wasm_i32x4_sub(to_magic(p, factor, &c), c.magic);
        p = wasm_i16x8_narrow_i32x4(low, wasm_i32x4_sub(to_magic(load4(s, t + 4), factor, &c), c.magic));
      }
      wasm_v128_store32_lane(words, p, 0), words += 4 * group;
      wasm_v128_store32_lane(words, p, 1), words += 4 * group;
      wasm_v128_store32_lane(words, p, 2), words += 4 * group;
      wasm_v128_store32_lane(words, p, 3), words += 4 * group;
    }
  }
  return wasm_f32x4_div(splat(1.0f), splat(sum_lanes(sum)));
}

// Rows that go through softmax side by side, four to a vector: two vectors where the engine joins them.
enum { LANES = WIDE ? 2 : 1 };
enum { SOFTMAX_ROWS = 4 * LANES };
typedef struct {
  v128_t of[LANES];
} row_lanes;

static ALWAYS_INLINE row_lanes load_lanes(const uint8_t *p) {
  row_lanes x;
  UNROLLED for (int i = 0; i < LANES; i++) x.of[i] = load4(p, 4 * i);
  return x;
}
static ALWAYS_INLINE void store_lanes(uint8_t *p, row_lanes x) {
  if (LANES == 2)
    store_pair(p, x.of[0], x.of[LANES - 1]);
  else
    store4(p, 0, x.of[0]);
}
static ALWAYS_INLINE row_lanes splat_lanes(v128_t v) {
  row_lanes x;
  UNROLLED for (int i = 0; i < LANES; i++) x.of[i] = v;
  return x;
}
static ALWAYS_INLINE void add_lanes(row_lanes *sum, row_lanes x) {
  UNROLLED for (int i = 0; i < LANES; i++) sum->of[i] = wasm_f32x4_add(sum->of[i], x.of[i]);
}
// Which rows see position t.
static ALWAYS_INLINE row_lanes seen_at(int t, row_lanes visible) {
  UNROLLED for (int i = 0; i < LANES; i++) visible.of[i] = wasm_i32x4_lt(wasm_i32x4_splat(t), visible.of[i]);
  return visible;
}

// p at one position, and that times V's scale, which takes the place of the scores; the largest of the latter so far.
static ALWAYS_INLINE row_lanes numerators(uint8_t *s, row_lanes max, const float *v_scales, int t, row_lanes mask,
                                          row_lanes *top, const exp2_constants *c) {
  const v128_t scale = INTEGER ? wasm_v128_load32_splat(v_scales + t) : zero();
  row_lanes p = load_lanes(s);
  UNROLLED for (int i = 0; i < LANES; i++)
      p.of[i] = wasm_v128_and(exp2_f32x4(wasm_f32x4_sub(p.of[i], max.of[i]), c), mask.of[i]);
  row_lanes q = p;
  UNROLLED for (int i = 0; i < LANES && INTEGER; i++) {
    q.of[i] = wasm_v128_and(wasm_f32x4_mul(p.of[i], scale), mask.of[i]);
    top->of[i] = larger(top->of[i], q.of[i]);
  }
  store_lanes(s, q);
  return p;
}

// The positions [t, end) that some of the rows do not see. sums: of t mod 4, and the largest of the block.
static NOINLINE void hidden_numerators(uint8_t *s, int t, int end, const row_lanes *max, const int *visible,
                                       const float *v_scales, row_lanes sums[5]) {
  const exp2_constants c = load_exp2();
  const row_lanes rows = load_lanes((const uint8_t *)visible);
  ROLLED for (; t < end; t++) {
    const row_lanes p = numerators(s + 4 * TILE * t, *max, v_scales, t, seen_at(t, rows), sums + 4, &c);
    add_lanes(sums + (t & 3), p);
  }
}

// SOFTMAX_ROWS rows of a group of 8 (attention_prefill.h): s (end, 8) sums, of which row i sees visible[i], ascending;
// end is the most of them, rounded up to whole tiles. Writes words of p (end / W, 8) in place and p_scales (blocks, 8).
// scale: of the queries, then 1 / sum.
static NOINLINE void softmax_rows(const attention_args *a, int kv_head, uint8_t *s, const int *visible, int end,
                                  uint8_t *scale, uint8_t *p_scales) {
  const float *k_scales = scales_of(a, a->k_scales, kv_head), *v_scales = scales_of(a, a->v_scales, kv_head);
  const exp2_constants c = load_exp2();
  const row_lanes query_scale = load_lanes(scale), rows = load_lanes((const uint8_t *)visible);
  const int least = visible[0];
  row_lanes max = splat_lanes(splat(-__builtin_inff()));
  ROLLED for (int t = 0; t < end; t++) {
    uint8_t *at = s + 4 * TILE * (size_t)t;
    const v128_t key_scale = INTEGER ? wasm_v128_load32_splat(k_scales + t) : zero();
    row_lanes score = load_lanes(at);
    UNROLLED for (int i = 0; i < LANES; i++) score.of[i] = to_score(score.of[i], query_scale.of[i], key_scale);
    if (INTEGER)
      store_lanes(at, score);
    if (t >= least) {
      const row_lanes mask = seen_at(t, rows);
      UNROLLED for (int i = 0; i < LANES; i++)
          score.of[i] = wasm_v128_bitselect(score.of[i], max.of[i], mask.of[i]);
    }
    UNROLLED for (int i = 0; i < LANES; i++) max.of[i] = wasm_f32x4_pmax(max.of[i], score.of[i]);
  }

  const row_lanes all = splat_lanes(wasm_i32x4_const_splat(-1)), none = splat_lanes(zero());
  row_lanes sums[5] = {none, none, none, none, none};
  for (int block = 0; block < end; block += V_BLOCK) {
    const int block_end = block + V_BLOCK < end ? block + V_BLOCK : end;
    row_lanes s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3], top = none;
    int t = block;
    ROLLED for (; t < block_end && t + 4 <= least; t += 4) {
      uint8_t *at = s + 4 * TILE * (size_t)t;
      add_lanes(&s0, numerators(at, max, v_scales, t, all, &top, &c));
      add_lanes(&s1, numerators(at + 4 * TILE, max, v_scales, t + 1, all, &top, &c));
      add_lanes(&s2, numerators(at + 8 * TILE, max, v_scales, t + 2, all, &top, &c));
      add_lanes(&s3, numerators(at + 12 * TILE, max, v_scales, t + 3, all, &top, &c));
    }
    sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3, sums[4] = top;
    if (t < block_end)
      hidden_numerators(s, t, block_end, &max, visible, v_scales, sums);
    if (!INTEGER)
      continue;
    row_lanes factor;
    UNROLLED for (int i = 0; i < LANES; i++) {
      factor.of[i] = p_factor(sums[4].of[i], a->p_max);
      store4(p_scales, TILE * (block / V_BLOCK) + 4 * i, p_scale(sums[4].of[i], a->p_max));
    }
    ROLLED for (t = block; t < block_end; t += 2) { // from 0 to p_max: both halves of a word are positive
      const row_lanes even = load_lanes(s + 4 * TILE * (size_t)t), odd = load_lanes(s + 4 * TILE * (size_t)(t + 1));
      row_lanes words;
      UNROLLED for (int i = 0; i < LANES; i++) {
        const v128_t low = wasm_i32x4_sub(to_magic(even.of[i], factor.of[i], &c), c.magic);
        words.of[i] = wasm_v128_or(low, wasm_i32x4_shl(to_magic(odd.of[i], factor.of[i], &c), 16));
      }
      store_lanes(s + 4 * TILE * (size_t)(t / 2), words);
    }
  }
  row_lanes inverse;
  UNROLLED for (int i = 0; i < LANES; i++)
      inverse.of[i] = wasm_f32x4_div(splat(1.0f), wasm_f32x4_add(wasm_f32x4_add(sums[0].of[i], sums[1].of[i]),
                                                                 wasm_f32x4_add(sums[2].of[i], sums[3].of[i])));
  store_lanes(scale, inverse);
}
