/* SPDX-License-Identifier: Apache-2.0 */
/* GxnorDepthwiseConv2D on the host's kernels. */
#include "op_internal.h"

static TfLiteStatus prepare(TfLiteContext* context, gxnor_op_node* self) {
  gxnor_host_depthwise_conv2d* const plan = &self->plan.depthwise;
  self->on_host = gxnor_host_depthwise_conv2d_plan(
                      &self->params.conv2d, !gxnor_op_has_thresholds(self),
                      self->shared->kernels, plan) == GXNOR_OK;
  if (!self->on_host) return kTfLiteOk;
  return gxnor_op_resize_scratch(context, self, plan->scratch_bytes);
}

static void invoke(const TfLiteContext* context, const gxnor_op_node* self) {
  const TfLiteTensor* const thresholds =
      gxnor_op_input(context, self, kGxnorThresholds);
  gxnor_op_runner runner = gxnor_op_make_runner(context, self);
  gxnor_host_depthwise_conv2d_run(
      &self->plan.depthwise, gxnor_op_input(context, self, kGxnorInput)->data,
      gxnor_op_input(context, self, kGxnorWeights)->data,
      thresholds == NULL ? NULL : thresholds->data, self->scratch.data,
      gxnor_op_output_tensor(context, self)->data, gxnor_op_run_tasks, &runner);
}

const gxnor_op_family gxnor_op_depthwise_family = {
    .prepare = prepare,
    .invoke = invoke,
    .run = gxnor_op_run_depthwise_conv2d,
};
