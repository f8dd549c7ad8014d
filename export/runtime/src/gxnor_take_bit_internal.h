/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GXNOR_TAKE_BIT_INTERNAL_H_
#define GXNOR_TAKE_BIT_INTERNAL_H_

#include <stdint.h>

/* Takes a bit out of a word that is not 0; returns `first` and its index times
 * `scale`: 1, 2 or 8. */
static inline uint32_t gxnor_take_bit(uint32_t* word, uint32_t first,
                                      uint32_t scale) {
#if defined(__GNUC__) && !defined(__ARM_ARCH_6M__) && \
    !defined(__ARM_ARCH_8M_BASE__) && !defined(__riscv)
  /* The highest one, for Arm has no count of zeros from the lowest bit on. */
  const uint32_t zeros = (uint32_t)__builtin_clz(*word);
  *word &= ~(0x80000000u >> zeros);
  return first + scale * 31 - scale * zeros;
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
  return first + times_8 / (8 / scale);
#endif
}

#endif /* GXNOR_TAKE_BIT_INTERNAL_H_ */
