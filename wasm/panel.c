// The end of a panel's product: one body for every GEMV, since it runs once a panel.
#include "panel.h"

void store_panel(float *y, const panel_vector *d, const panel_vector *m, const uint8_t *header, int32_t accumulate) {
  ROLLED for (int v = 0; v < 4; v++, y += 4, header += 4) {
    v128_t sum = wasm_f32x4_mul(d->quad[v], powers_of_two(header));
    if (m) sum = wasm_f32x4_add(sum, wasm_f32x4_mul(m->quad[v], powers_of_two(header + PANEL_ROWS)));
    if (accumulate) sum = wasm_f32x4_add(wasm_v128_load(y), sum);
    wasm_v128_store(y, sum);
  }
}
