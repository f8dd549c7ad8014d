/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GXNOR_HOST_POOL_H_
#define GXNOR_HOST_POOL_H_

#include "gxnor/types.h"

/* The max-pool of a convolution's packed states. */
void gxnor_host_pool(const gxnor_conv2d_params* params,
                     const gxnor_conv2d_shape* shape, const uint32_t* states,
                     uint32_t* output);

#endif /* GXNOR_HOST_POOL_H_ */
