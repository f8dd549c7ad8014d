/* SPDX-License-Identifier: Apache-2.0 */
#include "op_check.h"

#include "gxnor/conv2d.h"
#include "gxnor/depthwise_conv2d.h"
#include "gxnor/fully_connected.h"
#include "op_constants.h"

/* A node that is being checked. */
typedef struct node {
  gxnor_op op;
  const gxnor_op_tensors* tensors;
  gxnor_op_params* params;
  const gxnor_op_report* report;
} node;

static const gxnor_op_tensor* input_of(const node* self) {
  return &self->tensors->inputs[kGxnorInput];
}

/* ---- How many tensors ---- */

static bool has_weights(gxnor_op op) {
  return op == GXNOR_OP_CONV_2D || op == GXNOR_OP_FULLY_CONNECTED ||
         op == GXNOR_OP_DEPTHWISE_CONV_2D;
}

bool gxnor_op_check_count(gxnor_op op, int input_count, unsigned present,
                          int output_count, const gxnor_op_report* report) {
  const int required = has_weights(op) ? 2 : 1;
  const int most = has_weights(op) ? 3 : 1;
  const unsigned needed = (1u << required) - 1;
  if (input_count < required || input_count > most ||
      (present & needed) != needed || output_count != 1) {
    return gxnor_op_fail(
        report, "the op must have %s and one output; export the model again",
        has_weights(op) ? "the inputs [x, weights] or [x, weights, thresholds]"
                        : "one input");
  }
  return true;
}

/* ---- Types ---- */

/* int8 tensors hold numbers as they are. */
static bool check_zero_point(const node* self, const char* what,
                             const gxnor_op_tensor* tensor) {
  if (tensor->type == kGxnorInt8 && tensor->zero_point != 0) {
    return gxnor_op_fail(self->report,
                         "the int8 %s must have zero point 0; received %d",
                         what, tensor->zero_point);
  }
  return true;
}

static bool check_weighted_types(const node* self) {
  const gxnor_op_tensors* const t = self->tensors;
  const int input = t->inputs[kGxnorInput].type;
  const int weights = t->inputs[kGxnorWeights].type;
  const int thresholds =
      t->has_thresholds ? t->inputs[kGxnorThresholds].type : kGxnorInt32;
  const bool depthwise = self->op == GXNOR_OP_DEPTHWISE_CONV_2D;
  if (input != kGxnorInt32 && (depthwise || input != kGxnorInt8)) {
    return gxnor_op_fail(
        self->report,
        "the input must be %sint32 with packed activations; received "
        "TfLiteType %d",
        depthwise ? "" : "int8, or ", input);
  }
  if (weights != kGxnorInt32 || thresholds != kGxnorInt32 ||
      t->output.type != kGxnorInt32) {
    return gxnor_op_fail(
        self->report,
        "weights, thresholds and output must be int32; received "
        "TfLiteType %d, %d and %d",
        weights, thresholds, t->output.type);
  }
  return check_zero_point(self, "input", input_of(self));
}

/* The types of an op with one input. */
static bool check_pair_of_types(const node* self, int input, int output) {
  const gxnor_op_tensors* const t = self->tensors;
  if (input_of(self)->type != input || t->output.type != output) {
    return gxnor_op_fail(
        self->report,
        "the input must be %s and the output %s; received TfLiteType %d and %d",
        input == kGxnorInt8 ? "int8" : "int32",
        output == kGxnorInt8 ? "int8" : "int32", input_of(self)->type,
        t->output.type);
  }
  return check_zero_point(self, "input", input_of(self)) &&
         check_zero_point(self, "output", &t->output);
}

/* ---- Shapes ---- */

/* Words of one position of a packed tensor. */
static int packed_size(int32_t channels) {
  return 2 * ((int)(channels - 1) / GXNOR_LANES + 1);
}

/* Checks that no size is below 1, and that the last one is that of `channels`
 * channels. */
static bool check_sizes(const node* self, const char* option,
                        int32_t channels) {
  const gxnor_op_tensor* const input = input_of(self);
  const bool packed = input->type == kGxnorInt32;
  const int last = packed ? packed_size(channels) : (int)channels;
  char text[kGxnorShapeTextSize];
  gxnor_shape_text(input->sizes, input->rank, text);
  for (int i = 0; i < input->rank; ++i) {
    if (input->sizes[i] < 1) {
      return gxnor_op_fail(self->report,
                           "all sizes of the input must be >= 1; received (%s)",
                           text);
    }
  }
  if (input->sizes[input->rank - 1] != last) {
    return gxnor_op_fail(
        self->report,
        "the last axis of the input must be %d, for option `%s` is %d and the "
        "input %s; received (%s)",
        last, option, (int)channels, packed ? "packed" : "int8", text);
  }
  return true;
}

