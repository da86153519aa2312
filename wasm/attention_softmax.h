// Softmax in place over the visible keys, without the division; included by attention.h. Both forms give the same bits.
//
// In: the sums of q * k. Out: float caches: p, zero beyond the visible keys; integer caches: words of p * V's scale in
// integers, in the first half of the space, and one f32 scale per block of p_block positions.
#pragma once

// V8 builds a vector constant anew at each use, with three instructions; what is loaded once stays in a register or on
// the stack. Hence volatile: the compiler would make constants of them again.
static const volatile float EXP2[] = {-96.0f,         12582912.0f,    0x1.5bba12p-10f, 0x1.3cea88p-7f,
                                      0x1.c6b752p-5f, 0x1.ebf9bcp-3f, 0x1.62e42ap-1f,  1.0f};

typedef struct {
  v128_t lowest, magic, c5, c4, c3, c2, c1, one;
} exp2_constants;

static ALWAYS_INLINE exp2_constants load_exp2(void) {
  return (exp2_constants){splat(EXP2[0]), splat(EXP2[1]), splat(EXP2[2]), splat(EXP2[3]),
                          splat(EXP2[4]), splat(EXP2[5]), splat(EXP2[6]), splat(EXP2[7])};
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
static NOINLINE v128_t softmax_row(const attention_args *a, int kv_head, uint8_t *s, int n, int end, v128_t query_scale,
                                   uint8_t *words, uint8_t *p_scales, int group) {
  const float *k_scales = scales_of(a, a->k_scales, kv_head), *v_scales = scales_of(a, a->v_scales, kv_head);
  const exp2_constants c = load_exp2();
  const v128_t lanes = wasm_i32x4_const(0, 1, 2, 3), all = wasm_i32x4_const_splat(-1);
  v128_t max = splat(-__builtin_inff());
  ROLLED for (int t = 0; t < end; t += 4) {
    v128_t score = to_score(load4(s, t), query_scale, INTEGER ? wasm_v128_load(k_scales + t) : zero());
    if (INTEGER)
      store4(s, t, score);
    if (t + 4 > n)
      score = wasm_v128_bitselect(score, max, wasm_i32x4_lt(lanes, wasm_i32x4_splat(n - t)));
    max = wasm_f32x4_pmax(max, score);
  }
  max = splat(max_lanes(max));

  v128_t sum = zero(), visible = all;
  for (int block = 0; block < end; block += a->p_block) {
    const int block_end = block + a->p_block < end ? block + a->p_block : end;
    v128_t top = zero();
    ROLLED for (int t = block; t < block_end; t += 4) {
      if (t + 4 > n)
        visible = wasm_i32x4_lt(lanes, wasm_i32x4_splat(n - t));
      v128_t p = wasm_v128_and(exp2_f32x4(wasm_f32x4_sub(load4(s, t), max), &c), visible);
      sum = wasm_f32x4_add(sum, p);
      if (INTEGER) {
        p = wasm_v128_and(wasm_f32x4_mul(p, wasm_v128_load(v_scales + t)), visible);
        top = larger(top, p);
      }
      store4(s, t, p);
    }
    top = larger(top, wasm_i32x4_shuffle(top, top, 2, 3, 0, 1));
    top = larger(top, wasm_i32x4_shuffle(top, top, 1, 0, 3, 2));
    const v128_t factor = p_factor(top, a->p_max);
    if (INTEGER)
      store1(p_scales, (size_t)(block / a->p_block) * group, p_scale(top, a->p_max));
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

// p of four rows at one position, and that times V's scale; the block's largest of the latter goes to *top.
static ALWAYS_INLINE v128_t numerators(uint8_t *s, int t, v128_t max, const float *v_scales, v128_t mask, v128_t *top,
                                       const exp2_constants *c) {
  const v128_t p = wasm_v128_and(exp2_f32x4(wasm_f32x4_sub(load4(s, 4 * t), max), c), mask);
  v128_t q = p;
  if (INTEGER) {
    q = wasm_v128_and(wasm_f32x4_mul(p, splat(v_scales[t])), mask);
    *top = larger(*top, q);
  }
  store4(s, 4 * t, q);
  return p;
}

// The positions [t, end) that some of the rows do not see. sums_top: the four sums, and the largest of the block.
static NOINLINE void hidden_numerators(uint8_t *s, int t, int end, v128_t max, v128_t visible, const float *v_scales,
                                       v128_t sums_top[5]) {
  const exp2_constants c = load_exp2();
  ROLLED for (; t < end; t++) {
    const v128_t mask = wasm_i32x4_lt(wasm_i32x4_splat(t), visible);
    sums_top[t & 3] = wasm_f32x4_add(sums_top[t & 3], numerators(s, t, max, v_scales, mask, sums_top + 4, &c));
  }
}

// Four rows side by side: s (end, 4) words; row i sees visible[i] keys, at least `least` in all rows; end is the most
// of them, rounded up to whole tiles. p_scales (blocks, 4). Returns 1 / sum of each row.
static NOINLINE v128_t softmax_rows(const attention_args *a, int kv_head, uint8_t *s, v128_t visible, int least,
                                    int end, v128_t query_scale, uint8_t *p_scales) {
  const float *k_scales = scales_of(a, a->k_scales, kv_head), *v_scales = scales_of(a, a->v_scales, kv_head);
  const exp2_constants c = load_exp2();
  v128_t max = splat(-__builtin_inff());
  ROLLED for (int t = 0; t < end; t++) {
    v128_t score = to_score(load4(s, 4 * t), query_scale, INTEGER ? splat(k_scales[t]) : zero());
    if (INTEGER)
      store4(s, 4 * t, score);
    if (t >= least)
      score = wasm_v128_bitselect(score, max, wasm_i32x4_lt(wasm_i32x4_splat(t), visible));
    max = wasm_f32x4_pmax(max, score);
  }

  const v128_t all = wasm_i32x4_const_splat(-1);
  v128_t sums[5] = {zero(), zero(), zero(), zero(), zero()};
  for (int block = 0; block < end; block += a->p_block) {
    const int block_end = block + a->p_block < end ? block + a->p_block : end;
    v128_t s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3], top = zero();
    int t = block;
    ROLLED for (; t < block_end && t + 4 <= least; t += 4) {
      s0 = wasm_f32x4_add(s0, numerators(s, t, max, v_scales, all, &top, &c));
      s1 = wasm_f32x4_add(s1, numerators(s, t + 1, max, v_scales, all, &top, &c));
      s2 = wasm_f32x4_add(s2, numerators(s, t + 2, max, v_scales, all, &top, &c));
      s3 = wasm_f32x4_add(s3, numerators(s, t + 3, max, v_scales, all, &top, &c));
    }
    sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3, sums[4] = top;
    if (t < block_end)
      hidden_numerators(s, t, block_end, max, visible, v_scales, sums);
    top = sums[4];
    if (!INTEGER)
      continue;
    const v128_t factor = p_factor(top, a->p_max);
    store4(p_scales, 4 * (block / a->p_block), p_scale(top, a->p_max));
    ROLLED for (t = block; t < block_end; t += 2) { // from 0 to p_max: both halves of a word are positive
      const v128_t even = wasm_i32x4_sub(to_magic(load4(s, 4 * t), factor, &c), c.magic);
      const v128_t odd = to_magic(load4(s, 4 * t + 4), factor, &c);
      store4(s, 2 * t, wasm_v128_or(even, wasm_i32x4_shl(odd, 16)));
    }
  }
  return wasm_f32x4_div(splat(1.0f),
                        wasm_f32x4_add(wasm_f32x4_add(sums[0], sums[1]), wasm_f32x4_add(sums[2], sums[3])));
}
