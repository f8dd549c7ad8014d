/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of the inputs that are not 0, and the sums of the weights they meet.
 *
 * The lists are made once for a stretch of a row of the convolution and serve
 * all its positions and all groups of channels: they are sorted by column, so
 * the inputs of a position are a slice of them. Columns are counted from the
 * first one that the first position of the stretch sees, padding included,
 * which has no events. */
#ifndef GXNOR_EVENTS_INTERNAL_H_
#define GXNOR_EVENTS_INTERNAL_H_

#include "gxnor_conv2d_internal.h"

/* Whether Helium sums the events of packed inputs: arch/gxnor_events_mve.h. */
#if defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1) && defined(__GNUC__)
#define GXNOR_EVENTS_MVE 1
#else
#define GXNOR_EVENTS_MVE 0
#endif

/* What is listed is a number of a record; 8 times it, a byte offset, where an
 * address cannot be shifted on the way; 2 times it, an offset of words, where
 * it is shifted by two bits. */
#if GXNOR_EVENTS_MVE
#define GXNOR_EVENT_STEP 2
#elif defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__) || \
    defined(__riscv)
#define GXNOR_EVENT_STEP 8
#else
#define GXNOR_EVENT_STEP 1
#endif

/* Events of one sign of one position: some eights, and a rest that is filled
 * up with the null record; NULL if there is none. */
typedef struct gxnor_event_list {
  const uint16_t* events;
  int32_t eights;
  const uint16_t* rest;
} gxnor_event_list;

/* The events of a position: inputs -1, then inputs +1. */
typedef struct gxnor_position_events {
  gxnor_event_list lists[2];
  int32_t start; /* Inputs +1 less inputs -1, less 1. */
  uint16_t rests[2][8];
} gxnor_position_events;

/* The lists of a stretch, in a buffer. */
typedef struct gxnor_row_events {
  uint16_t* plus;      /* Of inputs +1, by rising column. */
  uint16_t* minus_end; /* Of inputs -1, by falling column, before this. */
  uint16_t* starts[2]; /* How many are of lower columns, by sign and column;
                          one more than columns. */
  int32_t columns;
} gxnor_row_events;

/* The most positions of a stretch that the buffer has room for, up to the
 * width of the convolution; 0 if lists are not possible. */
int32_t gxnor_events_count_positions(const gxnor_conv2d_params* params,
                                     const gxnor_conv2d_shape* shape,
                                     size_t buffer_size);

/* Bytes of a buffer for stretches of so many positions, 0 if lists are not
 * possible. */
size_t gxnor_events_buffer_size(const gxnor_conv2d_params* params,
                                const gxnor_conv2d_shape* shape,
                                int32_t positions);

/* Lists a stretch of `positions` positions that begins at `first`. */
void gxnor_events_list_row(const gxnor_conv2d_call* call,
                           const gxnor_conv2d_position* first,
                           int32_t positions, void* buffer,
                           gxnor_row_events* row);

/* Takes the events of a position of the stretch. */
void gxnor_events_take(const gxnor_conv2d_call* call,
                       const gxnor_row_events* row, int32_t position,
                       gxnor_position_events* events);

/* Sums the records of a position and a group. `records` is where a record of
 * the number 0 would be. Bit l of planes[i] is bit i of the two's complement
 * sum of lane l, i < plane_count. */
void gxnor_events_sum(const uint32_t* records,
                      const gxnor_position_events* events, int32_t plane_count,
                      uint32_t planes[GXNOR_MAX_PLANES]);

/* Writes the packed output by stretches of so many positions: the maximum of
 * the ternary states over each pool window. */
void gxnor_events_write_t2(const gxnor_conv2d_call* call, int32_t positions,
                           void* buffer, uint32_t* GXNOR_RESTRICT output);

/* Writes the accumulators as the output. The parameters have no pool. */
void gxnor_events_write_s32(const gxnor_conv2d_call* call, int32_t positions,
                            void* buffer, int32_t* GXNOR_RESTRICT output);

#endif /* GXNOR_EVENTS_INTERNAL_H_ */
