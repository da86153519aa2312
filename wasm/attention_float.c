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
