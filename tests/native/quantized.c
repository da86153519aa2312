#include "quantized.h"

activation_row quantize_naively(const float *x, int cols) {
  const int blocks = cols / BLOCK;
  activation_row row = {cols, fresh(cols), fresh_floats(blocks), fresh(blocks * 4)};
  for (int b = 0; b < blocks; b++) {
    float most = 0;
    for (int k = 0; k < BLOCK; k++)
      most = fmaxf(most, fabsf(x[b * BLOCK + k]));
    const float inverse = most >= 0x1p-100f ? 127.0f / most : 0;
    row.scales[b] = most / 127.0f;
    row.sums[b] = 0;
    for (int k = 0; k < BLOCK; k++) {
      const int q = nearest(x[b * BLOCK + k] * inverse);
      row.q[b * BLOCK + k] = (int8_t)q;
      row.sums[b] += q;
    }
  }
  return row;
}

static int is_tile(int layout) { return layout == TILE_BYTES || layout == TILE_WORDS; }
static int value_bytes(int layout) { return layout == BYTES || layout == TILE_BYTES ? 1 : 2; }

size_t activation_bytes(int layout, int rows, int cols) {
  return (size_t)(is_tile(layout) ? (rows + 3) / 4 * 4 : rows) * (cols / BLOCK) * (12 + BLOCK * value_bytes(layout));
}

// The place of column k among the int16 of its 4 columns: 0 2 1 3.
static int even_first(int k) { return k % 4 == 1 ? 2 : k % 4 == 2 ? 1 : k % 4; }

static void place_in_tile(uint8_t *a, const activation_row *from, int row, int layout) {
  const int blocks = from->cols / BLOCK, m = row % 4, block_bytes = 32 + 4 * BLOCK * value_bytes(layout);
  uint8_t *tile = a + (size_t)(row / 4) * blocks * (16 + block_bytes);
  for (int b = 0; b < blocks; b++) {
    uint8_t *block = tile + blocks * 16 + b * block_bytes;
    ((float *)tile)[4 * b + m] = from->scales[b] * (float)from->sums[b];
    ((float *)block)[m] = from->scales[b];
    ((int32_t *)block)[4 + m] = from->sums[b];
    for (int k = 0; k < BLOCK; k++) {
      const int8_t q = from->q[b * BLOCK + k];
      if (layout == TILE_BYTES)
        block[32 + k / 4 * 16 + m * 4 + k % 4] = (uint8_t)q;
      else
        ((int16_t *)(block + 32))[(k / 4 * 2 + even_first(k) / 2) * 8 + m * 2 + even_first(k) % 2] = q;
    }
  }
}

void place_row(uint8_t *a, const activation_row *from, int row, int layout) {
  if (is_tile(layout)) {
    place_in_tile(a, from, row, layout);
    return;
  }
  const int blocks = from->cols / BLOCK;
  float *scaled_sums = (float *)(a + row * activation_bytes(layout, 1, from->cols)), *scales = scaled_sums + blocks;
  int32_t *sums = (int32_t *)(scales + blocks);
  int8_t *bytes = (int8_t *)(sums + blocks);
  int16_t *words = (int16_t *)bytes;
  for (int b = 0; b < blocks; b++) {
    scaled_sums[b] = from->scales[b] * (float)from->sums[b];
    scales[b] = from->scales[b];
    sums[b] = from->sums[b];
    for (int k = 0; k < BLOCK; k++) {
      const int q = from->q[b * BLOCK + k], place = even_first(k);
      if (layout == BYTES)
        bytes[b * BLOCK + k] = (int8_t)q;
      else if (layout == WORDS)
        words[b * BLOCK + k / 4 * 4 + place] = (int16_t)q;
      else if (k < 16)
        words[b * BLOCK + k / 4 * 8 + place] = (int16_t)(q * (place < 2 ? 256 : 1));
      else
        words[b * BLOCK + (k - 16) / 4 * 8 + 4 + place] = (int16_t)(q * (place < 2 ? 16 : 256));
    }
  }
}

const quantized_form FORMS[4] = {{"q4", 256, 8, 0}, {"q4m", 256, 0, 1}, {"q6m", 384, 0, 1}, {"q8", 512, 128, 0}};

static size_t block_bytes(const quantized_form *form) { return 32 + (form->has_minimum ? 32 : 0) + form->codes_bytes; }

enum { HEADER_BYTES = 32 }; // exponents of 16 rows' scales, then of their minima

size_t panel_bytes(const quantized_form *form, int cols) { return HEADER_BYTES + block_bytes(form) * (cols / BLOCK); }

uint8_t *random_panels(const quantized_form *form, int rows, int cols) {
  const size_t panel = panel_bytes(form, cols), bytes = panel * (rows / 16);
  uint8_t *w = fresh(bytes);
  const int numbers = form->has_minimum ? 32 : 16;
  const int extreme = random_int(0, 3) == 0; // all codes at their largest: sums at their largest
  for (size_t start = 0; start < bytes; start += panel) {
    for (int i = 0; i < HEADER_BYTES; i++)
      w[start + i] = (uint8_t)(random_int(0, 9) ? random_int(-26, -19) : random_int(-126, 40)); // kernels take any
    for (size_t block = start + HEADER_BYTES; block < start + panel; block += block_bytes(form)) {
      for (int i = 0; i < numbers; i++)
        ((int16_t *)(w + block))[i] = (int16_t)random_int(-32767, 32767);
      for (int i = 2 * numbers; i < (int)block_bytes(form); i++)
        w[block + i] = extreme ? 0xff : (uint8_t)random_bits();
    }
  }
  return w;
}

static int code_at(const quantized_form *form, const uint8_t *codes, int row, int k) {
  const int v = row / 4, r = row % 4, j = k % 4;
  if (form->codes_bytes == 256) {
    const int byte = codes[64 * (k % 16 / 4) + 16 * v + 4 * r + j];
    return k < 16 ? byte & 15 : byte >> 4;
  }
  if (form->codes_bytes == 512)
    return codes[64 * (k / 4) + 16 * v + 4 * r + j];
  const uint8_t *half = codes + 96 * v + 48 * (k / 16) + 4 * r + j;
  const int i = k % 16 / 4;
  if (i < 3)
    return half[16 * i] & 63;
  return half[0] >> 6 | half[16] >> 6 << 2 | half[32] >> 6 << 4;
}

weight weight_at(const quantized_form *form, const uint8_t *w, int cols, int row, int col) {
  const int8_t *header = (const int8_t *)(w + row / 16 * panel_bytes(form, cols));
  const int16_t *numbers = (const int16_t *)(header + HEADER_BYTES + col / BLOCK * block_bytes(form));
  weight found = {.d_unit = ldexpf(1, header[row % 16]), .m_unit = ldexpf(1, header[16 + row % 16])};
  if (form->has_minimum) {
    found.m = numbers[row % 16];
    numbers += 16;
  }
  found.d = numbers[row % 16];
  found.q = code_at(form, (const uint8_t *)(numbers + 16), row % 16, col % BLOCK) - form->zero_point;
  return found;
}
