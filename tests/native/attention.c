// kv_store and attention in all four cache types, against the order of sums that wasm/attention.h defines.
#include "check.h"

// What the naive loops may take of a case: they find the largest of a head anew for each of its elements.
enum { WORK = 50000000 };

enum { CASES = 60, I8 = 0, I16, BF16, F32 };

static const struct {
  const char *name;
  int bytes, word, kv_max, p_max, p_block;
} TYPES[] = {
    {"i8", 1, 2, 127, 32767, 64}, {"i16", 2, 2, 1023, 16383, 64}, {"bf16", 2, 1, 0, 0, 64}, {"f32", 4, 1, 0, 0, 64}};

// One sequence, as a plain array of what the cache should hold.
typedef struct {
  int type, heads, kv_heads, head_dim, ctx, ldk;
  float *k, *v; // (ctx, kv_heads, head_dim), rows ldk apart
  void *k_cache, *v_cache;
  float *k_scales, *v_scales;
} sequence;

static int whole_tiles(int n) { return (n + 7) / 8 * 8; }
static int is_integer(int type) { return type <= I16; }

// The stored number and its scale, by definition.
typedef struct {
  float value, scale;
} stored;

static float largest(const float *x, int n) {
  float most = 0;
  for (int i = 0; i < n; i++)
    most = fmaxf(most, fabsf(x[i]));
  return most;
}

static stored expected_of(const sequence *s, const float *row, int kv_head, int dim) {
  const float *x = row + kv_head * s->head_dim;
  if (s->type == F32)
    return (stored){x[dim], 1};
  if (s->type == BF16)
    return (stored){bf16_value(nearest_bf16(x[dim])), 1};
  const float most = largest(x, s->head_dim), limit = TYPES[s->type].kv_max;
  return (stored){nearest(x[dim] * (most >= 0x1p-100f ? limit / most : 0)), most / limit};
}

static float element(const void *cache, size_t at, int type) {
  switch (type) {
  case I8:
    return ((const int8_t *)cache)[at];
  case I16:
    return ((const int16_t *)cache)[at];
  case BF16:
    return bf16_value(((const uint16_t *)cache)[at]);
  default:
    return ((const float *)cache)[at];
  }
}

static void check_cache(const sequence *s, int positions) {
  const int word = TYPES[s->type].word, padded = whole_tiles(s->head_dim);
  for (int h = 0; h < s->kv_heads; h++)
    for (int t = 0; t < positions; t++)
      for (int d = 0; d < s->head_dim; d++) {
        const stored k = expected_of(s, s->k + t * s->ldk, h, d), v = expected_of(s, s->v + t * s->ldk, h, d);
        const size_t k_at = ((size_t)h * s->ctx + t / 8 * 8) * s->head_dim + (d / word * 8 + t % 8) * word + d % word;
        const size_t blocks = (s->ctx + 63) / 64, strips = padded / 8, first = (strips + 1) / 2, strip = d / 8;
        const size_t in_slab = strip < first ? t / 64 * first + strip : blocks * first + t / 64 * (strips - first) + strip - first;
        const size_t v_at = (h * blocks * strips + in_slab) * 512 + (t % 64 / word * 8 + d % 8) * word + t % word;
        check_true(element(s->k_cache, k_at, s->type) == k.value, "an element of K");
        check_true(element(s->v_cache, v_at, s->type) == v.value, "an element of V");
        if (!is_integer(s->type))
          continue;
        check_true(s->k_scales[h * s->ctx + t] == k.scale, "a scale of K");
        check_true(s->v_scales[h * s->ctx + t] == v.scale, "a scale of V");
      }
}

static void store(const sequence *s, int position, int rows) {
  const float *k = s->k + position * s->ldk, *v = s->v + position * s->ldk;
  if (s->type == I8)
    kv_store_i8(s->k_cache, s->v_cache, s->k_scales, s->v_scales, k, v, rows, s->ldk, position, s->kv_heads,
                s->head_dim, s->ctx);
  if (s->type == I16)
    kv_store_i16(s->k_cache, s->v_cache, s->k_scales, s->v_scales, k, v, rows, s->ldk, position, s->kv_heads,
                 s->head_dim, s->ctx);
  if (s->type == BF16)
    kv_store_bf16(s->k_cache, s->v_cache, k, v, rows, s->ldk, position, s->kv_heads, s->head_dim, s->ctx);
  if (s->type == F32)
    kv_store_f32(s->k_cache, s->v_cache, k, v, rows, s->ldk, position, s->kv_heads, s->head_dim, s->ctx);
}

