// Y = W X with bf16 or f32 weights and f32 activations.
//
//   y  (tokens, ldy) f32
//   w  (rows / 16,) panels [cols][16]     rows: padded to 16; any number of columns
//   x  (tokens, ldx >= cols) f32
//
// The float order: one chain from +0 per output, over ascending columns, a product and then a sum; what y held
// before is added last. Tiles of 4 tokens x 8 rows serve many tokens, 1 x 16 the rest: the same bits.

#include "kernel.h"

// Where column k's weights of 4 rows lie, and how they become f32.
static ALWAYS_INLINE v128_t load_weights(const uint8_t *w, int32_t place, int32_t is_bf16) {
  return is_bf16 ? load_bf16x4((const uint16_t *)w + place) : wasm_v128_load((const float *)w + place);
}

static ALWAYS_INLINE void store_sum(float *y, v128_t sum, int32_t accumulate) {
  if (accumulate) sum = wasm_f32x4_add(wasm_v128_load(y), sum);
  wasm_v128_store(y, sum);
}

static ALWAYS_INLINE void multiply_4x8(float *y, const uint8_t *w, const float *x, int32_t cols, int32_t ldx,
                                       int32_t ldy, int32_t accumulate, int32_t is_bf16) {
  v128_t acc[2][4];
  UNROLLED for (int m = 0; m < 4; m++) acc[0][m] = acc[1][m] = wasm_f32x4_const_splat(0);
  const int32_t column_bytes = PANEL_ROWS * (is_bf16 ? 2 : 4);
  ROLLED for (int32_t k = 0; k < cols; k++, x++, w += column_bytes) {
    const v128_t w0 = load_weights(w, 0, is_bf16), w1 = load_weights(w, 4, is_bf16);
    UNROLLED for (int m = 0; m < 4; m++) {
      const v128_t s = wasm_v128_load32_splat(x + m * ldx);
      acc[0][m] = wasm_f32x4_add(acc[0][m], wasm_f32x4_mul(s, w0));
      acc[1][m] = wasm_f32x4_add(acc[1][m], wasm_f32x4_mul(s, w1));
    }
  }
  UNROLLED for (int m = 0; m < 4; m++) {
    store_sum(y + m * ldy, acc[0][m], accumulate);
    store_sum(y + m * ldy + 4, acc[1][m], accumulate);
  }
}

static ALWAYS_INLINE void multiply_1x16(float *y, const uint8_t *w, const float *x, int32_t cols,
                                        int32_t accumulate, int32_t is_bf16) {
  v128_t acc[4];
  UNROLLED for (int v = 0; v < 4; v++) acc[v] = wasm_f32x4_const_splat(0);
  const int32_t column_bytes = PANEL_ROWS * (is_bf16 ? 2 : 4);
  ROLLED for (int32_t k = 0; k < cols; k++, w += column_bytes) {
    const v128_t s = wasm_v128_load32_splat(x + k);
    UNROLLED for (int v = 0; v < 4; v++) {
      acc[v] = wasm_f32x4_add(acc[v], wasm_f32x4_mul(s, load_weights(w, 4 * v, is_bf16)));
    }
  }
  UNROLLED for (int v = 0; v < 4; v++) store_sum(y + 4 * v, acc[v], accumulate);
}

static ALWAYS_INLINE void matmul(float *y, const uint8_t *w, const float *x, int32_t tokens, int32_t rows,
                                 int32_t cols, int32_t ldx, int32_t ldy, int32_t accumulate, int32_t is_bf16) {
  const int32_t value_bytes = is_bf16 ? 2 : 4, panel_bytes = cols * PANEL_ROWS * value_bytes;
  for (int32_t row = 0; row < rows; row += PANEL_ROWS, w += panel_bytes, y += PANEL_ROWS) {
    int32_t t = 0;
    for (int32_t half = 0; half < 2; half++) {
      for (t = 0; t + 4 <= tokens; t += 4) {
        const uint8_t *columns = w + 8 * half * value_bytes;
        multiply_4x8(y + t * ldy + 8 * half, columns, x + t * ldx, cols, ldx, ldy, accumulate, is_bf16);
      }
    }
    for (; t < tokens; t++) multiply_1x16(y + t * ldy, w, x + t * ldx, cols, accumulate, is_bf16);
  }
}

EXPORT(matmul_bf16)
void matmul_bf16(float *y, const uint8_t *w, const float *x, int32_t tokens, int32_t rows, int32_t cols,
                 int32_t ldx, int32_t ldy, int32_t accumulate) {
  matmul(y, w, x, tokens, rows, cols, ldx, ldy, accumulate, 1);
}

EXPORT(matmul_f32)
void matmul_f32(float *y, const uint8_t *w, const float *x, int32_t tokens, int32_t rows, int32_t cols,
                int32_t ldx, int32_t ldy, int32_t accumulate) {
  matmul(y, w, x, tokens, rows, cols, ldx, ldy, accumulate, 0);
}
