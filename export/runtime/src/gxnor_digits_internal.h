/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of int8 inputs digit by digit: 2^b times the sum of the weights whose
 * inputs have the digit b, of either sign. One digit of all inputs is a ternary
 * input, of which the events are listed and summed.
 *
 * The digits are those of the non-adjacent form: at most every second one is
 * not 0, and on average every third. */
#ifndef GXNOR_DIGITS_INTERNAL_H_
#define GXNOR_DIGITS_INTERNAL_H_

#include "gxnor_conv2d_internal.h"

/* Digits of an int8. */
#define GXNOR_DIGITS 8

/* Lists of events: by sign, inputs +1 first, and digit. */
#define GXNOR_DIGIT_LISTS (2 * GXNOR_DIGITS)

/* What the buffer begins with; the events follow. */
typedef struct gxnor_digits {
  int32_t batch; /* The position whose events are listed; -1: none. */
  int32_t y;
  int32_t x;
  int32_t begin; /* Its taps of which they are. */
  int32_t end;
  int32_t most; /* Taps that there is room for. */
  /* Lists are filled up to eights with the null record. */
  uint16_t counts[GXNOR_DIGIT_LISTS];
  uint16_t ends[GXNOR_DIGIT_LISTS];
} gxnor_digits;

/* Bytes of the smallest buffer with which nothing is listed twice for groups
 * of channels of one position, 0 if digits are not possible or not worth it. */
size_t gxnor_digits_buffer_size(const gxnor_conv2d_shape* shape);

/* Prepares a buffer; NULL if it is too small, or digits are not possible. */
gxnor_digits* gxnor_digits_set_up(const gxnor_conv2d_shape* shape, void* buffer,
                                  size_t buffer_size);

/* Sums of 32 output channels; call->scratch is the prepared buffer. */
void gxnor_digits_accumulate(const gxnor_conv2d_call* call,
                             const gxnor_conv2d_position* position,
                             int32_t sums[GXNOR_LANES]);

#endif /* GXNOR_DIGITS_INTERNAL_H_ */
