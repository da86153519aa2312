// Attention of one query position, up to GROUP heads of one K/V head at a time; included by attention.h.
//
// Vectors hold 8 positions (scores) or 8 dimensions (output) of the cache; a head's word is broadcast to them.
#pragma once

typedef struct {
  int group, narrow;
  int tiles, steps, strips; // of visible keys; words and strips of a head
  int p_words;
  const uint8_t *k, *v;
  uint8_t *q;        // (steps, group) words
  uint8_t *s;        // (group, 8 tiles) sums, then p
  uint8_t *p;        // (8 tiles / W, group) words
  uint8_t *p_scales; // (blocks, group) f32
  uint8_t *total;    // (strips, group, 8) f32
  uint8_t *sums;     // (group, 8), of one block and strip
} decode_pass;

// s = q * k. `group` and `narrow` are constants, so that the sums are registers.
static ALWAYS_INLINE void decode_scores(const decode_pass *r, const int group, const int narrow) {
  const uint8_t *k = r->k;
  uint8_t *s = r->s;
  int tiles = r->tiles;
  ROLLED do {
    v128_t low[GROUP_MAX], high[GROUP_MAX];
    UNROLLED for (int g = 0; g < group; g++) low[g] = high[g] = zero();
    const uint8_t *q = r->q;
    int steps = r->steps;
    ROLLED do {
      const cache_step w = load_step(k, narrow);
      UNROLLED for (int g = 0; g < group; g++) {
        const v128_t x = load_splat(q, g);
        low[g] = multiply_add(low[g], x, w.low);
        high[g] = multiply_add(high[g], x, w.high);
      }
      k += step_bytes(narrow), q += 4 * group;
    }
    while (--steps)
      ;
    uint8_t *to = s;
    UNROLLED for (int g = 0; g < group; g++, to += 4 * TILE * (size_t)r->tiles) {
      store_pair(to, low[g], high[g]);
    }
    s += 4 * TILE;
  }
  while (--tiles)
    ;
}

// total += sums * scale of each head: the end of a block of an integer cache.
static NOINLINE void add_sums(uint8_t *total, const uint8_t *sums, const uint8_t *scales, int group) {
  ROLLED for (int g = 0; g < group; g++, total += 4 * TILE, sums += 4 * TILE, scales += 4) {
    const v128_t scale = load_splat(scales, 0);
    const v128_t low = end_sum(load4(total, 0), load4(sums, 0), scale);
    const v128_t high = end_sum(load4(total, 4), load4(sums, 4), scale);
    store_pair(total, low, high);
  }
}

// total = p * v. As above.
static ALWAYS_INLINE void decode_values(const decode_pass *r, const int group, const int narrow) {
  const int block_words = V_BLOCK / W;
  const uint8_t *p = r->p, *scales = r->p_scales, *v = r->v;
  ROLLED for (int i = 0; i < r->strips * group * 2; i++) store4(r->total, 4 * i, zero());
  ROLLED for (int left = r->p_words; left > 0; left -= block_words) {
    uint8_t *total = r->total;
    const int words = left < block_words ? left : block_words;
    ROLLED for (int strip = 0; strip < r->strips; strip++) {
      v128_t low[GROUP_MAX], high[GROUP_MAX];
      UNROLLED for (int g = 0; g < group; g++) {
        low[g] = INTEGER ? zero() : load4(total, g * TILE);
        high[g] = INTEGER ? zero() : load4(total, g * TILE + 4);
      }
      const uint8_t *x = p, *step = v;
      int steps = words;
      ROLLED do {
        const cache_step w = load_step(step, narrow);
        UNROLLED for (int g = 0; g < group; g++) {
          const v128_t xg = load_splat(x, g);
          low[g] = multiply_add(low[g], xg, w.low);
          high[g] = multiply_add(high[g], xg, w.high);
        }
        step += step_bytes(narrow), x += 4 * group;
      }
      while (--steps)
        ;
      uint8_t *sums = INTEGER ? r->sums : total;
      UNROLLED for (int g = 0; g < group; g++) {
        store_pair(sums + 4 * TILE * g, low[g], high[g]);
      }
      if (INTEGER)
        add_sums(total, sums, scales, group);
      v += step_bytes(narrow) * block_words, total += 4 * TILE * group;
    }
    p += 4 * group * block_words, scales += 4 * group;
  }
}

