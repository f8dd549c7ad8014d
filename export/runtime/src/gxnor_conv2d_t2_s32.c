/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "gxnor/conv2d.h"
#include "gxnor_conv2d_internal.h"

/* Gathers the bits of each lane from the planes. */
static void gather(const gxnor_conv2d_call* call,
                   const gxnor_conv2d_position* position,
                   int32_t sums[GXNOR_LANES]) {
  const int32_t planes = call->shape.planes;
  uint32_t bits[GXNOR_MAX_PLANES];
  gxnor_conv2d_accumulate_t2(call, position, bits);
  for (int32_t lane = 0; lane < GXNOR_LANES; ++lane) {
    /* The sign bit stands for all higher bits. */
    uint32_t sum = 0u - ((bits[planes - 1] >> lane) & 1u);
    for (int32_t i = planes - 2; i >= 0; --i) {
      sum = 2u * sum + ((bits[i] >> lane) & 1u);
    }
    sums[lane] = (int32_t)sum;
  }
}

gxnor_status gxnor_conv2d_t2_s32(const gxnor_conv2d_params* params,
                                 const uint32_t* input, const uint32_t* weights,
                                 int32_t* GXNOR_RESTRICT output) {
  gxnor_conv2d_call call;
  gxnor_status status;
  if (params == NULL || input == NULL || weights == NULL || output == NULL) {
    return GXNOR_ERR_ARG;
  }
  status = gxnor_conv2d_get_shape(params, &call.shape);
  if (status != GXNOR_OK) return status;
  if (gxnor_conv2d_has_pool(params)) return GXNOR_ERR_SHAPE;
  call.params = params;
  call.input = input;
  call.weights = weights;
  call.thresholds = NULL;
  gxnor_conv2d_write_s32(&call, gather, output);
  return GXNOR_OK;
}
