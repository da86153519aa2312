// Runs every kernel against naive loops; see scripts/test-native.mjs.
//
//   main                      the fixed round: the same shapes and numbers each time
//   main random SEED ROUNDS   that many rounds of other shapes and numbers, larger ones and such that are none
//   main trace                the fixed round, and every call of a kernel with the bytes that its buffers have
//   main plant                makes a kernel read past a buffer: the sanitizer must stop it
#include "check.h"
#include <float.h>
#include <sanitizer/common_interface_defs.h>
#include <stdarg.h>

enum { BUFFERS_MAX = 4096, DIGESTS_MAX = 64 };

int is_random;
static int is_traced;
static uint32_t state, round_seed;
static struct {
  uint8_t *start;
  size_t bytes;
} buffers[BUFFERS_MAX];
static int buffer_count, in_case, case_failed, passed, failed;
static char case_name[256];
static struct {
  char kernel[32], variant[8];
  uint64_t hash;
} digests[DIGESTS_MAX];
static int digest_count;

static uint64_t fnv1a(uint64_t hash, const void *data, size_t bytes) {
  for (const uint8_t *p = data, *end = p + bytes; p < end; p++)
    hash = (hash ^ *p) * 0x100000001b3u;
  return hash;
}

void seed(const char *name) { state = (uint32_t)fnv1a(0xcbf29ce484222325u, name, strlen(name)) ^ round_seed; }

uint32_t random_bits(void) { // SplitMix32
  uint32_t z = state += 0x9e3779b9u;
  z = (z ^ (z >> 16)) * 0x85ebca6bu;
  z = (z ^ (z >> 13)) * 0xc2b2ae35u;
  return z ^ (z >> 16);
}

int random_int(int from, int to) { return from + (int)(random_bits() % (uint32_t)(to - from + 1)); }

float random_float(float size) { return ((float)(random_bits() >> 8) / 8388608.0f - 1.0f) * size; }

float *random_floats(size_t count, float size) {
  float *x = fresh_floats(count);
  for (size_t i = 0; i < count; i++)
    x[i] = random_float(size);
  return x;
}

float *any_floats(size_t count, float size) {
  static const float SPECIAL[] = {NAN, INFINITY, -INFINITY, 1e-45f, -1e-40f, FLT_MAX, -FLT_MAX, FLT_MIN, -0.0f, 0};
  float *x = random_floats(count, size);
  const int one_in = is_random && random_int(0, 2) == 0 ? random_int(1, 60) : 0;
  for (size_t i = 0; one_in && i < count; i++)
    if (random_int(1, one_in) == 1)
      x[i] = SPECIAL[random_int(0, sizeof SPECIAL / sizeof *SPECIAL - 1)];
  return x;
}

int random_size(int small, int large) { return random_int(1, is_random && random_int(0, 4) == 0 ? large : small); }

void *fresh(size_t bytes) {
  if (buffer_count == BUFFERS_MAX)
    abort();
  uint8_t *p = malloc(bytes);
  if (!p)
    abort();
  memset(p, FRESH, bytes);
  buffers[buffer_count].start = p;
  buffers[buffer_count++].bytes = bytes;
  return p;
}

// What lies between a pointer and the end of its buffer; 0 for null and for what no fresh() gave.
static size_t bytes_from(const void *pointer) {
  const uint8_t *p = pointer;
  for (int i = buffer_count - 1; i >= 0; i--)
    if (p >= buffers[i].start && p <= buffers[i].start + buffers[i].bytes)
      return buffers[i].start + buffers[i].bytes - p;
  return 0;
}

// Called in front of every kernel (kernels.h): `types` has a letter for each argument, p(ointer), i(nteger) or f(loat).
void trace(const char *kernel, const char *types, ...) {
  if (!is_traced)
    return;
  printf("call %s", kernel);
  va_list list;
  va_start(list, types);
  for (; *types; types++)
    if (*types == 'p')
      printf(" %zu", bytes_from(va_arg(list, const void *)));
    else if (*types == 'i')
      printf(" %d", va_arg(list, int));
    else
      printf(" %g", va_arg(list, double));
  va_end(list);
  puts("");
}