/* Checks the shape (batch, height, width, channels) of the input. */
static bool check_image(const node* self, const char* option,
                        int32_t channels) {
  const gxnor_op_tensor* const input = input_of(self);
  char text[kGxnorShapeTextSize];
  if (input->rank != 4) {
    return gxnor_op_fail(
        self->report,
        "the input must have the shape (batch, height, width, channels)%s; "
        "received (%s)",
        self->op == GXNOR_OP_FULLY_CONNECTED ? " or (batch, channels)" : "",
        gxnor_shape_text(input->sizes, input->rank, text));
  }
  return check_sizes(self, option, channels);
}

static void set_output(gxnor_op_output* output, int32_t batches, int32_t height,
                       int32_t width, int last) {
  output->sizes[0] = (int)batches;
  output->sizes[1] = (int)height;
  output->sizes[2] = (int)width;
  output->leading = output->sizes;
  output->leading_count = 3;
  output->last = last;
}

/* ---- Ops with weights ---- */

/* Completes the parameters with the shape of the input. */
static bool read_weighted_input(const node* self) {
  const gxnor_op_tensor* const input = input_of(self);
  gxnor_conv2d_params* const params = &self->params->conv2d;
  const char* const option =
      self->op == GXNOR_OP_DEPTHWISE_CONV_2D ? "channels" : "input_channels";
  if (self->op == GXNOR_OP_FULLY_CONNECTED && input->rank == 2) {
    if (!check_sizes(self, option, params->input_channels)) return false;
    gxnor_fully_connected_get_params(input->sizes[0], 1, 1,
                                     params->input_channels,
                                     params->output_channels, params);
    return true;
  }
  if (!check_image(self, option, params->input_channels)) return false;
  if (self->op == GXNOR_OP_FULLY_CONNECTED) {
    gxnor_fully_connected_get_params(input->sizes[0], input->sizes[1],
                                     input->sizes[2], params->input_channels,
                                     params->output_channels, params);
    return true;
  }
  params->batches = input->sizes[0];
  params->input_height = input->sizes[1];
  params->input_width = input->sizes[2];
  return true;
}

/* Computes what follows from the parameters. */
static bool get_shape(const node* self, gxnor_conv2d_shape* shape) {
  const gxnor_conv2d_params* const p = &self->params->conv2d;
  const gxnor_status status = self->op == GXNOR_OP_DEPTHWISE_CONV_2D
                                  ? gxnor_depthwise_conv2d_get_shape(p, shape)
                                  : gxnor_conv2d_get_shape(p, shape);
  if (status == GXNOR_OK) return true;
  return gxnor_op_fail(
      self->report,
      "kernel %dx%d (dilation %d, %d; padding %d, %d, %d, %d) and pool "
      "%dx%d (padding %d, %d, %d, %d) do not fit the input %dx%d, or a "
      "tensor would have more than 2^31 - 1 elements; received batch %d, "
      "input channels %d, output channels %d",
      (int)p->kernel_height, (int)p->kernel_width, (int)p->dilation_height,
      (int)p->dilation_width, (int)p->pad_top, (int)p->pad_bottom,
      (int)p->pad_left, (int)p->pad_right, (int)p->pool_height,
      (int)p->pool_width, (int)p->pool_pad_top, (int)p->pool_pad_bottom,
      (int)p->pool_pad_left, (int)p->pool_pad_right, (int)p->input_height,
      (int)p->input_width, (int)p->batches, (int)p->input_channels,
      (int)p->output_channels);
}

/* A pool needs thresholds before it. */
static bool check_pool(const node* self) {
  const gxnor_conv2d_params* const p = &self->params->conv2d;
  if (!self->tensors->has_thresholds &&
      (p->pool_height != 1 || p->pool_width != 1 ||
       p->pool_stride_height != 1 || p->pool_stride_width != 1)) {
    return gxnor_op_fail(
        self->report,
        "a pool needs thresholds; received pool %dx%d, stride %d, %d",
        (int)p->pool_height, (int)p->pool_width, (int)p->pool_stride_height,
        (int)p->pool_stride_width);
  }
  return true;
}

static bool check_thresholds(const node* self,
                             const gxnor_conv2d_shape* shape) {
  const gxnor_op_tensors* const t = self->tensors;
  const gxnor_op_tensor* const thresholds = &t->inputs[kGxnorThresholds];
  const int32_t channels = self->params->conv2d.output_channels;
  if (!t->has_thresholds) return true;
  return input_of(self)->type == kGxnorInt32
             ? gxnor_op_check_sliced_thresholds(thresholds, channels, shape,
                                                self->report)
             : gxnor_op_check_plain_thresholds(thresholds, channels,
                                               self->report);
}

static bool check_weighted(const node* self, gxnor_op_output* output) {
  const gxnor_op_tensors* const t = self->tensors;
  const gxnor_conv2d_params* const params = &self->params->conv2d;
  gxnor_conv2d_shape shape;
  if (!check_weighted_types(self) || !read_weighted_input(self) ||
      !get_shape(self, &shape) || !check_pool(self) ||
      !gxnor_op_check_weights(&t->inputs[kGxnorWeights],
                              params->output_channels, &shape, self->report) ||
      !check_thresholds(self, &shape)) {
    return false;
  }
  set_output(output, params->batches, shape.output_height, shape.output_width,
             t->has_thresholds ? packed_size(params->output_channels)
                               : (int)params->output_channels);
  /* Its output is flat. */
  if (self->op == GXNOR_OP_FULLY_CONNECTED) output->leading_count = 1;
  return true;
}

