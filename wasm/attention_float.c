// Attention of `rows` consecutive queries of one sequence over a bf16 or f32 KV cache. Their keys and values are
// already stored.
//
//   out, q (rows, heads, head_dim) f32, rows ldo and ldq apart
//   k_cache, v_cache: kv_cache.h
//   scratch: attentionScratchBytes() of src/backends/wasm/kv-layout.ts
//   scale: 1 / sqrt(head_dim), unless the model says otherwise
enum { INTEGER = 0 };
#include "attention.h"

EXPORT(attention_bf16)
void attention_bf16(float *out, const float *q, const uint16_t *k_cache, const uint16_t *v_cache, uint8_t *scratch,
                    int32_t rows, int32_t ldq, int32_t ldo, int32_t position, int32_t heads, int32_t kv_heads,
                    int32_t head_dim, int32_t ctx, float scale) {
  const attention_args args = {out, q, (const uint8_t *)k_cache, (const uint8_t *)v_cache, 0, 0, scratch, rows, ldq,
                         ldo, position, heads, kv_heads, head_dim, ctx, scale, .narrow = 1};
  attention(&args);
}

EXPORT(attention_f32)
void attention_f32(float *out, const float *q, const float *k_cache, const float *v_cache, uint8_t *scratch,
                   int32_t rows, int32_t ldq, int32_t ldo, int32_t position, int32_t heads, int32_t kv_heads,
                   int32_t head_dim, int32_t ctx, float scale) {
  const attention_args args = {out, q, (const uint8_t *)k_cache, (const uint8_t *)v_cache, 0, 0, scratch, rows, ldq,
                         ldo, position, heads, kv_heads, head_dim, ctx, scale, .narrow = 0};
  attention(&args);
}

// One query over `keys` keys, of which it sees those whose byte of `visible` is 1; the others' probabilities are zero.
// The bits of attention_f32 where it sees all of them. scratch: of one row.
static NOINLINE void attend_masked(const attention_args *a, int head, int kv_head, const uint8_t *visible,
                                   float *probabilities) {
  const int n = a->position + 1, end = whole_tiles(n), head_dim = a->head_dim;
  const decode_pass r = plan_pass(a, kv_head, 1);
  float *s = (float *)r.s, *p = (float *)r.p, *out = a->out + head * head_dim;
  int seen = 0;
  pack_query(r.q, 1, a->q + head * head_dim, a);
  decode_scores_of(&r);
  ROLLED for (int t = 0; t < n; t++) {
    if (visible[t])
      seen++;
    else
      s[t] = -__builtin_inff();
  }
  v128_t inverse = zero();
  if (seen)
    inverse = softmax_row(a, kv_head, r.s, n, end, 0, r.p, r.p_scales, 1);
  ROLLED for (int t = 0; t < n; t++) {
    if (!visible[t])
      p[t] = 0;
    probabilities[t] = p[t] * wasm_f32x4_extract_lane(inverse, 0);
  }
  decode_values_of(&r);
  for (int strip = 0; strip < r.strips; strip++)
    store_dims(out + strip * TILE, head_dim - strip * TILE, r.total + 4 * TILE * strip, inverse);
}

//   probabilities (rows, heads, keys)      visible (rows, keys) bytes, 1 or 0
EXPORT(attention_masked_f32)
void attention_masked_f32(float *out, float *probabilities, const float *q, const float *k_cache, const float *v_cache,
                          const uint8_t *visible, uint8_t *scratch, int32_t rows, int32_t ldq, int32_t ldo, int32_t keys,
                          int32_t heads, int32_t kv_heads, int32_t head_dim, int32_t ctx, float scale) {
  for (int row = 0; row < rows; row++, q += ldq, out += ldo, visible += keys) {
    const attention_args args = {out, q, (const uint8_t *)k_cache, (const uint8_t *)v_cache, 0, 0, scratch, 1, ldq,
                                 ldo, keys - 1, heads, kv_heads, head_dim, ctx, scale, .narrow = 0};
    for (int head = 0; head < heads; head++, probabilities += keys)
      attend_masked(&args, head, head / (heads / kv_heads), visible, probabilities);
  }
}
