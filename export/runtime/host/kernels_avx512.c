/* SPDX-License-Identifier: Apache-2.0 */
/* AVX-512 with VPOPCNTDQ and VNNI: Ice Lake, Zen 4 and later. */
#include "kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define KERNEL_TARGET    \
  __attribute__((target( \
      "avx512f,avx512bw,avx512vl,avx512vpopcntdq,avx512vnni,bmi,bmi2")))
#define VEC __m512i

/* ---- Dense, ternary inputs ---- */

#define COUNT_VECTORS 2
#define COUNT_TILE 6
#define COUNT_ZERO _mm512_setzero_si512()
#define COUNT_LOAD(memory) _mm512_loadu_si512(memory)
#define COUNT_SPREAD(word) _mm512_set1_epi32((int32_t)(word))
#define COUNT_SIGNS(a, b, g) _mm512_ternarylogic_epi32(a, b, g, 0x28)
#define COUNT_ADD(sum, bits) _mm512_add_epi32(sum, _mm512_popcnt_epi32(bits))
#define COUNT_STORE(sums, gates, signs) \
  _mm512_storeu_si512(sums,             \
                      _mm512_sub_epi32(gates, _mm512_slli_epi32(signs, 1)))
#include "kernels_count.h"

/* ---- Dense, int8 inputs ---- */

static inline __attribute__((always_inline)) KERNEL_TARGET void s8_tile(
    const gxnor_host_tile* tile, const int32_t count, gxnor_host_sums sums) {
  const int8_t* weights = tile->weights;
  __m512i sum[GXNOR_HOST_MAX_TILE][2];
  for (int32_t i = 0; i < count; ++i) {
    sum[i][0] = _mm512_loadu_si512(tile->biases);
    sum[i][1] = _mm512_loadu_si512(tile->biases + 16);
  }
  for (int32_t row = 0; row < tile->rows; ++row) {
    for (int32_t column = 0; column < tile->columns; ++column) {
      const size_t offset =
          (size_t)row * tile->row_bytes + (size_t)column * tile->column_bytes;
      for (int32_t j = 0; j < tile->words; ++j, weights += 4 * GXNOR_LANES) {
        const __m512i low = _mm512_loadu_si512(weights);
        const __m512i high = _mm512_loadu_si512(weights + 64);
#pragma GCC unroll 8
        for (int32_t i = 0; i < count; ++i) {
          const __m512i input = _mm512_set1_epi32(
              gxnor_host_load_word(tile->inputs[i] + offset + 4 * (size_t)j));
          sum[i][0] = _mm512_dpbusd_epi32(sum[i][0], input, low);
          sum[i][1] = _mm512_dpbusd_epi32(sum[i][1], input, high);
        }
      }
    }
  }
  for (int32_t i = 0; i < count; ++i) {
    _mm512_storeu_si512(sums[i], sum[i][0]);
    _mm512_storeu_si512(sums[i] + 16, sum[i][1]);
  }
}

static KERNEL_TARGET void s8_sums(const gxnor_host_tile* tile,
                                  gxnor_host_sums sums) {
  switch (tile->count) {
    case 1:
      s8_tile(tile, 1, sums);
      break;
    case 2:
      s8_tile(tile, 2, sums);
      break;
    case 3:
      s8_tile(tile, 3, sums);
      break;
    case 4:
      s8_tile(tile, 4, sums);
      break;
    case 5:
      s8_tile(tile, 5, sums);
      break;
    default:
      s8_tile(tile, 6, sums);
      break;
  }
}

/* ---- Thresholds ---- */

static KERNEL_TARGET void compare(const int32_t* sums,
                                  const int32_t* thresholds, uint32_t* pair) {
  const __m512i a = _mm512_loadu_si512(sums);
  const __m512i b = _mm512_loadu_si512(sums + 16);
  const int32_t* const low = thresholds + GXNOR_LANES;
  pair[0] =
      (uint32_t)_mm512_cmpge_epi32_mask(a, _mm512_loadu_si512(thresholds)) |
      (uint32_t)_mm512_cmpge_epi32_mask(b, _mm512_loadu_si512(thresholds + 16))
          << 16;
  pair[1] = (uint32_t)_mm512_cmplt_epi32_mask(a, _mm512_loadu_si512(low)) |
            (uint32_t)_mm512_cmplt_epi32_mask(b, _mm512_loadu_si512(low + 16))
                << 16;
}

/* ---- Events ---- */

#define VEC_ONES(flag) _mm512_set1_epi64(-(int64_t)(flag))
#define XOR3(a, b, c) _mm512_ternarylogic_epi64(a, b, c, 0x96)
#define MAJORITY(a, b, c) _mm512_ternarylogic_epi64(a, b, c, 0xE8)
#define OR_AND(a, b, c) _mm512_ternarylogic_epi64(a, b, c, 0xF8)
#define BELOW(t, b, s) _mm512_ternarylogic_epi64(t, b, s, 0xD4)
#include "kernels_depthwise.h"
#define EVENTS(name) events_512_##name
#include "kernels_events.h"

static bool is_supported(void) {
  return __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512vpopcntdq") &&
         __builtin_cpu_supports("avx512vnni") &&
         __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
}

const gxnor_host_kernels gxnor_host_avx512 = {
    .name = "avx512",
    .is_supported = is_supported,
    .tile = COUNT_TILE,
    .counts_fast = true,
    .blocks = {{16, events_512_states}},
    .t2_sums = count_t2_sums,
    .s8_sums = s8_sums,
    .compare = compare,
    .depthwise_states = depthwise_states,
    .depthwise_sums = depthwise_sums,
};
#endif
