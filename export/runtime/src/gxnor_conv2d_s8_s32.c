/* SPDX-License-Identifier: Apache-2.0 */
#include "gxnor/conv2d.h"
#include "gxnor_conv2d_internal.h"

gxnor_status gxnor_conv2d_s8_s32(const gxnor_conv2d_params* params,
                                 const int8_t* input, const uint32_t* weights,
                                 void* buffer, size_t buffer_size,
                                 int32_t* GXNOR_RESTRICT output) {
  gxnor_conv2d_call call;
  const gxnor_status status = gxnor_conv2d_check_sums(
      gxnor_conv2d_get_shape, params, input, weights, output, &call);
  (void)buffer;
  (void)buffer_size;
  if (status != GXNOR_OK) return status;
  gxnor_conv2d_write_s32(&call, gxnor_conv2d_accumulate_s8, output);
  return GXNOR_OK;
}
