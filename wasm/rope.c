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
  for (int r = 0; r < rows; r++) {
    const uint32_t angles = (uint32_t)(position + r) * (uint32_t)half;
    for (int h = 0; h < heads; h++) {
      float *low = x + r * ldx + h * head_dim, *high = low + half;
      const float *c = cos + angles, *s = sin + angles;
      int left = half;
      ROLLED for (; left >= 4; left -= 4, low += 4, high += 4, c += 4, s += 4) {
        const v128_t a = wasm_v128_load(low), b = wasm_v128_load(high), vc = wasm_v128_load(c), vs = wasm_v128_load(s);
        wasm_v128_store(low, wasm_f32x4_sub(wasm_f32x4_mul(a, vc), wasm_f32x4_mul(b, vs)));
        wasm_v128_store(high, wasm_f32x4_add(wasm_f32x4_mul(b, vc), wasm_f32x4_mul(a, vs)));
      }
      _Pragma("clang loop vectorize(disable) unroll(disable)") while (left--) {
        const float a = *low, b = *high;
        *low++ = a * *c - b * *s;
        *high++ = b * *c++ + a * *s++;
      }
    }
  }
}
