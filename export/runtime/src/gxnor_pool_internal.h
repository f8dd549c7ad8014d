/* SPDX-License-Identifier: Apache-2.0 */
/* Max-pool on the way: the states of a position of the convolution go into the
 * maxima of all pool windows that the position is in. */
#ifndef GXNOR_POOL_INTERNAL_H_
#define GXNOR_POOL_INTERNAL_H_

#include "gxnor_conv2d_internal.h"

/* An axis of the pool. */
typedef struct gxnor_pool_axis {
  int32_t size; /* Of the convolution. */
  int32_t stride;
  int32_t pad;
  int32_t window;
  int32_t count; /* Of windows. */
} gxnor_pool_axis;

/* The pool windows that a row or a column of the convolution is in. */
typedef struct gxnor_pool_windows {
  int32_t begin;
  int32_t end;
} gxnor_pool_windows;

gxnor_pool_axis gxnor_pool_axis_down(const gxnor_conv2d_call* call);
gxnor_pool_axis gxnor_pool_axis_across(const gxnor_conv2d_call* call);

/* Moves on to a row or column, which is not before the last one. */
void gxnor_pool_move_to(const gxnor_pool_axis* axis, int32_t at,
                        gxnor_pool_windows* in);

/* Moves on to the first row or column from `at` on that is in a window, and
 * returns it; the size of the axis if there is none. Strides may leave out so
 * many that walking over them would take forever. */
int32_t gxnor_pool_move_on(const gxnor_pool_axis* axis, int32_t at,
                           gxnor_pool_windows* in);

/* All maxima of nothing: the smallest state, in lanes that have a channel. */
void gxnor_pool_start(const gxnor_conv2d_call* call, uint32_t* output);

/* Clears lanes that have no channel, whatever their thresholds say. */
void gxnor_pool_finish(const gxnor_conv2d_call* call, uint32_t* output);

/* Takes the states of 32 channels into the maxima of the windows that they are
 * in. `output` is the image's; neutral lanes are 0 in plus and 1 in minus. */
void gxnor_pool_take(const gxnor_conv2d_shape* shape, const uint32_t pair[2],
                     int32_t group, const gxnor_pool_windows* rows,
                     const gxnor_pool_windows* columns, uint32_t* output);

#endif /* GXNOR_POOL_INTERNAL_H_ */
