/* SPDX-License-Identifier: Apache-2.0 */
#include "op_node.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gxnor/conv2d.h"
#include "gxnor/fully_connected.h"
#include "op_options.h"

#if defined(__GNUC__)
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))
#else
#define PRINTF_LIKE(text, first)
#endif

/* Indices of the tensors that a node has. */
typedef struct op_tensors {
  int32_t input;
  int32_t weights;
  int32_t thresholds; /* kTfLiteOptionalTensor if there are none. */
  int32_t output;
} op_tensors;

/* A node. It belongs to one interpreter. */
typedef struct op_node {
  gxnor_op op;
  char name[48];
  op_tensors tensors;
  gxnor_conv2d_params params;               /* Complete after Prepare. */
  char message[GXNOR_OPTIONS_MESSAGE_SIZE]; /* What Init found, or "". */
} op_node;

/* ---- Errors ---- */

/* Reports an error of a node and returns kTfLiteError. */
static TfLiteStatus PRINTF_LIKE(3, 4)
    fail(TfLiteContext* context, const op_node* node, const char* format, ...) {
  char text[512];
  char output[64] = "?";
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (node->tensors.output >= 0) {
    const char* const name = context->tensors[node->tensors.output].name;
    if (name != NULL) gxnor_copy_printable(name, output, sizeof output);
  }
  context->ReportError(context, "gxnor_tf: %s, output tensor '%s': %s.\n",
                       node->name, output, text);
  return kTfLiteError;
}

enum { kShapeTextSize = 64 };

/* Writes a shape as "1, 28, 28, 2", cut after some sizes. */
static const char* shape_text(const int32_t* sizes, int32_t rank,
                              char text[kShapeTextSize]) {
  size_t length = 0;
  for (int32_t i = 0; i < rank && length + 16 < kShapeTextSize; ++i) {
    length += (size_t)snprintf(text + length, kShapeTextSize - length,
                               i == 0 ? "%d" : ", %d", (int)sizes[i]);
  }
  text[length] = '\0';
  return text;
}

static const char* dims_text(const TfLiteIntArray* dims,
                             char text[kShapeTextSize]) {
  return shape_text(dims == NULL ? NULL : dims->data,
                    dims == NULL ? 0 : dims->size, text);
}

/* ---- Init ---- */

/* Reads the indices of a node's tensors; false if there are others than the
 * op has. */
static bool read_tensors(const TfLiteContext* context, const TfLiteNode* node,
                         op_tensors* tensors) {
  const TfLiteIntArray* const inputs = node->inputs;
  const TfLiteIntArray* const outputs = node->outputs;
  int32_t required[3];
  if (inputs == NULL || outputs == NULL || outputs->size != 1 ||
      inputs->size < 2 || inputs->size > 3) {
    return false;
  }
  tensors->input = required[0] = inputs->data[0];
  tensors->weights = required[1] = inputs->data[1];
  tensors->output = required[2] = outputs->data[0];
  tensors->thresholds =
      inputs->size == 3 ? inputs->data[2] : kTfLiteOptionalTensor;
  for (size_t i = 0; i < 3; ++i) {
    if (required[i] < 0 || (size_t)required[i] >= context->tensors_size) {
      tensors->output = kTfLiteOptionalTensor;
      return false;
    }
  }
  return tensors->thresholds == kTfLiteOptionalTensor ||
         (tensors->thresholds >= 0 &&
          (size_t)tensors->thresholds < context->tensors_size);
}

static void* op_init(TfLiteContext* context, const char* buffer,
                     size_t length) {
  const TfLiteDelegateParams* const delegated =
      (const TfLiteDelegateParams*)(const void*)buffer;
  TfLiteNode* node;
  TfLiteRegistration* registration;
  op_node* self;
  (void)length;
  if (delegated->nodes_to_replace->size != 1 ||
      context->GetNodeAndRegistration(context,
                                      delegated->nodes_to_replace->data[0],
                                      &node, &registration) != kTfLiteOk) {
    return NULL;
  }
  self = calloc(1, sizeof *self);
  if (self == NULL) return NULL;
  gxnor_copy_printable(registration->custom_name, self->name,
                       sizeof self->name);
  self->tensors.output = kTfLiteOptionalTensor;
  self->op = gxnor_op_from_name(registration->custom_name);
  /* Init cannot fail: Prepare reports the message. */
  if (self->op == GXNOR_OP_UNKNOWN) {
    snprintf(self->message, sizeof self->message,
             "the delegate does not know this op; update gxnor_tf");
  } else if (!read_tensors(context, node, &self->tensors)) {
    snprintf(self->message, sizeof self->message,
             "the op must have the inputs [x, weights] or [x, weights, "
             "thresholds] and one output; export the model again");
  } else if (node->custom_initial_data_size < 0) {
    snprintf(self->message, sizeof self->message,
             "its options are damaged; export the model again");
  } else {
    gxnor_op_read_options(self->op, node->custom_initial_data,
                          (size_t)node->custom_initial_data_size, &self->params,
                          self->message);
  }
  return self;
}

