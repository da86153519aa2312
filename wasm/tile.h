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
#define TILE_I8_BYTES 128 // activations of a block and 4 tokens: TILE_BYTES, TILE_WORDS
#define TILE_I16_BYTES 256
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

// The same function of each.
#define MAP_QUADS(name, f)                                                                                             \
  static ALWAYS_INLINE quad_vectors name(quad_vectors w) {                                                             \
    UNROLLED for (int q = 0; q < TILE_QUADS; q++) w.of[q] = f(w.of[q]);                                                \
    return w;                                                                                                          \
  }

static inline tile zero_tile(void) {
  const v128_t zero = wasm_f32x4_const_splat(0);
  tile t;
  UNROLLED for (int m = 0; m < TILE_ROWS; m++)
    UNROLLED for (int q = 0; q < TILE_QUADS; q++) t.of[m][q] = zero;
  return t;
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

// acc += the dots of one vector of each row quad with 4 tokens' values at `values`: 8 pairs of words each.
static ALWAYS_INLINE void add_dot_words(tile *acc, quad_vectors w, const uint8_t *values) {
  UNROLLED for (int m = 0; m < TILE_ROWS; m++) {
    const v128_t x = wasm_v128_load32_splat(values + 4 * m);
    UNROLLED for (int q = 0; q < TILE_QUADS; q++) acc->of[m][q] = dot_words(x, w.of[q], acc->of[m][q]);
  }
}

static ALWAYS_INLINE tile dot_tile_words(const uint8_t *codes, const uint8_t *values, tile acc) {
  ROLLED for (int g = 0; g < 16; g++, codes += 16 * TILE_QUADS, values += 16) add_dot_words(&acc, load_quads(codes), values);
  return acc;
}

static ALWAYS_INLINE void store_words(uint8_t *to, quad_codes codes) {
  UNROLLED for (int g = 0; g < 8; g++) {
    wasm_v128_store(to + 32 * TILE_QUADS * g, even_bytes(codes.group[g]));
    wasm_v128_store(to + 32 * TILE_QUADS * g + 16 * TILE_QUADS, odd_bytes(codes.group[g]));
  }
}

#if RELAXED
// The same for 4 columns of int8 each.
static ALWAYS_INLINE void add_dot_bytes(tile *acc, quad_vectors w, const uint8_t *values) {
  const splat_words x = load_splats(values);
  UNROLLED for (int m = 0; m < TILE_ROWS; m++)
    UNROLLED for (int q = 0; q < TILE_QUADS; q++) acc->of[m][q] = dot_bytes(x.of[m], w.of[q], acc->of[m][q]);
}

static ALWAYS_INLINE tile dot_tile_bytes(const uint8_t *codes, const uint8_t *values, tile acc) {
  ROLLED for (int g = 0; g < 8; g++, codes += 16 * TILE_QUADS, values += 16) add_dot_bytes(&acc, load_quads(codes), values);
  return acc;
}

static ALWAYS_INLINE void store_bytes(uint8_t *to, quad_codes codes) {
  UNROLLED for (int g = 0; g < 8; g++) wasm_v128_store(to + 16 * TILE_QUADS * g, codes.group[g]);
}
#endif