// clang-format off
static NOINLINE void decode_scores_of(const decode_pass *r) {
  switch (2 * r->group + r->narrow) {
    case 2: return decode_scores(r, 1, 0);
    case 3: return decode_scores(r, 1, 1);
    case 4: return decode_scores(r, 2, 0);
    case 5: return decode_scores(r, 2, 1);
  }
  if (GROUP == 4)
    switch (2 * r->group + r->narrow) {
      case 6: return decode_scores(r, 3, 0);
      case 7: return decode_scores(r, 3, 1);
      case 8: return decode_scores(r, 4, 0);
      case 9: return decode_scores(r, 4, 1);
    }
}
static NOINLINE void decode_values_of(const decode_pass *r) {
  switch (2 * r->group + r->narrow) {
    case 2: return decode_values(r, 1, 0);
    case 3: return decode_values(r, 1, 1);
    case 4: return decode_values(r, 2, 0);
    case 5: return decode_values(r, 2, 1);
  }
  if (GROUP == 4)
    switch (2 * r->group + r->narrow) {
      case 6: return decode_values(r, 3, 0);
      case 7: return decode_values(r, 3, 1);
      case 8: return decode_values(r, 4, 0);
      case 9: return decode_values(r, 4, 1);
    }
}
// clang-format on

static NOINLINE void decode_heads(const attention_args *a, int head, int kv_head, int group) {
  const int n = a->position + 1, end = whole_tiles(n), head_dim = a->head_dim;
  decode_pass r = {.group = group, .narrow = a->narrow, .tiles = end / TILE, .steps = head_dim / W};
  r.strips = tiles_of(head_dim);
  r.p_words = (n + W - 1) / W;
  r.k = a->k + k_offset(kv_head, 0, head_dim, a->ctx) * element_bytes(a);
  r.v = a->v + v_offset(kv_head, 0, 0, head_dim, a->ctx) * element_bytes(a);
  r.q = a->scratch;
  r.s = r.q + 4 * (size_t)group * r.steps;
  r.p = r.s + 4 * (size_t)group * end;
  r.p_scales = r.p + 4 * (size_t)group * (end / W);
  r.total = r.p_scales + (INTEGER ? 4 * (size_t)group * v_blocks_of(end) : 0);
  r.sums = r.total + 4 * TILE * (size_t)group * r.strips;

  v128_t scale[GROUP_MAX];
  ROLLED for (int g = 0; g < group; g++) scale[g] = pack_query(r.q + 4 * g, group, a->q + (head + g) * head_dim, a);
  decode_scores_of(&r);
  ROLLED for (int g = 0; g < group; g++) scale[g] =
      softmax_row(a, kv_head, r.s + 4 * (size_t)g * end, n, end, wasm_f32x4_extract_lane(scale[g], 0), r.p + 4 * g, r.p_scales + 4 * g, group);
  decode_values_of(&r);
  for (int strip = 0; strip < r.strips; strip++)
    ROLLED for (int g = 0; g < group; g++) store_dims(a->out + (head + g) * head_dim + strip * TILE,
                                                      head_dim - strip * TILE,
                                                      r.total + 4 * TILE * (strip * group + g), scale[g]);
}

static inline void decode(const attention_args *a) {
  const int group = a->heads / a->kv_heads, passes = (group + GROUP - 1) / GROUP;
  for (int kv_head = 0; kv_head < a->kv_heads; kv_head++)
    for (int i = 0; i < passes; i++) { // of nearly equal size: 9 heads are 3 + 3 + 3
      const int first = group * i / passes;
      decode_heads(a, kv_head * group + first, kv_head, group * (i + 1) / passes - first);
    }
}
