/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GXNOR_DEPTHWISE_CONV2D_INTERNAL_H_
#define GXNOR_DEPTHWISE_CONV2D_INTERNAL_H_

#include "gxnor_conv2d_internal.h"

/* Sums of 32 channels of a packed input. Bit l of planes[i], i < shape.planes,
 * is bit i of the two's complement sum of lane l. */
void gxnor_depthwise_conv2d_accumulate(const gxnor_conv2d_call* call,
                                       const gxnor_conv2d_position* position,
                                       uint32_t planes[GXNOR_MAX_PLANES]);

#endif /* GXNOR_DEPTHWISE_CONV2D_INTERNAL_H_ */
