// Writes `rows` keys and values at consecutive positions of a KV cache (kv_cache.h).
//
//   k, v (rows, kv_heads, head_dim) f32, rows ld apart
//
// Integer caches: a scale per head vector, its largest magnitude over the type's, and the nearest integers, ties to
// even. bf16: the nearest, ties to even. The dimensions that pad V to whole tiles become zeros.
#include "kv_cache.h"

typedef struct {
  uint8_t *k_cache, *v_cache;
  float *k_scales, *v_scales; // null for float caches
  const float *k, *v;
  int rows, ld, position, kv_heads, head_dim, ctx;
} store_args;

// The integers of x[d] and x[d + 1] in the first two lanes.
static inline v128_t pair_of(const float *x, float factor) {
  return round_to_i32(wasm_f32x4_mul(wasm_v128_load64_zero(x), wasm_f32x4_splat(factor)));
}

// Stores a pair of integers, `stride` elements apart.
static inline void put(uint8_t *to, v128_t pair, int stride, const int narrow) {
  const int32_t first = wasm_i32x4_extract_lane(pair, 0), second = wasm_i32x4_extract_lane(pair, 1);
  if (narrow) {
    to[0] = (uint8_t)first;
    to[stride] = (uint8_t)second;
  } else {
    ((int16_t *)to)[0] = (int16_t)first;
    ((int16_t *)to)[stride] = (int16_t)second;
  }
}

// What takes a head vector to integers of at most `limit`; its scale goes to *scale.
static __attribute__((noinline)) float to_integers(float *scale, const float *x, int head_dim, float limit) {
  const float top = largest(x, head_dim);
  *scale = top / limit;
  return top >= TINY ? limit / top : 0.0f;
}

static __attribute__((noinline)) void store_int(const store_args *a, const int narrow) {
  const float limit = narrow ? I8_MAX : I16_MAX;
  const int bytes = narrow ? 1 : 2, head_dim = a->head_dim;
  for (int row = 0; row < a->rows; row++)
    for (int h = 0; h < a->kv_heads; h++) {
      const int position = a->position + row;
      const size_t scale = (size_t)h * a->ctx + position;
      const float *x = a->k + row * a->ld + h * head_dim;
      float factor = to_integers(a->k_scales + scale, x, head_dim, limit);
      uint8_t *to = a->k_cache + bytes * (k_offset(h, position, head_dim, a->ctx) + position % TILE * 2);
      ROLLED for (int d = 0; d < head_dim; d += 2, to += 16 * bytes) {
        const v128_t pair = pair_of(x + d, factor);
        if (!narrow)
          wasm_v128_store32_lane(to, wasm_i16x8_narrow_i32x4(pair, pair), 0);
        else
          put(to, pair, 1, 1);
      }
      x = a->v + row * a->ld + h * head_dim;
      factor = to_integers(a->v_scales + scale, x, head_dim, limit);
      for (int strip = 0; strip < head_dim; strip += TILE) {
        to = a->v_cache + bytes * (v_offset(h, strip, position & ~1, head_dim, a->ctx) + (position & 1));
        ROLLED for (int d = strip; d < strip + TILE; d += 2, to += 4 * bytes) {
          const v128_t pair = d < head_dim ? pair_of(x + d, factor) : wasm_i32x4_const_splat(0);
          put(to, pair, 2, narrow);
        }
      }
    }
}

static __attribute__((noinline)) void store_float(const store_args *a, const int narrow) {
  const int bytes = narrow ? 2 : 4, head_dim = a->head_dim;
  for (int row = 0; row < a->rows; row++)
    for (int h = 0; h < a->kv_heads; h++) {
      const int position = a->position + row;
      const float *k = a->k + row * a->ld + h * head_dim, *v = a->v + row * a->ld + h * head_dim;
      uint8_t *to = a->k_cache + bytes * (k_offset(h, position, head_dim, a->ctx) + position % TILE);
      ROLLED for (int d = 0; d < head_dim; d++, to += TILE * bytes) {
        if (narrow)
          *(uint16_t *)to = f32_to_bf16(k[d]);
        else
          *(float *)to = k[d];
      }
      for (int strip = 0; strip < head_dim; strip += TILE) {
        to = a->v_cache + bytes * v_offset(h, strip, position, head_dim, a->ctx);
        ROLLED for (int d = strip; d < strip + TILE; d++, to += bytes) {
          const float x = d < head_dim ? v[d] : 0.0f;
          if (narrow)
            *(uint16_t *)to = f32_to_bf16(x);
          else
            *(float *)to = x;
        }
      }
    }
}

EXPORT(kv_store_i8)
void kv_store_i8(int8_t *k_cache, int8_t *v_cache, float *k_scales, float *v_scales, const float *k, const float *v,
                 int32_t rows, int32_t ld, int32_t position, int32_t kv_heads, int32_t head_dim, int32_t ctx) {
  const store_args args = {(uint8_t *)k_cache, (uint8_t *)v_cache, k_scales, v_scales, k, v, rows, ld,
                           position,           kv_heads,           head_dim, ctx};
  store_int(&args, 1);
}

EXPORT(kv_store_i16)
void kv_store_i16(int16_t *k_cache, int16_t *v_cache, float *k_scales, float *v_scales, const float *k, const float *v,
                  int32_t rows, int32_t ld, int32_t position, int32_t kv_heads, int32_t head_dim, int32_t ctx) {
  const store_args args = {(uint8_t *)k_cache, (uint8_t *)v_cache, k_scales, v_scales, k, v, rows, ld,
                           position,           kv_heads,           head_dim, ctx};
  store_int(&args, 0);
}

EXPORT(kv_store_bf16)
void kv_store_bf16(uint16_t *k_cache, uint16_t *v_cache, const float *k, const float *v, int32_t rows, int32_t ld,
                   int32_t position, int32_t kv_heads, int32_t head_dim, int32_t ctx) {
  const store_args args = {(uint8_t *)k_cache, (uint8_t *)v_cache, 0,        0,  k, v, rows, ld,
                           position,           kv_heads,           head_dim, ctx};
  store_float(&args, 1);
}

EXPORT(kv_store_f32)
void kv_store_f32(float *k_cache, float *v_cache, const float *k, const float *v, int32_t rows, int32_t ld,
                  int32_t position, int32_t kv_heads, int32_t head_dim, int32_t ctx) {
  const store_args args = {(uint8_t *)k_cache, (uint8_t *)v_cache, 0,        0,  k, v, rows, ld,
                           position,           kv_heads,           head_dim, ctx};
  store_float(&args, 0);
}
