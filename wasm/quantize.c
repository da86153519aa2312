// a = quantized x, one scale per block of 32 columns, rounded to nearest, ties to even.
//
//   a  see activation.h             written; rows past the last one of a tile are left as they are
//   x  (rows, ldx >= cols) f32
//
// scale = absmax / 127; q = round(x * (127 / absmax)), so |q| <= 127 and 7 bits are left of |q|.
// A NaN or an infinity in a block makes its scale one, so that the results show it.

#include "activation.h"

// Below this, 127 / absmax could overflow; such a block counts as zeros.
#define SMALLEST_ABSMAX 0x1p-100f

typedef struct {
  v128_t q[2]; // 32 int8
  float scale;
  int32_t sum;
} quantized_block;

// The largest of |x|. Compared as integers, which order non-negative floats alike and put NaN on top.
static inline float abs_max(const v128_t x[8]) {
  v128_t most = wasm_f32x4_abs(x[0]);
  UNROLLED for (int i = 1; i < 8; i++) most = wasm_i32x4_max(most, wasm_f32x4_abs(x[i]));
  most = wasm_i32x4_max(most, wasm_i32x4_shuffle(most, most, 2, 3, 0, 1));
  most = wasm_i32x4_max(most, wasm_i32x4_shuffle(most, most, 1, 0, 3, 2));
  return wasm_f32x4_extract_lane(most, 0);
}

static inline quantized_block quantize_block(const float *x) {
  v128_t value[8], q[8], sum = wasm_i32x4_const_splat(0);
  UNROLLED for (int i = 0; i < 8; i++) value[i] = wasm_v128_load(x + 4 * i);
  const float most = abs_max(value);
  const v128_t inverse = wasm_f32x4_splat(most >= SMALLEST_ABSMAX ? 127.0f / most : 0.0f);
  UNROLLED for (int i = 0; i < 8; i++) {
    q[i] = round_to_i32(wasm_f32x4_mul(value[i], inverse));
    sum = wasm_i32x4_add(sum, q[i]);
  }
  quantized_block block;
  UNROLLED for (int i = 0; i < 2; i++) {
    block.q[i] = wasm_i8x16_narrow_i16x8(wasm_i16x8_narrow_i32x4(q[4 * i], q[4 * i + 1]),
                                         wasm_i16x8_narrow_i32x4(q[4 * i + 2], q[4 * i + 3]));
  }
  block.scale = most / 127.0f;
  // Unsigned: what NaN and infinities became may wrap, and nothing reads it that their scale does not make NaN.
  block.sum = (int32_t)((uint32_t)wasm_i32x4_extract_lane(sum, 0) + (uint32_t)wasm_i32x4_extract_lane(sum, 1) +
                        (uint32_t)wasm_i32x4_extract_lane(sum, 2) + (uint32_t)wasm_i32x4_extract_lane(sum, 3));
  return block;
}

// 16 int8 as int16, each 4 columns in the order 0 2 1 3.
static inline v128_t even_first(v128_t words) { return wasm_i16x8_shuffle(words, words, 0, 2, 1, 3, 4, 6, 5, 7); }

// The plain q4 kernel masks nibbles in place, so that each is worth 1, 256 or 16 times itself:
// the activations' weights make up for it, and every product is 256 times too large.
static inline void store_nibbles(int16_t *to, const v128_t q[2]) {
  const v128_t low_weights = wasm_i16x8_const(256, 256, 1, 1, 256, 256, 1, 1);
  const v128_t high_weights = wasm_i16x8_const(16, 16, 256, 256, 16, 16, 256, 256);
  const v128_t low[2] = {wasm_i16x8_mul(even_first(wasm_i16x8_extend_low_i8x16(q[0])), low_weights),
                         wasm_i16x8_mul(even_first(wasm_i16x8_extend_high_i8x16(q[0])), low_weights)};
  const v128_t high[2] = {wasm_i16x8_mul(even_first(wasm_i16x8_extend_low_i8x16(q[1])), high_weights),
                          wasm_i16x8_mul(even_first(wasm_i16x8_extend_high_i8x16(q[1])), high_weights)};
  UNROLLED for (int i = 0; i < 2; i++) {
    wasm_v128_store(to + 16 * i, wasm_i64x2_shuffle(low[i], high[i], 0, 2));
    wasm_v128_store(to + 16 * i + 8, wasm_i64x2_shuffle(low[i], high[i], 1, 3));
  }
}

