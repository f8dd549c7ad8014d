/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GXNOR_LOWEST_BIT_INTERNAL_H_
#define GXNOR_LOWEST_BIT_INTERNAL_H_

#include <stdint.h>

/* Takes the lowest set bit out of a word that is not 0; returns its index
 * times `scale`, 1 or 8. */
static inline uint32_t gxnor_take_lowest_bit(uint32_t* word, uint32_t scale) {
#if defined(__GNUC__) && !defined(__ARM_ARCH_6M__) && \
    !defined(__ARM_ARCH_8M_BASE__) && !defined(__riscv)
  const uint32_t index = (uint32_t)__builtin_ctz(*word);
  *word &= *word - 1;
  return scale * index;
#else
  /* C99 has no count of zeros, and what compilers have is a library call
   * here. Element (word * 0x077CB531) >> 27 is 8 i for word = 1 << i (De
   * Bruijn). */
  static const uint8_t kTimes8[32] = {
      0,   8,   224, 16, 232, 112, 192, 24,  240, 176, 160,
      120, 200, 136, 32, 64,  248, 216, 104, 184, 168, 152,
      128, 56,  208, 96, 144, 48,  88,  40,  80,  72,
  };
  const uint32_t lowest = *word & (0u - *word);
  uint32_t rest = *word ^ lowest;
  const uint32_t times_8 = kTimes8[(lowest * 0x077CB531u) >> 27];
#if defined(__GNUC__)
  /* Or the compiler compares `lowest` and the word, kept for that, with one
   * another when the caller asks whether anything is left. */
  __asm__("" : "+r"(rest));
#endif
  *word = rest;
  return scale == 8 ? times_8 : times_8 / 8;
#endif
}

#endif /* GXNOR_LOWEST_BIT_INTERNAL_H_ */
