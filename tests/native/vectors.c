// add, add_bias, argmax, rms_norm, swiglu, glu, and the rotary kernels.
#include "check.h"
#include <float.h>

enum { CASES = 60 };

static void test_add(void) {
  seed("add");
  for (int i = 0; i < CASES; i++) {
    const int tokens = random_size(5, 40), cols = random_size(70, 900), ldy = cols + random_int(0, 5);
    begin("add_bias tokens %d cols %d ldy %d", tokens, cols, ldy);
    const size_t count = (size_t)(tokens - 1) * ldy + cols;
    float *y = any_floats(count, 3), *expected = fresh_floats(count), *bias = any_floats(cols, 2);
    memcpy(expected, y, count * 4);
    for (int t = 0; t < tokens; t++)
      for (int c = 0; c < cols; c++)
        expected[t * ldy + c] += bias[c];
    add_bias(y, bias, tokens, cols, ldy);
    check_floats(y, expected, count, "y");
    begin("add n %d", cols);
    float *a = any_floats(cols, 3), *b = any_floats(cols, 3), *sum = fresh_floats(cols);
    for (int c = 0; c < cols; c++)
      sum[c] = a[c] + b[c];
    add(a, b, cols);
    check_floats(a, sum, cols, "y");
    digest("add", "", a, cols * 4);
  }
}

static void test_argmax(void) {
  seed("argmax");
  for (int i = 0; i < CASES; i++) {
    const int n = random_size(70, 5000);
    begin("argmax n %d", n);
    float *x = random_floats(n, 4);
    for (int k = 0; k < n; k++) { // ties, and what no arg max may choose
      x[k] = rintf(x[k]);
      if (i % 3 == 0 && random_int(0, 4) == 0)
        x[k] = NAN;
      if (i % 7 == 0)
        x[k] = -INFINITY;
    }
    int best = -1;
    for (int k = 0; k < n; k++)
      if (!isnan(x[k]) && (best < 0 || x[k] > x[best]))
        best = k;
    check_true(argmax(x, n) == (best < 0 ? 0 : best), "index");
  }
}

static void test_rms_norm(void) {
  seed("rms_norm");
  for (int i = 0; i < CASES; i++) {
    const int rows = random_size(4, 20), dim = random_size(100, 1200);
    const float eps = i % 2 ? 1e-5f : 1e-6f;
    begin("rms_norm rows %d dim %d", rows, dim);
    float *x = any_floats((size_t)rows * dim, 5), *weight = any_floats(dim, 2);
    float *y = fresh_floats((size_t)rows * dim), *expected = fresh_floats((size_t)rows * dim);
    for (int r = 0; r < rows; r++) {
      const float *row = x + r * dim;
      float lanes[8] = {0};
      for (int k = 0; k < dim; k++)
        lanes[k % 8] += row[k] * row[k];
      for (int l = 0; l < 4; l++)
        lanes[l] += lanes[l + 4];
      const float mean = ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) / (float)dim;
      const float inverse = 1.0f / sqrtf(mean + eps);
      for (int k = 0; k < dim; k++)
        expected[r * dim + k] = row[k] * inverse * weight[k];
    }
    rms_norm(y, x, weight, rows, dim, eps);
    check_floats(y, expected, (size_t)rows * dim, "y");
    digest("rms_norm", "", y, (size_t)rows * dim * 4);
    rms_norm(x, x, weight, rows, dim, eps); // y may be x
    check_floats(x, expected, (size_t)rows * dim, "y in place");
  }
}

// A gate times a number: a NaN in either shows; what infinities and overflow give is not promised.
static void check_gated(float y, double gate, double up, double exact, double tolerance) {
  if (isnan(gate) || isnan(up))
    check_true(isnan(y), "a NaN that goes on");
  else if (fabs(exact) + tolerance < FLT_MAX) // false for NaN too
    check_near(y, exact, tolerance, "y");
}

// Each activation of glu.c: sizes and bounds; values are compared with the reference's in TypeScript.
static void test_glu(void) {
  seed("glu");
  for (int i = 0; i < CASES; i++) {
    const int rows = random_size(4, 12), ffn = random_size(70, 700), up = ffn + random_int(0, 5),
              ld = up + ffn + random_int(0, 3), kind = i % 7;
    begin("glu %d rows %d ffn %d up %d ld %d", kind, rows, ffn, up, ld);
    float *x = any_floats((size_t)(rows - 1) * ld + up + ffn, 6), *y = fresh_floats((size_t)rows * ffn);
    glu(y, x, rows, ffn, up, ld, kind);
    for (int r = 0; r < rows; r++)
      for (int k = 0; k < ffn; k++) {
        const double gate = x[r * ld + k], other = x[r * ld + up + k];
        const double s = 1 / (1 + exp(-gate)), slope = 1.5957691216 + 0.0713548163 * gate * gate;
        const double values[] = {gate / (1 + exp(-1.702 * gate)), gate / (1 + exp(-gate * slope)),
                                 gate / 2 * (1 + erf(gate / sqrt(2))), fmax(gate, 0), fmax(gate, 0) * fmax(gate, 0), s, gate};
        if (fabs(values[kind]) > FLT_MAX) // ReLU's square, before the product that may make it small again
          continue;
        check_gated(y[r * ffn + k], gate, other, values[kind] * other,
                    (fabs(values[kind]) * 4e-6 + 1e-5) * fabs(other) + fabs(gate * other) / 2.2e38 * 1.01 + 1e-30);
      }
    digest("glu", "", y, (size_t)rows * ffn * 4);
  }
}

