// y = silu(gate) * up, with silu(x) = x / (1 + e^-x).
//
//   y        (rows, ffn) f32
//   gate_up  (rows, ld) f32         gate in columns [0, ffn), up in [up_offset, up_offset + ffn)

#include "activation.h"

static inline v128_t gated(v128_t gate, v128_t up) {
  const v128_t one = wasm_f32x4_const_splat(1.0f);
  const v128_t silu = wasm_f32x4_div(gate, wasm_f32x4_add(one, exp_f32x4(wasm_f32x4_neg(gate))));
  return wasm_f32x4_mul(silu, up);
}

static __attribute__((noinline)) void swiglu_row(float *y, const float *gate, const float *up, int32_t ffn) {
  int32_t k = 0;
  for (; k + 4 <= ffn; k += 4) wasm_v128_store(y + k, gated(wasm_v128_load(gate + k), wasm_v128_load(up + k)));
  for (; k < ffn; k++) {
    y[k] = wasm_f32x4_extract_lane(gated(wasm_v128_load32_zero(gate + k), wasm_v128_load32_zero(up + k)), 0);
  }
}

EXPORT(swiglu)
void swiglu(float *y, const float *gate_up, int32_t rows, int32_t ffn, int32_t up_offset, int32_t ld) {
  for (int32_t row = 0; row < rows; row++, y += ffn, gate_up += ld) {
    swiglu_row(y, gate_up, gate_up + up_offset, ffn);
  }
}

// a = quantize(swiglu(gate_up)); scratch_row (ffn,) f32.
EXPORT(swiglu_quantize)
void swiglu_quantize(uint8_t *a, float *scratch_row, const float *gate_up, int32_t rows, int32_t ffn,
                     int32_t up_offset, int32_t ld, int32_t layout) {
  for (int32_t row = 0; row < rows; row++, gate_up += ld) {
    swiglu_row(scratch_row, gate_up, gate_up + up_offset, ffn);
    quantize_row(a, scratch_row, row, ffn, layout);
  }
}
