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

block_places places_of(int layout, int row, int block, int cols) {
  const size_t blocks = cols / BLOCK, bytes = value_bytes(layout);
  if (!is_tile(layout)) {
    const size_t start = row * activation_bytes(layout, 1, cols);
    return (block_places){.scaled_sum = start + 4 * block,
                          .scale = start + 4 * (blocks + block),
                          .sum = start + 4 * (2 * blocks + block),
                          .values = start + 12 * blocks + block * BLOCK * bytes,
                          .stride = BLOCK / 4 * bytes,
                          .length = BLOCK / 4 * bytes};
  }
  const size_t m = row % 4, block_bytes = 32 + 4 * BLOCK * bytes, tile = row / 4 * blocks * (16 + block_bytes);
  const size_t start = tile + 16 * blocks + block * block_bytes;
  return (block_places){.scaled_sum = tile + 16 * block + 4 * m,
                        .scale = start + 4 * m,
                        .sum = start + 16 + 4 * m,
                        .values = start + 32 + 4 * m,
                        .stride = 16,
                        .length = 4};
}

const quantized_form FORMS[5] = {
    {"q4", 256, 8, 0, 0}, {"q4m", 256, 0, 1, 0}, {"q6m", 384, 0, 1, 0}, {"q8", 512, 128, 0, 0}, {"q4s", 256, 0, 1, 1},
};

// Bytes of 16 scales, or of 16 minima.
static int scales_bytes(const quantized_form *form) { return form->has_short_scales ? 16 : 32; }

static size_t block_bytes(const quantized_form *form) {
  return scales_bytes(form) * (form->has_minimum ? 2 : 1) + form->codes_bytes;
}

enum { HEADER_BYTES = 32 }; // exponents of 16 rows' scales, then of their minima

size_t panel_bytes(const quantized_form *form, int cols) { return HEADER_BYTES + block_bytes(form) * (cols / BLOCK); }

uint8_t *random_panels(const quantized_form *form, int rows, int cols) {
  const size_t panel = panel_bytes(form, cols), bytes = panel * (rows / 16);
  uint8_t *w = fresh(bytes);
  const int numbers_bytes = scales_bytes(form) * (form->has_minimum ? 2 : 1);
  const int extreme = random_int(0, 3) == 0; // all codes at their largest: sums at their largest
  for (size_t start = 0; start < bytes; start += panel) {
    for (int i = 0; i < HEADER_BYTES; i++)
      w[start + i] = (uint8_t)(random_int(0, 9) ? random_int(-26, -19) : random_int(-126, 40)); // kernels take any
    for (size_t block = start + HEADER_BYTES; block < start + panel; block += block_bytes(form)) {
      for (int i = 0; i < numbers_bytes / 2; i++) // two of q4s at a time
        ((int16_t *)(w + block))[i] = (int16_t)random_int(-32767, 32767);
      for (int i = numbers_bytes; i < (int)block_bytes(form); i++)
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
  const int8_t *minima = header + HEADER_BYTES + col / BLOCK * block_bytes(form);
  const int8_t *scales = minima + (form->has_minimum ? scales_bytes(form) : 0);
  weight found = {.d_unit = ldexpf(1, header[row % 16]), .m_unit = ldexpf(1, header[16 + row % 16])};
  if (form->has_minimum)
    found.m = form->has_short_scales ? minima[row % 16] : ((const int16_t *)minima)[row % 16];
  found.d = form->has_short_scales ? (uint8_t)scales[row % 16] : ((const int16_t *)scales)[row % 16];
  found.q = code_at(form, (const uint8_t *)scales + scales_bytes(form), row % 16, col % BLOCK) - form->zero_point;
  return found;
}
