/* SPDX-License-Identifier: Apache-2.0 */
#include "gxnor_digits_internal.h"

#include "gxnor_events_internal.h"
#include "gxnor_take_bit_internal.h"
#include "gxnor_transpose_internal.h"

/* Digits of an int8 that are not 0, at most. */
#define MOST_DIGITS 4

/* Null records that fill up all lists, at most. */
#define MOST_NULLS (GXNOR_DIGIT_LISTS * 7)

/* Taps whose events 16 bits number. */
#define MOST_TAPS ((UINT16_MAX - MOST_NULLS) / MOST_DIGITS)

/* A smaller depth is not worth the work. */
#define LEAST_DEPTH 16

/* What gxnor_events_sum needs. */
#define LEAST_PLANES 6

/* So few taps at a time are worth it. */
#define LEAST_TAPS 32

static size_t bytes_for(int32_t taps) {
  return sizeof(gxnor_digits) +
         (MOST_NULLS + MOST_DIGITS * (size_t)taps) * sizeof(uint16_t);
}

size_t gxnor_digits_buffer_size(const gxnor_conv2d_shape* shape) {
  if (shape->depth < LEAST_DEPTH ||
      shape->depth > UINT16_MAX / GXNOR_EVENT_STEP) {
    return 0;
  }
  return bytes_for(gxnor_least(shape->depth, MOST_TAPS));
}

gxnor_digits* gxnor_digits_set_up(const gxnor_conv2d_shape* shape, void* buffer,
                                  size_t buffer_size) {
  gxnor_digits* const digits = buffer;
  const size_t best = gxnor_digits_buffer_size(shape);
  if (best == 0 ||
      buffer_size < bytes_for(gxnor_least(shape->depth, LEAST_TAPS))) {
    return NULL;
  }
  if (buffer_size > best) buffer_size = best;
  digits->most = (int32_t)((buffer_size - bytes_for(0)) /
                           (MOST_DIGITS * sizeof(uint16_t)));
  digits->batch = -1;
  return digits;
}

/* ---- Lists ---- */

static uint16_t* events_of(gxnor_digits* digits) {
  return (uint16_t*)(void*)(digits + 1);
}

/* The digits of a number that are not 0, as bits by their lists. The number is
 * three halves of it less half of it: where both have a bit, it is a 0. */
static uint32_t find_digits(int32_t number) {
  const int32_t half = (number - (number & 1)) / 2;
  const int32_t sum = number + half;
  const uint32_t plus = (uint32_t)(sum & ~half);
  const uint32_t minus = (uint32_t)(half & ~sum);
  return plus | minus << GXNOR_DIGITS;
}

/* Counts the digits of some inputs. */
static void count_inputs(const int8_t* inputs, int32_t count,
                         gxnor_digits* digits) {
  for (int32_t i = 0; i < count; ++i) {
    uint32_t found = find_digits(inputs[i]);
    while (found != 0) ++digits->counts[gxnor_take_bit(&found, 0, 1)];
  }
}

/* Lists the digits of some inputs, the first of the tap `tap`. */
static void list_inputs(const int8_t* inputs, int32_t count, int32_t tap,
                        gxnor_digits* digits) {
  uint16_t* const events = events_of(digits);
  uint32_t event = (uint32_t)tap * GXNOR_EVENT_STEP;
  for (int32_t i = 0; i < count; ++i, event += GXNOR_EVENT_STEP) {
    uint32_t found = find_digits(inputs[i]);
    while (found != 0) {
      const uint32_t list = gxnor_take_bit(&found, 0, 1);
      events[digits->ends[list]++] = (uint16_t)event;
    }
  }
}

/* Counts, or lists, the digits of the inputs of a position. */
static void visit_inputs(const gxnor_conv2d_call* call,
                         const gxnor_conv2d_position* position, int lists,
                         gxnor_digits* digits) {
  const gxnor_conv2d_params* const p = call->params;
  const int32_t channels = p->input_channels;
  int32_t tap = 0;
  for (int32_t ky = 0; ky < p->kernel_height; ++ky) {
    for (int32_t kx = 0; kx < p->kernel_width; ++kx, tap += channels) {
      const int32_t from = digits->begin > tap ? digits->begin - tap : 0;
      const int32_t to = gxnor_least(digits->end - tap, channels);
      const int8_t* inputs = call->input;
      gxnor_conv2d_tap at;
      if (from >= to || !gxnor_conv2d_find_tap(call, position, ky, kx, &at)) {
        continue;
      }
      inputs += at.input * (size_t)channels + (size_t)from;
      if (lists) {
        list_inputs(inputs, to - from, tap + from, digits);
      } else {
        count_inputs(inputs, to - from, digits);
      }
    }
  }
}

