// Y = W A for tiles of 4 rows of quantized activations: the body of every gemm_*.
// A template: the file that includes it has defined CODES_BYTES (of a block), UNPACKED_BYTES (of a strip of rows
// of a block in scratch), TILE_VALUES_BYTES (of a block, 4 tokens), PARKED, unpack_quad() and dot_tile().
//
// Each panel is unpacked once into `scratch`, which stays in the L1 or L2 cache, in strips of STRIP_ROWS rows:
//   f32 minima[blocks][STRIP_ROWS]; blocks x { f32 scales[STRIP_ROWS]; codes }
// and behind them, where PARKED: i32 dots[blocks][4 tokens][STRIP_ROWS].
// Then every tile of 4 tokens goes through each strip. The float order is that of gemv.h; a token's results do not
// depend on the others.
#pragma once
#include "tile.h"

#define STRIPS (PANEL_ROWS / STRIP_ROWS)
#define STRIP_SCALES_BYTES (4 * STRIP_ROWS) // scales or minima in scratch

// Puts the codes of one row quad of a block to `to`; the other quad's are 16 bytes on.
static ALWAYS_INLINE void unpack_quad(uint8_t *to, const uint8_t *codes, int32_t quad, int32_t zero_point);

// The integer dot products of one block.
static ALWAYS_INLINE tile dot_tile(const uint8_t *codes, const uint8_t *values, const int32_t *sums, int32_t zero_point);

static ALWAYS_INLINE int32_t strip_bytes(int32_t blocks) {
  return blocks * (2 * STRIP_SCALES_BYTES + UNPACKED_BYTES);
}

static ALWAYS_INLINE void unpack_panel(uint8_t *scratch, const uint8_t *w, int32_t blocks, int32_t has_minimum,
                                       int32_t zero_point) {
  for (int32_t b = 0; b < blocks; b++, w += SCALES_BYTES + CODES_BYTES) {
    const uint8_t *minima = w;
    if (has_minimum) w += SCALES_BYTES;
    ROLLED for (int32_t quad = 0; quad < 4; quad++) {
      uint8_t *strip = scratch + quad / TILE_QUADS * strip_bytes(blocks) + 16 * (quad % TILE_QUADS);
      uint8_t *block = strip + blocks * STRIP_SCALES_BYTES + b * (STRIP_SCALES_BYTES + UNPACKED_BYTES);
      wasm_v128_store(strip + b * STRIP_SCALES_BYTES, load_scales((const int16_t *)minima + 4 * quad));
      wasm_v128_store(block, load_scales((const int16_t *)w + 4 * quad));
      unpack_quad(block + STRIP_SCALES_BYTES, w + SCALES_BYTES, quad, zero_point);
    }
  }
}

#define PARKED_BYTES (64 * TILE_QUADS) // the sums of a tile and a block

// The dots of all blocks, before any is scaled: with the scaled sums alive in the loop over columns, V8 would keep one
// of the dots on the stack, and each step would wait for it.
static ALWAYS_INLINE void dot_blocks(uint8_t *parked, const uint8_t *codes, const uint8_t *values, int32_t blocks,
                                     int32_t zero_point) {
  ROLLED for (int32_t b = 0; b < blocks; b++) {
    store_parked(parked, dot_tile(codes, values, (const int32_t *)values - TILE_ROWS, zero_point));
    parked += PARKED_BYTES;
    codes += STRIP_SCALES_BYTES + UNPACKED_BYTES;
    values += TILE_HEADER_BYTES + TILE_VALUES_BYTES;
  }
}

static ALWAYS_INLINE void multiply_tile(float *y, const uint8_t *strip, const uint8_t *header, const uint8_t *a,
                                        int32_t blocks, int32_t ldy, int32_t accumulate, int32_t has_minimum,
                                        int32_t zero_point, uint8_t *parked) {
  tile m, d = zero_tile();
  if (has_minimum) sum_tile_minima(&m, (const float *)strip, (const float *)a, blocks);
  strip += blocks * STRIP_SCALES_BYTES;
  a += blocks * 4 * TILE_ROWS;
  if (PARKED) dot_blocks(parked, strip + STRIP_SCALES_BYTES, a + TILE_HEADER_BYTES, blocks, zero_point);
  ROLLED for (int32_t b = 0; b < blocks; b++) {
    const tile dots = PARKED ? load_parked(parked)
                             : dot_tile(strip + STRIP_SCALES_BYTES, a + TILE_HEADER_BYTES,
                                        (const int32_t *)a + TILE_ROWS, zero_point);
    add_scaled(&d, dots, (const float *)a, (const float *)strip);
    parked += PARKED_BYTES;
    strip += STRIP_SCALES_BYTES + UNPACKED_BYTES;
    a += TILE_HEADER_BYTES + TILE_VALUES_BYTES;
  }
  const tile products = d; // a copy, so that d stays in registers
  store_tile(y, &products, has_minimum ? &m : 0, header, ldy, accumulate);
}

static ALWAYS_INLINE void gemm(float *y, const uint8_t *w, const uint8_t *a, uint8_t *scratch, int32_t tokens,
                               int32_t rows, int32_t cols, int32_t ldy, int32_t accumulate, int32_t has_minimum,
                               int32_t zero_point) {
  const int32_t blocks = cols / BLOCK;
  const int32_t panel_bytes = PANEL_HEADER_BYTES + blocks * (SCALES_BYTES * (has_minimum ? 2 : 1) + CODES_BYTES);
  const int32_t tile_bytes = blocks * (4 * TILE_ROWS + TILE_HEADER_BYTES + TILE_VALUES_BYTES);
  for (int32_t row = 0; row < rows; row += PANEL_ROWS, w += panel_bytes) {
    unpack_panel(scratch, w + PANEL_HEADER_BYTES, blocks, has_minimum, zero_point);
    ROLLED for (int32_t strip = 0; strip < STRIPS; strip++) {
      float *out = y + row + strip * STRIP_ROWS;
      const uint8_t *tokens4 = a, *unpacked = scratch + strip * strip_bytes(blocks);
      for (int32_t t = 0; t < tokens; t += TILE_ROWS, tokens4 += tile_bytes, out += TILE_ROWS * ldy) {
        multiply_tile(out, unpacked, w + strip * STRIP_ROWS, tokens4, blocks, ldy, accumulate, has_minimum, zero_point,
                      scratch + STRIPS * strip_bytes(blocks));
      }
    }
  }
}
