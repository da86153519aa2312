// e^x of four numbers, with no function of the engine: the same bits everywhere.
#pragma once
#include "kernel.h"

extern const float EXP[]; // in swiglu.c

typedef struct {
  v128_t lowest, highest, log2_e, magic, ln2_low, minus_ln2_high, c6, c5, c4, c3, c2, c1, one;
} exp_constants;

static ALWAYS_INLINE exp_constants load_exp(void) {
  const float *c = opaque_table(EXP);
  return (exp_constants){wasm_v128_load(c),      wasm_v128_load(c + 4),  wasm_v128_load(c + 8),  wasm_v128_load(c + 12),
                         wasm_v128_load(c + 16), wasm_v128_load(c + 20), wasm_v128_load(c + 24), wasm_v128_load(c + 28),
                         wasm_v128_load(c + 32), wasm_v128_load(c + 36), wasm_v128_load(c + 40), wasm_v128_load(c + 44),
                         wasm_v128_load(c + 48)};
}

// e^x, relative error under 2e-7, clamped to [-87.3, 88.3]: x = n ln 2 + r, then a polynomial of degree 6 in r.
static ALWAYS_INLINE v128_t exp_f32x4(v128_t x, const exp_constants *c) {
  x = wasm_f32x4_pmax(c->lowest, wasm_f32x4_pmin(c->highest, x));
  const v128_t t = wasm_f32x4_add(wasm_f32x4_mul(x, c->log2_e), c->magic); // n lands in the low bits
  const v128_t n = wasm_f32x4_sub(t, c->magic);
  const v128_t r = wasm_f32x4_add(wasm_f32x4_mul(n, c->ln2_low), wasm_f32x4_add(wasm_f32x4_mul(n, c->minus_ln2_high), x));
  v128_t p = wasm_f32x4_add(wasm_f32x4_mul(c->c6, r), c->c5);
  p = wasm_f32x4_add(wasm_f32x4_mul(p, r), c->c4);
  p = wasm_f32x4_add(wasm_f32x4_mul(p, r), c->c3);
  p = wasm_f32x4_add(wasm_f32x4_mul(p, r), c->c2);
  p = wasm_f32x4_add(wasm_f32x4_mul(p, r), c->c1);
  p = wasm_f32x4_add(wasm_f32x4_mul(p, wasm_f32x4_mul(r, r)), wasm_f32x4_add(r, c->one));
  return wasm_i32x4_add(p, wasm_i32x4_shl(t, 23)); // n is added to the exponent: p is at least 0.7, the result normal
}
