/* SPDX-License-Identifier: Apache-2.0 */
/* What one core could do at most: the operations of the dense kernel without
 * its memory, and reading weights without computing. Prints two numbers:
 * products per nanosecond, and bytes per nanosecond from a buffer of `argv[1]`
 * bytes. Needs -mavx512f -mavx512vpopcntdq. */
#define _POSIX_C_SOURCE 200809L

#include <immintrin.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NOINLINE __attribute__((noinline))

enum { kRounds = 30, kSteps = 20000, kChains = 12 };

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Six operations for 512 products, on registers. The empty assembly keeps the
 * compiler from computing what does not change only once. */
NOINLINE static __m512i compute(void) {
  __m512i gates[kChains], signs[kChains], sum = _mm512_setzero_si512();
  __m512i weight = _mm512_set1_epi32(0x12345678);
  __m512i input = _mm512_set1_epi32(0x0F0F00FF);
  for (int i = 0; i < kChains; ++i) gates[i] = signs[i] = sum;
  for (int step = 0; step < kSteps; ++step) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) {
      __m512i both, differ;
      __asm__ volatile("" : "+v"(weight), "+v"(input));
      both = _mm512_and_si512(weight, input);
      differ = _mm512_ternarylogic_epi32(weight, input, both, 0x28);
      gates[i] = _mm512_add_epi32(gates[i], _mm512_popcnt_epi32(both));
      signs[i] = _mm512_add_epi32(signs[i], _mm512_popcnt_epi32(differ));
    }
  }
  for (int i = 0; i < kChains; ++i) {
    sum = _mm512_add_epi32(sum, _mm512_sub_epi32(gates[i], signs[i]));
  }
  return sum;
}

NOINLINE static __m512i read_all(const uint8_t* memory, size_t size) {
  __m512i sums[4];
  for (int i = 0; i < 4; ++i) sums[i] = _mm512_setzero_si512();
  for (size_t at = 0; at + 256 <= size; at += 256) {
    for (int i = 0; i < 4; ++i) {
      sums[i] = _mm512_xor_si512(
          sums[i], _mm512_loadu_si512(memory + at + 64 * (size_t)i));
    }
  }
  return _mm512_xor_si512(_mm512_xor_si512(sums[0], sums[1]),
                          _mm512_xor_si512(sums[2], sums[3]));
}

NOINLINE static int keep(__m512i value) {
  return _mm512_reduce_add_epi32(value) == 42;
}

int main(int count, char** arguments) {
  const size_t size = count > 1 ? (size_t)atoll(arguments[1]) : 0;
  uint8_t* const memory = malloc(size + 64);
  double compute_best = 1e30, read_best = 1e30;
  int used = 0;
  if (memory == NULL || size < 256) return 1;
  memset(memory, 1, size);
  for (int round = 0; round < kRounds; ++round) {
    double start = now(), time;
    used += keep(compute());
    time = now() - start;
    if (time < compute_best) compute_best = time;
    start = now();
    used += keep(read_all(memory, size));
    time = now() - start;
    if (time < read_best) read_best = time;
  }
  printf("%.1f %.1f\n", 512.0 * kChains * kSteps / compute_best,
         (double)size / read_best);
  free(memory);
  return used > 1000;
}
