// Attention of one query position, up to GROUP_MAX heads of one K/V head at a time; included by attention.h.
//
// Vectors hold 8 positions (scores) or 8 dimensions (output) of the cache; a head's word is broadcast to them.
#pragma once

typedef struct {
  int group, head, kv_head;  // heads [head, head + group), all of this K/V head
  int n, end, steps, blocks; // visible keys, the same in whole tiles, words of a head, blocks of p
  uint8_t *q;                // (group, steps) words
  uint8_t *s;                // (group, end) sums, then words of p
  uint8_t *p_scales;         // (group, blocks) f32
  uint8_t *total;            // (group, 8) f32
} decode_pass;

// s = q * k. `group` and `narrow` are constants, so that the sums are registers.
static ALWAYS_INLINE void decode_scores(const attention_args *a, const decode_pass *r, const int group,
                                        const int narrow) {
  const int half = narrow ? 8 : 16; // bytes of half a step
  const uint8_t *k = a->k + k_offset(r->kv_head, 0, a->head_dim, a->ctx) * (half / (4 * W));
  const uint8_t *const q = r->q;
  const int steps = r->steps, end = r->end;
  uint8_t *s = r->s;
  ROLLED for (int t = 0; t < end; t += TILE, s += 4 * TILE) {
    v128_t low[GROUP_MAX], high[GROUP_MAX];
    UNROLLED for (int g = 0; g < group; g++) low[g] = high[g] = zero();
    ROLLED for (int i = 0; i < steps; i++, k += 2 * half) {
      const v128_t w0 = load_words(k, narrow), w1 = load_words(k + half, narrow);
      UNROLLED for (int g = 0; g < group; g++) {
        const v128_t x = load_splat(q, g * steps + i);
        low[g] = multiply_add(low[g], x, w0);
        high[g] = multiply_add(high[g], x, w1);
      }
    }
    UNROLLED for (int g = 0; g < group; g++) {
      store4(s, (size_t)g * end, low[g]);
      store4(s, (size_t)g * end + 4, high[g]);
    }
  }
}

// total = p * v for the dimensions [dim, dim + 8).
static ALWAYS_INLINE void decode_values(const attention_args *a, const decode_pass *r, int dim, const int group,
                                        const int narrow) {
  const int half = narrow ? 8 : 16, last = (r->n + W - 1) / W, block_steps = a->p_block / W;
  const uint8_t *v = a->v + v_offset(r->kv_head, dim, 0, a->head_dim, a->ctx) * (half / (4 * W));
  const uint8_t *const s = r->s;
  const int end = r->end;
  v128_t low[GROUP_MAX], high[GROUP_MAX];
  UNROLLED for (int g = 0; g < group; g++) low[g] = high[g] = zero();
  for (int b = 0, i = 0; b < r->blocks; b++) {
    const int stop = last < (b + 1) * block_steps ? last : (b + 1) * block_steps;
    v128_t sum0[GROUP_MAX], sum1[GROUP_MAX];
    UNROLLED for (int g = 0; g < group; g++) sum0[g] = start_sum(low[g]), sum1[g] = start_sum(high[g]);
    ROLLED for (; i < stop; i++, v += 2 * half) {
      const v128_t w0 = load_words(v, narrow), w1 = load_words(v + half, narrow);
      UNROLLED for (int g = 0; g < group; g++) {
        const v128_t x = load_splat(s, (size_t)g * end + i);
        sum0[g] = multiply_add(sum0[g], x, w0);
        sum1[g] = multiply_add(sum1[g], x, w1);
      }
    }
    UNROLLED for (int g = 0; g < group; g++) {
      const v128_t scale = INTEGER ? load_splat(r->p_scales, g * r->blocks + b) : zero();
      low[g] = end_sum(low[g], sum0[g], scale);
      high[g] = end_sum(high[g], sum1[g], scale);
    }
  }
  UNROLLED for (int g = 0; g < group; g++) store4(r->total, g * TILE, low[g]), store4(r->total, g * TILE + 4, high[g]);
}

// Calls f(..., group, narrow) with constants in place of the last two.
#define SPECIALIZED(f, narrow, group, ...)                                                                             \
  switch ((group) * 2 + (narrow)) {                                                                                    \
  case 2:                                                                                                              \
    f(__VA_ARGS__, 1, 0);                                                                                              \
    break;                                                                                                             \
  case 3:                                                                                                              \
    f(__VA_ARGS__, 1, 1);                                                                                              \
    break;                                                                                                             \
  case 4:                                                                                                              \
    f(__VA_ARGS__, 2, 0);                                                                                              \
    break;                                                                                                             \
  case 5:                                                                                                              \
    f(__VA_ARGS__, 2, 1);                                                                                              \
    break;                                                                                                             \
  case 6:                                                                                                              \
    f(__VA_ARGS__, 3, 0);                                                                                              \
    break;                                                                                                             \
  case 7:                                                                                                              \
    f(__VA_ARGS__, 3, 1);                                                                                              \
    break;                                                                                                             \
  case 8:                                                                                                              \
    f(__VA_ARGS__, 4, 0);                                                                                              \
    break;                                                                                                             \
  default:                                                                                                             \
    f(__VA_ARGS__, 4, 1);                                                                                              \
  }

static NOINLINE void decode_heads(const attention_args *a, int head, int kv_head, int group) {
  decode_pass r = {.group = group, .head = head, .kv_head = kv_head, .n = a->position + 1, .steps = a->head_dim / W};
  r.end = whole_tiles(r.n);
  r.blocks = blocks_of(a, r.end);
  r.q = a->scratch;
  r.s = r.q + 4 * (size_t)group * r.steps;
  r.p_scales = r.s + 4 * (size_t)group * r.end;
  r.total = r.p_scales + (INTEGER ? 4 * (size_t)group * r.blocks : 0);

  v128_t scale[GROUP_MAX];
  for (int g = 0; g < group; g++)
    scale[g] = pack_query(r.q + 4 * (size_t)g * r.steps, 1, a->q + (head + g) * a->head_dim, a);
  SPECIALIZED(decode_scores, a->narrow, group, a, &r)
  for (int g = 0; g < group; g++)
    scale[g] = softmax_row(a, kv_head, r.s + 4 * (size_t)g * r.end, r.n, r.end, scale[g],
                           r.p_scales + 4 * (size_t)g * r.blocks);
  for (int d = 0; d < a->head_dim; d += TILE) {
    SPECIALIZED(decode_values, a->narrow, group, a, &r, d)
    for (int g = 0; g < group; g++)
      store_dims(a->out + (head + g) * a->head_dim + d, a->head_dim - d, r.total + 4 * TILE * g, scale[g]);
  }
}

static inline void decode(const attention_args *a) {
  const int group = a->heads / a->kv_heads, passes = (group + GROUP_MAX - 1) / GROUP_MAX;
  for (int kv_head = 0; kv_head < a->kv_heads; kv_head++)
    for (int i = 0; i < passes; i++) { // of equal size: 9 heads are 3 + 3 + 3
      const int first = group * i / passes;
      decode_heads(a, kv_head * group + first, kv_head, group * (i + 1) / passes - first);
    }
}
