// y = W a for one row of quantized activations, panel by panel: the skeleton of every gemv_*.
//
// Decoding reads every weight once a token, so memory bounds it: one pass, no unpacking to memory.
//
// The float order, equal to that of gemm.h: y = D + M, each a chain from +0 over ascending blocks:
//   D += float(integer dot) * (activation scale * weight scale)      M += scaled sum * minimum
// and what y held before is added last.
#pragma once
#include "activation.h"
#include "dot.h"
#include "panel.h"

// One number for each of a panel's 16 rows: lane i of quad[v] is row 4v + i.
typedef struct {
  v128_t quad[4];
} panel_vector;

// What a form and a variant put into the skeleton.
typedef struct {
  int32_t codes_bytes;  // of a block
  int32_t values_bytes; // activations of a block
  int32_t zero_point;   // 0, or what the codes are too large by
  int32_t has_minimum;
  // The block's integer dot products, plus `start` in every lane.
  panel_vector (*dot)(const uint8_t *codes, const uint8_t *values, v128_t start);
} gemv_form;

static inline panel_vector splat_panel(v128_t v) { return (panel_vector){{v, v, v, v}}; }

static ALWAYS_INLINE panel_vector sum_minima(const uint8_t *minima, const float *scaled_sums, int32_t blocks) {
  panel_vector m = splat_panel(wasm_f32x4_const_splat(0));
  ROLLED for (int32_t b = 0; b < blocks; b++, minima += SCALES_BYTES) {
    const v128_t s = wasm_v128_load32_splat(scaled_sums + b);
    UNROLLED for (int v = 0; v < 4; v++) {
      m.quad[v] = wasm_f32x4_add(m.quad[v], wasm_f32x4_mul(s, load_bf16x4((const uint16_t *)minima + 4 * v)));
    }
  }
  return m;
}

static ALWAYS_INLINE void gemv(gemv_form form, float *y, const uint8_t *w, const uint8_t *a, int32_t rows,
                               int32_t cols, int32_t accumulate) {
  const int32_t blocks = cols / BLOCK;
  const float *scaled_sums = (const float *)a, *scales = scaled_sums + blocks;
  const int32_t *sums = (const int32_t *)(scales + blocks);
  for (int32_t row = 0; row < rows; row += PANEL_ROWS, y += PANEL_ROWS) {
    panel_vector m = splat_panel(wasm_f32x4_const_splat(0)), d = m;
    if (form.has_minimum) {
      m = sum_minima(w, scaled_sums, blocks);
      w += SCALES_BYTES * blocks;
    }
    const uint8_t *values = (const uint8_t *)(sums + blocks);
    ROLLED for (int32_t b = 0; b < blocks; b++) {
      const v128_t start = form.zero_point ? wasm_i32x4_splat(-form.zero_point * sums[b]) : wasm_i32x4_const_splat(0);
      const panel_vector dot = form.dot(w + SCALES_BYTES, values, start);
      const v128_t s = wasm_v128_load32_splat(scales + b);
      UNROLLED for (int v = 0; v < 4; v++) {
        const v128_t scale = wasm_f32x4_mul(s, load_bf16x4((const uint16_t *)w + 4 * v));
        d.quad[v] = wasm_f32x4_add(d.quad[v], wasm_f32x4_mul(wasm_f32x4_convert_i32x4(dot.quad[v]), scale));
      }
      w += SCALES_BYTES + form.codes_bytes;
      values += form.values_bytes;
    }
    UNROLLED for (int v = 0; v < 4; v++) {
      if (form.has_minimum) d.quad[v] = wasm_f32x4_add(d.quad[v], m.quad[v]);
      if (accumulate) d.quad[v] = wasm_f32x4_add(wasm_v128_load(y + 4 * v), d.quad[v]);
      wasm_v128_store(y + 4 * v, d.quad[v]);
    }
  }
}
