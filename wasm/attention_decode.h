// Attention of one query position, up to GROUP heads of one K/V head at a time; included by attention.h.
//
// Vectors hold 8 positions (scores) or 8 dimensions (output) of the cache; a head's word is broadcast to them.
#pragma once

typedef struct {
  int group, narrow;
  int tiles, steps, strips; // of visible keys; words and strips of a head
  int p_words, v_blocks; // of the visible positions; of the whole cache
  const uint8_t *k, *v;
  uint8_t *q;        // (steps, group) words
  uint8_t *s;        // (group, 8 tiles) sums, then p
  uint8_t *p;        // (8 tiles / W, group) words
  uint8_t *p_scales; // (blocks, group) f32
  uint8_t *total;    // (strips, group, 8) f32
  uint8_t *sums;     // (group, 8), of one block and strip
} decode_pass;

// 8 sums for each head.
typedef struct {
  cache_step of[GROUP_MAX];
} group_sums;

static ALWAYS_INLINE void store_sums(uint8_t *to, size_t distance, const group_sums *sums, const int group) {
  UNROLLED for (int g = 0; g < group; g++) store_pair(to + g * distance, sums->of[g].low, sums->of[g].high);
}

// Sums += x (a word of each head a step) * steps of the cache at one place, or at two that share x, far apart: while one
// stream waits at the border of a page, where hardware stops reading ahead, the other goes on. (Two that are near each
// other halve the speed of reading.) Two take vectors of 256 bits, as those of 128 would not fit the registers. `group` and
// `narrow` are constants, so that the sums are registers.
enum { STREAMS = WIDE ? 2 : 1 };
static ALWAYS_INLINE void multiply_steps(group_sums sums[STREAMS], const uint8_t *x, const uint8_t *near,
                                         const uint8_t *far, int steps, const int group, const int narrow) {
  group_sums a = sums[0], b = sums[STREAMS - 1];
  ROLLED do {
    const cache_step v = load_step(near, narrow), w = load_step(far, narrow);
    UNROLLED for (int g = 0; g < group; g++) {
      const v128_t xg = load_splat(x, g);
      a.of[g].low = multiply_add(a.of[g].low, xg, v.low);
      a.of[g].high = multiply_add(a.of[g].high, xg, v.high);
      if (STREAMS == 2) {
        b.of[g].low = multiply_add(b.of[g].low, xg, w.low);
        b.of[g].high = multiply_add(b.of[g].high, xg, w.high);
      }
    }
    near += step_bytes(narrow), far += step_bytes(narrow), x += 4 * group;
  }
  while (--steps)
    ;
  sums[STREAMS - 1] = b;
  sums[0] = a;
}

