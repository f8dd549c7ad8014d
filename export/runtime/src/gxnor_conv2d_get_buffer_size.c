/* SPDX-License-Identifier: Apache-2.0 */
#include "gxnor/conv2d.h"
#include "gxnor_events_internal.h"

gxnor_status gxnor_conv2d_get_buffer_size(const gxnor_conv2d_params* params,
                                          int32_t positions, size_t* size) {
  gxnor_conv2d_shape shape;
  gxnor_status status;
  int32_t most;
  if (params == NULL || size == NULL) return GXNOR_ERR_ARG;
  status = gxnor_conv2d_get_shape(params, &shape);
  if (status != GXNOR_OK) return status;
  if (positions < 1) return GXNOR_ERR_SHAPE;
  /* No more than a row has, or than 16 bits can number. */
  most = gxnor_events_count_positions(params, &shape, SIZE_MAX);
  if (positions > most) positions = most;
  *size =
      positions == 0 ? 0 : gxnor_events_buffer_size(params, &shape, positions);
  return GXNOR_OK;
}
