/* SPDX-License-Identifier: Apache-2.0 */
/* GxnorConv2D and GxnorFullyConnected. */
#include "gxnor/conv2d.h"
#include "gxnor/fully_connected.h"
#include "op_weights.h"

static TfLiteStatus check_types(TfLiteContext* context,
                                const gxnor_op_node* self) {
  const TfLiteTensor* const input = gxnor_op_input(context, self, kGxnorInput);
  const TfLiteTensor* const weights =
      gxnor_op_input(context, self, kGxnorWeights);
  const TfLiteTensor* const thresholds =
      gxnor_op_input(context, self, kGxnorThresholds);
  const TfLiteTensor* const output = gxnor_op_output(context, self);
  if (input->type != kTfLiteInt8 && input->type != kTfLiteInt32) {
    return gxnor_op_fail(
        context, self,
        "the input must be int8, or int32 with packed activations; "
        "received TfLiteType %d",
        (int)input->type);
  }
  if (input->type == kTfLiteInt8 && input->params.zero_point != 0) {
    return gxnor_op_fail(context, self,
                         "the int8 input must have zero point 0; received %d",
                         (int)input->params.zero_point);
  }
  if (weights->type != kTfLiteInt32 || output->type != kTfLiteInt32 ||
      (thresholds != NULL && thresholds->type != kTfLiteInt32)) {
    return gxnor_op_fail(
        context, self,
        "weights, thresholds and output must be int32; received "
        "TfLiteType %d, %d and %d",
        (int)weights->type,
        thresholds == NULL ? kTfLiteInt32 : (int)thresholds->type,
        (int)output->type);
  }
  return kTfLiteOk;
}

/* Completes the parameters with the shape of the input. */
static TfLiteStatus read_input_shape(TfLiteContext* context,
                                     gxnor_op_node* self) {
  const TfLiteTensor* const input = gxnor_op_input(context, self, kGxnorInput);
  const TfLiteIntArray* const dims = input->dims;
  const int32_t channels = self->params.conv2d.input_channels;
  const int32_t last =
      input->type == kTfLiteInt8 ? channels : gxnor_op_packed_size(channels);
  const bool flat =
      self->op == GXNOR_OP_FULLY_CONNECTED && dims != NULL && dims->size == 2;
  char text[kGxnorShapeTextSize];
  if (dims == NULL || (dims->size != 4 && !flat)) {
    return gxnor_op_fail(
        context, self,
        "the input must have the shape (batch, height, width, "
        "channels)%s; received (%s)",
        self->op == GXNOR_OP_FULLY_CONNECTED ? " or (batch, channels)" : "",
        gxnor_dims_text(dims, text));
  }
  if (gxnor_op_check_sizes(context, self, dims) != kTfLiteOk) {
    return kTfLiteError;
  }
  if (dims->data[dims->size - 1] != last) {
    return gxnor_op_fail(
        context, self,
        "the last axis of the input must be %d, for option "
        "`input_channels` is %d and the input %s; received (%s)",
        (int)last, (int)channels,
        input->type == kTfLiteInt8 ? "int8" : "packed",
        gxnor_dims_text(dims, text));
  }
  if (self->op == GXNOR_OP_FULLY_CONNECTED) {
    gxnor_fully_connected_get_params(
        dims->data[0], flat ? 1 : dims->data[1], flat ? 1 : dims->data[2],
        channels, self->params.conv2d.output_channels, &self->params.conv2d);
  } else {
    self->params.conv2d.batches = dims->data[0];
    self->params.conv2d.input_height = dims->data[1];
    self->params.conv2d.input_width = dims->data[2];
  }
  return kTfLiteOk;
}

/* Packs the weights, unless they are as they must be. */
static TfLiteStatus pack_weights(TfLiteContext* context, gxnor_op_node* self,
                                 const gxnor_host_conv2d* plan) {
  const TfLiteTensor* const weights =
      gxnor_op_input(context, self, kGxnorWeights);
  const TfLiteTensor* const thresholds =
      gxnor_op_input(context, self, kGxnorThresholds);
  if (self->packed.size != 0 &&
      gxnor_host_conv2d_same_packing(&self->plan.conv2d, plan)) {
    return kTfLiteOk;
  }
  if (!gxnor_memory_resize(&self->packed, plan->packed_bytes)) {
    return gxnor_op_fail(context, self,
                         "there is no memory for %zu bytes of packed weights; "
                         "use load_delegate(kernels=\"reference\")",
                         plan->packed_bytes);
  }
  gxnor_host_conv2d_pack(plan, weights->data,
                         thresholds == NULL ? NULL : thresholds->data,
                         self->packed.data);
  return kTfLiteOk;
}

