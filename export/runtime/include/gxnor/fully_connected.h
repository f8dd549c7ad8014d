/* SPDX-License-Identifier: Apache-2.0 */
/* A fully connected op is a convolution: see gxnor/conv2d.h. */
#ifndef GXNOR_FULLY_CONNECTED_H_
#define GXNOR_FULLY_CONNECTED_H_

#include "gxnor/types.h"

#if defined(__cplusplus)
extern "C" {
#endif

/* Fills in the convolution whose kernel covers its whole input: a fully
 * connected op on batches of height * width * input_channels values. A flat
 * input has height = width = 1.
 *
 * The kernels check the values, this function does not.
 * Returns: GXNOR_OK; GXNOR_ERR_ARG. */
gxnor_status gxnor_fully_connected_get_params(int32_t batches, int32_t height,
                                              int32_t width,
                                              int32_t input_channels,
                                              int32_t output_channels,
                                              gxnor_conv2d_params* params);

#if defined(__cplusplus)
}
#endif

#endif /* GXNOR_FULLY_CONNECTED_H_ */
