/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes that the plans, and the memory for them, have in common. */
#ifndef GXNOR_HOST_SIZES_H_
#define GXNOR_HOST_SIZES_H_

#include "host_conv2d.h"

/* The next multiple of `unit`. */
size_t gxnor_host_round_up(size_t size, size_t unit);

/* The part of a padded axis that a kernel sees. */
int64_t gxnor_host_padded_size(int32_t positions, int32_t stride,
                               int32_t kernel, int32_t dilation);

/* Whether a copy of the input with its padding may have this size: all
 * positions are counted in int32_t, and padding must not dominate. */
bool gxnor_host_may_pad(const gxnor_conv2d_params* params, int64_t height,
                        int64_t width);

/* Whether the states before the pool may be kept: there must not be many times
 * as many as go in or come out, nor more than a tensor may have. */
bool gxnor_host_may_pool(const gxnor_conv2d_params* params,
                         const gxnor_conv2d_shape* shape);

/* Bytes of the states before the pool, a multiple of GXNOR_HOST_ALIGNMENT. */
size_t gxnor_host_states_bytes(const gxnor_conv2d_params* params,
                               const gxnor_conv2d_shape* shape);

#endif /* GXNOR_HOST_SIZES_H_ */
