/* SPDX-License-Identifier: Apache-2.0 */
/* AVX2: Haswell, Zen and later. */
#include "kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define KERNEL_TARGET __attribute__((target("avx2,bmi,bmi2")))
typedef uint64_t vector64 __attribute__((vector_size(32)));
#define VEC vector64

/* ---- Dense, ternary inputs ---- */

/* The bits of both halves of each byte, by table. */
static inline KERNEL_TARGET VEC count_bits(VEC vector) {
  const __m256i table =
      _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,  //
                       0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
  const __m256i half = _mm256_set1_epi8(15);
  const __m256i bits = (__m256i)vector;
  const __m256i low = _mm256_and_si256(bits, half);
  const __m256i high = _mm256_and_si256(_mm256_srli_epi16(bits, 4), half);
  return (VEC)_mm256_add_epi8(_mm256_shuffle_epi8(table, low),
                              _mm256_shuffle_epi8(table, high));
}

#define CARRY_TILE 3
#define CARRY_LOAD(memory) \
  (VEC) _mm256_loadu_si256((const __m256i*)(const void*)(memory))
#define CARRY_STORE(memory, vector) \
  _mm256_storeu_si256((__m256i*)(void*)(memory), (__m256i)(vector))
#define CARRY_SPREAD(word) (VEC) _mm256_set1_epi32((int32_t)(word))
#define CARRY_BYTES(vector) count_bits(vector)
#define CARRY_FILL(number) (VEC) _mm256_set1_epi64x((int64_t)(number))
#include "kernels_carry.h"

/* ---- Dense, int8 inputs ---- */

enum { kS8Tile = 2 };

static inline __attribute__((always_inline)) KERNEL_TARGET void s8_tile(
    const gxnor_host_tile* tile, int32_t first, const int32_t count,
    gxnor_host_sums sums) {
  const __m256i one = _mm256_set1_epi16(1);
  const int8_t* weights = tile->weights;
  __m256i sum[kS8Tile][4];
  for (int32_t i = 0; i < count; ++i) {
    for (int32_t v = 0; v < 4; ++v) {
      sum[i][v] = _mm256_loadu_si256(
          (const __m256i*)(const void*)(tile->biases + 8 * v));
    }
  }
  for (int32_t row = 0; row < tile->rows; ++row) {
    for (int32_t column = 0; column < tile->columns; ++column) {
      const size_t offset =
          (size_t)row * tile->row_bytes + (size_t)column * tile->column_bytes;
      for (int32_t j = 0; j < tile->words; ++j, weights += 4 * GXNOR_LANES) {
#pragma GCC unroll 8
        for (int32_t i = 0; i < count; ++i) {
          const __m256i input = _mm256_set1_epi32(gxnor_host_load_word(
              tile->inputs[first + i] + offset + 4 * (size_t)j));
#pragma GCC unroll 8
          for (int32_t v = 0; v < 4; ++v) {
            /* Two products are at most 510: nothing saturates. */
            const __m256i pairs = _mm256_maddubs_epi16(
                input, _mm256_loadu_si256(
                           (const __m256i*)(const void*)(weights + 32 * v)));
            sum[i][v] =
                _mm256_add_epi32(sum[i][v], _mm256_madd_epi16(pairs, one));
          }
        }
      }
    }
  }
  for (int32_t i = 0; i < count; ++i) {
    for (int32_t v = 0; v < 4; ++v) {
      _mm256_storeu_si256((__m256i*)(void*)(sums[first + i] + 8 * v),
                          sum[i][v]);
    }
  }
}

static KERNEL_TARGET void s8_sums(const gxnor_host_tile* tile,
                                  gxnor_host_sums sums) {
  int32_t i = 0;
  for (; i + kS8Tile <= tile->count; i += kS8Tile) {
    s8_tile(tile, i, kS8Tile, sums);
  }
  if (i < tile->count) s8_tile(tile, i, 1, sums);
}

/* ---- Thresholds ---- */

static KERNEL_TARGET void compare(const int32_t* sums,
                                  const int32_t* thresholds, uint32_t* pair) {
  uint32_t below_high = 0, below_low = 0;
  for (int32_t lane = 0; lane < GXNOR_LANES; lane += 8) {
    const __m256i sum =
        _mm256_loadu_si256((const __m256i*)(const void*)(sums + lane));
    const __m256i high =
        _mm256_loadu_si256((const __m256i*)(const void*)(thresholds + lane));
    const __m256i low = _mm256_loadu_si256(
        (const __m256i*)(const void*)(thresholds + GXNOR_LANES + lane));
    below_high |= (uint32_t)_mm256_movemask_ps(
                      _mm256_castsi256_ps(_mm256_cmpgt_epi32(high, sum)))
                  << lane;
    below_low |= (uint32_t)_mm256_movemask_ps(
                     _mm256_castsi256_ps(_mm256_cmpgt_epi32(low, sum)))
                 << lane;
  }
  pair[0] = ~below_high;
  pair[1] = below_low;
}

/* ---- Events ---- */

#define VEC_ONES(flag) CARRY_FILL(-(int64_t)(flag))
#include "kernels_depthwise.h"
#define EVENTS(name) events_256_##name
#include "kernels_events.h"

/* Half as wide, for half as many channels. */
typedef uint64_t vector128 __attribute__((vector_size(16)));
#undef EVENTS
#undef VEC
#undef VEC_ONES
#define EVENTS(name) events_128_##name
#define VEC vector128
#define VEC_ONES(flag) \
  (vector128) { 0u - (uint64_t)(flag), 0u - (uint64_t)(flag) }
#include "kernels_events.h"

static bool is_supported(void) {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
         __builtin_cpu_supports("bmi2");
}

const gxnor_host_kernels gxnor_host_avx2 = {
    .name = "avx2",
    .is_supported = is_supported,
    .tile = GXNOR_HOST_MAX_TILE,
    .counts_fast = false,
    .blocks = {{8, events_256_states}, {4, events_128_states}},
    .t2_sums = carry_t2_sums,
    .s8_sums = s8_sums,
    .compare = compare,
    .depthwise_states = depthwise_states,
    .depthwise_sums = depthwise_sums,
};
#endif