/* Prepares the host's kernels, where there are any for these parameters. */
static TfLiteStatus prepare_host(TfLiteContext* context, gxnor_op_node* self) {
  const TfLiteTensor* const input = gxnor_op_input(context, self, kGxnorInput);
  const gxnor_host_kernels* const kernels = self->shared->kernels;
  gxnor_host_conv2d plan;
  self->on_host =
      kernels != NULL &&
      gxnor_host_conv2d_plan(&self->params.conv2d, input->type == kTfLiteInt8,
                             !gxnor_op_has_thresholds(self), kernels,
                             &plan) == GXNOR_OK;
  if (!self->on_host) {
    size_t size = 0;
    gxnor_memory_resize(&self->packed, 0);
    if (input->type == kTfLiteInt32) {
      gxnor_conv2d_get_buffer_size(&self->params.conv2d, INT32_MAX, &size);
    } else {
      gxnor_conv2d_s8_get_buffer_size(&self->params.conv2d, &size);
    }
    return gxnor_op_resize_scratch(context, self, size);
  }
  if (pack_weights(context, self, &plan) != kTfLiteOk) return kTfLiteError;
  self->plan.conv2d = plan;
  return gxnor_op_resize_scratch(context, self, plan.scratch_bytes);
}

static TfLiteStatus prepare(TfLiteContext* context, gxnor_op_node* self) {
  gxnor_conv2d_shape shape;
  if (check_types(context, self) != kTfLiteOk ||
      read_input_shape(context, self) != kTfLiteOk) {
    return kTfLiteError;
  }
  if (gxnor_conv2d_get_shape(&self->params.conv2d, &shape) != GXNOR_OK) {
    return gxnor_op_fail_shape(context, self);
  }
  if (gxnor_op_check_pool(context, self) != kTfLiteOk ||
      gxnor_op_check_weights(context, self, &shape) != kTfLiteOk) {
    return kTfLiteError;
  }
  if (gxnor_op_has_thresholds(self)) {
    const bool packed =
        gxnor_op_input(context, self, kGxnorInput)->type == kTfLiteInt32;
    const TfLiteStatus status =
        packed ? gxnor_op_check_sliced_thresholds(context, self, &shape)
               : gxnor_op_check_plain_thresholds(context, self);
    if (status != kTfLiteOk) return status;
  }
  if (prepare_host(context, self) != kTfLiteOk) return kTfLiteError;
  return gxnor_op_resize_conv_output(context, self, &shape);
}

static void invoke_host(const TfLiteContext* context,
                        const gxnor_op_node* self) {
  gxnor_op_runner runner = gxnor_op_make_runner(context, self);
  gxnor_host_conv2d_run(
      &self->plan.conv2d, gxnor_op_input(context, self, kGxnorInput)->data,
      self->packed.data, self->scratch.data,
      gxnor_op_output(context, self)->data, gxnor_op_run_tasks, &runner);
}

static gxnor_status invoke_reference(const TfLiteContext* context,
                                     const gxnor_op_node* self) {
  const gxnor_conv2d_params* const params = &self->params.conv2d;
  const TfLiteTensor* const input = gxnor_op_input(context, self, kGxnorInput);
  const TfLiteTensor* const weights =
      gxnor_op_input(context, self, kGxnorWeights);
  const TfLiteTensor* const thresholds =
      gxnor_op_input(context, self, kGxnorThresholds);
  void* const output = gxnor_op_output(context, self)->data;
  const bool packed = input->type == kTfLiteInt32;
  if (thresholds == NULL) {
    return packed ? gxnor_conv2d_t2_s32(params, input->data, weights->data,
                                        self->scratch.data, self->scratch.size,
                                        output)
                  : gxnor_conv2d_s8_s32(params, input->data, weights->data,
                                        self->scratch.data, self->scratch.size,
                                        output);
  }
  return packed ? gxnor_conv2d_t2_t2(params, input->data, weights->data,
                                     thresholds->data, self->scratch.data,
                                     self->scratch.size, output)
                : gxnor_conv2d_s8_t2(params, input->data, weights->data,
                                     thresholds->data, self->scratch.data,
                                     self->scratch.size, output);
}

static gxnor_status invoke(const TfLiteContext* context,
                           const gxnor_op_node* self) {
  if (!self->on_host) return invoke_reference(context, self);
  invoke_host(context, self);
  return GXNOR_OK;
}

const gxnor_op_family gxnor_op_conv_family = {
    .required_inputs = 2,
    .most_inputs = 3,
    .inputs_text = "the inputs [x, weights] or [x, weights, thresholds]",
    .prepare = prepare,
    .invoke = invoke,
};