/* Lists the events of a position from the tap `begin` on. */
static void list_events(const gxnor_conv2d_call* call,
                        const gxnor_conv2d_position* position, int32_t begin,
                        gxnor_digits* digits) {
  uint16_t* const events = events_of(digits);
  uint16_t end = 0;
  digits->batch = position->batch;
  digits->y = position->y;
  digits->x = position->x;
  digits->begin = begin;
  digits->end = begin + gxnor_least(call->shape.depth - begin, digits->most);
  for (int32_t i = 0; i < GXNOR_DIGIT_LISTS; ++i) digits->counts[i] = 0;
  visit_inputs(call, position, 0, digits);
  for (int32_t i = 0; i < GXNOR_DIGIT_LISTS; ++i) {
    digits->ends[i] = end;
    end = (uint16_t)(end + (digits->counts[i] + 7) / 8 * 8);
  }
  visit_inputs(call, position, 1, digits);
  for (int32_t i = 0; i < GXNOR_DIGIT_LISTS; ++i) {
    for (end = digits->ends[i]; end % 8 != 0; ++end) {
      events[end] = (uint16_t)(GXNOR_EVENT_STEP * call->shape.depth);
    }
  }
}

/* ---- Sums ---- */

/* Planes for sums of so many weights. */
static int32_t count_planes(int32_t count) {
  int32_t planes = LEAST_PLANES;
  while (((int32_t)1 << (planes - 1)) - 1 <= count) ++planes;
  return planes;
}

/* Sums the weights of a digit's inputs; returns how many planes that makes. */
static int32_t sum_digit(const uint32_t* records, gxnor_digits* digits,
                         int32_t digit, uint32_t planes[GXNOR_MAX_PLANES]) {
  const int32_t plus = digits->counts[digit];
  const int32_t minus = digits->counts[digit + GXNOR_DIGITS];
  const int32_t plane_count = count_planes(plus + minus);
  gxnor_position_events events;
  for (int32_t sign = 0; sign < 2; ++sign) {
    const int32_t list = sign == 0 ? digit + GXNOR_DIGITS : digit;
    const int32_t count = sign == 0 ? minus : plus;
    events.lists[sign].events = events_of(digits) + digits->ends[list] - count;
    events.lists[sign].eights = (count + 7) / 8;
    events.lists[sign].rest = NULL;
  }
  events.start = plus - minus - 1;
  gxnor_events_sum(records, &events, plane_count, planes);
  return plane_count;
}

/* Repeats the sign bit of sums of `from` planes in the planes up to `to`. */
static void extend(uint32_t* planes, int32_t from, int32_t to) {
  for (; from < to; ++from) planes[from] = planes[from - 1];
}

/* Adds sums of `count` planes to others. */
static void add_planes(const uint32_t* planes, int32_t count, uint32_t* total) {
  uint32_t carry = 0;
  for (int32_t i = 0; i < count; ++i) {
    const uint32_t differ = total[i] ^ planes[i];
    const uint32_t both = total[i] & planes[i];
    total[i] = differ ^ carry;
    carry = both | (differ & carry);
  }
}

/* Sums of the listed taps. */
static void sum_listed(const uint32_t* records, gxnor_digits* digits,
                       int32_t depth_planes, uint32_t sums[GXNOR_LANES]) {
  /* Sums of the digits so far, less what is below the present one, are less
   * than twice the depth. */
  const int32_t count = depth_planes + 1;
  extend(sums, sum_digit(records, digits, 0, sums), count);
  for (int32_t digit = 1; digit < GXNOR_DIGITS; ++digit) {
    uint32_t planes[GXNOR_MAX_PLANES];
    extend(sums, digit + count - 1, digit + count);
    if (digits->counts[digit] + digits->counts[digit + GXNOR_DIGITS] > 0) {
      extend(planes, sum_digit(records, digits, digit, planes), count);
      add_planes(planes, count, sums + digit);
    }
  }
  extend(sums, GXNOR_DIGITS - 1 + count, GXNOR_LANES);
  gxnor_transpose(sums);
}

void gxnor_digits_accumulate(const gxnor_conv2d_call* call,
                             const gxnor_conv2d_position* position,
                             int32_t sums[GXNOR_LANES]) {
  const uint32_t* const records =
      gxnor_conv2d_group_records(call, position->group);
  gxnor_digits* const digits = call->scratch;
  int32_t begin = 0;
  do {
    uint32_t listed[GXNOR_LANES];
    if (digits->batch != position->batch || digits->y != position->y ||
        digits->x != position->x || digits->begin != begin) {
      list_events(call, position, begin, digits);
    }
    sum_listed(records, digits, call->shape.planes, listed);
    for (int32_t lane = 0; lane < GXNOR_LANES; ++lane) {
      sums[lane] = (begin == 0 ? 0 : sums[lane]) + (int32_t)listed[lane];
    }
    begin = digits->end;
  } while (begin < call->shape.depth);
}