// As attentionScratchBytes() in src/backends/wasm/kv-layout.ts.
static size_t scratch_bytes(const sequence *s, int rows) {
  const int word = TYPES[s->type].word, block = TYPES[s->type].p_block, group = s->heads / s->kv_heads;
  const size_t words = s->head_dim / word, scales = is_integer(s->type) ? (s->ctx + block - 1) / block : 0;
  const int most = is_integer(s->type) ? 4 : 1, sums = is_integer(s->type) ? 8 : 0;
  const size_t passes = (group + most - 1) / most, decode_rows = (group + passes - 1) / passes;
  const size_t decode = decode_rows * (words + s->ctx + s->ctx / word + scales + whole_tiles(s->head_dim) + sums);
  if (rows == 1)
    return 4 * decode;
  const size_t pass = rows * group < 48 ? rows * group : 48, span = block / word;
  const size_t panel = s->type == I8 || s->type == BF16 ? 8 * (words > span ? words : span) : 0;
  const size_t prefill =
      (pass + 7) / 8 * 8 * (words + s->ctx + scales) + (pass + 3) / 4 * 4 * whole_tiles(s->head_dim) + panel;
  return 4 * (prefill > decode ? prefill : decode);
}

static void attend(const sequence *s, float *out, const float *q, int rows, int ldq, int ldo, int position,
                   float scale) {
  uint8_t *scratch = fresh(scratch_bytes(s, rows));
  if (s->type == I8)
    attention_i8(out, q, s->k_cache, s->v_cache, s->k_scales, s->v_scales, scratch, rows, ldq, ldo, position, s->heads,
                 s->kv_heads, s->head_dim, s->ctx, scale);
  if (s->type == I16)
    attention_i16(out, q, s->k_cache, s->v_cache, s->k_scales, s->v_scales, scratch, rows, ldq, ldo, position, s->heads,
                  s->kv_heads, s->head_dim, s->ctx, scale);
  if (s->type == BF16)
    attention_bf16(out, q, s->k_cache, s->v_cache, scratch, rows, ldq, ldo, position, s->heads, s->kv_heads,
                   s->head_dim, s->ctx, scale);
  if (s->type == F32)
    attention_f32(out, q, s->k_cache, s->v_cache, scratch, rows, ldq, ldo, position, s->heads, s->kv_heads, s->head_dim,
                  s->ctx, scale);
}

// 2^x as the kernels compute it: the polynomial is part of the defined result.
static float exp2_naively(float x) {
  x = x < -96.0f ? -96.0f : x;
  const float n = nearbyintf(x), f = x - n;
  float p = 0x1.5bba12p-10f * f + 0x1.3cea88p-7f;
  p = p * f + 0x1.c6b752p-5f;
  p = p * f + 0x1.ebf9bcp-3f;
  p = p * f + 0x1.62e42ap-1f;
  p = p * f + 1.0f;
  return ldexpf(p, (int)n);
}

static float score(const sequence *s, const float *q, const float *k_row, int kv_head, float factor) {
  const float most = largest(q, s->head_dim), q_max = s->type == I8 ? 32767 : s->head_dim <= 128 ? 16383 : 8191;
  int64_t dot = 0;
  float sum = 0;
  stored k = {0};
  for (int d = 0; d < s->head_dim; d++) {
    k = expected_of(s, k_row, kv_head, d);
    if (is_integer(s->type))
      dot += (int64_t)nearest(q[d] * (most >= 0x1p-100f ? q_max / most : 0)) * (int)k.value;
    else
      sum += q[d] * factor * k.value;
  }
  check_true(dot <= INT32_MAX && dot >= INT32_MIN, "a dot product that fits 32 bits");
  return is_integer(s->type) ? (float)dot * (most / q_max * factor * k.scale) : sum;
}