/* ---- Other ops ---- */

static bool check_max_pool(const node* self, gxnor_op_output* output) {
  const gxnor_op_tensor* const input = input_of(self);
  gxnor_max_pool2d_params* const p = &self->params->max_pool2d;
  gxnor_max_pool2d_shape shape;
  if (!check_pair_of_types(self, kGxnorInt32, kGxnorInt32) ||
      !check_image(self, "channels", p->channels)) {
    return false;
  }
  p->batches = input->sizes[0];
  p->input_height = input->sizes[1];
  p->input_width = input->sizes[2];
  if (gxnor_max_pool2d_get_shape(p, &shape) != GXNOR_OK) {
    return gxnor_op_fail(
        self->report,
        "the pool %dx%d (padding %d, %d, %d, %d) does not fit the input "
        "%dx%d, or a tensor would have more than 2^31 - 1 elements; received "
        "batch %d, channels %d",
        (int)p->pool_height, (int)p->pool_width, (int)p->pad_top,
        (int)p->pad_bottom, (int)p->pad_left, (int)p->pad_right,
        (int)p->input_height, (int)p->input_width, (int)p->batches,
        (int)p->channels);
  }
  set_output(output, p->batches, shape.output_height, shape.output_width,
             packed_size(p->channels));
  return true;
}

/* Either direction, any rank >= 2. */
static bool check_pack(const node* self, gxnor_op_output* output) {
  const gxnor_op_tensor* const input = input_of(self);
  const bool packs = self->op == GXNOR_OP_PACK;
  gxnor_pack_params* const params = &self->params->pack;
  int64_t positions = 1;
  int32_t groups;
  char text[kGxnorShapeTextSize];
  if (!check_pair_of_types(self, packs ? kGxnorInt8 : kGxnorInt32,
                           packs ? kGxnorInt32 : kGxnorInt8)) {
    return false;
  }
  gxnor_shape_text(input->sizes, input->rank, text);
  if (input->rank < 2) {
    return gxnor_op_fail(self->report,
                         "the input must have the shape (batch, ..., "
                         "channels); received (%s)",
                         text);
  }
  if (!check_sizes(self, "channels", params->channels)) return false;
  for (int i = 0; i < input->rank - 1 && positions <= INT32_MAX; ++i) {
    positions *= input->sizes[i];
  }
  /* 0 is no size: the kernel's own check refuses it, too. */
  params->positions = positions <= INT32_MAX ? (int32_t)positions : 0;
  if (gxnor_pack_get_groups(params, &groups) != GXNOR_OK) {
    return gxnor_op_fail(self->report,
                         "a tensor would have more than 2^31 - 1 elements; "
                         "received the input (%s), channels %d",
                         text, (int)params->channels);
  }
  output->leading = input->sizes;
  output->leading_count = input->rank - 1;
  output->last = packs ? packed_size(params->channels) : (int)params->channels;
  return true;
}

static bool check(const node* self, gxnor_op_output* output) {
  switch (self->op) {
    case GXNOR_OP_CONV_2D:
    case GXNOR_OP_FULLY_CONNECTED:
    case GXNOR_OP_DEPTHWISE_CONV_2D:
      return check_weighted(self, output);
    case GXNOR_OP_MAX_POOL_2D:
      return check_max_pool(self, output);
    case GXNOR_OP_PACK:
    case GXNOR_OP_UNPACK:
      return check_pack(self, output);
    default:
      return gxnor_op_fail(self->report, "this op is unknown; update gxnor_tf");
  }
}

bool gxnor_op_check(gxnor_op op, const gxnor_op_tensors* tensors,
                    gxnor_op_params* params, gxnor_op_output* output,
                    const gxnor_op_report* report) {
  const node self = {op, tensors, params, report};
  const gxnor_op_tensor* const input = input_of(&self);
  if (input->type == kGxnorInt32 &&
      !gxnor_op_check_alignment("input", input, report)) {
    return false;
  }
  if (!check(&self, output)) return false;
  if (tensors->output.constant) {
    return gxnor_op_fail(report,
                         "the output is a constant; the file is damaged");
  }
  return true;
}

bool gxnor_op_check_output_shape(const gxnor_op_tensor* received,
                                 const gxnor_op_output* output,
                                 const gxnor_op_report* report) {
  const int count = output->leading_count;
  bool fits =
      received->rank == count + 1 && received->sizes[count] == output->last;
  for (int i = 0; fits && i < count; ++i) {
    fits = received->sizes[i] == output->leading[i];
  }
  if (!fits) {
    char wanted[kGxnorShapeTextSize];
    char text[kGxnorShapeTextSize];
    return gxnor_op_fail(
        report,
        "the output must have the shape (%s, %d); received (%s); export the "
        "model again",
        gxnor_shape_text(output->leading, count, wanted), output->last,
        gxnor_shape_text(received->sizes, received->rank, text));
  }
  return true;
}
