// y = silu(gate) * up, with silu(x) = x / (1 + e^-x).
//
//   y        (rows, ffn) f32
//   gate_up  (rows, ld) f32         gate in columns [0, ffn), up in [up_offset, up_offset + ffn)

#include "activation.h"
#include "exp.h"

// Of e^x (Cephes expf).
const float EXP[] = {FOUR(-87.3f),            FOUR(88.3f),           FOUR(1.44269504f),     FOUR(ROUNDING_MAGIC),
                            FOUR(2.12194440e-4f),    FOUR(-0.693359375f),   FOUR(1.9875691500e-4f), FOUR(1.3981999507e-3f),
                            FOUR(8.3334519073e-3f),  FOUR(4.1665795894e-2f), FOUR(1.6666665459e-1f), FOUR(5.0000001201e-1f),
                            FOUR(1.0f)};

static ALWAYS_INLINE v128_t gated(v128_t gate, v128_t up, const exp_constants *c) {
  const v128_t silu = wasm_f32x4_div(gate, wasm_f32x4_add(c->one, exp_f32x4(wasm_f32x4_neg(gate), c)));
  return wasm_f32x4_mul(silu, up);
}

static __attribute__((noinline)) void swiglu_row(float *y, const float *gate, const float *up, int32_t ffn) {
  const exp_constants c = load_exp();
  int32_t k = 0;
#if WIDE
  ROLLED for (; k + 8 <= ffn; k += 8) {
    const float *g = gate + k, *u = up + k;
    const v128_t low = gated(wasm_v128_load(g), wasm_v128_load(u), &c);
    store_pair(y + k, low, gated(wasm_v128_load(g + 4), wasm_v128_load(u + 4), &c));
  }
#endif
  ROLLED for (; k + 4 <= ffn; k += 4) {
    wasm_v128_store(y + k, gated(wasm_v128_load(gate + k), wasm_v128_load(up + k), &c));
  }
  for (; k < ffn; k++) {
    y[k] = wasm_f32x4_extract_lane(gated(wasm_v128_load32_zero(gate + k), wasm_v128_load32_zero(up + k), &c), 0);
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
