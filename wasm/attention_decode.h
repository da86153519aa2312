// Attention of one query position, up to GROUP_MAX heads of one K/V head at a time; included by attention.h.
//
// Vectors hold 8 positions (scores) or 8 dimensions (output) of the cache; a head's word is broadcast to them.
#pragma once

typedef struct {
  int group, narrow;
  int tiles, steps;         // of visible keys; words of a head
  int p_words, block_words; // words of p in all, and in a block
  const uint8_t *k;
  uint8_t *q;        // (steps, group) words
  uint8_t *s;        // (group, 8 tiles) sums, then p
  uint8_t *p;        // (8 tiles / W, group) words
  uint8_t *p_scales; // (blocks, group) f32
  uint8_t *total;    // (group, 8) f32
} decode_pass;

// s = q * k. `group` and `narrow` are constants, so that the sums are registers.
static ALWAYS_INLINE void decode_scores(const decode_pass *r, const int group, const int narrow) {
  const int half = narrow ? 8 : 16; // bytes of half a step
  const uint8_t *k = r->k;
  uint8_t *s = r->s;
  int tiles = r->tiles;
  ROLLED do {
    v128_t low[GROUP_MAX], high[GROUP_MAX];
    UNROLLED for (int g = 0; g < group; g++) low[g] = high[g] = zero();
    const uint8_t *q = r->q;
    int steps = r->steps;
    ROLLED do {
      const v128_t w0 = load_words(k, narrow), w1 = load_words(k + half, narrow);
      UNROLLED for (int g = 0; g < group; g++) {
        const v128_t x = load_splat(q, g);
        low[g] = multiply_add(low[g], x, w0);
        high[g] = multiply_add(high[g], x, w1);
      }
      k += 2 * half, q += 4 * group;
    }
    while (--steps)
      ;
    uint8_t *to = s;
    UNROLLED for (int g = 0; g < group; g++, to += 4 * TILE * (size_t)r->tiles) {
      store4(to, 0, low[g]);
      store4(to, 4, high[g]);
    }
    s += 4 * TILE;
  }
  while (--tiles)
    ;
}

// total = p * v for a strip of 8 dimensions.
static ALWAYS_INLINE void decode_values(const decode_pass *r, const uint8_t *v, const int group, const int narrow) {
  const int half = narrow ? 8 : 16;
  const uint8_t *p = r->p, *scales = r->p_scales;
  int left = r->p_words;
  v128_t low[GROUP_MAX], high[GROUP_MAX];
  UNROLLED for (int g = 0; g < group; g++) low[g] = high[g] = zero();
  ROLLED do {
    int steps = left < r->block_words ? left : r->block_words;
    left -= steps;
    v128_t sum0[GROUP_MAX], sum1[GROUP_MAX];
    UNROLLED for (int g = 0; g < group; g++) sum0[g] = start_sum(low[g]), sum1[g] = start_sum(high[g]);
    ROLLED do {
      const v128_t w0 = load_words(v, narrow), w1 = load_words(v + half, narrow);
      UNROLLED for (int g = 0; g < group; g++) {
        const v128_t x = load_splat(p, g);
        sum0[g] = multiply_add(sum0[g], x, w0);
        sum1[g] = multiply_add(sum1[g], x, w1);
      }
      v += 2 * half, p += 4 * group;
    }
    while (--steps)
      ;
    UNROLLED for (int g = 0; g < group; g++) {
      const v128_t scale = INTEGER ? load_splat(scales, g) : zero();
      low[g] = end_sum(low[g], sum0[g], scale);
      high[g] = end_sum(high[g], sum1[g], scale);
    }
    scales += 4 * group;
  }
  while (left)
    ;
  UNROLLED for (int g = 0; g < group; g++) {
    store4(r->total, g * TILE, low[g]);
    store4(r->total, g * TILE + 4, high[g]);
  }
}

// clang-format off
static NOINLINE void decode_scores_of(const decode_pass *r) {
  switch (2 * r->group + r->narrow) {
    case 2: return decode_scores(r, 1, 0);
    case 3: return decode_scores(r, 1, 1);
    case 4: return decode_scores(r, 2, 0);
    case 5: return decode_scores(r, 2, 1);
    case 6: return decode_scores(r, 3, 0);
    case 7: return decode_scores(r, 3, 1);
    case 8: return decode_scores(r, 4, 0);
    default: return decode_scores(r, 4, 1);
  }
}
static NOINLINE void decode_values_of(const decode_pass *r, const uint8_t *v) {
  switch (2 * r->group + r->narrow) {
    case 2: return decode_values(r, v, 1, 0);
    case 3: return decode_values(r, v, 1, 1);
    case 4: return decode_values(r, v, 2, 0);
    case 5: return decode_values(r, v, 2, 1);
    case 6: return decode_values(r, v, 3, 0);
    case 7: return decode_values(r, v, 3, 1);
    case 8: return decode_values(r, v, 4, 0);
    default: return decode_values(r, v, 4, 1);
  }
}
// clang-format on

static NOINLINE void decode_heads(const attention_args *a, int head, int kv_head, int group) {
  const int n = a->position + 1, end = whole_tiles(n), head_dim = a->head_dim;
  decode_pass r = {.group = group, .narrow = a->narrow, .tiles = end / TILE, .steps = head_dim / W};
  r.p_words = (n + W - 1) / W;
  r.block_words = a->p_block / W;
  r.k = a->k + k_offset(kv_head, 0, head_dim, a->ctx) * element_bytes(a);
  r.q = a->scratch;
  r.s = r.q + 4 * (size_t)group * r.steps;
  r.p = r.s + 4 * (size_t)group * end;
  r.p_scales = r.p + 4 * (size_t)group * (end / W);
  r.total = r.p_scales + (INTEGER ? 4 * (size_t)group * blocks_of(a, end) : 0);

  v128_t scale[GROUP_MAX];
  ROLLED for (int g = 0; g < group; g++) scale[g] = pack_query(r.q + 4 * g, group, a->q + (head + g) * head_dim, a);
  decode_scores_of(&r);
  ROLLED for (int g = 0; g < group; g++) scale[g] =
      softmax_row(a, kv_head, r.s + 4 * (size_t)g * end, n, end, scale[g], r.p + 4 * g, r.p_scales + 4 * g, group);
  for (int d = 0; d < head_dim; d += TILE) {
    decode_values_of(&r, a->v + v_offset(kv_head, d, 0, head_dim, a->ctx) * element_bytes(a));
    ROLLED for (int g = 0; g < group; g++)
        store_dims(a->out + (head + g) * head_dim + d, head_dim - d, r.total + 4 * TILE * g, scale[g]);
  }
}

static inline void decode(const attention_args *a) {
  const int group = a->heads / a->kv_heads, passes = (group + GROUP_MAX - 1) / GROUP_MAX;
  for (int kv_head = 0; kv_head < a->kv_heads; kv_head++)
    for (int i = 0; i < passes; i++) { // of nearly equal size: 9 heads are 3 + 3 + 3
      const int first = group * i / passes;
      decode_heads(a, kv_head * group + first, kv_head, group * (i + 1) / passes - first);
    }
}
