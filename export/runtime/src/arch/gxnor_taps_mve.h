/* SPDX-License-Identifier: Apache-2.0 */
/* Helium, the vectors of Cortex-M55 and M85: the four words of a block of
 * positions are a vector. A part of gxnor_taps_internal.c and
 * gxnor_taps_write.c. */
#ifndef GXNOR_TAPS_MVE_H_
#define GXNOR_TAPS_MVE_H_

#if defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1) && defined(__GNUC__)
#define GXNOR_TAPS_MVE 1

#include <arm_mve.h>
#include <stdint.h>

/* Sums of a channel. */
typedef uint32x4_t block;

#define SPREAD(sum, word) ((sum) = vdupq_n_u32(word))
#define STORE(sum, to) vstrwq_u32(to, sum)

/* Adds or subtracts the words of a tap: `op` is + or -. */
#define TAKE(op, words, sum) ((sum) = (sum)op vldrwq_u32(words))

/* The signs of both lanes of the words, behind those that were there. */
static inline uint32x4_t mve_gather(uint32x4_t gathered, uint32x4_t words) {
  return gathered >> 1 | (words & 0x80008000u);
}

/* Stores what was gathered of `count` channels. */
static inline void mve_store_gathered(uint32x4_t gathered, int32_t count,
                                      uint32_t to[4]) {
  vstrwq_u32(to, vshlq_r_u32(gathered, count - 16));
}

#else
#define GXNOR_TAPS_MVE 0
#endif

#endif /* GXNOR_TAPS_MVE_H_ */
