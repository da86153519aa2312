// Cosines and sines of rotary positions, with no function of the engine: the same bits everywhere.
//
//   cos, sin (positions, half) f32     rows [start, end) are written: f32(cos(angle)) * scale, angle = f32(position) *
//   f32(inv_freq[i]) inv_freq (half,) f64               rounded to f32 as Hugging Face's code does, and the angle's
//   product too
//
// |angle| < 2^28: the error before rounding to f32 is under 2e-15, so results are within half a unit of f32 plus that.
#include "kernel.h"

// pi / 2 in two parts: 25 bits, so that their product with an integer below 2^28 is exact in f64, and the rest.
#define PI_2_HIGH 1.57079631090164184570e+00
#define PI_2_LOW 1.58932547735281966916e-08

// sin(x + quarters * pi / 2): reduced to [-pi/4, pi/4], then Taylor series to x^15 / 15! and x^16 / 16! (remainders
// under 2^-57).
static __attribute__((noinline)) double sine(double x, int quarters) {
  const double n = __builtin_rint(x * 0.63661977236758134308); // ties to even, an instruction of WASM
  const double r = (x - n * PI_2_HIGH) - n * PI_2_LOW, z = r * r;
  quarters += (int)n;
  double value;
  if (quarters & 1)
    value = 1 + z * (-1.0 / 2 +
                     z * (1.0 / 24 +
                          z * (-1.0 / 720 +
                               z * (1.0 / 40320 + z * (-1.0 / 3628800 +
                                                       z * (1.0 / 479001600 + z * (-1.0 / 87178291200.0 +
                                                                                   z * (1.0 / 20922789888000.0))))))));
  else
    value = r * (1 + z * (-1.0 / 6 +
                          z * (1.0 / 120 +
                               z * (-1.0 / 5040 +
                                    z * (1.0 / 362880 + z * (-1.0 / 39916800 + z * (1.0 / 6227020800.0 +
                                                                                    z * (-1.0 / 1307674368000.0))))))));
  return quarters & 2 ? -value : value;
}

EXPORT(rope_table)
void rope_table(float *cos, float *sin, const double *inv_freq, int32_t half, int32_t start, int32_t end, float scale) {
  for (int position = start; position < end; position++)
    for (int i = 0; i < half; i++) {
      const float angle = (float)position * (float)inv_freq[i];
      const uint32_t at = (uint32_t)position * (uint32_t)half + (uint32_t)i;
      cos[at] = (float)sine(angle, 1) * scale;
      sin[at] = (float)sine(angle, 0) * scale;
    }
}
