// Y = W A for tiles of 4 rows of quantized activations: what every gemm_* is made of. gemm() goes through panels, strips of
// STRIP_ROWS rows and tiles; a form brings the integer dot products of a strip and a tile.
//
// Many tokens: each panel is unpacked once into `scratch`, which stays in the L1 or L2 cache. A few: its codes are
// unpacked in registers, again for each tile, which costs less than to write and read them.
//
// The float order is that of gemv.h; a token's results do not depend on the others.
#pragma once
#include "tile.h"

#define STRIPS (PANEL_ROWS / STRIP_ROWS)
#define PARKED_BYTES (16 * TILE_ROWS * TILE_QUADS) // the dots of a block and a tile

// The integer dots of every block, before any is scaled, to `parked`: i32 [blocks][4 tokens][STRIP_ROWS]. With the scaled
// sums alive in the loop over columns, V8 would keep one of the dots on the stack, and each step would wait for it.
//   codes, stride  of the strip's first block, and how far the next is
//   values         of the tile's first block, behind its scales and sums
typedef void dot_blocks(uint8_t *parked, const uint8_t *codes, int32_t stride, const uint8_t *values, int32_t blocks,
                        int32_t zero_point);

// A panel's codes to `to`, strip by strip.
typedef void unpack_blocks(uint8_t *to, const uint8_t *codes, int32_t stride, int32_t blocks);

typedef struct {
  unpack_blocks *unpack;
  dot_blocks *dot_unpacked, *dot_packed; // dot_packed: 0 where it is no faster
  int32_t codes_bytes;    // of a panel's block
  int32_t quad_bytes;     // from a row quad's codes to the next one's
  int32_t unpacked_bytes; // of a strip's block
  int32_t values_bytes;   // of a tile's block
  int32_t has_minimum, zero_point;
  int32_t has_short_scales; // 8 bits each
} gemm_form;

void gemm(float *y, const uint8_t *w, const uint8_t *a, uint8_t *scratch, int32_t tokens, int32_t rows, int32_t cols,
          int32_t ldy, int32_t accumulate, const gemm_form *form);

// Defines a dot_blocks of a function for one block, tile dot(codes, values, sums, zero_point).
#define DOT_BLOCKS(name, dot, values_bytes)                                                                            \
  void name(uint8_t *parked, const uint8_t *codes, int32_t stride, const uint8_t *values, int32_t blocks,              \
            int32_t zero_point) {                                                                                      \
    ROLLED for (int32_t b = 0; b < blocks; b++) {                                                                      \
      store_parked(parked, dot(codes, values, (const int32_t *)values - TILE_ROWS, zero_point));                       \
      parked += PARKED_BYTES;                                                                                          \
      codes += stride;                                                                                                 \
      values += TILE_HEADER_BYTES + values_bytes;                                                                      \
    }                                                                                                                  \
  }

// Defines an `unpack` of a form's unpack(codes, quad) and of store(to, quad_codes).
#define UNPACK_BLOCKS(name, store, unpack, unpacked_bytes)                                                             \
  void name(uint8_t *to, const uint8_t *codes, int32_t stride, int32_t blocks) {                                       \
    for (int32_t b = 0; b < blocks; b++, codes += stride, to += unpacked_bytes) {                                      \
      ROLLED for (int32_t quad = 0; quad < 4; quad++)                                                                  \
          store(to + quad / TILE_QUADS * blocks * unpacked_bytes + 16 * (quad % TILE_QUADS), unpack(codes, quad));     \
    }                                                                                                                  \
  }

// Shared by forms and variants (unpacked.c). Bytes of the relaxed dots' planes, words of the plain ones'.
unpack_blocks unpack_q4_bytes, unpack_q6_bytes, unpack_q4_words, unpack_q6_words, unpack_q8_words;
dot_blocks dot_unpacked_bytes, dot_unpacked_words;
dot_blocks dot_packed_q4, dot_unpacked_q4_m; // matmul_q4_dot.c, matmul_q4_m.c
