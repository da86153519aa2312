// Register tiles of the GEMMs: 4 tokens x 8 rows, and the dot products that several forms share.
//
// Codes of 8 rows and one block, as unpacked to scratch: u8 [8 groups][2 quads][16] for the relaxed dots,
// i16 [16 pairs][2 quads][8] for the plain one. Activations: TILE_BYTES or TILE_WORDS of activation.h.
#pragma once
#include "activation.h"
#include "dot.h"
#include "panel.h"

#define HALF_ROWS 8 // of a panel

// Lane i of of[q][m] is row 4q + i of the half, token m.
typedef struct {
  v128_t of[2][TILE_ROWS];
} tile;

static inline tile zero_tile(void) {
  const v128_t zero = wasm_f32x4_const_splat(0);
  return (tile){{{zero, zero, zero, zero}, {zero, zero, zero, zero}}};
}

// m = the sum over blocks of each token's scaled sum times each row's minimum: minima[blocks][8], scaled_sums[blocks][4].
void sum_tile_minima(tile *m, const float *minima, const float *scaled_sums, int32_t blocks);

// As store_panel(), for a tile at y; `header` is moved by the half's first row.
void store_tile(float *y, const tile *d, const tile *m, const uint8_t *header, int32_t ldy, int32_t accumulate);

// acc += float(dots) * (token scale * row scale), one block.
static ALWAYS_INLINE void add_scaled(tile *acc, tile dots, const float *token_scales, const float *row_scales) {
  const v128_t d0 = wasm_v128_load(row_scales), d1 = wasm_v128_load(row_scales + 4);
  UNROLLED for (int m = 0; m < TILE_ROWS; m++) {
    const v128_t s = wasm_v128_load32_splat(token_scales + m);
    const v128_t dots0 = wasm_f32x4_convert_i32x4(dots.of[0][m]), dots1 = wasm_f32x4_convert_i32x4(dots.of[1][m]);
    acc->of[0][m] = wasm_f32x4_add(acc->of[0][m], wasm_f32x4_mul(dots0, wasm_f32x4_mul(s, d0)));
    acc->of[1][m] = wasm_f32x4_add(acc->of[1][m], wasm_f32x4_mul(dots1, wasm_f32x4_mul(s, d1)));
  }
}

static ALWAYS_INLINE void store_parked(uint8_t *to, tile dots) {
  UNROLLED for (int m = 0; m < TILE_ROWS; m++) {
    wasm_v128_store(to + 32 * m, dots.of[0][m]);
    wasm_v128_store(to + 32 * m + 16, dots.of[1][m]);
  }
}

static ALWAYS_INLINE tile load_parked(const uint8_t *from) {
  tile dots;
  UNROLLED for (int m = 0; m < TILE_ROWS; m++) {
    dots.of[0][m] = wasm_v128_load(from + 32 * m);
    dots.of[1][m] = wasm_v128_load(from + 32 * m + 16);
  }
  return dots;
}

#if RELAXED

// Minus the zero point times each token's sum of activations: where its dots start.
static ALWAYS_INLINE tile start_tile(const int32_t *sums, int32_t zero_point) {
  tile start = zero_tile();
  if (zero_point) {
    const v128_t minus = wasm_i32x4_splat(-zero_point);
    UNROLLED for (int m = 0; m < TILE_ROWS; m++) {
      start.of[0][m] = start.of[1][m] = wasm_i32x4_mul(wasm_v128_load32_splat(sums + m), minus);
    }
  }
  return start;
}

static ALWAYS_INLINE tile dot_tile_bytes(const uint8_t *codes, const uint8_t *values, tile acc) {
  ROLLED for (int g = 0; g < 8; g++, codes += 32, values += 16) {
    const v128_t w0 = wasm_v128_load(codes), w1 = wasm_v128_load(codes + 16);
    const splat_words x = load_splats(values);
    UNROLLED for (int m = 0; m < TILE_ROWS; m++) {
      acc.of[0][m] = dot_bytes(x.of[m], w0, acc.of[0][m]);
      acc.of[1][m] = dot_bytes(x.of[m], w1, acc.of[1][m]);
    }
  }
  return acc;
}

static ALWAYS_INLINE void store_bytes(uint8_t *to, quad_codes codes) {
  UNROLLED for (int g = 0; g < 8; g++) wasm_v128_store(to + 32 * g, codes.group[g]);
}

#endif

static ALWAYS_INLINE tile dot_tile_words(const uint8_t *codes, const uint8_t *values) {
  tile acc = zero_tile();
  ROLLED for (int g = 0; g < 16; g++, codes += 32, values += 16) {
    const v128_t w0 = wasm_v128_load(codes), w1 = wasm_v128_load(codes + 16);
    UNROLLED for (int m = 0; m < TILE_ROWS; m++) {
      const v128_t x = wasm_v128_load32_splat(values + 4 * m);
      acc.of[0][m] = dot_words(x, w0, acc.of[0][m]);
      acc.of[1][m] = dot_words(x, w1, acc.of[1][m]);
    }
  }
  return acc;
}

// Takes the zero point off at once: words have room for negative weights.
static ALWAYS_INLINE void store_words(uint8_t *to, quad_codes codes, int32_t zero_point) {
  const v128_t zero = wasm_i16x8_splat((int16_t)zero_point);
  UNROLLED for (int g = 0; g < 8; g++) {
    wasm_v128_store(to + 64 * g, wasm_i16x8_sub(even_bytes(codes.group[g]), zero));
    wasm_v128_store(to + 64 * g + 32, wasm_i16x8_sub(odd_bytes(codes.group[g]), zero));
  }
}
