/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "gxnor/conv2d.h"
#include "gxnor_events_internal.h"

static void compare(const gxnor_conv2d_call* call,
                    const gxnor_conv2d_position* position, uint32_t pair[2]) {
  uint32_t sums[GXNOR_MAX_PLANES];
  gxnor_conv2d_accumulate_t2(call, position, sums);
  gxnor_conv2d_compare(call, position, sums, pair);
}

gxnor_status gxnor_conv2d_t2_t2(const gxnor_conv2d_params* params,
                                const uint32_t* input, const uint32_t* weights,
                                const uint32_t* thresholds, void* buffer,
                                size_t buffer_size,
                                uint32_t* GXNOR_RESTRICT output) {
  gxnor_conv2d_call call;
  const gxnor_status status =
      gxnor_conv2d_check_states(gxnor_conv2d_get_shape, params, input, weights,
                                thresholds, output, &call);
  int32_t positions = 0;
  if (status != GXNOR_OK) return status;
  if ((uintptr_t)buffer % sizeof(uint16_t) != 0) return GXNOR_ERR_ARG;
  if (buffer != NULL) {
    positions = gxnor_events_count_positions(params, &call.shape, buffer_size);
  }
  if (positions > 0) {
    gxnor_events_write_t2(&call, positions, buffer, output);
  } else {
    gxnor_conv2d_write_t2(&call, compare, output);
  }
  return GXNOR_OK;
}
