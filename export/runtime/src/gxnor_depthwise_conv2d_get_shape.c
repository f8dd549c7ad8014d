/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "gxnor/conv2d.h"
#include "gxnor/depthwise_conv2d.h"
#include "gxnor_shape_internal.h"

gxnor_status gxnor_depthwise_conv2d_get_shape(const gxnor_conv2d_params* params,
                                              gxnor_conv2d_shape* shape) {
  gxnor_conv2d_params one_channel;
  gxnor_conv2d_shape s;
  gxnor_status status;
  if (params == NULL || shape == NULL) return GXNOR_ERR_ARG;
  if (params->input_channels != params->output_channels) {
    return GXNOR_ERR_SHAPE;
  }
  /* All but the input is as if each channel were alone. */
  one_channel = *params;
  one_channel.input_channels = 1;
  status = gxnor_conv2d_get_shape(&one_channel, &s);
  if (status != GXNOR_OK) return status;
  s.input_groups = s.output_groups;
  if (gxnor_bounded_product(
          params->batches, params->input_height, params->input_width,
          gxnor_position_size(params->input_channels, s.input_groups),
          INT32_MAX) == 0) {
    return GXNOR_ERR_SHAPE;
  }
  *shape = s;
  return GXNOR_OK;
}
