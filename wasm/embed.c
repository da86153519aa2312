// x[t] = row ids[t] of an embedding matrix, as f32.
//
//   x    (tokens, cols) f32
//   w    panels of 16 rows, in any form of src/pack/forms.ts
//   ids  (tokens,) i32              each in [0, rows)
//
// Quantized forms: (q - zero point) * d, which is exact, plus the minimum where there is one.

#include "panel.h"

typedef enum { FOUR_BITS, SIX_BITS, EIGHT_BITS } code_width;

// The code of row `row` of a panel and column k of a block, byte by byte: vectors would take four times the code for
// one row of a matrix.
static inline int32_t code_at(const uint8_t *codes, int32_t row, int32_t k, code_width width) {
  const int32_t group = k / 4;
  if (width == SIX_BITS) {
    codes += Q6_QUAD_BYTES * (row / 4) + Q6_QUAD_BYTES / 2 * (k / 16) + 4 * (row % 4) + k % 4;
    if (group % 4 < 3) return codes[16 * (group % 4)] & 63;
    return codes[0] >> 6 | codes[16] >> 6 << 2 | codes[32] >> 6 << 4;
  }
  codes += 4 * row + k % 4;
  if (width == EIGHT_BITS) return codes[64 * group];
  const uint8_t pair = codes[64 * (group % 4)];
  return k < 16 ? pair & 15 : pair >> 4;
}

// Where the panel of row `id` starts.
static inline const uint8_t *find_panel(const uint8_t *w, int32_t id, int32_t panel_bytes) {
  return w + (uint32_t)(id / PANEL_ROWS) * (uint32_t)panel_bytes;
}

// One body for the quantized forms: a token reads one row of one panel, so its speed does not matter.
static __attribute__((noinline)) void embed_quantized(float *x, const uint8_t *w, const int32_t *ids, int32_t tokens,
                                                      int32_t cols, code_width width, int32_t zero_point,
                                                      int32_t has_minimum, int32_t scales_bytes) {
  const int32_t codes_bytes = width == FOUR_BITS ? Q4_CODES_BYTES : width == SIX_BITS ? Q6_CODES_BYTES : Q8_CODES_BYTES;
  const int32_t blocks = cols / BLOCK, minima_bytes = has_minimum ? scales_bytes : 0;
  const int32_t block_bytes = minima_bytes + scales_bytes + codes_bytes, is_short = scales_bytes == SHORT_SCALES_BYTES;
  for (int32_t t = 0; t < tokens; t++) {
    const uint8_t *header = find_panel(w, ids[t], PANEL_HEADER_BYTES + blocks * block_bytes);
    const uint8_t *block = header + PANEL_HEADER_BYTES;
    const int32_t row = ids[t] % PANEL_ROWS;
    const float unit = power_of_two((int8_t)header[row]);
    const float minimum_unit = power_of_two((int8_t)header[PANEL_ROWS + row]);
    for (int32_t b = 0; b < blocks; b++, block += block_bytes) {
      const uint8_t *scales = block + minima_bytes, *codes = scales + scales_bytes;
      const float d = (float)(is_short ? scales[row] : ((const int16_t *)scales)[row]) * unit;
      const float m = (float)(is_short ? (int8_t)block[row] : ((const int16_t *)block)[row]) * minimum_unit;
      for (int32_t k = 0; k < BLOCK; k++) {
        const float product = (float)(code_at(codes, row, k, width) - zero_point) * d;
        *x++ = has_minimum ? product + m : product;
      }
    }
  }
}

EXPORT(embed_q4)
void embed_q4(float *x, const uint8_t *w, const int32_t *ids, int32_t tokens, int32_t cols) {
  embed_quantized(x, w, ids, tokens, cols, FOUR_BITS, Q4_ZERO, 0, SCALES_BYTES);
}

EXPORT(embed_q4m)
void embed_q4m(float *x, const uint8_t *w, const int32_t *ids, int32_t tokens, int32_t cols) {
  embed_quantized(x, w, ids, tokens, cols, FOUR_BITS, 0, 1, SCALES_BYTES);
}

EXPORT(embed_q4s)
void embed_q4s(float *x, const uint8_t *w, const int32_t *ids, int32_t tokens, int32_t cols) {
  embed_quantized(x, w, ids, tokens, cols, FOUR_BITS, 0, 1, SHORT_SCALES_BYTES);
}

EXPORT(embed_q6m)
void embed_q6m(float *x, const uint8_t *w, const int32_t *ids, int32_t tokens, int32_t cols) {
  embed_quantized(x, w, ids, tokens, cols, SIX_BITS, 0, 1, SCALES_BYTES);
}

EXPORT(embed_q8)
void embed_q8(float *x, const uint8_t *w, const int32_t *ids, int32_t tokens, int32_t cols) {
  embed_quantized(x, w, ids, tokens, cols, EIGHT_BITS, Q8_ZERO, 0, SCALES_BYTES);
}

EXPORT(embed_bf16)
void embed_bf16(float *x, const uint8_t *w, const int32_t *ids, int32_t tokens, int32_t cols) {
  for (int32_t t = 0; t < tokens; t++) {
    const uint16_t *weight = (const uint16_t *)find_panel(w, ids[t], cols * PANEL_ROWS * 2) + ids[t] % PANEL_ROWS;
    for (int32_t k = 0; k < cols; k++, weight += PANEL_ROWS) *x++ = bf16_to_f32(*weight);
  }
}

EXPORT(embed_f32)
void embed_f32(float *x, const uint8_t *w, const int32_t *ids, int32_t tokens, int32_t cols) {
  for (int32_t t = 0; t < tokens; t++) {
    const float *weight = (const float *)find_panel(w, ids[t], cols * PANEL_ROWS * 4) + ids[t] % PANEL_ROWS;
    for (int32_t k = 0; k < cols; k++, weight += PANEL_ROWS) *x++ = *weight;
  }
}
