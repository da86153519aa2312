// Attention of `rows` consecutive queries of one sequence over an integer KV cache. Their keys and values are already
// stored.
//
//   out, q (rows, heads, head_dim) f32, rows ldo and ldq apart
//   k_cache, v_cache, k_scales, v_scales: kv_cache.h
//   scratch: attentionScratchBytes() of src/backends/wasm/kv-layout.ts
//   scale: 1 / sqrt(head_dim), unless the model says otherwise
//
// Sums of integers cannot overflow an i32: largest q or p * largest k or v * terms < 2^31 = 2147483648:
//   int8   32767 * 127 * 256 dimensions, or 64 positions = 1065320704
//   int16  16383 * 1023 * 128 dimensions = 2145255552; above 128 dimensions 8191 * 1023 * 256 = 2145124608;
//          16383 * 1023 * 64 positions = 1072627776
enum { INTEGER = 1 };
#include "attention.h"

EXPORT(attention_i8)
void attention_i8(float *out, const float *q, const int8_t *k_cache, const int8_t *v_cache, const float *k_scales,
                  const float *v_scales, uint8_t *scratch, int32_t rows, int32_t ldq, int32_t ldo, int32_t position,
                  int32_t heads, int32_t kv_heads, int32_t head_dim, int32_t ctx, float scale) {
  attention_args args = {out, q, (const uint8_t *)k_cache, (const uint8_t *)v_cache, k_scales, v_scales,
                         scratch, rows, ldq, ldo, position, heads, kv_heads, head_dim, ctx, scale, .narrow = 1};
  args.q_max = 32767.0f;
  args.p_max = 32767.0f;
  attention(&args);
}

EXPORT(attention_i16)
void attention_i16(float *out, const float *q, const int16_t *k_cache, const int16_t *v_cache, const float *k_scales,
                   const float *v_scales, uint8_t *scratch, int32_t rows, int32_t ldq, int32_t ldo, int32_t position,
                   int32_t heads, int32_t kv_heads, int32_t head_dim, int32_t ctx, float scale) {
  attention_args args = {out, q, (const uint8_t *)k_cache, (const uint8_t *)v_cache, k_scales, v_scales,
                         scratch, rows, ldq, ldo, position, heads, kv_heads, head_dim, ctx, scale, .narrow = 0};
  args.q_max = head_dim <= 128 ? 16383.0f : 8191.0f;
  args.p_max = 16383.0f;
  attention(&args);
}
