// What the native kernel tests share: reproducible random numbers, buffers without slack, and the tally.
#pragma once
#include "kernels.h" // every kernel's prototype, generated from wasm/*.c
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What a fresh buffer holds: as a float -2.9e-16, as int8 -91.
enum { FRESH = 0xa5 };

// Restarts the random numbers: kernels that must agree get the same shapes and data. In `main random` each round has its own.
void seed(const char *name);
// Whether this is a round of `main random`, whose shapes are larger and whose numbers may be no numbers.
extern int is_random;
uint32_t random_bits(void);
int random_int(int from, int to); // both included
float random_float(float size);   // in [-size, size]
float *random_floats(size_t count, float size);
// The same, but in some random rounds with NaN, infinities, subnormals, the largest numbers and -0 among them. For kernels
// whose every result is defined for these.
float *any_floats(size_t count, float size);
// A size in [1, small]; in random rounds at times up to `large`.
int random_size(int small, int large);

// Exactly that many bytes, so that one byte more is a sanitizer's error; freed by the next begin().
void *fresh(size_t bytes);
static inline float *fresh_floats(size_t count) { return fresh(count * sizeof(float)); }

// Starts a case, named as by printf, and ends the last one: a case passes when no check in it fails.
void begin(const char *format, ...) __attribute__((format(printf, 1, 2)));
void check_bytes(const void *actual, const void *expected, size_t bytes, const char *what);
// Bit for bit; any NaN equals any, since its bits are not promised.
void check_floats(const float *actual, const float *expected, size_t count, const char *what);
void check_near(double actual, double expected, double tolerance, const char *what);
void check_true(int ok, const char *what);

// Adds outputs to a kernel's digest, which every variant in every build must have in common. All NaN count as one.
void digest(const char *kernel, const char *variant, const void *data, size_t bytes);

static inline float bf16_value(uint16_t bits) {
  const union {
    uint32_t u;
    float f;
  } value = {(uint32_t)bits << 16};
  return value.f;
}

static inline uint16_t nearest_bf16(float x) {
  const union {
    float f;
    uint32_t u;
  } bits = {x};
  return (uint16_t)((bits.u + 0x7fff + ((bits.u >> 16) & 1)) >> 16);
}

// The nearest integer, ties to even.
static inline int nearest(float x) { return (int)nearbyintf(x); }

void test_vectors(void);
void test_rope(void);
void test_quantize(void);
void test_matmul(void);
void test_embed(void);
void test_attention(void);
