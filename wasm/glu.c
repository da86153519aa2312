// y = activation(gate) * up, for the activations that swiglu.c does not have.
//
//   y        (rows, ffn) f32
//   gate_up  (rows, ld) f32         gate in columns [0, ffn), up in [up_offset, up_offset + ffn)
//
// `kind` is the order of ACTIVATION_KINDS in src/backends/wasm/lower.ts.
#include "exp.h"

enum { QUICK_GELU, GELU_TANH, GELU, RELU, RELU2, SIGMOID, LINEAR };

// Loaded, one each: a vector constant takes 18 bytes of code.
static const float CONSTANTS[] = {0, 0.5f, 4, -4, 0.70710678f, 1.702f, 1.5957691216f, 0.0713548163f};
enum { ZERO, HALF, PLUS_FOUR, MINUS_FOUR, SQRT_HALF, QUICK_SLOPE, TANH_SLOPE, TANH_CUBE };

static ALWAYS_INLINE v128_t constant(int32_t which) { return wasm_v128_load32_splat(opaque_table(CONSTANTS) + which); }

static __attribute__((noinline)) v128_t sigmoid(v128_t x) {
  const exp_constants c = load_exp();
  const v128_t s = wasm_f32x4_div(c.one, wasm_f32x4_add(c.one, exp_f32x4(wasm_f32x4_neg(x), &c)));
  return wasm_v128_or(s, wasm_f32x4_ne(x, x)); // the clamps of e^x lose NaN
}

// Of erf(z) / z over z^2, highest power first: a rational function of Eigen, within 3e-7 of erf for |z| <= 4, beyond which
// erf is 1 in f32.
static const float ERF_TOP[] = {-2.72614225801306e-10f, 2.77068142495902e-08f, -2.10102402082508e-06f, -5.69250639462346e-05f,
                                -7.34990630326855e-04f, -2.95459980854025e-03f, -1.60960333262415e-02f};
static const float ERF_BOTTOM[] = {-1.45660718464996e-05f, -2.13374055278905e-04f, -1.68282697438203e-03f,
                                   -7.37332916720468e-03f, -1.42647390514189e-02f};

static __attribute__((noinline)) v128_t polynomial(v128_t x, const float *coefficients, int32_t count) {
  v128_t p = wasm_v128_load32_splat(coefficients);
  ROLLED for (int32_t i = 1; i < count; i++) p = wasm_f32x4_add(wasm_f32x4_mul(p, x), wasm_v128_load32_splat(coefficients + i));
  return p;
}

static v128_t erf_f32x4(v128_t x) {
  const v128_t z = wasm_f32x4_pmax(wasm_f32x4_pmin(x, constant(PLUS_FOUR)), constant(MINUS_FOUR)); // in this order NaN stays NaN
  const v128_t square = wasm_f32x4_mul(z, z);
  return wasm_f32x4_div(wasm_f32x4_mul(z, polynomial(square, ERF_TOP, 7)), polynomial(square, ERF_BOTTOM, 5));
}

static __attribute__((noinline)) v128_t activate(v128_t x, int32_t kind) {
  switch (kind) {
  case QUICK_GELU:
    return wasm_f32x4_mul(x, sigmoid(wasm_f32x4_mul(x, constant(QUICK_SLOPE))));
  case GELU_TANH: { // (1 + tanh(u)) / 2 is the sigmoid of 2u: 2 sqrt(2 / pi), and that times 0.044715
    const v128_t slope = wasm_f32x4_add(constant(TANH_SLOPE), wasm_f32x4_mul(constant(TANH_CUBE), wasm_f32x4_mul(x, x)));
    return wasm_f32x4_mul(x, sigmoid(wasm_f32x4_mul(x, slope)));
  }
  case GELU: {
    const v128_t half = wasm_f32x4_mul(x, constant(HALF));
    return wasm_f32x4_add(half, wasm_f32x4_mul(half, erf_f32x4(wasm_f32x4_mul(x, constant(SQRT_HALF)))));
  }
  case RELU:
    return wasm_f32x4_pmax(x, constant(ZERO));
  case RELU2: {
    const v128_t positive = wasm_f32x4_pmax(x, constant(ZERO));
    return wasm_f32x4_mul(positive, positive);
  }
  case SIGMOID:
    return sigmoid(x);
  default:
    return x;
  }
}

EXPORT(glu)
void glu(float *y, const float *gate_up, int32_t rows, int32_t ffn, int32_t up_offset, int32_t ld, int32_t kind) {
  for (int32_t row = 0; row < rows; row++, y += ffn, gate_up += ld) {
    const float *up = gate_up + up_offset;
    int32_t k = 0;
    ROLLED for (; k + 4 <= ffn; k += 4) {
      wasm_v128_store(y + k, wasm_f32x4_mul(activate(wasm_v128_load(gate_up + k), kind), wasm_v128_load(up + k)));
    }
    ROLLED for (; k < ffn; k++) {
      y[k] = wasm_f32x4_extract_lane(activate(wasm_v128_load32_zero(gate_up + k), kind), 0) * up[k];
    }
  }
}
