// Writes `rows` keys and values at consecutive positions of a KV cache (kv_cache.h).
//
//   k, v (rows, kv_heads, head_dim) f32, rows ld apart
//
// Integer caches: a scale per head vector, its largest magnitude over the type's, and the nearest integers, ties to
// even. bf16: the nearest, ties to even. The dimensions that pad V to whole tiles become zeros.
#include "kv_cache.h"

typedef enum { I8, I16, BF16, F32 } cache_type;

// `type` is a constant wherever the functions below are called.
static inline void put(void *cache, size_t index, float x, float factor, cache_type type) {
  const int32_t integer = wasm_i32x4_extract_lane(round_to_i32(wasm_f32x4_splat(x * factor)), 0);
  if (type == I8)
    ((int8_t *)cache)[index] = (int8_t)integer;
  if (type == I16)
    ((int16_t *)cache)[index] = (int16_t)integer;
  if (type == BF16)
    ((uint16_t *)cache)[index] = f32_to_bf16(x);
  if (type == F32)
    ((float *)cache)[index] = x;
}

// What takes a head vector to integers; its scale goes to scales[index].
static inline float to_integers(float *scales, size_t index, const float *x, int head_dim, cache_type type) {
  if (type == BF16 || type == F32)
    return 1.0f;
  const float top = largest(x, head_dim), limit = type == I8 ? I8_MAX : I16_MAX;
  scales[index] = top >= TINY ? top / limit : 0.0f;
  return top >= TINY ? limit / top : 0.0f;
}

static ALWAYS_INLINE void store(void *k_cache, void *v_cache, float *k_scales, float *v_scales, const float *k,
                                const float *v, int rows, int ld, int position, int kv_heads, int head_dim, int ctx,
                                cache_type type) {
  const int w = type == I8 || type == I16 ? 2 : 1;
  for (const int end = position + rows; position < end; position++, k += ld, v += ld)
    for (int h = 0; h < kv_heads; h++) {
      const float *x = k + h * head_dim;
      float factor = to_integers(k_scales, (size_t)h * ctx + position, x, head_dim, type);
      size_t at = k_offset(h, position, head_dim, ctx) + position % TILE * w;
      ROLLED for (int d = 0; d < head_dim; d++) put(k_cache, at + d / w * (TILE * w) + d % w, x[d], factor, type);

      x = v + h * head_dim;
      factor = to_integers(v_scales, (size_t)h * ctx + position, x, head_dim, type);
      for (int strip = 0; strip < head_dim; strip += TILE) {
        at = v_offset(h, strip, position - position % w, head_dim, ctx) + position % w;
        ROLLED for (int d = strip; d < strip + TILE; d++, at += w)
            put(v_cache, at, d < head_dim ? x[d] : 0.0f, factor, type);
      }
    }
}

EXPORT(kv_store_i8)
void kv_store_i8(int8_t *k_cache, int8_t *v_cache, float *k_scales, float *v_scales, const float *k, const float *v,
                 int32_t rows, int32_t ld, int32_t position, int32_t kv_heads, int32_t head_dim, int32_t ctx) {
  store(k_cache, v_cache, k_scales, v_scales, k, v, rows, ld, position, kv_heads, head_dim, ctx, I8);
}

EXPORT(kv_store_i16)
void kv_store_i16(int16_t *k_cache, int16_t *v_cache, float *k_scales, float *v_scales, const float *k, const float *v,
                  int32_t rows, int32_t ld, int32_t position, int32_t kv_heads, int32_t head_dim, int32_t ctx) {
  store(k_cache, v_cache, k_scales, v_scales, k, v, rows, ld, position, kv_heads, head_dim, ctx, I16);
}

EXPORT(kv_store_bf16)
void kv_store_bf16(uint16_t *k_cache, uint16_t *v_cache, const float *k, const float *v, int32_t rows, int32_t ld,
                   int32_t position, int32_t kv_heads, int32_t head_dim, int32_t ctx) {
  store(k_cache, v_cache, 0, 0, k, v, rows, ld, position, kv_heads, head_dim, ctx, BF16);
}

EXPORT(kv_store_f32)
void kv_store_f32(float *k_cache, float *v_cache, const float *k, const float *v, int32_t rows, int32_t ld,
                  int32_t position, int32_t kv_heads, int32_t head_dim, int32_t ctx) {
  store(k_cache, v_cache, 0, 0, k, v, rows, ld, position, kv_heads, head_dim, ctx, F32);
}
