/* SPDX-License-Identifier: Apache-2.0 */
#include "gxnor/depthwise_conv2d.h"
#include "gxnor_depthwise_conv2d_internal.h"

static void compare(const gxnor_conv2d_call* call,
                    const gxnor_conv2d_position* position, uint32_t pair[2]) {
  uint32_t planes[GXNOR_MAX_PLANES];
  gxnor_depthwise_conv2d_accumulate(call, position, planes);
  gxnor_conv2d_compare(call, position, planes, pair);
}

gxnor_status gxnor_depthwise_conv2d_t2_t2(const gxnor_conv2d_params* params,
                                          const uint32_t* input,
                                          const uint32_t* weights,
                                          const uint32_t* thresholds,
                                          uint32_t* GXNOR_RESTRICT output) {
  gxnor_conv2d_call call;
  const gxnor_status status =
      gxnor_conv2d_check_states(gxnor_depthwise_conv2d_get_shape, params, input,
                                weights, thresholds, output, &call);
  if (status != GXNOR_OK) return status;
  gxnor_conv2d_write_t2(&call, compare, output);
  return GXNOR_OK;
}
