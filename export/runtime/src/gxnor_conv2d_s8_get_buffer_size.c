/* SPDX-License-Identifier: Apache-2.0 */
#include "gxnor/conv2d.h"
#include "gxnor_digits_internal.h"
#include "gxnor_taps_internal.h"

gxnor_status gxnor_conv2d_s8_get_buffer_size(const gxnor_conv2d_params* params,
                                             size_t* size) {
  gxnor_conv2d_shape shape;
  gxnor_status status;
  if (params == NULL || size == NULL) return GXNOR_ERR_ARG;
  status = gxnor_conv2d_get_shape(params, &shape);
  if (status != GXNOR_OK) return status;
  *size = gxnor_taps_buffer_size(params, &shape);
  if (*size == 0) *size = gxnor_digits_buffer_size(&shape);
  return GXNOR_OK;
}
