/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GXNOR_HOST_MAX_POOL_H_
#define GXNOR_HOST_MAX_POOL_H_

#include "host_conv2d.h"

/* The max-pool of a convolution's packed states. */
void gxnor_host_max_pool(const gxnor_conv2d_params* params,
                         const gxnor_conv2d_shape* shape,
                         const uint32_t* states, uint32_t* output,
                         gxnor_host_run_tasks run_tasks, void* runner);

#endif /* GXNOR_HOST_MAX_POOL_H_ */
