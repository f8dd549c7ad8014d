/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "gxnor/depthwise_conv2d.h"
#include "gxnor_shape_internal.h"

gxnor_status gxnor_depthwise_conv2d_get_shape(const gxnor_conv2d_params* params,
                                              gxnor_conv2d_shape* shape) {
  if (params == NULL || shape == NULL) return GXNOR_ERR_ARG;
  if (params->input_channels != params->output_channels) {
    return GXNOR_ERR_SHAPE;
  }
  return gxnor_conv2d_find_shape(params, 1, shape);
}
