/* SPDX-License-Identifier: Apache-2.0 */
#include "gxnor/conv2d.h"
#include "gxnor_digits_internal.h"
#include "gxnor_taps_internal.h"

static void compare(const gxnor_conv2d_call* call,
                    const gxnor_conv2d_position* position, uint32_t pair[2]) {
  const int32_t first = position->group * GXNOR_LANES;
  const int32_t lanes =
      gxnor_least(call->params->output_channels - first, GXNOR_LANES);
  const int32_t* threshold = call->thresholds;
  int32_t sums[GXNOR_LANES];
  threshold += 2 * (size_t)first;
  if (call->scratch != NULL) {
    gxnor_digits_accumulate(call, position, sums);
  } else {
    gxnor_conv2d_accumulate_s8(call, position, sums);
  }
  pair[0] = 0;
  pair[1] = 0;
  for (int32_t lane = 0; lane < lanes; ++lane) {
    const int32_t high = threshold[2 * lane];
    const int32_t low = threshold[2 * lane + 1];
    pair[0] |= (uint32_t)(sums[lane] >= high) << lane;
    pair[1] |= (uint32_t)(sums[lane] < low) << lane;
  }
}

gxnor_status gxnor_conv2d_s8_t2(const gxnor_conv2d_params* params,
                                const int8_t* input, const uint32_t* weights,
                                const int32_t* thresholds, void* buffer,
                                size_t buffer_size,
                                uint32_t* GXNOR_RESTRICT output) {
  gxnor_conv2d_call call;
  const gxnor_status status =
      gxnor_conv2d_check_states(gxnor_conv2d_get_shape, params, input, weights,
                                thresholds, output, &call);
  gxnor_taps_plan plan;
  if (status != GXNOR_OK) return status;
  if ((uintptr_t)buffer % sizeof(uint32_t) != 0) return GXNOR_ERR_ARG;
  if (buffer == NULL) buffer_size = 0;
  if (gxnor_taps_make_plan(params, &call.shape, buffer_size, &plan)) {
    gxnor_taps_write_t2(&call, &plan, buffer, output);
    return GXNOR_OK;
  }
  call.scratch = gxnor_digits_set_up(&call.shape, buffer, buffer_size);
  gxnor_conv2d_write_t2(&call, compare, output);
  return GXNOR_OK;
}
