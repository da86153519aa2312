// quantize and its fusions, the matrix products, embed.
#include "quantized.h"

enum { CASES = 40, GEMM_SCRATCH_BLOCK_BYTES = 64 + 64 + 16 * BLOCK * 2 + 64 * 4 };

static int is_finite(const float *x, int count) {
  while (count--)
    if (!isfinite(x[count]))
      return 0;
  return 1;
}

// Blocks with a NaN or an infinity show it in their scale and in scale x sum; the others are what they would be without.
static void test_quantize_any(void) {
  seed("quantize any");
  for (int i = 0; i < CASES && is_random; i++) {
    const int layout = random_int(BYTES, LAYOUTS - 1), rows = random_size(5, 20), cols = BLOCK * random_size(4, 20);
    begin("quantize what is no number, layout %d rows %d cols %d", layout, rows, cols);
    const size_t bytes = activation_bytes(layout, rows, cols);
    float *x = any_floats((size_t)rows * cols, 3), *clean = fresh_floats((size_t)rows * cols);
    uint8_t *a = fresh(bytes), *expected = fresh(bytes);
    for (int block = 0; block < rows * cols; block += BLOCK)
      for (int k = 0; k < BLOCK; k++)
        clean[block + k] = is_finite(x + block, BLOCK) ? x[block + k] : 0;
    quantize(a, x, rows, cols, cols, layout);
    quantize(expected, clean, rows, cols, cols, layout);
    for (int r = 0; r < rows; r++)
      for (int b = 0; b < cols / BLOCK; b++) {
        const block_places at = places_of(layout, r, b, cols);
        float scale, scaled_sum;
        memcpy(&scale, a + at.scale, 4), memcpy(&scaled_sum, a + at.scaled_sum, 4);
        if (!is_finite(x + (size_t)r * cols + b * BLOCK, BLOCK)) {
          check_true(!isfinite(scale) && !isfinite(scaled_sum), "a scale that is no number");
          continue;
        }
        check_bytes(a + at.scale, expected + at.scale, 4, "a scale");
        check_bytes(a + at.scaled_sum, expected + at.scaled_sum, 4, "a scaled sum");
        check_bytes(a + at.sum, expected + at.sum, 4, "a sum");
        for (int k = 0; k < 4; k++)
          check_bytes(a + at.values + k * at.stride, expected + at.values + k * at.stride, at.length, "values");
      }
  }
}

void test_quantize(void) {
  test_quantize_any();
  for (int layout = BYTES; layout < LAYOUTS; layout++) {
    seed("quantize");
    for (int i = 0; i < CASES; i++) {
      const int rows = random_size(9, 30), cols = BLOCK * random_size(6, 30), ldx = cols + random_int(0, 5);
      begin("quantize layout %d rows %d cols %d ldx %d", layout, rows, cols, ldx);
      float *x = random_floats((size_t)(rows - 1) * ldx + cols, i % 9 ? 3 : 1e-36f);
      for (int k = 0; k < BLOCK; k++)
        x[k] = i % 4 ? x[k] : 0;
      const size_t bytes = activation_bytes(layout, rows, cols);
      uint8_t *a = fresh(bytes), *expected = fresh(bytes);
      for (int r = 0; r < rows; r++) {
        const activation_row row = quantize_naively(x + r * ldx, cols);
        place_row(expected, &row, r, layout);
      }
      quantize(a, x, rows, cols, ldx, layout);
      check_bytes(a, expected, bytes, "a");
      if (layout == BYTES)
        digest("quantize", "", a, bytes);

      begin("rms_norm_quantize and swiglu_quantize layout %d rows %d cols %d", layout, rows, cols);
      x = random_floats((size_t)rows * cols, 3);
      float *weight = random_floats(cols, 2), *row = fresh_floats(cols), *y = fresh_floats((size_t)rows * cols);
      a = fresh(bytes), expected = fresh(bytes);
      rms_norm(y, x, weight, rows, cols, 1e-5f);
      quantize(expected, y, rows, cols, cols, layout);
      rms_norm_quantize(a, row, x, weight, rows, cols, 1e-5f, layout);
      check_bytes(a, expected, bytes, "a of rms_norm");
      x = random_floats((size_t)rows * 2 * cols, 3);
      swiglu(y, x, rows, cols, cols, 2 * cols);
      quantize(expected, y, rows, cols, cols, layout);
      swiglu_quantize(a, row, x, rows, cols, cols, 2 * cols, layout);
      check_bytes(a, expected, bytes, "a of swiglu");
    }
  }
}

typedef void gemv(float *, const uint8_t *, const uint8_t *, int32_t, int32_t, int32_t);
typedef void gemm(float *, const uint8_t *, const uint8_t *, uint8_t *, int32_t, int32_t, int32_t, int32_t, int32_t);