static void op_free(TfLiteContext* context, void* buffer) {
  (void)context;
  free(buffer);
}

/* ---- Prepare ---- */

static const TfLiteTensor* tensor_at(const TfLiteContext* context,
                                     int32_t index) {
  return index == kTfLiteOptionalTensor ? NULL : &context->tensors[index];
}

static bool has_thresholds(const op_node* self) {
  return self->tensors.thresholds != kTfLiteOptionalTensor;
}

static int32_t packed_size(int32_t channels) {
  return 2 * ((channels - 1) / GXNOR_LANES + 1);
}

static TfLiteStatus check_types(TfLiteContext* context, const op_node* self) {
  const TfLiteTensor* const input = tensor_at(context, self->tensors.input);
  const TfLiteTensor* const weights = tensor_at(context, self->tensors.weights);
  const TfLiteTensor* const thresholds =
      tensor_at(context, self->tensors.thresholds);
  const TfLiteTensor* const output = tensor_at(context, self->tensors.output);
  if (input->type != kTfLiteInt8 && input->type != kTfLiteInt32) {
    return fail(context, self,
                "the input must be int8, or int32 with packed activations; "
                "received TfLiteType %d",
                (int)input->type);
  }
  if (input->type == kTfLiteInt8 && input->params.zero_point != 0) {
    return fail(context, self,
                "the int8 input must have zero point 0; received %d",
                (int)input->params.zero_point);
  }
  if (weights->type != kTfLiteInt32 || output->type != kTfLiteInt32 ||
      (thresholds != NULL && thresholds->type != kTfLiteInt32)) {
    return fail(context, self,
                "weights, thresholds and output must be int32; received "
                "TfLiteType %d, %d and %d",
                (int)weights->type,
                thresholds == NULL ? kTfLiteInt32 : (int)thresholds->type,
                (int)output->type);
  }
  return kTfLiteOk;
}

/* Completes the parameters with the shape of the input. */
static TfLiteStatus read_input_shape(TfLiteContext* context, op_node* self) {
  const TfLiteTensor* const input = tensor_at(context, self->tensors.input);
  const TfLiteIntArray* const dims = input->dims;
  const int32_t channels = self->params.input_channels;
  const int32_t last =
      input->type == kTfLiteInt8 ? channels : packed_size(channels);
  const bool flat =
      self->op == GXNOR_OP_FULLY_CONNECTED && dims != NULL && dims->size == 2;
  char text[kShapeTextSize];
  if (dims == NULL || (dims->size != 4 && !flat)) {
    return fail(
        context, self,
        "the input must have the shape (batch, height, width, "
        "channels)%s; received (%s)",
        self->op == GXNOR_OP_FULLY_CONNECTED ? " or (batch, channels)" : "",
        dims_text(dims, text));
  }
  for (int32_t i = 0; i < dims->size; ++i) {
    if (dims->data[i] < 1) {
      return fail(context, self,
                  "all sizes of the input must be >= 1; received (%s)",
                  dims_text(dims, text));
    }
  }
  if (dims->data[dims->size - 1] != last) {
    return fail(context, self,
                "the last axis of the input must be %d, for option "
                "`input_channels` is %d and the input %s; received (%s)",
                (int)last, (int)channels,
                input->type == kTfLiteInt8 ? "int8" : "packed",
                dims_text(dims, text));
  }
  if (self->op == GXNOR_OP_FULLY_CONNECTED) {
    gxnor_fully_connected_get_params(
        dims->data[0], flat ? 1 : dims->data[1], flat ? 1 : dims->data[2],
        channels, self->params.output_channels, &self->params);
  } else {
    self->params.batches = dims->data[0];
    self->params.input_height = dims->data[1];
    self->params.input_width = dims->data[2];
  }
  return kTfLiteOk;
}

