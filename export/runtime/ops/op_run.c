/* SPDX-License-Identifier: Apache-2.0 */
#include "op_run.h"

#include "gxnor/conv2d.h"
#include "gxnor/depthwise_conv2d.h"

size_t gxnor_op_buffer_size(gxnor_op op, bool packed,
                            const gxnor_op_params* params) {
  size_t size = 0;
  if (op == GXNOR_OP_CONV_2D || op == GXNOR_OP_FULLY_CONNECTED) {
    if (packed) {
      gxnor_conv2d_get_buffer_size(&params->conv2d, INT32_MAX, &size);
    } else {
      gxnor_conv2d_s8_get_buffer_size(&params->conv2d, &size);
    }
  }
  return size;
}

gxnor_status gxnor_op_run_conv2d(const gxnor_op_params* params,
                                 const gxnor_op_data* d) {
  const gxnor_conv2d_params* const p = &params->conv2d;
  if (d->thresholds == NULL) {
    return d->packed ? gxnor_conv2d_t2_s32(p, d->input, d->weights, d->buffer,
                                           d->buffer_size, d->output)
                     : gxnor_conv2d_s8_s32(p, d->input, d->weights, d->buffer,
                                           d->buffer_size, d->output);
  }
  return d->packed ? gxnor_conv2d_t2_t2(p, d->input, d->weights, d->thresholds,
                                        d->buffer, d->buffer_size, d->output)
                   : gxnor_conv2d_s8_t2(p, d->input, d->weights, d->thresholds,
                                        d->buffer, d->buffer_size, d->output);
}

gxnor_status gxnor_op_run_depthwise_conv2d(const gxnor_op_params* params,
                                           const gxnor_op_data* d) {
  const gxnor_conv2d_params* const p = &params->conv2d;
  return d->thresholds == NULL
             ? gxnor_depthwise_conv2d_t2_s32(p, d->input, d->weights, d->output)
             : gxnor_depthwise_conv2d_t2_t2(p, d->input, d->weights,
                                            d->thresholds, d->output);
}

gxnor_status gxnor_op_run_max_pool2d(const gxnor_op_params* params,
                                     const gxnor_op_data* data) {
  return gxnor_max_pool2d_t2(&params->max_pool2d, data->input, data->output);
}

gxnor_status gxnor_op_run_pack(const gxnor_op_params* params,
                               const gxnor_op_data* data) {
  return gxnor_pack_s8_t2(&params->pack, data->input, data->output);
}

gxnor_status gxnor_op_run_unpack(const gxnor_op_params* params,
                                 const gxnor_op_data* data) {
  return gxnor_unpack_t2_s8(&params->pack, data->input, data->output);
}
