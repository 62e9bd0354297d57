/* Small programs whose results must be those of the host's processor: floating point, vectors (with -march=x86-64-v3: AVX2 and FMA), string functions. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N 96

static uint64_t hash(const void *bytes, size_t length) {
  const unsigned char *p = bytes;
  uint64_t h = 1469598103934665603u;
  for (size_t i = 0; i < length; i++) h = (h ^ p[i]) * 1099511628211u;
  return h;
}

static void matrices(void) {
  static double a[N][N], b[N][N], c[N][N];
  static float f[N * N], g[N * N];
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++) {
      a[i][j] = (i * 37 + j * 11) % 101 / 7.0;
      b[i][j] = (i * 13 + j * 29) % 97 / 3.0;
    }
  for (int i = 0; i < N; i++)
    for (int k = 0; k < N; k++)
      for (int j = 0; j < N; j++) c[i][j] += a[i][k] * b[k][j];
  for (int i = 0; i < N * N; i++) f[i] = (float)c[i / N][i % N] * 0.125f + 3.0f;
  for (int i = 0; i < N * N; i++) g[i] = sqrtf(f[i]) / (1.0f + fabsf(f[N * N - 1 - i]));
  printf("matrices %016llx %016llx\n", (unsigned long long)hash(c, sizeof c), (unsigned long long)hash(g, sizeof g));
}

static void strings(void) {
  static char text[70000], copy[70000];
  uint64_t h = 0;
  for (size_t i = 0; i < sizeof text - 1; i++) text[i] = (char)('a' + (i * i + i / 7) % 26);
  for (size_t n = 1; n < sizeof text - 1; n = n * 3 / 2 + 1) {
    memcpy(copy + n % 13, text + n % 7, n);
    copy[n % 13 + n] = 0;
    h = h * 31 + strlen(copy + n % 13);
    h = h * 31 + (size_t)(strchr(copy + n % 13, 'z') ? strchr(copy + n % 13, 'z') - copy : -1);
    h = h * 31 + (unsigned)(memcmp(copy + n % 13, text + n % 7, n) != 0);
    memmove(copy + 5, copy, n);
    h = h * 31 + hash(copy, n);
  }
  printf("strings %016llx\n", (unsigned long long)h);
}

static int byValue(const void *x, const void *y) {
  const uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
  return (a > b) - (a < b);
}

static void integers(void) {
  static uint32_t v[20000];
  uint32_t x = 12345, bits = 0;
  for (size_t i = 0; i < 20000; i++) {
    x = x * 1664525u + 1013904223u;
    v[i] = x;
    bits += (uint32_t)__builtin_popcount(x) + (uint32_t)__builtin_ctz(x | 1u << 31) + (uint32_t)__builtin_clzll((uint64_t)x << 7 | 1);
  }
  qsort(v, 20000, sizeof v[0], byValue);
  printf("integers %016llx %u\n", (unsigned long long)hash(v, sizeof v), bits);
}

int main(void) {
  matrices();
  strings();
  integers();
  long double sum = 0;
  for (int i = 1; i < 100000; i++) sum += 1.0L / i;
  printf("long double %.15Lf %.12f %.12f\n", sum, sin(0.7) * exp(1.3), pow(1.0001, 5000));
  return 0;
}
