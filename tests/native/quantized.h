// Quantized activations and weight panels by their definitions (wasm/activation.h, src/pack/forms.ts), element by
// element.
#pragma once
#include "check.h"

enum { BLOCK = 32 };
enum { BYTES, NIBBLES, WORDS, TILE_BYTES, TILE_WORDS, LAYOUTS }; // in the order of wasm/activation.h

// One row of activations.
typedef struct {
  int cols;
  int8_t *q;     // (cols,)
  float *scales; // (cols / 32,)
  int32_t *sums; // (cols / 32,)
} activation_row;

activation_row quantize_naively(const float *x, int cols);

size_t activation_bytes(int layout, int rows, int cols);

// Puts a row where a kernel reads it.
void place_row(uint8_t *a, const activation_row *from, int row, int layout);

// Where the numbers of one row's block lie; its values in 4 pieces of `length` bytes, `stride` apart.
typedef struct {
  size_t scale, scaled_sum, sum, values, stride, length;
} block_places;
block_places places_of(int layout, int row, int block, int cols);

typedef struct {
  const char *name;
  int codes_bytes, zero_point, has_minimum, has_short_scales;
} quantized_form;

extern const quantized_form FORMS[5]; // q4, q4m, q6m, q8, q4s

size_t panel_bytes(const quantized_form *form, int cols);
uint8_t *random_panels(const quantized_form *form, int rows, int cols);

// One weight: its integer, scale and minimum as stored, and the powers of two that the row's are multiples of.
typedef struct {
  int q, d, m;
  float d_unit, m_unit;
} weight;
weight weight_at(const quantized_form *form, const uint8_t *w, int cols, int row, int col);
