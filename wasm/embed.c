// x[t] = row ids[t] of an embedding matrix, as f32.
//
//   x    (tokens, cols) f32
//   w    panels of 16 rows, in any form of src/pack/forms.ts
//   ids  (tokens,) i32              each in [0, rows)
//
// Quantized forms: float(q - zero point) * d, plus the minimum where there is one.

#include "panel.h"

// One row of one panel: byte r of each vector below.
typedef struct {
  const uint8_t *panel; // where its panel starts
  int32_t row;          // in the panel
} embedding_row;

static inline embedding_row find_row(const uint8_t *w, int32_t id, int32_t panel_bytes) {
  return (embedding_row){w + (uint32_t)(id / PANEL_ROWS) * (uint32_t)panel_bytes, id % PANEL_ROWS};
}

// `codes` holds 4 rows; row r's are its 4 bytes from 4r on.
static inline void store_codes(float *x, quad_codes codes, int32_t row, float zero, float d, float m) {
  uint8_t lanes[8][16];
  UNROLLED for (int g = 0; g < 8; g++) wasm_v128_store(lanes[g], codes.group[g]);
  for (int32_t k = 0; k < BLOCK; k++) x[k] = ((float)lanes[k / 4][4 * (row % 4) + k % 4] - zero) * d + m;
}

static ALWAYS_INLINE void embed_quantized(float *x, const uint8_t *w, const int32_t *ids, int32_t tokens, int32_t cols,
                                          int32_t codes_bytes, float zero, int32_t has_minimum,
                                          quad_codes (*unpack)(const uint8_t *codes, int32_t quad)) {
  const int32_t blocks = cols / BLOCK, block_bytes = SCALES_BYTES * (has_minimum ? 2 : 1) + codes_bytes;
  for (int32_t t = 0; t < tokens; t++) {
    const embedding_row at = find_row(w, ids[t], blocks * block_bytes);
    const uint8_t *block = at.panel;
    for (int32_t b = 0; b < blocks; b++, block += block_bytes, x += BLOCK) {
      const uint16_t *scales = (const uint16_t *)block + (has_minimum ? PANEL_ROWS : 0);
      const float m = has_minimum ? bf16_to_f32(((const uint16_t *)block)[at.row]) : 0.0f;
      const float d = bf16_to_f32(scales[at.row]);
      store_codes(x, unpack((const uint8_t *)(scales + PANEL_ROWS), at.row / 4), at.row, zero, d, m);
    }
  }
}

EXPORT(embed_q4)
void embed_q4(float *x, const uint8_t *w, const int32_t *ids, int32_t tokens, int32_t cols) {
  embed_quantized(x, w, ids, tokens, cols, Q4_CODES_BYTES, Q4_ZERO, 0, unpack_q4);
}

EXPORT(embed_q4m)
void embed_q4m(float *x, const uint8_t *w, const int32_t *ids, int32_t tokens, int32_t cols) {
  embed_quantized(x, w, ids, tokens, cols, Q4_CODES_BYTES, 0, 1, unpack_q4);
}

EXPORT(embed_q6m)
void embed_q6m(float *x, const uint8_t *w, const int32_t *ids, int32_t tokens, int32_t cols) {
  embed_quantized(x, w, ids, tokens, cols, Q6_CODES_BYTES, 0, 1, unpack_q6);
}

EXPORT(embed_q8)
void embed_q8(float *x, const uint8_t *w, const int32_t *ids, int32_t tokens, int32_t cols) {
  embed_quantized(x, w, ids, tokens, cols, Q8_CODES_BYTES, Q8_ZERO, 0, unpack_q8);
}

EXPORT(embed_bf16)
void embed_bf16(float *x, const uint8_t *w, const int32_t *ids, int32_t tokens, int32_t cols) {
  for (int32_t t = 0; t < tokens; t++) {
    const embedding_row at = find_row(w, ids[t], cols * PANEL_ROWS * 2);
    for (int32_t k = 0; k < cols; k++) *x++ = bf16_to_f32(((const uint16_t *)at.panel)[PANEL_ROWS * k + at.row]);
  }
}

EXPORT(embed_f32)
void embed_f32(float *x, const uint8_t *w, const int32_t *ids, int32_t tokens, int32_t cols) {
  for (int32_t t = 0; t < tokens; t++) {
    const embedding_row at = find_row(w, ids[t], cols * PANEL_ROWS * 4);
    for (int32_t k = 0; k < cols; k++) *x++ = ((const float *)at.panel)[PANEL_ROWS * k + at.row];
  }
}
