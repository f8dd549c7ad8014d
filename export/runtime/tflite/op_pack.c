/* SPDX-License-Identifier: Apache-2.0 */
/* GxnorPack and GxnorUnpack, on tensors of any rank >= 2. */
#include "op_internal.h"

/* The int8 side of the op must hold states as they are. */
static TfLiteStatus check_zero_point(TfLiteContext* context,
                                     const gxnor_op_node* self,
                                     const char* what,
                                     const TfLiteTensor* tensor) {
  if (tensor->params.zero_point != 0) {
    return gxnor_op_fail(context, self,
                         "the int8 %s must have zero point 0; received %d",
                         what, (int)tensor->params.zero_point);
  }
  return kTfLiteOk;
}

static TfLiteStatus check_types(TfLiteContext* context,
                                const gxnor_op_node* self) {
  const TfLiteTensor* const input = gxnor_op_input(context, self, 0);
  const TfLiteTensor* const output = gxnor_op_output(context, self);
  const bool packs = self->op == GXNOR_OP_PACK;
  if (input->type != (packs ? kTfLiteInt8 : kTfLiteInt32) ||
      output->type != (packs ? kTfLiteInt32 : kTfLiteInt8)) {
    return gxnor_op_fail(
        context, self,
        "the input must be %s and the output %s; received TfLiteType %d and %d",
        packs ? "int8" : "int32", packs ? "int32" : "int8", (int)input->type,
        (int)output->type);
  }
  return packs ? check_zero_point(context, self, "input", input)
               : check_zero_point(context, self, "output", output);
}

/* Completes the parameters with the shape of the input. */
static TfLiteStatus read_input_shape(TfLiteContext* context,
                                     gxnor_op_node* self) {
  const TfLiteIntArray* const dims = gxnor_op_input(context, self, 0)->dims;
  const bool packs = self->op == GXNOR_OP_PACK;
  gxnor_pack_params* const params = &self->params.pack;
  const int32_t last =
      packs ? params->channels : gxnor_op_packed_size(params->channels);
  int64_t positions = 1;
  int32_t groups;
  char text[kGxnorShapeTextSize];
  if (dims == NULL || dims->size < 2) {
    return gxnor_op_fail(context, self,
                         "the input must have the shape (batch, ..., "
                         "channels); received (%s)",
                         gxnor_dims_text(dims, text));
  }
  if (gxnor_op_check_sizes(context, self, dims) != kTfLiteOk) {
    return kTfLiteError;
  }
  if (dims->data[dims->size - 1] != last) {
    return gxnor_op_fail(
        context, self,
        "the last axis of the input must be %d, for option `channels` is %d "
        "and the input %s; received (%s)",
        (int)last, (int)params->channels, packs ? "int8" : "packed",
        gxnor_dims_text(dims, text));
  }
  for (int32_t i = 0; i < dims->size - 1 && positions <= INT32_MAX; ++i) {
    positions *= dims->data[i];
  }
  /* 0 is no size: the kernel's own check refuses it, too. */
  params->positions = positions <= INT32_MAX ? (int32_t)positions : 0;
  if (gxnor_pack_get_groups(params, &groups) != GXNOR_OK) {
    return gxnor_op_fail(context, self,
                         "a tensor would have more than 2^31 - 1 elements; "
                         "received the input (%s), channels %d",
                         gxnor_dims_text(dims, text), (int)params->channels);
  }
  return kTfLiteOk;
}

static TfLiteStatus prepare(TfLiteContext* context, gxnor_op_node* self) {
  const TfLiteIntArray* dims;
  const int32_t channels = self->params.pack.channels;
  if (check_types(context, self) != kTfLiteOk ||
      read_input_shape(context, self) != kTfLiteOk) {
    return kTfLiteError;
  }
  dims = gxnor_op_input(context, self, 0)->dims;
  return gxnor_op_resize_output(
      context, self, dims->data, dims->size - 1,
      self->op == GXNOR_OP_PACK ? gxnor_op_packed_size(channels) : channels);
}

static gxnor_status invoke(const TfLiteContext* context,
                           const gxnor_op_node* self) {
  const void* const input = gxnor_op_input(context, self, 0)->data;
  void* const output = gxnor_op_output(context, self)->data;
  return self->op == GXNOR_OP_PACK
             ? gxnor_pack_s8_t2(&self->params.pack, input, output)
             : gxnor_unpack_t2_s8(&self->params.pack, input, output);
}

const gxnor_op_family gxnor_op_pack_family = {
    .required_inputs = 1,
    .most_inputs = 1,
    .inputs_text = "one input",
    .prepare = prepare,
    .invoke = invoke,
};
