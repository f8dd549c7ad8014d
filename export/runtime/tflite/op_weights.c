/* SPDX-License-Identifier: Apache-2.0 */
#include "op_weights.h"

#include "gxnor_conv2d_internal.h"

/* Checks that a tensor is an int32 constant of the given shape. */
static TfLiteStatus check_constant(TfLiteContext* context,
                                   const gxnor_op_node* self, const char* what,
                                   int32_t place, const int32_t* shape,
                                   int32_t rank) {
  const TfLiteTensor* const tensor = gxnor_op_input(context, self, place);
  const TfLiteIntArray* const dims = tensor->dims;
  size_t elements = 1;
  bool fits = dims != NULL && dims->size == rank;
  char wanted[kGxnorShapeTextSize];
  char received[kGxnorShapeTextSize];
  for (int32_t i = 0; i < rank; ++i) {
    fits = fits && dims->data[i] == shape[i];
    elements *= (size_t)shape[i];
  }
  if (!fits) {
    return gxnor_op_fail(
        context, self, "the %s must have the shape (%s); received (%s)", what,
        gxnor_shape_text(shape, rank, wanted), gxnor_dims_text(dims, received));
  }
  if ((tensor->allocation_type != kTfLiteMmapRo &&
       tensor->allocation_type != kTfLitePersistentRo) ||
      tensor->data == NULL || tensor->bytes != elements * sizeof(int32_t)) {
    return gxnor_op_fail(context, self,
                         "the %s must be a constant of %zu bytes; "
                         "received %zu bytes, allocation type %d",
                         what, elements * sizeof(int32_t), tensor->bytes,
                         (int)tensor->allocation_type);
  }
  return kTfLiteOk;
}

TfLiteStatus gxnor_op_check_weights(TfLiteContext* context,
                                    const gxnor_op_node* self,
                                    const gxnor_conv2d_shape* shape) {
  const int32_t dims[] = {shape->output_groups, shape->depth + 1, 2};
  const int32_t used =
      (self->params.conv2d.output_channels - 1) % GXNOR_LANES + 1;
  const uint32_t unused_lanes = used == GXNOR_LANES ? 0 : ~(uint32_t)0 << used;
  const uint32_t* record;
  if (check_constant(context, self, "weights", kGxnorWeights, dims, 3) !=
      kTfLiteOk) {
    return kTfLiteError;
  }
  record = gxnor_op_input(context, self, kGxnorWeights)->data;
  for (int32_t group = 0; group < shape->output_groups; ++group) {
    const bool last = group == shape->output_groups - 1;
    for (int32_t i = 0; i < shape->depth; ++i, record += 2) {
      if ((record[0] & record[1]) != 0 ||
          (last && (~record[1] & unused_lanes) != 0)) {
        return gxnor_op_fail(
            context, self,
            "record %d of weight group %d is {0x%08x, 0x%08x}, which "
            "no packed weights have; the file is damaged",
            (int)i, (int)group, (unsigned)record[0], (unsigned)record[1]);
      }
    }
    if (record[0] != 0 || record[1] != 0) {
      return gxnor_op_fail(
          context, self,
          "weight group %d does not end with the null record; the "
          "file is damaged",
          (int)group);
    }
    record += 2;
  }
  return kTfLiteOk;
}

TfLiteStatus gxnor_op_check_sliced_thresholds(TfLiteContext* context,
                                              const gxnor_op_node* self,
                                              const gxnor_conv2d_shape* shape) {
  const int32_t dims[] = {shape->output_groups, shape->planes, 2};
  const int32_t channels = self->params.conv2d.output_channels;
  const uint32_t* words;
  if (check_constant(context, self, "thresholds", kGxnorThresholds, dims, 3) !=
      kTfLiteOk) {
    return kTfLiteError;
  }
  words = gxnor_op_input(context, self, kGxnorThresholds)->data;
  for (int32_t group = 0; group < shape->output_groups; ++group) {
    for (int32_t lane = 0; lane < GXNOR_LANES; ++lane) {
      const bool used = channels - GXNOR_LANES * group > lane;
      const int32_t high =
          gxnor_conv2d_read_threshold(words, shape->planes, lane);
      const int32_t low =
          gxnor_conv2d_read_threshold(words + 1, shape->planes, lane);
      const bool right =
          used ? -shape->depth <= low && low <= high && high <= shape->depth + 1
               : low == -shape->depth && high == shape->depth + 1;
      if (!right) {
        return gxnor_op_fail(
            context, self,
            "lane %d of threshold group %d has high %d and low %d; "
            "%d <= low <= high <= %d must hold, with equality at "
            "both ends beyond the last channel; the file is damaged",
            (int)lane, (int)group, (int)high, (int)low, (int)-shape->depth,
            (int)shape->depth + 1);
      }
    }
    words += 2 * shape->planes;
  }
  return kTfLiteOk;
}

TfLiteStatus gxnor_op_check_plain_thresholds(TfLiteContext* context,
                                             const gxnor_op_node* self) {
  const int32_t channels = self->params.conv2d.output_channels;
  const int32_t dims[] = {channels, 2};
  const int32_t* pairs;
  if (check_constant(context, self, "thresholds", kGxnorThresholds, dims, 2) !=
      kTfLiteOk) {
    return kTfLiteError;
  }
  pairs = gxnor_op_input(context, self, kGxnorThresholds)->data;
  for (int32_t i = 0; i < channels; ++i, pairs += 2) {
    if (pairs[1] > pairs[0]) {
      return gxnor_op_fail(
          context, self,
          "channel %d has high threshold %d and low threshold %d; "
          "low <= high must hold; the file is damaged",
          (int)i, (int)pairs[0], (int)pairs[1]);
    }
  }
  return kTfLiteOk;
}

bool gxnor_op_has_thresholds(const gxnor_op_node* self) {
  return self->inputs[kGxnorThresholds] != kTfLiteOptionalTensor;
}

TfLiteStatus gxnor_op_check_pool(TfLiteContext* context,
                                 const gxnor_op_node* self) {
  const gxnor_conv2d_params* const p = &self->params.conv2d;
  if (!gxnor_op_has_thresholds(self) &&
      (p->pool_height != 1 || p->pool_width != 1 ||
       p->pool_stride_height != 1 || p->pool_stride_width != 1)) {
    return gxnor_op_fail(
        context, self,
        "a pool needs thresholds; received pool %dx%d, stride %d, %d",
        (int)p->pool_height, (int)p->pool_width, (int)p->pool_stride_height,
        (int)p->pool_stride_width);
  }
  return kTfLiteOk;
}

TfLiteStatus gxnor_op_fail_shape(TfLiteContext* context,
                                 const gxnor_op_node* self) {
  const gxnor_conv2d_params* const p = &self->params.conv2d;
  return gxnor_op_fail(
      context, self,
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

TfLiteStatus gxnor_op_resize_conv_output(TfLiteContext* context,
                                         const gxnor_op_node* self,
                                         const gxnor_conv2d_shape* shape) {
  const gxnor_conv2d_params* const p = &self->params.conv2d;
  const int32_t leading[] = {p->batches, shape->output_height,
                             shape->output_width};
  return gxnor_op_resize_output(
      context, self, leading, self->op == GXNOR_OP_FULLY_CONNECTED ? 1 : 3,
      gxnor_op_has_thresholds(self) ? gxnor_op_packed_size(p->output_channels)
                                    : p->output_channels);
}
