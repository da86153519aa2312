// y = W a for one row of quantized activations, panel by panel: the body of every gemv_*.
// A template: the file that includes it has defined CODES_BYTES, VALUES_BYTES (of a block), STREAMS and dot_block().
//
// Decoding reads every weight once a token, so memory bounds it: one pass, no unpacking to memory, and STREAMS panels
// side by side, far apart: while one waits at the border of a page, where hardware stops reading ahead, others go on.
//
// The float order, equal to that of gemm.h: y = D * u + M * v, each a chain from +0 over ascending blocks:
//   D += float(integer dot) * (activation scale * weight scale)      M += scaled sum * minimum
// with scales and minima as the integers that they are stored as; u and v are their rows' powers of two. What y held
// before is added last.
#pragma once
#include "activation.h"
#include "panel.h"
#include <stddef.h>

// The integer dot products of a block with a panel's 16 rows; `zero` is taken off each.
static ALWAYS_INLINE panel_vector dot_block(const uint8_t *codes, const uint8_t *values, int32_t zero);

// acc += s * the 16 minima at `rows`.
static ALWAYS_INLINE void add_scaled_rows(panel_vector *acc, v128_t s, const uint8_t *rows, size_t scales_bytes) {
  const panel_vector scales = load_panel_numbers(rows, scales_bytes, 1);
  UNROLLED for (int v = 0; v < 4; v++) {
    const v128_t product = wasm_f32x4_mul(s, scales.quad[v]);
    acc->quad[v] = wasm_f32x4_add(acc->quad[v], product);
  }
}

// A panel on its way through its blocks.
typedef struct {
  const uint8_t *header, *w;
  panel_vector d, m;
} panel_stream;

static ALWAYS_INLINE panel_stream start_stream(const uint8_t *panel) {
  const panel_vector zero = splat_panel(wasm_f32x4_const_splat(0));
  return (panel_stream){panel, panel + PANEL_HEADER_BYTES, zero, zero};
}

// A splat that is loaded here: earlier it would take a register while dots are made, and shared by two streams the compiler
// would shuffle it a second time, which engines do not join to wider vectors. The plain kernels are 2 % faster without.
static ALWAYS_INLINE v128_t load_after(const float *p) {
  if (RELAXED) __asm__ volatile("" ::: "memory");
  return wasm_v128_load32_splat(p);
}

static ALWAYS_INLINE void add_block(panel_stream *p, const uint8_t *values, int32_t zero, const float *scaled_sum,
                                    const float *scale, int32_t has_minimum, size_t scales_bytes) {
  if (has_minimum) {
    add_scaled_rows(&p->m, wasm_v128_load32_splat(scaled_sum), p->w, scales_bytes);
    p->w += scales_bytes;
  }
  const panel_vector dots = dot_block(p->w + scales_bytes, values, zero);
  const v128_t s = load_after(scale);
  const panel_vector row_scales = load_panel_numbers(p->w, scales_bytes, 0);
  UNROLLED for (int v = 0; v < 4; v++) {
    const v128_t scales = wasm_f32x4_mul(s, row_scales.quad[v]);
    p->d.quad[v] = wasm_f32x4_add(p->d.quad[v], wasm_f32x4_mul(wasm_f32x4_convert_i32x4(dots.quad[v]), scales));
  }
  p->w += scales_bytes + CODES_BYTES;
}

static ALWAYS_INLINE void store_stream(float *y, const panel_stream *p, int32_t has_minimum, int32_t accumulate) {
  const panel_vector products = p->d, minima = p->m; // copies, so that d and m stay in registers
  store_panel(y, &products, has_minimum ? &minima : 0, p->header, accumulate);
}

// `zero_point` is what the codes are too large by; scales, or minima, of a block take `scales_bytes`.
static ALWAYS_INLINE void gemv(float *y, const uint8_t *w, const uint8_t *a, int32_t rows, int32_t cols,
                               int32_t accumulate, int32_t has_minimum, int32_t zero_point, size_t scales_bytes) {
  const int32_t blocks = cols / BLOCK;
  const float *scaled_sums = (const float *)a, *scales = scaled_sums + blocks;
  const int32_t *sums = (const int32_t *)(scales + blocks);
  const size_t panel_bytes = PANEL_HEADER_BYTES + blocks * (scales_bytes * (has_minimum ? 2 : 1) + CODES_BYTES);
  const int32_t panels = rows / PANEL_ROWS, turns = (panels + STREAMS - 1) / STREAMS;
  for (int32_t turn = 0; turn < turns; turn++, w += panel_bytes, y += PANEL_ROWS) {
    // The last turn of an odd number of panels computes one of them twice.
    const int32_t distance = turn + turns < panels ? turns : 0;
    panel_stream near = start_stream(w), far = start_stream(w + distance * panel_bytes);
    const uint8_t *values = (const uint8_t *)(sums + blocks);
    ROLLED for (int32_t b = 0; b < blocks; b++, values += VALUES_BYTES) {
      add_block(&near, values, zero_point * sums[b], scaled_sums + b, scales + b, has_minimum, scales_bytes);
      if (STREAMS == 2)
        add_block(&far, values, zero_point * sums[b], scaled_sums + b, scales + b, has_minimum, scales_bytes);
    }
    store_stream(y, &near, has_minimum, accumulate);
    if (STREAMS == 2 && distance) store_stream(y + distance * PANEL_ROWS, &far, has_minimum, accumulate);
  }
}
