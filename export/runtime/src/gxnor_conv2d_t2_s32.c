/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "gxnor/conv2d.h"
#include "gxnor_events_internal.h"

static void gather(const gxnor_conv2d_call* call,
                   const gxnor_conv2d_position* position,
                   int32_t sums[GXNOR_LANES]) {
  uint32_t planes[GXNOR_MAX_PLANES];
  gxnor_conv2d_accumulate_t2(call, position, planes);
  gxnor_conv2d_gather(call, planes, sums);
}

gxnor_status gxnor_conv2d_t2_s32(const gxnor_conv2d_params* params,
                                 const uint32_t* input, const uint32_t* weights,
                                 void* buffer, size_t buffer_size,
                                 int32_t* GXNOR_RESTRICT output) {
  gxnor_conv2d_call call;
  const gxnor_status status = gxnor_conv2d_check_sums(
      gxnor_conv2d_get_shape, params, input, weights, output, &call);
  int32_t positions = 0;
  if (status != GXNOR_OK) return status;
  if ((uintptr_t)buffer % sizeof(uint16_t) != 0) return GXNOR_ERR_ARG;
  if (buffer != NULL) {
    positions = gxnor_events_count_positions(params, &call.shape, buffer_size);
  }
  if (positions > 0) {
    gxnor_events_write_s32(&call, positions, buffer, output);
  } else {
    gxnor_conv2d_write_s32(&call, gather, output);
  }
  return GXNOR_OK;
}
