// Y = W A for tiles of 4 rows of quantized activations: the skeleton of every gemm_*.
//
// Each panel is unpacked once into `scratch` (which stays in the L1 or L2 cache), in two halves of 8 rows; then every
// tile of 4 tokens goes through it in register tiles of 4 tokens x 8 rows. A half in scratch:
//   f32 minima[blocks][8]; blocks x { f32 scales[8]; codes }
// codes are u8 [8 groups][2 quads][16] (relaxed kernels) or i16 [16 pairs][2 quads][8] (plain SIMD128).
//
// The float order is that of gemv.h; a token's results do not depend on the others.
#pragma once
#include "activation.h"
#include "dot.h"
#include "panel.h"

#define HALF_ROWS 8

// 4 tokens x 8 rows: lane i of of[q][m] is row 4q + i of the half, token m.
typedef struct {
  v128_t of[2][TILE_ROWS];
} tile;

typedef struct {
  int32_t codes_bytes;  // of a block in the matrix
  int32_t half_bytes;   // of 8 rows of a block's codes in scratch
  int32_t values_bytes; // activations of a block, 4 tokens
  int32_t zero_point;   // what the codes in scratch are too large by
  int32_t has_minimum;
  // Puts one row quad of a block where its first vector goes; the next quad's is 16 bytes on.
  void (*unpack)(uint8_t *to, const uint8_t *codes, int32_t quad);
  // Integer dot products of one block, added to `start`.
  tile (*dot)(const uint8_t *codes, const uint8_t *values, tile start);
} gemm_form;

static ALWAYS_INLINE void unpack_panel(gemm_form form, uint8_t *scratch, const uint8_t *w, int32_t blocks) {
  const int32_t block_bytes = 4 * HALF_ROWS + form.half_bytes, half_bytes = blocks * (4 * HALF_ROWS + block_bytes);
  const uint8_t *minima = w;
  if (form.has_minimum) w += SCALES_BYTES * blocks;
  for (int32_t b = 0; b < blocks; b++, w += SCALES_BYTES + form.codes_bytes, minima += SCALES_BYTES) {
    for (int32_t quad = 0; quad < 4; quad++) {
      uint8_t *half = scratch + (quad >> 1) * half_bytes + 16 * (quad & 1);
      uint8_t *block = half + blocks * 4 * HALF_ROWS + b * block_bytes;
      if (form.has_minimum) wasm_v128_store(half + b * 4 * HALF_ROWS, load_bf16x4((const uint16_t *)minima + 4 * quad));
      wasm_v128_store(block, load_bf16x4((const uint16_t *)w + 4 * quad));
      form.unpack(block + 4 * HALF_ROWS, w + SCALES_BYTES, quad);
    }
  }
}

static inline tile zero_tile(void) {
  const v128_t zero = wasm_f32x4_const_splat(0);
  return (tile){{{zero, zero, zero, zero}, {zero, zero, zero, zero}}};
}

// acc += the products of each token's number with each row's.
static ALWAYS_INLINE void add_minima(tile *acc, const float *scaled_sums, const float *minima) {
  const v128_t m0 = wasm_v128_load(minima), m1 = wasm_v128_load(minima + 4);
  UNROLLED for (int m = 0; m < TILE_ROWS; m++) {
    const v128_t s = wasm_v128_load32_splat(scaled_sums + m);
    acc->of[0][m] = wasm_f32x4_add(acc->of[0][m], wasm_f32x4_mul(s, m0));
    acc->of[1][m] = wasm_f32x4_add(acc->of[1][m], wasm_f32x4_mul(s, m1));
  }
}

static ALWAYS_INLINE void add_scaled(tile *acc, tile dots, const float *token_scales, const float *row_scales) {
  const v128_t d0 = wasm_v128_load(row_scales), d1 = wasm_v128_load(row_scales + 4);
  UNROLLED for (int m = 0; m < TILE_ROWS; m++) {
    const v128_t s = wasm_v128_load32_splat(token_scales + m);
    acc->of[0][m] = wasm_f32x4_add(acc->of[0][m], wasm_f32x4_mul(wasm_f32x4_convert_i32x4(dots.of[0][m]), wasm_f32x4_mul(s, d0)));
    acc->of[1][m] = wasm_f32x4_add(acc->of[1][m], wasm_f32x4_mul(wasm_f32x4_convert_i32x4(dots.of[1][m]), wasm_f32x4_mul(s, d1)));
  }
}

// Where a block's integer dots start: at minus the zero point times the sum of each token's activations.
static ALWAYS_INLINE tile start_tile(int32_t zero_point, const int32_t *sums) {
  tile start = zero_tile();
  if (zero_point) {
    UNROLLED for (int m = 0; m < TILE_ROWS; m++) {
      start.of[0][m] = start.of[1][m] = wasm_i32x4_mul(wasm_v128_load32_splat(sums + m), wasm_i32x4_splat(-zero_point));
    }
  }
  return start;
}

