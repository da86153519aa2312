// Rotates query or key heads by their position, in place: (a, b) becomes (a cos - b sin, b cos + a sin) for elements i
// and i + head_dim / 2 of each head (the half layout of Hugging Face checkpoints).
//
//   x (rows, heads, head_dim) f32, rows ldx apart     cos, sin (positions, head_dim / 2), from rope_table(); row r uses
//   position + r
//
// head_dim is even.
#include "kernel.h"

EXPORT(rope)
void rope(float *x, int32_t rows, int32_t ldx, int32_t heads, int32_t head_dim, int32_t position, const float *cos,
          const float *sin) {
  const int half = head_dim / 2;
  cos += (uint32_t)position * (uint32_t)half;
  sin += (uint32_t)position * (uint32_t)half;
  for (int r = 0; r < rows; r++, x += ldx, cos += half, sin += half)
    for (int h = 0; h < heads; h++) {
      float *low = x + h * head_dim, *high = low + half;
      int i = 0;
      ROLLED for (; i + 4 <= half; i += 4) {
        const v128_t a = wasm_v128_load(low + i), b = wasm_v128_load(high + i);
        const v128_t c = wasm_v128_load(cos + i), s = wasm_v128_load(sin + i);
        wasm_v128_store(low + i, wasm_f32x4_sub(wasm_f32x4_mul(a, c), wasm_f32x4_mul(b, s)));
        wasm_v128_store(high + i, wasm_f32x4_add(wasm_f32x4_mul(b, c), wasm_f32x4_mul(a, s)));
      }
      ROLLED for (; i < half; i++) {
        const float a = low[i], b = high[i];
        low[i] = a * cos[i] - b * sin[i];
        high[i] = b * cos[i] + a * sin[i];
      }
    }
}
