/* SPDX-License-Identifier: Apache-2.0 */
/* GxnorMaxPool2D. */
#include "gxnor/max_pool2d.h"
#include "op_internal.h"

static TfLiteStatus prepare(TfLiteContext* context, gxnor_op_node* self) {
  gxnor_max_pool2d_params* const p = &self->params.max_pool2d;
  const TfLiteTensor* const input = gxnor_op_input(context, self, 0);
  const TfLiteTensor* const output = gxnor_op_output(context, self);
  gxnor_max_pool2d_shape shape;
  int32_t sizes[3];
  if (input->type != kTfLiteInt32 || output->type != kTfLiteInt32) {
    return gxnor_op_fail(context, self,
                         "input and output must be int32; received TfLiteType "
                         "%d and %d",
                         (int)input->type, (int)output->type);
  }
  if (gxnor_op_check_packed_image(context, self, p->channels, sizes) !=
      kTfLiteOk) {
    return kTfLiteError;
  }
  p->batches = sizes[0];
  p->input_height = sizes[1];
  p->input_width = sizes[2];
  if (gxnor_max_pool2d_get_shape(p, &shape) != GXNOR_OK) {
    return gxnor_op_fail(
        context, self,
        "the pool %dx%d (padding %d, %d, %d, %d) does not fit the input "
        "%dx%d, or a tensor would have more than 2^31 - 1 elements; received "
        "batch %d, channels %d",
        (int)p->pool_height, (int)p->pool_width, (int)p->pad_top,
        (int)p->pad_bottom, (int)p->pad_left, (int)p->pad_right,
        (int)p->input_height, (int)p->input_width, (int)p->batches,
        (int)p->channels);
  }
  sizes[1] = shape.output_height;
  sizes[2] = shape.output_width;
  return gxnor_op_resize_output(context, self, sizes, 3,
                                gxnor_op_packed_size(p->channels));
}

static gxnor_status invoke(const TfLiteContext* context,
                           const gxnor_op_node* self) {
  return gxnor_max_pool2d_t2(&self->params.max_pool2d,
                             gxnor_op_input(context, self, 0)->data,
                             gxnor_op_output(context, self)->data);
}

const gxnor_op_family gxnor_op_max_pool_family = {
    .required_inputs = 1,
    .most_inputs = 1,
    .inputs_text = "one input",
    .prepare = prepare,
    .invoke = invoke,
};