typedef struct {
  const char *variant;
  int form, gemv_layout, gemm_layout;
  gemv *gemv;
  gemm *gemm;
} product;

static const product PRODUCTS[] = {
#if RELAXED
    {"dot", 0, BYTES, TILE_BYTES, gemv_q4_dot, gemm_q4_dot},
    {"dot", 1, BYTES, TILE_BYTES, gemv_q4m_dot, gemm_q4m_dot},
    {"dot", 2, BYTES, TILE_BYTES, gemv_q6m_dot, gemm_q6m_dot},
    {"dot", 3, BYTES, TILE_BYTES, gemv_q8_dot, gemm_q8_dot},
    {"dot", 4, BYTES, TILE_BYTES, gemv_q4s_dot, gemm_q4s_dot},
    {"m", 0, BYTES, TILE_BYTES, gemv_q4_m, gemm_q4_m},
    {"m", 1, BYTES, TILE_BYTES, gemv_q4m_m, gemm_q4m_m},
    {"m", 2, BYTES, TILE_BYTES, gemv_q6m_m, gemm_q6m_m},
    {"m", 3, BYTES, TILE_WORDS, gemv_q8_m, gemm_q8_m},
    {"m", 4, BYTES, TILE_BYTES, gemv_q4s_m, gemm_q4s_m},
#else
    {"simd", 0, NIBBLES, TILE_WORDS, gemv_q4_simd, gemm_q4_simd},
    {"simd", 1, NIBBLES, TILE_WORDS, gemv_q4m_simd, gemm_q4m_simd},
    {"simd", 2, WORDS, TILE_WORDS, gemv_q6m_simd, gemm_q6m_simd},
    {"simd", 3, WORDS, TILE_WORDS, gemv_q8_simd, gemm_q8_simd},
    {"simd", 4, NIBBLES, TILE_WORDS, gemv_q4s_simd, gemm_q4s_simd},
#endif
};

// One output, in the order that every variant keeps.
static float multiply(const quantized_form *form, const uint8_t *w, const activation_row *x, int row) {
  float products = 0, minima = 0;
  weight one = {0};
  for (int b = 0; b < x->cols / BLOCK; b++) {
    int dot = 0;
    for (int k = b * BLOCK; k < (b + 1) * BLOCK; k++) {
      one = weight_at(form, w, x->cols, row, k);
      dot += one.q * x->q[k];
    }
    products += (float)dot * (x->scales[b] * (float)one.d);
    minima += x->scales[b] * (float)x->sums[b] * (float)one.m;
  }
  products *= one.d_unit;
  return form->has_minimum ? products + minima * one.m_unit : products;
}

static void test_product(const product *p) {
  const quantized_form *form = FORMS + p->form;
  char kernel[16];
  snprintf(kernel, sizeof kernel, "matmul_%s", form->name);
  seed(kernel);
  for (int i = 0; i < CASES; i++) {
    const int tokens = i % 3 ? 4 * (i % 4 ? random_size(3, 12) : 5) : 1, rows = 16 * random_size(4, 9), cols = BLOCK * random_size(7, 24);
    const int ldy = rows + random_int(0, 4), accumulate = i % 2;
    begin("%s %s tokens %d rows %d cols %d ldy %d accumulate %d", kernel, p->variant, tokens, rows, cols, ldy,
          accumulate);
    const int layout = tokens == 1 ? p->gemv_layout : p->gemm_layout;
    uint8_t *w = random_panels(form, rows, cols), *a = fresh(activation_bytes(layout, tokens, cols));
    const size_t count = (size_t)(tokens - 1) * ldy + rows;
    float *y = random_floats(count, 3), *expected = fresh_floats(count);
    memcpy(expected, y, count * 4);
    float *x = random_floats((size_t)tokens * cols, 2);
    for (int k = 0; i % 5 == 0 && k < tokens * cols; k++)
      x[k] = x[k] < 0 && i % 2 ? -1 : 1; // the largest activations
    for (int t = 0; t < tokens; t++) {
      const activation_row row = quantize_naively(x + t * cols, cols);
      place_row(a, &row, t, layout);
      for (int r = 0; r < rows; r++) {
        const float sum = multiply(form, w, &row, r);
        expected[t * ldy + r] = accumulate ? expected[t * ldy + r] + sum : sum;
      }
    }
    if (tokens == 1)
      p->gemv(y, w, a, rows, cols, accumulate);
    else
      p->gemm(y, w, a, fresh((size_t)cols / BLOCK * GEMM_SCRATCH_BLOCK_BYTES), tokens, rows, cols, ldy, accumulate);
    check_floats(y, expected, count, "y");
    digest(kernel, p->variant, y, count * 4);
  }
}

