// Runs every kernel against naive loops; see scripts/test-native.mjs. `main plant` makes a kernel read past a buffer
// instead: the sanitizer must stop it.
#include "check.h"
#include <stdarg.h>

enum { BUFFERS_MAX = 128, DIGESTS_MAX = 64 };

static uint32_t state;
static void *buffers[BUFFERS_MAX];
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

void seed(const char *name) { state = (uint32_t)fnv1a(0xcbf29ce484222325u, name, strlen(name)); }

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

void *fresh(size_t bytes) {
  if (buffer_count == BUFFERS_MAX)
    abort();
  void *p = malloc(bytes);
  if (!p)
    abort();
  memset(p, FRESH, bytes);
  return buffers[buffer_count++] = p;
}

static void end_case(void) {
  if (in_case)
    case_failed ? failed++ : passed++;
  while (buffer_count)
    free(buffers[--buffer_count]);
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
    printf("FAIL %s: %s%s\n", case_name, what, detail);
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
    if (memcmp(actual + i, expected + i, sizeof(float))) {
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
  digests[i].hash = fnv1a(digests[i].hash, data, bytes);
}

int main(int argc, char **argv) {
  if (argc == 2 && !strcmp(argv[1], "plant")) {
    add(fresh_floats(5), fresh_floats(5), 6);
    return 0;
  }
  test_vectors();
  test_rope();
  test_quantize();
  test_matmul();
  test_embed();
  test_attention();
  end_case();
  for (int i = 0; i < digest_count; i++)
    printf("digest %s %s %016llx\n", digests[i].kernel, digests[i].variant, (unsigned long long)digests[i].hash);
  printf("%d passed, %d failed\n", passed, failed);
  return failed > 0;
}
