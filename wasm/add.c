// y += x, element by element, and y[t] += bias for every row.
//
//   y     (n,) or (tokens, ldy >= cols) f32
//   x     (n,) f32
//   bias  (cols,) f32

#include "kernel.h"

EXPORT(add)
void add(float *y, const float *x, int32_t n) {
  int32_t i = 0;
  for (; i + 4 <= n; i += 4) wasm_v128_store(y + i, wasm_f32x4_add(wasm_v128_load(y + i), wasm_v128_load(x + i)));
  for (; i < n; i++) y[i] += x[i];
}

EXPORT(add_bias)
void add_bias(float *y, const float *bias, int32_t tokens, int32_t cols, int32_t ldy) {
  for (int32_t t = 0; t < tokens; t++) add(y + t * ldy, bias, cols);
}