static void attend_naively(const sequence *s, float *out, const float *q, int n, int head, float scale) {
  const int kv_head = head / (s->heads / s->kv_heads), block = TYPES[s->type].p_block;
  const float p_max = TYPES[s->type].p_max, factor = scale * 1.44269504f;
  float p[320], max = -INFINITY, sums[4] = {0};
  for (int t = 0; t < n; t++) {
    p[t] = score(s, q, s->k + t * s->ldk, kv_head, factor);
    max = p[t] > max ? p[t] : max;
  }
  for (int t = 0; t < n; t++) {
    p[t] = exp2_naively(p[t] - max);
    sums[t % 4] += p[t];
  }
  const float inverse = 1.0f / ((sums[0] + sums[1]) + (sums[2] + sums[3]));
  for (int d = 0; d < s->head_dim; d++) {
    float total = 0;
    for (int start = 0; start < n; start += block) {
      const int end = start + block < n ? start + block : n;
      float top = 0;
      int64_t dot = 0;
      for (int t = start; t < end && is_integer(s->type); t++) {
        const float scaled = p[t] * expected_of(s, s->v + t * s->ldk, kv_head, d).scale;
        top = scaled > top ? scaled : top;
      }
      for (int t = start; t < end; t++) {
        const stored v = expected_of(s, s->v + t * s->ldk, kv_head, d);
        if (is_integer(s->type))
          dot += (int64_t)nearest(p[t] * v.scale * (top >= 0x1p-100f ? p_max / top : 0)) * (int)v.value;
        else
          total += p[t] * v.value;
      }
      check_true(dot <= INT32_MAX && dot >= INT32_MIN, "a sum over positions that fits 32 bits");
      if (is_integer(s->type))
        total += (float)dot * (top / p_max);
    }
    out[d] = total * inverse;
  }
}

// A mask that hides what causal attention does gives its bits; one that hides all gives zeros.
static void check_masked(const sequence *s, const float *expected, const float *q, int rows, int ldq, int ldo,
                         int position, float scale) {
  const int keys = position + rows;
  const size_t count = (size_t)(rows - 1) * ldo + s->heads * s->head_dim;
  uint8_t *visible = fresh((size_t)rows * keys), *scratch = fresh(scratch_bytes(s, 1));
  float *out = fresh_floats(count), *probabilities = fresh_floats((size_t)rows * s->heads * keys);
  for (int hidden = 0; hidden < 2; hidden++) {
    for (int r = 0; r < rows; r++)
      for (int t = 0; t < keys; t++)
        visible[r * keys + t] = !hidden && t <= position + r;
    attention_masked_f32(out, probabilities, q, s->k_cache, s->v_cache, visible, scratch, rows, ldq, ldo, keys,
                         s->heads, s->kv_heads, s->head_dim, s->ctx, scale);
    for (int r = 0; r < rows; r++)
      for (int d = 0; d < s->heads * s->head_dim; d++)
        check_true(out[r * ldo + d] == (hidden ? 0 : expected[r * ldo + d]), "an output under a mask");
    for (int r = 0; r < rows * s->heads; r++) {
      float sum = 0;
      for (int t = 0; t < keys; t++)
        sum += probabilities[(size_t)r * keys + t];
      check_true(fabsf(sum - (hidden ? 0 : 1)) < 1e-5f, "the sum of probabilities");
    }
  }
}

// A position whose keys or values are no numbers: who sees it gets no numbers, who does not gets what it would without;
// but for a query of the same pass over a float cache, whose zero times infinity is NaN.
static void check_poisoned(sequence *s, const float *expected, const float *q, int rows, int ldq, int ldo, int position,
                           float scale) {
  const int poisoned = random_int(0, position + rows - 1), kv_head = random_int(0, s->kv_heads - 1);
  const int group = s->heads / s->kv_heads, is_key = random_int(0, 1);
  static const float NO_NUMBERS[] = {NAN, INFINITY, -INFINITY};
  float *row = (is_key ? s->k : s->v) + (size_t)poisoned * s->ldk + kv_head * s->head_dim;
  row[random_int(0, s->head_dim - 1)] = NO_NUMBERS[random_int(0, is_key ? 0 : 2)];
  store(s, poisoned, 1);
  float *out = fresh_floats((size_t)(rows - 1) * ldo + s->heads * s->head_dim);
  attend(s, out, q, rows, ldq, ldo, position, scale);
  for (int r = 0; r < rows; r++)
    for (int h = 0; h < s->heads; h++) {
      const size_t at = (size_t)r * ldo + h * s->head_dim;
      if (position + r < poisoned && !is_integer(s->type) && !is_key && h / group == kv_head)
        continue;
      if (h / group != kv_head || position + r < poisoned) {
        check_floats(out + at, expected + at, s->head_dim, "an output that does not see it");
        continue;
      }
      int shows = 0;
      for (int d = 0; d < s->head_dim; d++)
        shows += !isfinite(out[at + d]);
      check_true(shows > 0, "an output that sees it");
    }
}