static void end_case(void) {
  if (in_case)
    case_failed ? failed++ : passed++;
  while (buffer_count)
    free(buffers[--buffer_count].start);
  in_case = case_failed = 0;
}

void begin(const char *format, ...) {
  end_case();
  in_case = 1;
  va_list list;
  va_start(list, format);
  vsnprintf(case_name, sizeof case_name, format, list);
  va_end(list);
}

static void fail(const char *what, const char *detail) {
  if (!case_failed)
    printf("FAIL %s: %s%s%s\n", case_name, what, detail, is_random ? " (random)" : "");
  case_failed = 1;
}

void check_true(int ok, const char *what) {
  if (!ok)
    fail(what, "");
}

void check_bytes(const void *actual, const void *expected, size_t bytes, const char *what) {
  const uint8_t *a = actual, *e = expected;
  for (size_t i = 0; i < bytes; i++)
    if (a[i] != e[i]) {
      char detail[96];
      snprintf(detail, sizeof detail, ": byte %zu of %zu is %d instead of %d", i, bytes, a[i], e[i]);
      fail(what, detail);
      return;
    }
}

void check_floats(const float *actual, const float *expected, size_t count, const char *what) {
  for (size_t i = 0; i < count; i++)
    if (memcmp(actual + i, expected + i, sizeof(float)) && !(isnan(actual[i]) && isnan(expected[i]))) {
      char detail[96];
      snprintf(detail, sizeof detail, ": [%zu] of %zu is %.9g instead of %.9g", i, count, actual[i], expected[i]);
      fail(what, detail);
      return;
    }
}

void check_near(double actual, double expected, double tolerance, const char *what) {
  if (fabs(actual - expected) <= tolerance)
    return;
  char detail[96];
  snprintf(detail, sizeof detail, ": %.9g instead of %.9g", actual, expected);
  fail(what, detail);
}

static uint64_t digest_of(uint64_t hash, const void *data, size_t bytes) {
  const float *values = data;
  for (size_t i = 0; i < bytes / sizeof(float); i++) {
    const float value = isnan(values[i]) ? NAN : values[i];
    hash = fnv1a(hash, &value, sizeof value);
  }
  return hash;
}

void digest(const char *kernel, const char *variant, const void *data, size_t bytes) {
  int i = 0;
  while (i < digest_count && (strcmp(digests[i].kernel, kernel) || strcmp(digests[i].variant, variant)))
    i++;
  if (i == digest_count) {
    if (digest_count++ == DIGESTS_MAX)
      abort();
    snprintf(digests[i].kernel, sizeof digests[i].kernel, "%s", kernel);
    snprintf(digests[i].variant, sizeof digests[i].variant, "%s", variant);
    digests[i].hash = 0xcbf29ce484222325u;
  }
  digests[i].hash = digest_of(digests[i].hash, data, bytes);
}

static void run_tests(void) {
  test_vectors();
  test_rope();
  test_quantize();
  test_matmul();
  test_embed();
  test_attention();
  end_case();
}

// A sanitizer's report says where in a kernel; this says in which case.
static void name_case(void) {
  fprintf(stderr, "in case: %s\n", case_name);
  fflush(stdout);
}

int main(int argc, char **argv) {
  __sanitizer_set_death_callback(name_case);
  if (argc == 2 && !strcmp(argv[1], "plant")) {
    add(fresh_floats(5), fresh_floats(5), 6);
    return 0;
  }
  is_random = argc == 4 && !strcmp(argv[1], "random");
  is_traced = argc == 2 && !strcmp(argv[1], "trace");
  const int rounds = is_random ? atoi(argv[3]) : 1;
  for (int round = 0; round < rounds; round++) {
    char name[64];
    snprintf(name, sizeof name, "%s %d", is_random ? argv[2] : "", round);
    round_seed = is_random ? (uint32_t)fnv1a(0xcbf29ce484222325u, name, strlen(name)) : 0;
    run_tests();
  }
  for (int i = 0; i < digest_count; i++)
    printf("digest %s %s %016llx\n", digests[i].kernel, digests[i].variant, (unsigned long long)digests[i].hash);
  printf("%d passed, %d failed\n", passed, failed);
  return failed > 0;
}
