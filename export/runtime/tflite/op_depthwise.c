/* SPDX-License-Identifier: Apache-2.0 */
/* GxnorDepthwiseConv2D. */
#include "gxnor/depthwise_conv2d.h"
#include "op_weights.h"

static TfLiteStatus check_types(TfLiteContext* context,
                                const gxnor_op_node* self) {
  const TfLiteTensor* const input = gxnor_op_input(context, self, kGxnorInput);
  const TfLiteTensor* const weights =
      gxnor_op_input(context, self, kGxnorWeights);
  const TfLiteTensor* const thresholds =
      gxnor_op_input(context, self, kGxnorThresholds);
  const TfLiteTensor* const output = gxnor_op_output(context, self);
  if (input->type != kTfLiteInt32 || weights->type != kTfLiteInt32 ||
      output->type != kTfLiteInt32 ||
      (thresholds != NULL && thresholds->type != kTfLiteInt32)) {
    return gxnor_op_fail(
        context, self,
        "input, weights, thresholds and output must be int32; received "
        "TfLiteType %d, %d, %d and %d",
        (int)input->type, (int)weights->type,
        thresholds == NULL ? kTfLiteInt32 : (int)thresholds->type,
        (int)output->type);
  }
  return kTfLiteOk;
}

static TfLiteStatus prepare_host(TfLiteContext* context, gxnor_op_node* self) {
  const gxnor_host_kernels* const kernels = self->shared->kernels;
  gxnor_host_depthwise_conv2d* const plan = &self->plan.depthwise;
  self->on_host = kernels != NULL &&
                  gxnor_host_depthwise_conv2d_plan(
                      &self->params.conv2d, !gxnor_op_has_thresholds(self),
                      kernels, plan) == GXNOR_OK;
  return gxnor_op_resize_scratch(context, self,
                                 self->on_host ? plan->scratch_bytes : 0);
}

static TfLiteStatus prepare(TfLiteContext* context, gxnor_op_node* self) {
  gxnor_conv2d_params* const params = &self->params.conv2d;
  gxnor_conv2d_shape shape;
  int32_t sizes[3];
  if (check_types(context, self) != kTfLiteOk ||
      gxnor_op_check_packed_image(context, self, params->input_channels,
                                  sizes) != kTfLiteOk) {
    return kTfLiteError;
  }
  params->batches = sizes[0];
  params->input_height = sizes[1];
  params->input_width = sizes[2];
  if (gxnor_depthwise_conv2d_get_shape(params, &shape) != GXNOR_OK) {
    return gxnor_op_fail_shape(context, self);
  }
  if (gxnor_op_check_pool(context, self) != kTfLiteOk ||
      gxnor_op_check_weights(context, self, &shape) != kTfLiteOk ||
      (gxnor_op_has_thresholds(self) &&
       gxnor_op_check_sliced_thresholds(context, self, &shape) != kTfLiteOk) ||
      prepare_host(context, self) != kTfLiteOk) {
    return kTfLiteError;
  }
  return gxnor_op_resize_conv_output(context, self, &shape);
}

static gxnor_status invoke(const TfLiteContext* context,
                           const gxnor_op_node* self) {
  const gxnor_conv2d_params* const params = &self->params.conv2d;
  const TfLiteTensor* const thresholds =
      gxnor_op_input(context, self, kGxnorThresholds);
  const void* const input = gxnor_op_input(context, self, kGxnorInput)->data;
  const void* const weights =
      gxnor_op_input(context, self, kGxnorWeights)->data;
  void* const output = gxnor_op_output(context, self)->data;
  if (self->on_host) {
    gxnor_op_runner runner = gxnor_op_make_runner(context, self);
    gxnor_host_depthwise_conv2d_run(
        &self->plan.depthwise, input, weights,
        thresholds == NULL ? NULL : thresholds->data, self->scratch.data,
        output, gxnor_op_run_tasks, &runner);
    return GXNOR_OK;
  }
  return thresholds == NULL
             ? gxnor_depthwise_conv2d_t2_s32(params, input, weights, output)
             : gxnor_depthwise_conv2d_t2_t2(params, input, weights,
                                            thresholds->data, output);
}

const gxnor_op_family gxnor_op_depthwise_family = {
    .required_inputs = 2,
    .most_inputs = 3,
    .inputs_text = "the inputs [x, weights] or [x, weights, thresholds]",
    .prepare = prepare,
    .invoke = invoke,
};
