// Register tiles of the GEMMs: 4 tokens x 8 rows, or 16 where the engine joins vectors (WIDE), and the dot products that
// several forms share.
//
// Codes of a tile's rows and one block, as unpacked to scratch: u8 [8 groups][TILE_QUADS][16] for the relaxed dots,
// i16 [16 pairs][TILE_QUADS][8] for the plain one. Activations: TILE_BYTES or TILE_WORDS of activation.h.
#pragma once
#include "activation.h"
#include "dot.h"
#include "panel.h"

#if WIDE
#define TILE_QUADS 4 // 8 vectors of 256 bits
#else
#define TILE_QUADS 2
#endif
#define STRIP_ROWS (4 * TILE_QUADS) // rows of a panel that a tile takes

// Lane i of of[m][q] is row 4q + i of the strip, token m: the quads of a token side by side, as the weights lie.
typedef struct {
  v128_t of[TILE_ROWS][TILE_QUADS];
} tile;

// One vector for each row quad of a tile.
typedef struct {
  v128_t of[TILE_QUADS];
} quad_vectors;

static ALWAYS_INLINE quad_vectors load_quads(const void *p) {
  quad_vectors r;
  UNROLLED for (int q = 0; q < TILE_QUADS; q++) r.of[q] = wasm_v128_load((const uint8_t *)p + 16 * q);
  return r;
}

static inline tile zero_tile(void) {
  const v128_t zero = wasm_f32x4_const_splat(0);
  tile t;
  UNROLLED for (int m = 0; m < TILE_ROWS; m++)
    UNROLLED for (int q = 0; q < TILE_QUADS; q++) t.of[m][q] = zero;
  return t;
}

// m = the sum over blocks of each token's scaled sum times each row's minimum: minima[blocks][STRIP_ROWS], scaled_sums[blocks][4].
void sum_tile_minima(tile *m, const float *minima, const float *scaled_sums, int32_t blocks);

// As store_panel(), for a tile at y; `header` is moved by the strip's first row.
void store_tile(float *y, const tile *d, const tile *m, const uint8_t *header, int32_t ldy, int32_t accumulate);

// acc += float(dots) * (token scale * row scale), one block.
static ALWAYS_INLINE void add_scaled(tile *acc, tile dots, const float *token_scales, const float *row_scales) {
  const quad_vectors rows = load_quads(row_scales);
  UNROLLED for (int m = 0; m < TILE_ROWS; m++) {
    const v128_t s = wasm_v128_load32_splat(token_scales + m);
    UNROLLED for (int q = 0; q < TILE_QUADS; q++) {
      const v128_t d = wasm_f32x4_convert_i32x4(dots.of[m][q]);
      acc->of[m][q] = wasm_f32x4_add(acc->of[m][q], wasm_f32x4_mul(d, wasm_f32x4_mul(s, rows.of[q])));
    }
  }
}

static ALWAYS_INLINE void store_parked(uint8_t *to, tile dots) {
  UNROLLED for (int m = 0; m < TILE_ROWS; m++)
    UNROLLED for (int q = 0; q < TILE_QUADS; q++) wasm_v128_store(to + 16 * (TILE_QUADS * m + q), dots.of[m][q]);
}

static ALWAYS_INLINE tile load_parked(const uint8_t *from) {
  tile dots;
  UNROLLED for (int m = 0; m < TILE_ROWS; m++)
    UNROLLED for (int q = 0; q < TILE_QUADS; q++) dots.of[m][q] = wasm_v128_load(from + 16 * (TILE_QUADS * m + q));
  return dots;
}

#if RELAXED

// Minus the zero point times each token's sum of activations: where its dots start.
static ALWAYS_INLINE tile start_tile(const int32_t *sums, int32_t zero_point) {
  tile start = zero_tile();
  if (zero_point) {
    const v128_t minus = wasm_i32x4_splat(-zero_point);
    UNROLLED for (int m = 0; m < TILE_ROWS; m++) {
      const v128_t z = wasm_i32x4_mul(wasm_v128_load32_splat(sums + m), minus);
      UNROLLED for (int q = 0; q < TILE_QUADS; q++) start.of[m][q] = z;
    }
  }
  return start;
}

static ALWAYS_INLINE tile dot_tile_bytes(const uint8_t *codes, const uint8_t *values, tile acc) {
  ROLLED for (int g = 0; g < 8; g++, codes += 16 * TILE_QUADS, values += 16) {
    const quad_vectors w = load_quads(codes);
    const splat_words x = load_splats(values);
    UNROLLED for (int m = 0; m < TILE_ROWS; m++)
      UNROLLED for (int q = 0; q < TILE_QUADS; q++) acc.of[m][q] = dot_bytes(x.of[m], w.of[q], acc.of[m][q]);
  }
  return acc;
}

static ALWAYS_INLINE void store_bytes(uint8_t *to, quad_codes codes) {
  UNROLLED for (int g = 0; g < 8; g++) wasm_v128_store(to + 16 * TILE_QUADS * g, codes.group[g]);
}

#endif

static ALWAYS_INLINE tile dot_tile_words(const uint8_t *codes, const uint8_t *values) {
  tile acc = zero_tile();
  ROLLED for (int g = 0; g < 16; g++, codes += 16 * TILE_QUADS, values += 16) {
    const quad_vectors w = load_quads(codes);
    UNROLLED for (int m = 0; m < TILE_ROWS; m++) {
      const v128_t x = wasm_v128_load32_splat(values + 4 * m);
      UNROLLED for (int q = 0; q < TILE_QUADS; q++) acc.of[m][q] = dot_words(x, w.of[q], acc.of[m][q]);
    }
  }
  return acc;
}

// Takes the zero point off at once: words have room for negative weights.
static ALWAYS_INLINE void store_words(uint8_t *to, quad_codes codes, int32_t zero_point) {
  const v128_t zero = wasm_i16x8_splat((int16_t)zero_point);
  UNROLLED for (int g = 0; g < 8; g++) {
    wasm_v128_store(to + 32 * TILE_QUADS * g, wasm_i16x8_sub(even_bytes(codes.group[g]), zero));
    wasm_v128_store(to + 32 * TILE_QUADS * g + 16 * TILE_QUADS, wasm_i16x8_sub(odd_bytes(codes.group[g]), zero));
  }
}
