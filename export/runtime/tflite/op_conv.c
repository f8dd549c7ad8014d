/* SPDX-License-Identifier: Apache-2.0 */
/* GxnorConv2D and GxnorFullyConnected on the host's kernels. */
#include "op_internal.h"

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
    return gxnor_op_node_fail(
        context, self,
        "there is no memory for %zu bytes of packed weights; "
        "use load_delegate(kernels=\"reference\")",
        plan->packed_bytes);
  }
  gxnor_host_conv2d_pack(plan, weights->data,
                         thresholds == NULL ? NULL : thresholds->data,
                         self->packed.data);
  return kTfLiteOk;
}

static TfLiteStatus prepare(TfLiteContext* context, gxnor_op_node* self) {
  const TfLiteTensor* const input = gxnor_op_input(context, self, kGxnorInput);
  gxnor_host_conv2d plan;
  self->on_host =
      gxnor_host_conv2d_plan(&self->params.conv2d, input->type == kTfLiteInt8,
                             !gxnor_op_has_thresholds(self),
                             self->shared->kernels, &plan) == GXNOR_OK;
  if (!self->on_host) {
    gxnor_memory_resize(&self->packed, 0);
    return kTfLiteOk;
  }
  if (pack_weights(context, self, &plan) != kTfLiteOk) return kTfLiteError;
  self->plan.conv2d = plan;
  return gxnor_op_resize_scratch(context, self, plan.scratch_bytes);
}

static void invoke(const TfLiteContext* context, const gxnor_op_node* self) {
  gxnor_op_runner runner = gxnor_op_make_runner(context, self);
  gxnor_host_conv2d_run(
      &self->plan.conv2d, gxnor_op_input(context, self, kGxnorInput)->data,
      self->packed.data, self->scratch.data,
      gxnor_op_output_tensor(context, self)->data, gxnor_op_run_tasks, &runner);
}

const gxnor_op_family gxnor_op_conv_family = {
    .prepare = prepare,
    .invoke = invoke,
    .run = gxnor_op_run_conv2d,
};
