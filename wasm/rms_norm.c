// y[t] = x[t] / rms(x[t]) * weight, with rms(x) = sqrt(mean(x^2) + eps).
//
//   y, x    (rows, dim) f32         y may be x
//   weight  (dim,) f32
//
// The float order: squares summed in 8 lanes (column mod 8), lane i + lane i+4, then sum_lanes();
// 1 / sqrt; (x * r) * weight. Columns past dim count as zeros, which change no sum.

#include "activation.h"

// Up to 4 floats; the lanes from `count` on are 0.
static inline v128_t load_partial(const float *x, int32_t count) {
  float lanes[4] = {0, 0, 0, 0};
  for (int32_t i = 0; i < count && i < 4; i++) lanes[i] = x[i];
  return wasm_v128_load(lanes);
}

static float inverse_rms(const float *x, int32_t dim, float eps) {
  v128_t even = wasm_f32x4_const_splat(0), odd = even;
  const int32_t whole = dim & ~7;
  for (int32_t k = 0; k < whole; k += 8) {
    const v128_t a = wasm_v128_load(x + k), b = wasm_v128_load(x + k + 4);
    even = wasm_f32x4_add(even, wasm_f32x4_mul(a, a));
    odd = wasm_f32x4_add(odd, wasm_f32x4_mul(b, b));
  }
  if (whole < dim) {
    const v128_t a = load_partial(x + whole, dim - whole), b = load_partial(x + whole + 4, dim - whole - 4);
    even = wasm_f32x4_add(even, wasm_f32x4_mul(a, a));
    odd = wasm_f32x4_add(odd, wasm_f32x4_mul(b, b));
  }
  const float mean = sum_lanes(wasm_f32x4_add(even, odd)) / (float)dim;
  return 1.0f / __builtin_sqrtf(mean + eps);
}

static void rms_norm_row(float *y, const float *x, const float *weight, int32_t dim, float eps) {
  const float r = inverse_rms(x, dim, eps);
  const v128_t r4 = wasm_f32x4_splat(r);
  int32_t k = 0;
  for (; k + 4 <= dim; k += 4) {
    wasm_v128_store(y + k, wasm_f32x4_mul(wasm_f32x4_mul(wasm_v128_load(x + k), r4), wasm_v128_load(weight + k)));
  }
  for (; k < dim; k++) y[k] = (x[k] * r) * weight[k];
}

EXPORT(rms_norm)
void rms_norm(float *y, const float *x, const float *weight, int32_t rows, int32_t dim, float eps) {
  for (int32_t row = 0; row < rows; row++, y += dim, x += dim) rms_norm_row(y, x, weight, dim, eps);
}

// a = quantize(rms_norm(x)); scratch_row (dim,) f32.
EXPORT(rms_norm_quantize)
void rms_norm_quantize(uint8_t *a, float *scratch_row, const float *x, const float *weight, int32_t rows,
                       int32_t dim, float eps, int32_t layout) {
  for (int32_t row = 0; row < rows; row++, x += dim) {
    rms_norm_row(scratch_row, x, weight, dim, eps);
    quantize_row(a, scratch_row, row, dim, layout);
  }
}
