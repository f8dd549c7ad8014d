/* SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution: a word is 32 channels of a column, and a vector as
 * many columns as it has words. Plain loops, of which compilers make vectors
 * of the width that the including file allows.
 *
 * Template. The including file defines
 *   KERNEL_TARGET   attributes of functions */
#include <string.h>

enum { kColumns = GXNOR_HOST_COLUMNS };

typedef uint32_t depthwise_words[kColumns];

/* Adds product + 1 = 2 P + Z of a tap to the planes of the sums. */
static inline KERNEL_TARGET void depthwise_add_tap(const uint32_t* plus,
                                                   const uint32_t* minus,
                                                   const uint32_t record[2],
                                                   int32_t plane_count,
                                                   depthwise_words* planes) {
  const uint32_t positive = record[0];
  const uint32_t zero = record[1];
  const uint32_t negative = ~(positive | zero);
  depthwise_words carry;
  for (int32_t i = 0; i < kColumns; ++i) {
    const uint32_t p = (plus[i] & positive) | (minus[i] & negative);
    const uint32_t z = ~(plus[i] | minus[i]) | zero;
    carry[i] = p | (planes[0][i] & z);
    planes[0][i] ^= z;
  }
  for (int32_t k = 1; k < plane_count; ++k) {
    for (int32_t i = 0; i < kColumns; ++i) {
      const uint32_t plane = planes[k][i];
      planes[k][i] = plane ^ carry[i];
      carry[i] &= plane;
    }
  }
}

static inline KERNEL_TARGET void depthwise_sum(
    const gxnor_host_depthwise_row* row, int32_t first,
    depthwise_words* planes) {
  for (int32_t k = 0; k < row->plane_count; ++k) {
    /* Every tap will add 1 too much. */
    memset(planes[k], (0u - (uint32_t)row->taps) >> k & 1u ? 0xFF : 0,
           sizeof planes[k]);
  }
  for (int32_t tap = 0; tap < row->taps; ++tap) {
    const size_t offset = row->offsets[tap] + (size_t)first;
    depthwise_add_tap(row->plus + offset, row->minus + offset,
                      row->records + 2 * (size_t)tap, row->plane_count, planes);
  }
}

static KERNEL_TARGET void depthwise_states(const gxnor_host_depthwise_row* row,
                                           uint32_t* pairs) {
  for (int32_t first = 0; first < row->columns; first += kColumns) {
    const int32_t left = row->columns - first;
    const int32_t count = left < kColumns ? left : kColumns;
    depthwise_words planes[GXNOR_HOST_MAX_PLANES];
    depthwise_words below_high = {0}, below_low = {0};
    depthwise_sum(row, first, planes);
    for (int32_t k = 0; k < row->plane_count; ++k) {
      const uint32_t high = row->thresholds[2 * k];
      const uint32_t low = row->thresholds[2 * k + 1];
      /* Thresholds are in offset binary, which differs in the sign bit. */
      const uint32_t flip = k == row->plane_count - 1 ? 0xFFFFFFFFu : 0;
      for (int32_t i = 0; i < kColumns; ++i) {
        const uint32_t sum = planes[k][i] ^ flip;
        below_high[i] =
            ((high | below_high[i]) & ~sum) | (high & below_high[i]);
        below_low[i] = ((low | below_low[i]) & ~sum) | (low & below_low[i]);
      }
    }
    for (int32_t i = 0; i < count; ++i, pairs += row->step) {
      pairs[0] = ~below_high[i];
      pairs[1] = below_low[i];
    }
  }
}

static KERNEL_TARGET void depthwise_sums(const gxnor_host_depthwise_row* row,
                                         int32_t* sums) {
  for (int32_t first = 0; first < row->columns; first += kColumns) {
    const int32_t left = row->columns - first;
    const int32_t count = left < kColumns ? left : kColumns;
    depthwise_words planes[GXNOR_HOST_MAX_PLANES];
    depthwise_sum(row, first, planes);
    for (int32_t i = 0; i < count; ++i, sums += row->step) {
      for (int32_t lane = 0; lane < row->lanes; ++lane) {
        /* The sign bit stands for all higher bits. */
        uint32_t sum = 0u - (planes[row->plane_count - 1][i] >> lane & 1u);
        for (int32_t k = row->plane_count - 2; k >= 0; --k) {
          sum = 2u * sum + (planes[k][i] >> lane & 1u);
        }
        sums[lane] = (int32_t)sum;
      }
    }
  }
}
