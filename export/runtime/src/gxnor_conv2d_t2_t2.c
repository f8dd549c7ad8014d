/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "gxnor/conv2d.h"
#include "gxnor_conv2d_internal.h"

/* Compares 32 sums with their thresholds at once: the borrow of sum -
 * threshold ripples through the planes. */
static void compare(const gxnor_conv2d_call* call,
                    const gxnor_conv2d_position* position, uint32_t pair[2]) {
  const int32_t planes = call->shape.planes;
  const uint32_t* threshold = call->thresholds;
  uint32_t sums[GXNOR_MAX_PLANES];
  uint32_t below_high = 0;
  uint32_t below_low = 0;
  threshold += 2 * (size_t)planes * (size_t)position->group;
  gxnor_conv2d_accumulate_t2(call, position, sums);
  /* Thresholds are in offset binary, which differs in the sign bit. */
  sums[planes - 1] = ~sums[planes - 1];
  for (int32_t i = 0; i < planes; ++i) {
    const uint32_t sum = sums[i];
    const uint32_t high = threshold[2 * i];
    const uint32_t low = threshold[2 * i + 1];
    below_high = ((high | below_high) & ~sum) | (high & below_high);
    below_low = ((low | below_low) & ~sum) | (low & below_low);
  }
  pair[0] = ~below_high;
  pair[1] = below_low;
}

gxnor_status gxnor_conv2d_t2_t2(const gxnor_conv2d_params* params,
                                const uint32_t* input, const uint32_t* weights,
                                const uint32_t* thresholds,
                                uint32_t* GXNOR_RESTRICT output) {
  gxnor_conv2d_call call;
  gxnor_status status;
  if (params == NULL || input == NULL || weights == NULL ||
      thresholds == NULL || output == NULL) {
    return GXNOR_ERR_ARG;
  }
  status = gxnor_conv2d_get_shape(params, &call.shape);
  if (status != GXNOR_OK) return status;
  call.params = params;
  call.input = input;
  call.weights = weights;
  call.thresholds = thresholds;
  gxnor_conv2d_write_t2(&call, compare, output);
  return GXNOR_OK;
}
