/* SPDX-License-Identifier: Apache-2.0 */
#include "gxnor/conv2d.h"
#include "gxnor_digits_internal.h"
#include "gxnor_taps_internal.h"

gxnor_status gxnor_conv2d_s8_s32(const gxnor_conv2d_params* params,
                                 const int8_t* input, const uint32_t* weights,
                                 void* buffer, size_t buffer_size,
                                 int32_t* GXNOR_RESTRICT output) {
  gxnor_conv2d_call call;
  const gxnor_status status = gxnor_conv2d_check_sums(
      gxnor_conv2d_get_shape, params, input, weights, output, &call);
  gxnor_taps_plan plan;
  if (status != GXNOR_OK) return status;
  if ((uintptr_t)buffer % sizeof(uint32_t) != 0) return GXNOR_ERR_ARG;
  if (buffer == NULL) buffer_size = 0;
  if (gxnor_taps_make_plan(params, &call.shape, buffer_size, &plan)) {
    gxnor_taps_write_s32(&call, &plan, buffer, output);
    return GXNOR_OK;
  }
  call.scratch = gxnor_digits_set_up(&call.shape, buffer, buffer_size);
  gxnor_conv2d_write_s32(&call,
                         call.scratch != NULL ? gxnor_digits_accumulate
                                              : gxnor_conv2d_accumulate_s8,
                         output);
  return GXNOR_OK;
}
