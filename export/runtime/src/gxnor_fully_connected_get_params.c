/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "gxnor/fully_connected.h"

gxnor_status gxnor_fully_connected_get_params(int32_t batches, int32_t height,
                                              int32_t width,
                                              int32_t input_channels,
                                              int32_t output_channels,
                                              gxnor_conv2d_params* params) {
  if (params == NULL) return GXNOR_ERR_ARG;
  params->batches = batches;
  params->input_height = height;
  params->input_width = width;
  params->input_channels = input_channels;
  params->output_channels = output_channels;
  params->kernel_height = height;
  params->kernel_width = width;
  params->stride_height = 1;
  params->stride_width = 1;
  params->dilation_height = 1;
  params->dilation_width = 1;
  params->pad_top = 0;
  params->pad_bottom = 0;
  params->pad_left = 0;
  params->pad_right = 0;
  params->pool_height = 1;
  params->pool_width = 1;
  params->pool_stride_height = 1;
  params->pool_stride_width = 1;
  params->pool_pad_top = 0;
  params->pool_pad_bottom = 0;
  params->pool_pad_left = 0;
  params->pool_pad_right = 0;
  return GXNOR_OK;
}