static TfLiteStatus check_params(TfLiteContext* context, const op_node* self,
                                 gxnor_conv2d_shape* shape) {
  const gxnor_conv2d_params* const p = &self->params;
  if (gxnor_conv2d_get_shape(p, shape) != GXNOR_OK) {
    return fail(
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
    return fail(context, self,
                "a pool needs thresholds; received pool %dx%d, stride %d, %d",
                (int)p->pool_height, (int)p->pool_width,
                (int)p->pool_stride_height, (int)p->pool_stride_width);
  }
  return kTfLiteOk;
}

/* Checks that a tensor is an int32 constant of the given shape. */
static TfLiteStatus check_constant(TfLiteContext* context, const op_node* self,
                                   const char* what, int32_t index,
                                   const int32_t* shape, int32_t rank) {
  const TfLiteTensor* const tensor = tensor_at(context, index);
  const TfLiteIntArray* const dims = tensor->dims;
  size_t elements = 1;
  bool fits = dims != NULL && dims->size == rank;
  char wanted[kShapeTextSize];
  char received[kShapeTextSize];
  for (int32_t i = 0; i < rank; ++i) {
    fits = fits && dims->data[i] == shape[i];
    elements *= (size_t)shape[i];
  }
  if (!fits) {
    return fail(context, self, "the %s must have the shape (%s); received (%s)",
                what, shape_text(shape, rank, wanted),
                dims_text(dims, received));
  }
  if ((tensor->allocation_type != kTfLiteMmapRo &&
       tensor->allocation_type != kTfLitePersistentRo) ||
      tensor->data == NULL || tensor->bytes != elements * sizeof(int32_t)) {
    return fail(context, self,
                "the %s must be a constant of %zu bytes; "
                "received %zu bytes, allocation type %d",
                what, elements * sizeof(int32_t), tensor->bytes,
                (int)tensor->allocation_type);
  }
  if ((uintptr_t)tensor->data % sizeof(int32_t) != 0) {
    return fail(context, self,
                "the data of the %s must be 4-byte aligned in the file; "
                "export the model again",
                what);
  }
  return kTfLiteOk;
}

/* Checks what the kernel relies on: P & Z == 0, a null record after each
 * group, weight 0 in lanes without an output channel. */
static TfLiteStatus check_weights(TfLiteContext* context, const op_node* self,
                                  const gxnor_conv2d_shape* shape) {
  const int32_t dims[] = {shape->output_groups, shape->depth + 1, 2};
  const int32_t used = (self->params.output_channels - 1) % GXNOR_LANES + 1;
  const uint32_t unused_lanes = used == GXNOR_LANES ? 0 : ~(uint32_t)0 << used;
  const uint32_t* record;
  if (check_constant(context, self, "weights", self->tensors.weights, dims,
                     3) != kTfLiteOk) {
    return kTfLiteError;
  }
  record = tensor_at(context, self->tensors.weights)->data;
  for (int32_t group = 0; group < shape->output_groups; ++group) {
    const bool last = group == shape->output_groups - 1;
    for (int32_t i = 0; i < shape->depth; ++i, record += 2) {
      if ((record[0] & record[1]) != 0 ||
          (last && (~record[1] & unused_lanes) != 0)) {
        return fail(context, self,
                    "record %d of weight group %d is {0x%08x, 0x%08x}, which "
                    "no packed weights have; the file is damaged",
                    (int)i, (int)group, (unsigned)record[0],
                    (unsigned)record[1]);
      }
    }
    if (record[0] != 0 || record[1] != 0) {
      return fail(context, self,
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
                                            const op_node* self,
                                            const gxnor_conv2d_shape* shape) {
  const int32_t dims[] = {shape->output_groups, shape->planes, 2};
  const int32_t channels = self->params.output_channels;
  const uint32_t* words;
  if (check_constant(context, self, "thresholds", self->tensors.thresholds,
                     dims, 3) != kTfLiteOk) {
    return kTfLiteError;
  }
  words = tensor_at(context, self->tensors.thresholds)->data;
  for (int32_t group = 0; group < shape->output_groups; ++group) {
    for (int32_t lane = 0; lane < GXNOR_LANES; ++lane) {
      const bool used = channels - GXNOR_LANES * group > lane;
      const int32_t high = read_sliced(words, shape->planes, lane);
      const int32_t low = read_sliced(words + 1, shape->planes, lane);
      const bool right =
          used ? -shape->depth <= low && low <= high && high <= shape->depth + 1
               : low == -shape->depth && high == shape->depth + 1;
      if (!right) {
        return fail(context, self,
                    "lane %d of threshold group %d has high %d and low %d; "
                    "%d <= low <= high <= %d must hold, with equality at "
                    "both ends beyond the last channel; the file is damaged",
                    (int)lane, (int)group, (int)high, (int)low,
                    (int)-shape->depth, (int)shape->depth + 1);
      }
    }
    words += 2 * shape->planes;
  }
  return kTfLiteOk;
}

static TfLiteStatus check_plain_thresholds(TfLiteContext* context,
                                           const op_node* self) {
  const int32_t channels = self->params.output_channels;
  const int32_t dims[] = {channels, 2};
  const int32_t* pairs;
  if (check_constant(context, self, "thresholds", self->tensors.thresholds,
                     dims, 2) != kTfLiteOk) {
    return kTfLiteError;
  }
  pairs = tensor_at(context, self->tensors.thresholds)->data;
  for (int32_t i = 0; i < channels; ++i, pairs += 2) {
    if (pairs[1] > pairs[0]) {
      return fail(context, self,
                  "channel %d has high threshold %d and low threshold %d; "
                  "low <= high must hold; the file is damaged",
                  (int)i, (int)pairs[0], (int)pairs[1]);
    }
  }
  return kTfLiteOk;
}

static TfLiteStatus resize_output(TfLiteContext* context, const op_node* self,
                                  const gxnor_conv2d_shape* shape) {
  const gxnor_conv2d_params* const p = &self->params;
  const int32_t last = has_thresholds(self) ? packed_size(p->output_channels)
                                            : p->output_channels;
  const int32_t rank = self->op == GXNOR_OP_FULLY_CONNECTED ? 2 : 4;
  TfLiteIntArray* const dims =
      malloc(sizeof *dims + (size_t)rank * sizeof dims->data[0]);
  if (dims == NULL) return fail(context, self, "out of memory");
  dims->size = rank;
  dims->data[0] = p->batches;
  if (rank == 4) {
    dims->data[1] = shape->output_height;
    dims->data[2] = shape->output_width;
  }
  dims->data[rank - 1] = last;
  /* The runtime frees `dims`. */
  return context->ResizeTensor(context, &context->tensors[self->tensors.output],
                               dims);
}

static TfLiteStatus op_prepare(TfLiteContext* context, TfLiteNode* node) {
  op_node* const self = node->user_data;
  gxnor_conv2d_shape shape;
  if (self == NULL) {
    context->ReportError(context, "gxnor_tf: a node could not be set up.\n");
    return kTfLiteError;
  }
  if (self->message[0] != '\0') {
    return fail(context, self, "%s", self->message);
  }
  if (check_types(context, self) != kTfLiteOk ||
      read_input_shape(context, self) != kTfLiteOk ||
      check_params(context, self, &shape) != kTfLiteOk ||
      check_weights(context, self, &shape) != kTfLiteOk) {
    return kTfLiteError;
  }
  if (has_thresholds(self)) {
    const bool packed =
        tensor_at(context, self->tensors.input)->type == kTfLiteInt32;
    const TfLiteStatus status =
        packed ? check_sliced_thresholds(context, self, &shape)
               : check_plain_thresholds(context, self);
    if (status != kTfLiteOk) return status;
  }
  return resize_output(context, self, &shape);
}

/* ---- Invoke ---- */

static gxnor_status run_kernel(const gxnor_conv2d_params* params,
                               const TfLiteTensor* input,
                               const TfLiteTensor* weights,
                               const TfLiteTensor* thresholds, void* output) {
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

static TfLiteStatus op_invoke(TfLiteContext* context, TfLiteNode* node) {
  const op_node* const self = node->user_data;
  const op_tensors* const at = &self->tensors;
  const gxnor_status status = run_kernel(
      &self->params, tensor_at(context, at->input),
      tensor_at(context, at->weights), tensor_at(context, at->thresholds),
      context->tensors[at->output].data);
  if (status != GXNOR_OK) {
    return fail(context, self, "the kernel failed with status %d", (int)status);
  }
  return kTfLiteOk;
}

static const char* op_profiling_string(const TfLiteContext* context,
                                       const TfLiteNode* node) {
  const op_node* const self = node->user_data;
  (void)context;
  return self == NULL ? "Gxnor" : self->name;
}

TfLiteRegistration gxnor_op_node_registration(void) {
  TfLiteRegistration registration;
  memset(&registration, 0, sizeof registration);
  registration.init = op_init;
  registration.free = op_free;
  registration.prepare = op_prepare;
  registration.invoke = op_invoke;
  registration.profiling_string = op_profiling_string;
  registration.builtin_code = kTfLiteBuiltinDelegate;
  registration.custom_name = "GxnorDelegate";
  registration.version = 1;
  return registration;
}