static ALWAYS_INLINE void multiply_tile(gemm_form form, float *y, const uint8_t *half, const uint8_t *a,
                                        int32_t blocks, int32_t ldy, int32_t accumulate) {
  const float *minima = (const float *)half, *scaled_sums = (const float *)a;
  half += blocks * 4 * HALF_ROWS;
  a += blocks * 4 * TILE_ROWS;

  // M first, parked in memory: both sums at once would not fit the registers.
  tile m = zero_tile();
  if (form.has_minimum) {
    ROLLED for (int32_t b = 0; b < blocks; b++) add_minima(&m, scaled_sums + TILE_ROWS * b, minima + HALF_ROWS * b);
    __asm__ volatile("" ::"r"(&m) : "memory"); // or the compiler keeps m in registers through the loop below
  }

  tile d = zero_tile();
  ROLLED for (int32_t b = 0; b < blocks; b++) {
    const float *token_scales = (const float *)a;
    const tile start = start_tile(form.zero_point, (const int32_t *)a + TILE_ROWS);
    const tile dots = form.dot(half + 4 * HALF_ROWS, a + TILE_HEADER_BYTES, start);
    add_scaled(&d, dots, token_scales, (const float *)half);
    half += 4 * HALF_ROWS + form.half_bytes;
    a += TILE_HEADER_BYTES + form.values_bytes;
  }

  UNROLLED for (int t = 0; t < TILE_ROWS; t++) {
    UNROLLED for (int q = 0; q < 2; q++) {
      float *out = y + t * ldy + 4 * q;
      v128_t sum = d.of[q][t];
      if (form.has_minimum) sum = wasm_f32x4_add(sum, m.of[q][t]);
      if (accumulate) sum = wasm_f32x4_add(wasm_v128_load(out), sum);
      wasm_v128_store(out, sum);
    }
  }
}

static ALWAYS_INLINE void gemm(gemm_form form, float *y, const uint8_t *w, const uint8_t *a, uint8_t *scratch,
                               int32_t tokens, int32_t rows, int32_t cols, int32_t ldy, int32_t accumulate) {
  const int32_t blocks = cols / BLOCK;
  const int32_t half_bytes = blocks * (8 * HALF_ROWS + form.half_bytes);
  const int32_t panel_bytes = blocks * (SCALES_BYTES * (form.has_minimum ? 2 : 1) + form.codes_bytes);
  const int32_t tile_bytes = blocks * (4 * TILE_ROWS + TILE_HEADER_BYTES + form.values_bytes);
  for (int32_t row = 0; row < rows; row += PANEL_ROWS, w += panel_bytes) {
    unpack_panel(form, scratch, w, blocks);
    for (int32_t half = 0; half < 2; half++) {
      float *out = y + row + half * HALF_ROWS;
      const uint8_t *tokens4 = a;
      for (int32_t t = 0; t < tokens; t += TILE_ROWS, tokens4 += tile_bytes, out += TILE_ROWS * ldy) {
        multiply_tile(form, out, scratch + half * half_bytes, tokens4, blocks, ldy, accumulate);
      }
    }
  }
}

// Dot products of the codes in scratch, the same for every form.

#if RELAXED
static ALWAYS_INLINE void unpack_bytes(uint8_t *to, quad_codes codes) {
  UNROLLED for (int g = 0; g < 8; g++) wasm_v128_store(to + 32 * g, codes.group[g]);
}

// u8 codes of 7 bits with int8 activations.
static ALWAYS_INLINE tile dot_tile_bytes(const uint8_t *codes, const uint8_t *values, tile acc) {
  ROLLED for (int g = 0; g < 8; g++, codes += 32, values += 16) {
    const v128_t w0 = wasm_v128_load(codes), w1 = wasm_v128_load(codes + 16);
    UNROLLED for (int m = 0; m < TILE_ROWS; m++) {
      const v128_t x = wasm_v128_load32_splat(values + 4 * m);
      acc.of[0][m] = dot_bytes(x, w0, acc.of[0][m]);
      acc.of[1][m] = dot_bytes(x, w1, acc.of[1][m]);
    }
  }
  return acc;
}
#endif

// i16 codes with int16 activations.
static ALWAYS_INLINE tile dot_tile_words(const uint8_t *codes, const uint8_t *values, tile acc) {
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

// Codes less `zero`, as i16: the plain kernels need no zero point afterwards.
static ALWAYS_INLINE void unpack_words(uint8_t *to, quad_codes codes, int16_t zero) {
  const v128_t z = wasm_i16x8_splat(zero);
  UNROLLED for (int g = 0; g < 8; g++) {
    wasm_v128_store(to + 64 * g, wasm_i16x8_sub(even_bytes(codes.group[g]), z));
    wasm_v128_store(to + 64 * g + 32, wasm_i16x8_sub(odd_bytes(codes.group[g]), z));
  }
}
