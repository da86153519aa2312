// The part of panels that every matrix kernel shares and none needs inlined: once a panel.
#include "panel.h"

void load_units(panel_vector *units, const uint8_t *exponents) {
  ROLLED for (int v = 0; v < 4; v++) {
    const v128_t bytes = wasm_v128_load32_zero(exponents + 4 * v);
    const v128_t e = wasm_i32x4_extend_low_i16x8(wasm_i16x8_extend_low_i8x16(bytes));
    units->quad[v] = wasm_i32x4_shl(wasm_i32x4_add(e, wasm_i32x4_const_splat(127)), 23);
  }
}
