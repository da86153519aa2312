// What the GEMMs of several forms and variants share when a panel is unpacked.
#include "gemm.h"

#if RELAXED
UNPACK_BLOCKS(unpack_q4_bytes, store_bytes, unpack_q4, TILE_QUADS * 128)
UNPACK_BLOCKS(unpack_q6_bytes, store_bytes, unpack_q6, TILE_QUADS * 128)

static ALWAYS_INLINE tile dot_bytes_tile(const uint8_t *codes, const uint8_t *values, const int32_t *sums,
                                           int32_t zero_point) {
  return dot_tile_bytes(codes, values, start_tile(sums, zero_point));
}
DOT_BLOCKS(dot_unpacked_bytes, dot_bytes_tile, TILE_I8_BYTES)
#else
UNPACK_BLOCKS(unpack_q4_words, store_words, unpack_q4, TILE_QUADS * 256)
UNPACK_BLOCKS(unpack_q6_words, store_words, unpack_q6, TILE_QUADS * 256)
#endif
UNPACK_BLOCKS(unpack_q8_words, store_words, unpack_q8, TILE_QUADS * 256)

static ALWAYS_INLINE tile dot_words_tile(const uint8_t *codes, const uint8_t *values, const int32_t *sums,
                                           int32_t zero_point) {
  return dot_tile_words(codes, values, start_tile(sums, zero_point));
}
DOT_BLOCKS(dot_unpacked_words, dot_words_tile, TILE_I16_BYTES)
