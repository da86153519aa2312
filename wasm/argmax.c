// The index of the largest of n floats. The lowest index wins a tie; NaN never wins; 0 when nothing can.
//
//   x  (n,) f32
//
// Two passes, both vectors: the largest value, then the first place that holds it.

#include "kernel.h"

// pmax(a, b) is a < b ? b : a, so a NaN in b is passed over.
static float largest(const float *x, int32_t n) {
  v128_t most[2] = {wasm_f32x4_const_splat(-__builtin_inff()), wasm_f32x4_const_splat(-__builtin_inff())};
  int32_t i = 0;
  for (; i + 8 <= n; i += 8) {
    most[0] = wasm_f32x4_pmax(most[0], wasm_v128_load(x + i));
    most[1] = wasm_f32x4_pmax(most[1], wasm_v128_load(x + i + 4));
  }
  float best = max_lanes(wasm_f32x4_pmax(most[0], most[1]));
  for (; i < n; i++) best = best < x[i] ? x[i] : best;
  return best;
}

EXPORT(argmax)
int32_t argmax(const float *x, int32_t n) {
  const float best = largest(x, n);
  const v128_t best4 = wasm_f32x4_splat(best);
  int32_t i = 0;
  for (; i + 4 <= n; i += 4) {
    const v128_t equal = wasm_f32x4_eq(wasm_v128_load(x + i), best4);
    if (wasm_v128_any_true(equal)) return i + __builtin_ctz(wasm_i32x4_bitmask(equal));
  }
  for (; i < n; i++) {
    if (x[i] == best) return i;
  }
  return 0;
}