static inline void store_words(int16_t *to, const v128_t q[2]) {
  UNROLLED for (int i = 0; i < 2; i++) {
    wasm_v128_store(to + 16 * i, even_first(wasm_i16x8_extend_low_i8x16(q[i])));
    wasm_v128_store(to + 16 * i + 8, even_first(wasm_i16x8_extend_high_i8x16(q[i])));
  }
}

// Stores lane i of `v` at to + i * 16.
static inline void store_lanes(uint8_t *to, v128_t v) {
  wasm_v128_store32_lane(to, v, 0);
  wasm_v128_store32_lane(to + 16, v, 1);
  wasm_v128_store32_lane(to + 32, v, 2);
  wasm_v128_store32_lane(to + 48, v, 3);
}

static inline void store_values(uint8_t *to, const v128_t q[2], int32_t layout) {
  if (layout == NIBBLES) {
    store_nibbles((int16_t *)to, q);
  } else if (layout == WORDS) {
    store_words((int16_t *)to, q);
  } else {
    UNROLLED for (int i = 0; i < 2; i++) {
      if (layout == BYTES) {
        wasm_v128_store(to + 16 * i, q[i]);
      } else if (layout == TILE_BYTES) {
        store_lanes(to + 64 * i, q[i]);
      } else {
        store_lanes(to + 128 * i, even_first(wasm_i16x8_extend_low_i8x16(q[i])));
        store_lanes(to + 128 * i + 64, even_first(wasm_i16x8_extend_high_i8x16(q[i])));
      }
    }
  }
}

// One loop for all layouts: a block's arithmetic is longer than what it costs to find its places.
void quantize_row(uint8_t *a, const float *x, int32_t row, int32_t cols, int32_t layout) {
  const int32_t blocks = cols / BLOCK, value_bytes = BLOCK * (layout == BYTES || layout == TILE_BYTES ? 1 : 2);
  uint8_t *scaled_sum, *scale, *sum, *values; // of a block; then how far the next one's are
  int32_t sum_stride = 4, stride = 4, values_stride = value_bytes;
  if (layout >= TILE_BYTES) {
    const int32_t m = row % TILE_ROWS;
    sum_stride = 4 * TILE_ROWS;
    stride = values_stride = TILE_HEADER_BYTES + TILE_ROWS * value_bytes;
    scaled_sum = a + (row / TILE_ROWS) * blocks * (sum_stride + stride) + 4 * m;
    scale = scaled_sum + sum_stride * blocks;
    sum = scale + 4 * TILE_ROWS;
    values = scale + TILE_HEADER_BYTES;
  } else {
    scaled_sum = a + row * blocks * (12 + value_bytes);
    scale = scaled_sum + 4 * blocks;
    sum = scale + 4 * blocks;
    values = sum + 4 * blocks;
  }
  ROLLED for (int32_t b = 0; b < blocks; b++, x += BLOCK) {
    const quantized_block block = quantize_block(x);
    *(float *)scaled_sum = block.scale * (float)block.sum;
    *(float *)scale = block.scale;
    *(int32_t *)sum = block.sum;
    store_values(values, block.q, layout);
    scaled_sum += sum_stride;
    scale += stride;
    sum += stride;
    values += values_stride;
  }
}

EXPORT(quantize)
void quantize(uint8_t *a, const float *x, int32_t rows, int32_t cols, int32_t ldx, int32_t layout) {
  for (int32_t row = 0; row < rows; row++) quantize_row(a, x + row * ldx, row, cols, layout);
}
