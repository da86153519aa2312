// Attention of several query positions; included by attention.h.
//
// A row is one query of one head. The rows of one K/V head, tokens ascending and a token's heads side by side, are
// taken ROWS_MAX at a time: all their scores, softmax, p * V. Inner loops are tiles of 4 x 8 sums. Scores lie by groups
// of eight rows, (positions, 8), so that softmax is four or eight rows wide and its integers are at once the words of the
// next product.
#pragma once

typedef struct {
  int kv_head, count, keys; // rows of this pass, keys that the last one sees, in whole tiles
  int steps, strips, blocks;
  int visible[ROWS_MAX];      // keys that the row sees, ascending; padding repeats the last row
  v128_t scale[ROWS_MAX / 4]; // from sums to scores, then 1 / sum of p
  uint8_t *q;                 // (count / 8, steps, 8) words
  uint8_t *s;                 // (count / 8, keys, 8) sums, then (count / 8, keys / W, 8) words of p in their place
  uint8_t *p_scales;          // (count / 8, blocks, 8) f32
  uint8_t *total;             // (count / 4, strips, 4, 8) f32
  uint8_t *panel;             // widened piece of the cache
} prefill_pass;

// sums (4, 8) += x (4 words a step, broadcast) * w (8 words a step).
static ALWAYS_INLINE void tile_4x8(v128_t sums[8], const uint8_t *x, const int x_stride, const uint8_t *w, int steps) {
  v128_t a0 = sums[0], a1 = sums[1], b0 = sums[2], b1 = sums[3], c0 = sums[4], c1 = sums[5], d0 = sums[6], d1 = sums[7];
  ROLLED for (int i = 0; i < steps; i++, x += 4 * x_stride, w += 4 * TILE) {
    const v128_t w0 = load4(w, 0), w1 = load4(w, 4);
    const v128_t a = load_splat(x, 0), b = load_splat(x, 1), c = load_splat(x, 2), d = load_splat(x, 3);
    a0 = multiply_add(a0, a, w0), a1 = multiply_add(a1, a, w1);
    b0 = multiply_add(b0, b, w0), b1 = multiply_add(b1, b, w1);
    c0 = multiply_add(c0, c, w0), c1 = multiply_add(c1, c, w1);
    d0 = multiply_add(d0, d, w0), d1 = multiply_add(d1, d, w1);
  }
  sums[0] = a0, sums[1] = a1, sums[2] = b0, sums[3] = b1, sums[4] = c0, sums[5] = c1, sums[6] = d0, sums[7] = d1;
}

// `steps` steps of the cache from element `offset` as words: in place, or widened into `panel`.
static NOINLINE const uint8_t *words_of(const attention_args *a, const uint8_t *cache, size_t offset, uint8_t *panel,
                                        int steps) {
  const uint8_t *p = cache + offset * element_bytes(a);
  if (!a->narrow)
    return p;
  ROLLED for (int i = 0; i < steps; i++) {
    const cache_step w = load_step(p + 16 * i, 1);
    store_pair(panel + 4 * TILE * i, w.low, w.high);
  }
  return panel;
}

static NOINLINE void prefill_scores(const attention_args *a, prefill_pass *r) {
  for (int t = 0, first = 0; t < r->keys; t += TILE) {
    const uint8_t *k = words_of(a, a->k, k_offset(r->kv_head, t, a->head_dim, a->ctx), r->panel, r->steps);
    while (r->visible[first + TILE - 1] <= t)
      first += TILE; // rows that end before these keys
    for (int row = first; row < r->count; row += TILE)
      ROLLED for (int half = 0; half < TILE; half += 4) {
        v128_t sums[8];
        UNROLLED for (int i = 0; i < 8; i++) sums[i] = zero();
        tile_4x8(sums, k + 4 * half, TILE, r->q + 4 * (size_t)row * r->steps, r->steps);
        uint8_t *s = r->s + 4 * ((size_t)row * r->keys + TILE * (t + half));
        UNROLLED for (int i = 0; i < 4; i++) store_pair(s + 4 * TILE * i, sums[2 * i], sums[2 * i + 1]);
      }
  }
}

