/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GXNOR_LOWEST_BIT_INTERNAL_H_
#define GXNOR_LOWEST_BIT_INTERNAL_H_

#include <stdint.h>

/* Index of the lowest set bit of a word that is not 0. */
static inline uint32_t gxnor_lowest_bit(uint32_t word) {
#if defined(__GNUC__) && !defined(__ARM_ARCH_6M__) && \
    !defined(__ARM_ARCH_8M_BASE__) && !defined(__riscv)
  return (uint32_t)__builtin_ctz(word);
#else
  /* C99 has no count of zeros, and what compilers have is a library call
   * here. Element (word * 0x077CB531) >> 27 is i for word = 1 << i (De
   * Bruijn). */
  static const uint8_t kIndex[32] = {
      0,  1,  28, 2,  29, 14, 24, 3, 30, 22, 20, 15, 25, 17, 4,  8,
      31, 27, 13, 23, 21, 19, 16, 7, 26, 12, 18, 6,  11, 5,  10, 9,
  };
  return kIndex[((word & (0u - word)) * 0x077CB531u) >> 27];
#endif
}

#endif /* GXNOR_LOWEST_BIT_INTERNAL_H_ */
