// y = W a for one row of quantized activations, panel by panel: the body of every gemv_*.
// A template: the file that includes it has defined CODES_BYTES, VALUES_BYTES (of a block) and dot_block().
//
// Decoding reads every weight once a token, so memory bounds it: one pass, no unpacking to memory.
//
// The float order, equal to that of gemm.h: y = D * u + M * v, each a chain from +0 over ascending blocks:
//   D += float(integer dot) * (activation scale * weight scale)      M += scaled sum * minimum
// with scales and minima as the integers that they are stored as; u and v are their rows' powers of two. What y held
// before is added last.
#pragma once
#include "activation.h"
#include "panel.h"

// The integer dot products of a block with a panel's 16 rows; `zero` is taken off each.
static ALWAYS_INLINE panel_vector dot_block(const uint8_t *codes, const uint8_t *values, int32_t zero);

// acc += s * the 16 minima at `rows`.
static ALWAYS_INLINE void add_scaled_rows(panel_vector *acc, v128_t s, const uint8_t *rows) {
  UNROLLED for (int v = 0; v < 4; v++) {
    const v128_t product = wasm_f32x4_mul(s, load_scales((const int16_t *)rows + 4 * v));
    acc->quad[v] = wasm_f32x4_add(acc->quad[v], product);
  }
}

// `zero_point` is what the codes are too large by.
static ALWAYS_INLINE void gemv(float *y, const uint8_t *w, const uint8_t *a, int32_t rows, int32_t cols,
                               int32_t accumulate, int32_t has_minimum, int32_t zero_point) {
  const int32_t blocks = cols / BLOCK;
  const float *scaled_sums = (const float *)a, *scales = scaled_sums + blocks;
  const int32_t *sums = (const int32_t *)(scales + blocks);
  for (int32_t row = 0; row < rows; row += PANEL_ROWS, y += PANEL_ROWS) {
    panel_vector m = splat_panel(wasm_f32x4_const_splat(0)), d = m;
    const uint8_t *header = w;
    w += PANEL_HEADER_BYTES;
    const uint8_t *values = (const uint8_t *)(sums + blocks);
    ROLLED for (int32_t b = 0; b < blocks; b++, values += VALUES_BYTES) {
      if (has_minimum) {
        add_scaled_rows(&m, wasm_v128_load32_splat(scaled_sums + b), w);
        w += SCALES_BYTES;
      }
      const panel_vector dots = dot_block(w + SCALES_BYTES, values, zero_point * sums[b]);
      const v128_t s = wasm_v128_load32_splat(scales + b);
      UNROLLED for (int v = 0; v < 4; v++) {
        const v128_t scale = wasm_f32x4_mul(s, load_scales((const int16_t *)w + 4 * v));
        d.quad[v] = wasm_f32x4_add(d.quad[v], wasm_f32x4_mul(wasm_f32x4_convert_i32x4(dots.quad[v]), scale));
      }
      w += SCALES_BYTES + CODES_BYTES;
    }
    const panel_vector products = d, minima = m; // copies, so that d and m stay in registers
    store_panel(y, &products, has_minimum ? &minima : 0, header, accumulate);
  }
}
