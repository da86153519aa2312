// Activations as the quantized kernels read them: int8 per block of 32 columns, scale = absmax / 127.
// Each block also carries its integer sum (for zero points) and scale * sum (for minima).
//
// One row (layouts 0 to 2), for GEMV:
//   f32 scaled_sums[blocks]; f32 scales[blocks]; i32 sums[blocks]; blocks x values
//     0 BYTES     i8 q[32]
//     1 NIBBLES   i16: of columns 4g..4g+3 and 16+4g..16+4g+3, times the weight that the plain q4 kernel needs
//     2 WORDS     i16: of each 4 columns 0 2 1 3
// Four rows (layouts 3 and 4), for GEMM:
//   f32 scaled_sums[blocks][4]; blocks x { f32 scales[4]; i32 sums[4]; values }
//     3 TILE_BYTES  i8 q[8][4 rows][4]
//     4 TILE_WORDS  i16 q[16][4 rows][2]: of each 4 columns 0 2, then 1 3
// The same in TypeScript: src/backends/wasm/activation-layout.ts.
#pragma once
#include "kernel.h"

enum { BYTES, NIBBLES, WORDS, TILE_BYTES, TILE_WORDS };

#define TILE_ROWS 4          // rows that a GEMM tile takes at a time
#define TILE_HEADER_BYTES 32 // scales[4] and sums[4] in front of a tile's block

// Quantizes one row of a batch into its place in `a`.
void quantize_row(uint8_t *a, const float *x, int32_t row, int32_t cols, int32_t layout);