static NOINLINE void prefill_values(const attention_args *a, prefill_pass *r) {
  for (int b = 0, t = 0; t < r->keys; b++, t += V_BLOCK)
    for (int strip = 0; strip < r->strips; strip++) {
      const int length = r->keys - t < V_BLOCK ? r->keys - t : V_BLOCK;
      const uint8_t *v =
          words_of(a, a->v, v_offset(r->kv_head, strip * TILE, t, a->head_dim, a->ctx), r->panel, length / W);
      for (int row = 0; row < r->count; row += 4) {
        const int seen = r->visible[row + 3] - t;
        if (seen <= 0)
          continue;
        uint8_t *total = r->total + 4 * ((size_t)row * r->strips + 4 * strip) * TILE;
        v128_t before[8], sums[8];
        UNROLLED for (int i = 0; i < 8; i++) {
          before[i] = b ? load4(total, 4 * i) : zero();
          sums[i] = start_sum(before[i]);
        }
        const size_t group = row / TILE * TILE, place = row % TILE;
        tile_4x8(sums, r->s + 4 * (group * r->keys + TILE * (t / W) + place), TILE, v,
                 (seen < length ? seen + W - 1 : length) / W);
        const uint8_t *scales = r->p_scales + 4 * (group * r->blocks + TILE * b + place);
        UNROLLED for (int i = 0; i < 4; i++) {
          const v128_t scale = INTEGER ? load_splat(scales, i) : zero();
          sums[2 * i] = end_sum(before[2 * i], sums[2 * i], scale);
          sums[2 * i + 1] = end_sum(before[2 * i + 1], sums[2 * i + 1], scale);
        }
        UNROLLED for (int i = 0; i < 4; i++) store_pair(total + 4 * TILE * i, sums[2 * i], sums[2 * i + 1]);
      }
    }
}

static NOINLINE void prefill_rows(const attention_args *a, int kv_head, int first, int count) {
  const int group = a->heads / a->kv_heads, padded = whole_tiles(count), quads = (count + 3) / 4;
  prefill_pass r = {.kv_head = kv_head, .count = count, .steps = a->head_dim / W, .strips = tiles_of(a->head_dim)};
  r.keys = whole_tiles(a->position + (first + count - 1) / group + 1);
  r.blocks = v_blocks_of(r.keys);
  r.q = a->scratch;
  r.s = r.q + 4 * (size_t)padded * r.steps;
  r.p_scales = r.s + 4 * (size_t)padded * r.keys;
  r.total = r.p_scales + (INTEGER ? 4 * (size_t)padded * r.blocks : 0);
  r.panel = r.total + 16 * (size_t)quads * r.strips * TILE;

  for (int i = 0; i < padded; i++) {
    const int row = first + (i < count ? i : count - 1), token = row / group, head = kv_head * group + row % group;
    r.visible[i] = a->position + token + 1;
    uint8_t *words = r.q + 4 * ((size_t)(i / TILE * TILE) * r.steps + i % TILE);
    store1((uint8_t *)r.scale, i, pack_query(words, TILE, a->q + (size_t)token * a->ldq + head * a->head_dim, a));
  }
  prefill_scores(a, &r);
  for (int i = 0; i < count; i += SOFTMAX_ROWS) {
    const size_t group = i / TILE * TILE, place = i % TILE;
    softmax_rows(a, kv_head, r.s + 4 * (group * r.keys + place), r.visible + i,
                 whole_tiles(r.visible[i + SOFTMAX_ROWS - 1]), (uint8_t *)r.scale + 4 * i,
                 r.p_scales + 4 * (group * r.blocks + place));
  }
  prefill_values(a, &r);
  for (int i = 0; i < count; i++) {
    const int row = first + i, token = row / group, head = kv_head * group + row % group;
    float *out = a->out + (size_t)token * a->ldo + head * a->head_dim;
    for (int strip = 0; strip < r.strips; strip++)
      store_dims(out + strip * TILE, a->head_dim - strip * TILE,
                 r.total + 4 * TILE * ((size_t)(i / 4 * r.strips + strip) * 4 + i % 4),
                 load_splat((uint8_t *)r.scale, i));
  }
}

static inline void prefill(const attention_args *a) {
  const int rows = a->rows * (a->heads / a->kv_heads);
  for (int kv_head = 0; kv_head < a->kv_heads; kv_head++)
    for (int first = 0; first < rows; first += ROWS_MAX)
      prefill_rows(a, kv_head, first, rows - first < ROWS_MAX ? rows - first : ROWS_MAX);
}