// s = q * k. The streams are the two halves of K.
static ALWAYS_INLINE void decode_scores(const decode_pass *r, const int group, const int narrow) {
  const size_t row = 4 * TILE * (size_t)r->tiles, tile_bytes = (size_t)r->steps * step_bytes(narrow);
  const int turns = (r->tiles + STREAMS - 1) / STREAMS;
  const uint8_t *k = r->k;
  uint8_t *s = r->s;
  ROLLED for (int turn = 0; turn < turns; turn++, k += tile_bytes, s += 4 * TILE) {
    const size_t far = turn + turns < r->tiles ? turns : 0; // of an odd number, one is computed twice
    group_sums sums[STREAMS];
    UNROLLED for (int i = 0; i < STREAMS; i++)
      UNROLLED for (int g = 0; g < group; g++) sums[i].of[g].low = sums[i].of[g].high = zero();
    multiply_steps(sums, r->q, k, k + far * tile_bytes, r->steps, group, narrow);
    store_sums(s, row, sums, group);
    if (STREAMS == 2)
      store_sums(s + 4 * TILE * far, row, sums + STREAMS - 1, group);
  }
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

static ALWAYS_INLINE void start_strip(group_sums *sums, const uint8_t *total, const int group) {
  UNROLLED for (int g = 0; g < group; g++) {
    sums->of[g].low = INTEGER ? zero() : load4(total, g * TILE);
    sums->of[g].high = INTEGER ? zero() : load4(total, g * TILE + 4);
  }
}
static ALWAYS_INLINE void end_strip(const decode_pass *r, uint8_t *total, const group_sums *sums, const uint8_t *scales,
                                    const int group) {
  store_sums(INTEGER ? r->sums : total, 4 * TILE, sums, group);
  if (INTEGER)
    add_sums(total, r->sums, scales, group);
}

// total = p * v, block by block. The streams are V's two slabs.
static ALWAYS_INLINE void decode_values(const decode_pass *r, const int group, const int narrow) {
  const int block_words = V_BLOCK / W, strip_bytes = step_bytes(narrow) * block_words;
  const int first = first_strips(r->strips), slab_total = first * 4 * TILE * group;
  const uint8_t *p = r->p, *scales = r->p_scales, *v = r->v, *w = r->v + (size_t)first * r->v_blocks * strip_bytes;
  ROLLED for (int i = 0; i < r->strips * group * 2; i++) store4(r->total, 4 * i, zero());
  ROLLED for (int left = r->p_words; left > 0; left -= block_words) {
    uint8_t *total = r->total;
    const int words = left < block_words ? left : block_words;
    ROLLED for (int strip = 0; strip < first; strip++, v += strip_bytes, total += 4 * TILE * group) {
      const int far = strip + first < r->strips;
      ROLLED for (int slab = 0; slab <= far; slab += STREAMS) {
        group_sums sums[STREAMS];
        start_strip(sums, total + slab * slab_total, group);
        if (STREAMS == 2)
          start_strip(sums + STREAMS - 1, total + far * slab_total, group);
        multiply_steps(sums, p, slab ? w : v, far ? w : v, words, group, narrow);
        end_strip(r, total + slab * slab_total, sums, scales, group);
        if (STREAMS == 2 && far)
          end_strip(r, total + slab_total, sums + STREAMS - 1, scales, group);
      }
      w += far * strip_bytes;
    }
    p += 4 * group * block_words, scales += 4 * group;
  }
}

// clang-format off
static NOINLINE void decode_scores_of(const decode_pass *r) {
  if (r->group == 1)
    return r->narrow ? decode_scores(r, 1, 1) : decode_scores(r, 1, 0);
  if (GROUP > 1)
    switch (2 * r->group + r->narrow) {
      case 4: return decode_scores(r, 2, 0);
      case 5: return decode_scores(r, 2, 1);
      case 6: return decode_scores(r, 3, 0);
      case 7: return decode_scores(r, 3, 1);
      case 8: return decode_scores(r, 4, 0);
      default: return decode_scores(r, 4, 1);
    }
}
static NOINLINE void decode_values_of(const decode_pass *r) {
  if (r->group == 1)
    return r->narrow ? decode_values(r, 1, 1) : decode_values(r, 1, 0);
  if (GROUP > 1)
    switch (2 * r->group + r->narrow) {
      case 4: return decode_values(r, 2, 0);
      case 5: return decode_values(r, 2, 1);
      case 6: return decode_values(r, 3, 0);
      case 7: return decode_values(r, 3, 1);
      case 8: return decode_values(r, 4, 0);
      default: return decode_values(r, 4, 1);
    }
}
// clang-format on

static ALWAYS_INLINE decode_pass plan_pass(const attention_args *a, int kv_head, int group) {
  const int n = a->position + 1, end = whole_tiles(n), head_dim = a->head_dim;
  decode_pass r = {.group = group, .narrow = a->narrow, .tiles = end / TILE, .steps = head_dim / W};
  r.strips = tiles_of(head_dim), r.v_blocks = v_blocks_of(a->ctx);
  r.p_words = (n + W - 1) / W;
  r.k = a->k + k_offset(kv_head, 0, head_dim, a->ctx) * element_bytes(a);
  r.v = a->v + v_offset(kv_head, 0, 0, head_dim, a->ctx) * element_bytes(a);
  r.q = a->scratch;
  r.s = r.q + 4 * (size_t)group * r.steps;
  r.p = r.s + 4 * (size_t)group * end;
  r.p_scales = r.p + 4 * (size_t)group * (end / W);
  r.total = r.p_scales + (INTEGER ? 4 * (size_t)group * v_blocks_of(end) : 0);
  r.sums = r.total + 4 * TILE * (size_t)group * r.strips;
  return r;
}

static NOINLINE void decode_heads(const attention_args *a, int head, int kv_head, int group) {
  const int n = a->position + 1, end = whole_tiles(n), head_dim = a->head_dim;
  const decode_pass r = plan_pass(a, kv_head, group);
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
