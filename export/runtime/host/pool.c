/* SPDX-License-Identifier: Apache-2.0 */
#include "pool.h"

#include "gxnor/max_pool2d.h"

void gxnor_host_pool(const gxnor_conv2d_params* params,
                     const gxnor_conv2d_shape* shape, const uint32_t* states,
                     uint32_t* output) {
  const gxnor_max_pool2d_params pool = {
      .batches = params->batches,
      .input_height = shape->conv_height,
      .input_width = shape->conv_width,
      .channels = params->output_channels,
      .pool_height = params->pool_height,
      .pool_width = params->pool_width,
      .stride_height = params->pool_stride_height,
      .stride_width = params->pool_stride_width,
      .pad_top = params->pool_pad_top,
      .pad_bottom = params->pool_pad_bottom,
      .pad_left = params->pool_pad_left,
      .pad_right = params->pool_pad_right,
  };
  gxnor_max_pool2d_t2(&pool, states, output);
}
