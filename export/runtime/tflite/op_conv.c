/* SPDX-License-Identifier: Apache-2.0 */
/* GxnorConv2D and GxnorFullyConnected. */
#include "gxnor/conv2d.h"
#include "gxnor/fully_connected.h"
#include "op_internal.h"

/* Places of the inputs. */
enum { kInput, kWeights, kThresholds };

static bool has_thresholds(const gxnor_op_node* self) {
  return self->inputs[kThresholds] != kTfLiteOptionalTensor;
}

static TfLiteStatus check_types(TfLiteContext* context,
                                const gxnor_op_node* self) {
  const TfLiteTensor* const input = gxnor_op_input(context, self, kInput);
  const TfLiteTensor* const weights = gxnor_op_input(context, self, kWeights);
  const TfLiteTensor* const thresholds =
      gxnor_op_input(context, self, kThresholds);
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
  const TfLiteTensor* const input = gxnor_op_input(context, self, kInput);
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

static TfLiteStatus check_params(TfLiteContext* context,
                                 const gxnor_op_node* self,
                                 gxnor_conv2d_shape* shape) {
  const gxnor_conv2d_params* const p = &self->params.conv2d;
  if (gxnor_conv2d_get_shape(p, shape) != GXNOR_OK) {
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
  if (!has_thresholds(self) &&
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
  if ((uintptr_t)tensor->data % sizeof(int32_t) != 0) {
    return gxnor_op_fail(
        context, self,
        "the data of the %s must be 4-byte aligned in the file; "
        "export the model again",
        what);
  }
  return kTfLiteOk;
}

/* Checks what the kernel relies on: P & Z == 0, a null record after each
 * group, weight 0 in lanes without an output channel. */
static TfLiteStatus check_weights(TfLiteContext* context,
                                  const gxnor_op_node* self,
                                  const gxnor_conv2d_shape* shape) {
  const int32_t dims[] = {shape->output_groups, shape->depth + 1, 2};
  const int32_t used =
      (self->params.conv2d.output_channels - 1) % GXNOR_LANES + 1;
  const uint32_t unused_lanes = used == GXNOR_LANES ? 0 : ~(uint32_t)0 << used;
  const uint32_t* record;
  if (check_constant(context, self, "weights", kWeights, dims, 3) !=
      kTfLiteOk) {
    return kTfLiteError;
  }
  record = gxnor_op_input(context, self, kWeights)->data;
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

/* Reads a bit-sliced threshold of one lane. */
static int32_t read_sliced(const uint32_t* words, int32_t planes,
                           int32_t lane) {
  uint32_t offset = 0;
  for (int32_t i = planes - 1; i >= 0; --i) {
    offset = 2 * offset + (words[2 * i] >> lane & 1);
  }
  return (int32_t)offset - ((int32_t)1 << (planes - 1));
}

static TfLiteStatus check_sliced_thresholds(TfLiteContext* context,
                                            const gxnor_op_node* self,
                                            const gxnor_conv2d_shape* shape) {
  const int32_t dims[] = {shape->output_groups, shape->planes, 2};
  const int32_t channels = self->params.conv2d.output_channels;
  const uint32_t* words;
  if (check_constant(context, self, "thresholds", kThresholds, dims, 3) !=
      kTfLiteOk) {
    return kTfLiteError;
  }
  words = gxnor_op_input(context, self, kThresholds)->data;
  for (int32_t group = 0; group < shape->output_groups; ++group) {
    for (int32_t lane = 0; lane < GXNOR_LANES; ++lane) {
      const bool used = channels - GXNOR_LANES * group > lane;
      const int32_t high = read_sliced(words, shape->planes, lane);
      const int32_t low = read_sliced(words + 1, shape->planes, lane);
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

static TfLiteStatus check_plain_thresholds(TfLiteContext* context,
                                           const gxnor_op_node* self) {
  const int32_t channels = self->params.conv2d.output_channels;
  const int32_t dims[] = {channels, 2};
  const int32_t* pairs;
  if (check_constant(context, self, "thresholds", kThresholds, dims, 2) !=
      kTfLiteOk) {
    return kTfLiteError;
  }
  pairs = gxnor_op_input(context, self, kThresholds)->data;
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

static TfLiteStatus resize_output(TfLiteContext* context,
                                  const gxnor_op_node* self,
                                  const gxnor_conv2d_shape* shape) {
  const gxnor_conv2d_params* const p = &self->params.conv2d;
  const int32_t leading[] = {p->batches, shape->output_height,
                             shape->output_width};
  return gxnor_op_resize_output(
      context, self, leading, self->op == GXNOR_OP_FULLY_CONNECTED ? 1 : 3,
      has_thresholds(self) ? gxnor_op_packed_size(p->output_channels)
                           : p->output_channels);
}

/* Packs the weights, unless they are as they must be. */
static TfLiteStatus pack_weights(TfLiteContext* context, gxnor_op_node* self,
                                 const gxnor_host_conv2d* plan) {
  const TfLiteTensor* const weights = gxnor_op_input(context, self, kWeights);
  const TfLiteTensor* const thresholds =
      gxnor_op_input(context, self, kThresholds);
  if (self->packed.size != 0 &&
      gxnor_host_conv2d_same_packing(&self->plan, plan)) {
    return kTfLiteOk;
  }
  if (!gxnor_memory_resize(&self->packed, plan->packed_bytes)) {
    return gxnor_op_fail(context, self,
                         "there is no memory for %zu bytes of packed weights",
                         plan->packed_bytes);
  }
  gxnor_host_conv2d_pack(plan, weights->data,
                         thresholds == NULL ? NULL : thresholds->data,
                         self->packed.data);
  return kTfLiteOk;
}

/* Prepares the host's kernels. */
static TfLiteStatus prepare_host(TfLiteContext* context, gxnor_op_node* self) {
  const TfLiteTensor* const input = gxnor_op_input(context, self, kInput);
  const gxnor_host_kernels* const kernels = self->shared->kernels;
  gxnor_host_conv2d plan;
  if (kernels == NULL ||
      gxnor_host_conv2d_plan(&self->params.conv2d, input->type == kTfLiteInt8,
                             !has_thresholds(self), kernels,
                             &plan) != GXNOR_OK) {
    gxnor_memory_resize(&self->packed, 0);
    gxnor_memory_resize(&self->scratch, 0);
    return kTfLiteOk;
  }
  if (pack_weights(context, self, &plan) != kTfLiteOk) return kTfLiteError;
  self->plan = plan;
  if (!gxnor_memory_resize(&self->scratch, plan.scratch_bytes)) {
    return gxnor_op_fail(context, self,
                         "there is no memory for %zu bytes of scratch",
                         plan.scratch_bytes);
  }
  return kTfLiteOk;
}

static TfLiteStatus prepare(TfLiteContext* context, gxnor_op_node* self) {
  gxnor_conv2d_shape shape;
  if (check_types(context, self) != kTfLiteOk ||
      read_input_shape(context, self) != kTfLiteOk ||
      check_params(context, self, &shape) != kTfLiteOk ||
      check_weights(context, self, &shape) != kTfLiteOk) {
    return kTfLiteError;
  }
  if (has_thresholds(self)) {
    const bool packed =
        gxnor_op_input(context, self, kInput)->type == kTfLiteInt32;
    const TfLiteStatus status =
        packed ? check_sliced_thresholds(context, self, &shape)
               : check_plain_thresholds(context, self);
    if (status != kTfLiteOk) return status;
  }
  if (prepare_host(context, self) != kTfLiteOk) return kTfLiteError;
  return resize_output(context, self, &shape);
}

/* Threads of an invocation: a gxnor_host_run_tasks and its argument. */
typedef struct runner {
  gxnor_thread_pool* pool;
  int32_t threads;
} runner;

static void run_tasks(void* argument, gxnor_host_task task, void* task_argument,
                      int32_t count) {
  const runner* const self = argument;
  gxnor_thread_pool_run(self->pool, self->threads, task, task_argument, count);
}

static void invoke_host(const TfLiteContext* context,
                        const gxnor_op_node* self) {
  runner threads = {self->shared->pool, context->recommended_num_threads};
  gxnor_host_conv2d_run(
      &self->plan, gxnor_op_input(context, self, kInput)->data,
      self->packed.data, self->scratch.data,
      gxnor_op_output(context, self)->data, run_tasks, &threads);
}

static gxnor_status invoke_reference(const TfLiteContext* context,
                                     const gxnor_op_node* self) {
  const gxnor_conv2d_params* const params = &self->params.conv2d;
  const TfLiteTensor* const input = gxnor_op_input(context, self, kInput);
  const TfLiteTensor* const weights = gxnor_op_input(context, self, kWeights);
  const TfLiteTensor* const thresholds =
      gxnor_op_input(context, self, kThresholds);
  void* const output = gxnor_op_output(context, self)->data;
  const bool packed = input->type == kTfLiteInt32;
  if (thresholds == NULL) {
    return packed
               ? gxnor_conv2d_t2_s32(params, input->data, weights->data, output)
               : gxnor_conv2d_s8_s32(params, input->data, weights->data,
                                     output);
  }
  return packed ? gxnor_conv2d_t2_t2(params, input->data, weights->data,
                                     thresholds->data, output)
                : gxnor_conv2d_s8_t2(params, input->data, weights->data,
                                     thresholds->data, output);
}

static gxnor_status invoke(const TfLiteContext* context,
                           const gxnor_op_node* self) {
  if (self->packed.size == 0) return invoke_reference(context, self);
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
