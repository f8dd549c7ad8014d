/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes of tensors and windows that slide over them. */
#ifndef GXNOR_SHAPE_INTERNAL_H_
#define GXNOR_SHAPE_INTERNAL_H_

#include <stddef.h>
#include <stdint.h>

#include "gxnor/types.h"

/* As gxnor_conv2d_get_shape, for outputs each of which sees so many of the
 * input's channels. Pointers must not be NULL. */
gxnor_status gxnor_conv2d_find_shape(const gxnor_conv2d_params* params,
                                     int32_t tap_channels,
                                     gxnor_conv2d_shape* shape);

/* Whether all values are at least `least`. */
int gxnor_all_at_least(int32_t least, const int32_t* values, size_t count);

/* Counts the windows that fit into a padded axis; 0 if there is none. */
int32_t gxnor_count_windows(int32_t size, int32_t pad_before, int32_t pad_after,
                            int32_t window, int32_t dilation, int32_t stride);

/* Multiplies four factors >= 1; 0 if the product is above the limit. */
int32_t gxnor_bounded_product(int32_t a, int32_t b, int32_t c, int32_t d,
                              int32_t limit);

/* Groups of 32 channels. */
int32_t gxnor_count_groups(int32_t channels);

/* Words or elements of one position, whichever is more. */
int32_t gxnor_position_size(int32_t channels, int32_t groups);

/* Clips a window without dilation to its axis: [*begin, *end). */
void gxnor_clip_window(int32_t index, int32_t stride, int32_t pad,
                       int32_t window, int32_t size, int32_t* begin,
                       int32_t* end);

#endif /* GXNOR_SHAPE_INTERNAL_H_ */