static void test_type(int type) {
  const char *name = TYPES[type].name;
  seed("attention");
  for (int i = 0; i < CASES; i++) {
    const int kv_heads = random_size(3, 8), heads = kv_heads * random_size(9, 16),
              head_dim = 2 * random_int(1, i % 8 ? 12 : 128);
    const int ctx = 8 * random_int(1, i % 4 ? 10 : 40), few = (int)(1 + WORK / ((int64_t)heads * ctx * head_dim * head_dim)),
              most = few < 20 ? few : is_random && i % 7 == 0 ? few < 70 ? few : 70 : 20,
              rows = i % 3 ? random_int(1, ctx < most ? ctx : most) : 1;
    const int position = random_int(0, ctx - rows), ldq = heads * head_dim + random_int(0, 4),
              ldo = heads * head_dim + random_int(0, 4);
    begin("attention_%s heads %d/%d head_dim %d ctx %d position %d rows %d", name, heads, kv_heads, head_dim, ctx,
          position, rows);
    sequence s = {type, heads, kv_heads, head_dim, ctx, kv_heads * head_dim + random_int(0, 3), 0, 0, 0, 0, 0, 0};
    const size_t inputs = (size_t)(position + rows - 1) * s.ldk + kv_heads * head_dim, bytes = TYPES[type].bytes;
    const size_t scales = is_integer(type) ? (size_t)kv_heads * ctx : 0;
    s.k = random_floats(inputs, i % 6 ? 1 : 20), s.v = random_floats(inputs, 2);
    const int unwritten = i % 2 ? 0xff : FRESH; // what another sequence left: NaN, where there are floats
    for (size_t k = 0; i % 5 == 0 && k < inputs; k++)
      s.k[k] = 0.5f, s.v[k] = -3; // the largest sums
    const size_t k_bytes = bytes * kv_heads * ctx * head_dim,
                 v_bytes = bytes * kv_heads * ((ctx + 63) / 64 * 64) * whole_tiles(head_dim);
    s.k_cache = memset(fresh(k_bytes), unwritten, k_bytes), s.v_cache = memset(fresh(v_bytes), unwritten, v_bytes);
    s.k_scales = memset(fresh_floats(scales), 0xff, scales * 4),
    s.v_scales = memset(fresh_floats(scales), 0xff, scales * 4);
    for (int at = 0; at < position + rows;) {
      const int count = random_int(1, position + rows - at);
      store(&s, at, count);
      at += count;
    }
    check_cache(&s, position + rows);

    const float scale = 1.0f / sqrtf((float)head_dim);
    float *q = random_floats((size_t)(rows - 1) * ldq + heads * head_dim, 3);
    for (int k = 0; i % 5 == 0 && k < (rows - 1) * ldq + heads * head_dim; k++)
      q[k] = 2;
    const size_t count = (size_t)(rows - 1) * ldo + heads * head_dim;
    float *out = fresh_floats(count), *expected = fresh_floats(count);
    for (int r = 0; r < rows; r++)
      for (int h = 0; h < heads; h++)
        attend_naively(&s, expected + r * ldo + h * head_dim, q + r * ldq + h * head_dim, position + r + 1, h, scale);
    attend(&s, out, q, rows, ldq, ldo, position, scale);
    check_floats(out, expected, count, "out");
    if (type == F32)
      check_masked(&s, out, q, rows, ldq, ldo, position, scale);
    if (is_random && i % 2)
      check_poisoned(&s, expected, q, rows, ldq, ldo, position, scale);
    char kernel[32];
    snprintf(kernel, sizeof kernel, "attention_%s", name);
    digest(kernel, "", out, count * 4);
  }
}

void test_attention(void) {
  for (int type = I8; type <= F32; type++)
    test_type(type);
}
