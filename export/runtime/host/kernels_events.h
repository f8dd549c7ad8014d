/* SPDX-License-Identifier: Apache-2.0 */
/* Events: lanes are output channels, and only non-zero inputs are visited.
 *
 * Template. The including file defines
 *   EVENTS(name)    a name for what is defined here
 *   VEC             a vector of 64-bit elements, with & | ^ ~
 *   VEC_ONES(flag)  all bits 1 if flag, else 0
 *   KERNEL_TARGET   attributes of functions
 * and, if one instruction does them, XOR3, MAJORITY, OR_AND and BELOW.
 *
 * A record is {P, Z} with weight + 1 = 2 P + Z. P and Z exclude each other, so
 * the first level of the adder needs two operations instead of a full
 * adder's. With ~a = -a - 1 the complement before and after the inputs of -1
 * subtracts what they add. */
#include <string.h>

#include "gxnor_conv2d_internal.h"

#if !defined(XOR3)
#define XOR3(a, b, c) ((a) ^ (b) ^ (c))
#endif
#if !defined(MAJORITY)
#define MAJORITY(a, b, c) (((a) & (b)) | (((a) ^ (b)) & (c)))
#endif
#if !defined(OR_AND)
#define OR_AND(a, b, c) ((a) | ((b) & (c)))
#endif
/* The borrow of s - t - b. */
#if !defined(BELOW)
#define BELOW(t, b, s) ((((t) | (b)) & ~(s)) | ((t) & (b)))
#endif

static inline KERNEL_TARGET VEC EVENTS(load)(const void* memory) {
  VEC vector;
  memcpy(&vector, memory, sizeof vector);
  return vector;
}

/* low + b + c = 2 * carry + low. */
static inline KERNEL_TARGET VEC EVENTS(add)(VEC* low, VEC b, VEC c) {
  const VEC carry = MAJORITY(*low, b, c);
  *low = XOR3(*low, b, c);
  return carry;
}

static inline KERNEL_TARGET VEC EVENTS(add_record)(VEC* ones,
                                                   const uint8_t* record) {
  const VEC zero = EVENTS(load)(record + sizeof(VEC));
  const VEC carry = OR_AND(EVENTS(load)(record), *ones, zero);
  *ones ^= zero;
  return carry;
}

/* Planes 0 to 3 and the carry of weight 16. */
typedef struct EVENTS(low) {
  VEC ones, twos, fours, eights;
} EVENTS(low);

static inline KERNEL_TARGET VEC EVENTS(add_two)(EVENTS(low) * sum,
                                                const uint8_t* records,
                                                const uint32_t* offsets) {
  const VEC a = EVENTS(add_record)(&sum->ones, records + offsets[0]);
  const VEC b = EVENTS(add_record)(&sum->ones, records + offsets[1]);
  return EVENTS(add)(&sum->twos, a, b);
}

static inline KERNEL_TARGET VEC EVENTS(add_eight)(EVENTS(low) * sum,
                                                  const uint8_t* records,
                                                  const uint32_t* offsets) {
  VEC a, b, c;
  a = EVENTS(add_two)(sum, records, offsets);
  b = EVENTS(add_two)(sum, records, offsets + 2);
  c = EVENTS(add)(&sum->fours, a, b);
  a = EVENTS(add_two)(sum, records, offsets + 4);
  b = EVENTS(add_two)(sum, records, offsets + 6);
  a = EVENTS(add)(&sum->fours, a, b);
  return EVENTS(add)(&sum->eights, c, a);
}

/* Adds a carry to the upper planes, of weights 16, 32, ... */
static inline KERNEL_TARGET void EVENTS(ripple)(VEC* upper, int32_t count,
                                                VEC carry) {
  for (int32_t i = 0; i < count; ++i) {
    const VEC plane = upper[i];
    upper[i] = plane ^ carry;
    carry &= plane;
  }
}

static inline KERNEL_TARGET void EVENTS(borrow)(VEC plane,
                                                const uint32_t* thresholds,
                                                VEC below[2]) {
  const VEC high = EVENTS(load)(thresholds);
  const VEC low = EVENTS(load)(thresholds + sizeof(VEC) / sizeof *thresholds);
  below[0] = BELOW(high, below[0], plane);
  below[1] = BELOW(low, below[1], plane);
}

static KERNEL_TARGET void EVENTS(states)(const gxnor_host_events* events,
                                         uint32_t* pairs) {
  enum { kWords = sizeof(VEC) / sizeof(uint32_t) };
  const int32_t upper_count = events->planes > 4 ? events->planes - 4 : 0;
  const uint32_t* thresholds = events->thresholds;
  VEC low[4], upper[GXNOR_MAX_PLANES], below[2];
  uint32_t states[2][kWords];
  EVENTS(low) sum;
  for (int32_t i = 0; i < 4; ++i)
    low[i] = VEC_ONES((uint32_t)events->start >> i & 1u);
  for (int32_t i = 0; i < upper_count; ++i) {
    upper[i] = VEC_ONES((uint32_t)events->start >> (i + 4) & 1u);
  }
  sum.ones = low[0];
  sum.twos = low[1];
  sum.fours = low[2];
  sum.eights = low[3];
  for (int32_t sign = 0; sign < 2; ++sign) {
    const uint32_t* offsets = events->offsets[sign];
    int32_t left = events->counts[sign];
    for (; left >= 16; left -= 16, offsets += 16) {
      const VEC a = EVENTS(add_eight)(&sum, events->records, offsets);
      const VEC b = EVENTS(add_eight)(&sum, events->records, offsets + 8);
      EVENTS(ripple)(upper + 1, upper_count - 1, EVENTS(add)(&upper[0], a, b));
    }
    if (left != 0) {
      EVENTS(ripple)(upper, upper_count,
                     EVENTS(add_eight)(&sum, events->records, offsets));
    }
    if (sign == 1) break;
    sum.ones = ~sum.ones;
    sum.twos = ~sum.twos;
    sum.fours = ~sum.fours;
    sum.eights = ~sum.eights;
    for (int32_t i = 0; i < upper_count; ++i) upper[i] = ~upper[i];
  }
  low[0] = sum.ones;
  low[1] = sum.twos;
  low[2] = sum.fours;
  low[3] = sum.eights;
  below[0] = VEC_ONES(0);
  below[1] = VEC_ONES(0);
  for (int32_t i = 0; i < events->planes; ++i, thresholds += 2 * kWords) {
    VEC plane = i < 4 ? low[i] : upper[i - 4];
    /* Thresholds are in offset binary, which differs in the sign bit. */
    if (i == events->planes - 1) plane = ~plane;
    EVENTS(borrow)(plane, thresholds, below);
  }
  below[0] = ~below[0];
  memcpy(states, below, sizeof states);
  for (int32_t i = 0; i < kWords; ++i) {
    pairs[2 * i] = states[0][i];
    pairs[2 * i + 1] = states[1][i];
  }
}
