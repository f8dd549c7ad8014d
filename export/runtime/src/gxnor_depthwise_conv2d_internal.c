/* SPDX-License-Identifier: Apache-2.0 */
#include "gxnor_depthwise_conv2d_internal.h"

/* The products of 32 inputs {plus, minus} and weights {P, Z}, in the form of
 * the weights. */
static void multiply(const uint32_t pair[2], const uint32_t record[2],
                     uint32_t product[2]) {
  const uint32_t plus = pair[0] & ~pair[1];
  const uint32_t minus = pair[1] & ~pair[0];
  const uint32_t negative = ~(record[0] | record[1]);
  product[0] = (plus & record[0]) | (minus & negative);
  product[1] = ~(plus | minus) | record[1];
}

void gxnor_depthwise_conv2d_accumulate(const gxnor_conv2d_call* call,
                                       const gxnor_conv2d_position* position,
                                       uint32_t planes[GXNOR_MAX_PLANES]) {
  const gxnor_conv2d_params* const p = call->params;
  const int32_t plane_count = call->shape.planes;
  const size_t groups = (size_t)call->shape.input_groups;
  const uint32_t* const input = call->input;
  const uint32_t* const records =
      gxnor_conv2d_group_records(call, position->group);
  uint32_t taps = 0;
  for (int32_t i = 0; i < plane_count; ++i) planes[i] = 0;
  for (int32_t ky = 0; ky < p->kernel_height; ++ky) {
    for (int32_t kx = 0; kx < p->kernel_width; ++kx) {
      gxnor_conv2d_tap at;
      uint32_t product[2];
      if (!gxnor_conv2d_find_tap(call, position, ky, kx, &at)) continue;
      multiply(input + 2 * (at.input * groups + (size_t)position->group),
               records + 2 * (size_t)at.number, product);
      gxnor_conv2d_add_record(product, plane_count, planes);
      ++taps;
    }
  }
  /* Every product added 1 too much. */
  gxnor_conv2d_add_to_all(0u - taps, plane_count, planes);
}