static void test_swiglu(void) {
  seed("swiglu");
  for (int i = 0; i < CASES; i++) {
    const int rows = random_size(4, 12), ffn = random_size(70, 700), up = ffn + random_int(0, 5),
              ld = up + ffn + random_int(0, 3);
    begin("swiglu rows %d ffn %d up %d ld %d", rows, ffn, up, ld);
    float *x = any_floats((size_t)(rows - 1) * ld + up + ffn, i % 5 ? 6 : 200),
          *y = fresh_floats((size_t)rows * ffn);
    swiglu(y, x, rows, ffn, up, ld);
    for (int r = 0; r < rows; r++)
      for (int k = 0; k < ffn; k++) {
        const double gate = x[r * ld + k], exact = gate / (1 + exp(-gate)) * x[r * ld + up + k];
        // 2e-7 of the exponential, half a unit each of sum, quotient and product; e^-x is clamped at e^88.3 = 2.2e38
        const double clamped = fabs(gate * x[r * ld + up + k]) / 2.2e38;
        const double subnormal = (fabs(x[r * ld + up + k]) + 8) * 1.5e-45; // units of an intermediate result, and of the last
        check_gated(y[r * ffn + k], gate, x[r * ld + up + k], exact, fabs(exact) * 4e-7 + clamped * 1.01 + subnormal);
      }
    digest("swiglu", "", y, (size_t)rows * ffn * 4);
  }
}

static void test_rope_table(void) {
  seed("rope_table");
  for (int i = 0; i < CASES; i++) {
    const int half = random_size(9, 128), start = random_int(0, is_random ? 400 : 5), end = start + random_int(0, 40);
    const float scale = i % 2 ? 1.0f : 1.25f;
    begin("rope_table half %d positions %d to %d", half, start, end);
    double *frequencies = fresh(half * sizeof(double));
    for (int k = 0; k < half; k++)
      frequencies[k] = fabs(random_float(1)) * (k % 3 ? 1.0 : 100000.0);
    const size_t count = (size_t)end * half;
    float *c = fresh_floats(count), *s = fresh_floats(count);
    const float untouched = *fresh_floats(1);
    rope_table(c, s, frequencies, half, start, end, scale);
    for (int p = 0; p < end; p++)
      for (int k = 0; k < half; k++) {
        const float angle = (float)p * (float)frequencies[k];
        const double exact_cos = p < start ? untouched : cos(angle) * scale,
                     exact_sin = p < start ? untouched : sin(angle) * scale;
        check_near(c[p * half + k], exact_cos, fabs(exact_cos) * 0x1p-23 + 1e-14, "cos");
        check_near(s[p * half + k], exact_sin, fabs(exact_sin) * 0x1p-23 + 1e-14, "sin");
      }
    digest("rope_table", "", c, count * 4);
  }
}

static void test_rotation(void) {
  seed("rope");
  for (int i = 0; i < CASES; i++) {
    const int rows = random_size(4, 12), heads = random_size(4, 9), half = random_size(20, 128), dim = 2 * half;
    const int ldx = heads * dim + random_int(0, 4), position = random_int(0, is_random ? 60 : 6);
    begin("rope rows %d heads %d head_dim %d position %d", rows, heads, dim, position);
    const size_t count = (size_t)(rows - 1) * ldx + heads * dim, table = (size_t)(position + rows) * half;
    float *x = any_floats(count, 3), *c = random_floats(table, 1), *s = random_floats(table, 1),
          *expected = fresh_floats(count);
    memcpy(expected, x, count * 4);
    for (int r = 0; r < rows; r++)
      for (int h = 0; h < heads; h++)
        for (int k = 0; k < half; k++) {
          float *low = expected + r * ldx + h * dim + k, *high = low + half;
          const float a = *low, b = *high, cosine = c[(position + r) * half + k], sine = s[(position + r) * half + k];
          *low = a * cosine - b * sine;
          *high = b * cosine + a * sine;
        }
    rope(x, rows, ldx, heads, dim, position, c, s);
    check_floats(x, expected, count, "x");
    digest("rope", "", x, count * 4);
  }
}

void test_vectors(void) {
  test_add();
  test_argmax();
  test_rms_norm();
  test_swiglu();
  test_glu();
}

void test_rope(void) {
  test_rope_table();
  test_rotation();
}