static void test_float_product(int is_bf16) {
  const char *kernel = is_bf16 ? "matmul_bf16" : "matmul_f32";
  seed(kernel);
  for (int i = 0; i < CASES; i++) {
    const int tokens = random_size(9, 40), rows = 16 * random_size(3, 9), cols = random_size(50, 400);
    const int ldx = cols + random_int(0, 3), ldy = rows + random_int(0, 3), accumulate = i % 2;
    begin("%s tokens %d rows %d cols %d ldx %d ldy %d accumulate %d", kernel, tokens, rows, cols, ldx, ldy, accumulate);
    float *f32 = any_floats((size_t)rows * cols, 1), *x = any_floats((size_t)(tokens - 1) * ldx + cols, 2);
    uint16_t *bf16 = fresh((size_t)rows * cols * 2);
    for (int k = 0; k < rows * cols; k++)
      bf16[k] = nearest_bf16(f32[k]);
    const size_t count = (size_t)(tokens - 1) * ldy + rows;
    float *y = random_floats(count, 3), *expected = fresh_floats(count);
    memcpy(expected, y, count * 4);
    for (int t = 0; t < tokens; t++)
      for (int r = 0; r < rows; r++) {
        float sum = 0;
        for (int k = 0; k < cols; k++) {
          const size_t at = ((size_t)(r / 16) * cols + k) * 16 + r % 16;
          sum += x[t * ldx + k] * (is_bf16 ? bf16_value(bf16[at]) : f32[at]);
        }
        expected[t * ldy + r] = accumulate ? expected[t * ldy + r] + sum : sum;
      }
    if (is_bf16)
      matmul_bf16(y, (const uint8_t *)bf16, x, tokens, rows, cols, ldx, ldy, accumulate);
    else
      matmul_f32(y, (const uint8_t *)f32, x, tokens, rows, cols, ldx, ldy, accumulate);
    check_floats(y, expected, count, "y");
    digest(kernel, "", y, count * 4);
  }
}

void test_matmul(void) {
  for (size_t i = 0; i < sizeof PRODUCTS / sizeof *PRODUCTS; i++)
    test_product(PRODUCTS + i);
  test_float_product(0);
  test_float_product(1);
}

typedef void embedding(float *, const uint8_t *, const int32_t *, int32_t, int32_t);

enum { FORM_COUNT = sizeof FORMS / sizeof *FORMS }; // then bf16 and f32

void test_embed(void) {
  static embedding *const quantized[] = {embed_q4, embed_q4m, embed_q6m, embed_q8, embed_q4s};
  for (int form = 0; form < FORM_COUNT + 2; form++) {
    seed("embed");
    for (int i = 0; i < CASES; i++) {
      const int rows = 16 * random_size(4, 20), cols = BLOCK * random_size(4, 20), tokens = random_size(5, 30);
      begin("embed %s rows %d cols %d tokens %d",
            form < FORM_COUNT    ? FORMS[form].name
            : form == FORM_COUNT ? "bf16"
                                 : "f32",
            rows, cols, tokens);
      int32_t *ids = fresh(tokens * 4);
      for (int t = 0; t < tokens; t++)
        ids[t] = t ? random_int(0, rows - 1) : rows - 1;
      float *x = fresh_floats((size_t)tokens * cols), *expected = fresh_floats((size_t)tokens * cols);
      uint8_t *w = form < FORM_COUNT ? random_panels(FORMS + form, rows, cols)
                            : (uint8_t *)any_floats((size_t)rows * cols / (form == FORM_COUNT ? 2 : 1), 1);
      for (int t = 0; t < tokens; t++)
        for (int k = 0; k < cols; k++) {
          const size_t at = ((size_t)(ids[t] / 16) * cols + k) * 16 + ids[t] % 16;
          float value = form == FORM_COUNT ? bf16_value(((uint16_t *)w)[at]) : 0;
          if (form == FORM_COUNT + 1)
            value = ((float *)w)[at];
          if (form < FORM_COUNT) {
            const weight one = weight_at(FORMS + form, w, cols, ids[t], k);
            value = (float)one.q * ((float)one.d * one.d_unit);
            if (FORMS[form].has_minimum)
              value += (float)one.m * one.m_unit;
          }
          expected[t * cols + k] = value;
        }
      (form < FORM_COUNT ? quantized[form] : form == FORM_COUNT ? embed_bf16 : embed_f32)(x, w, ids, tokens, cols);
      check_floats(x, expected, (size_t)tokens * cols, "x");
    }
  }
}
