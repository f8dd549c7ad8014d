/* SPDX-License-Identifier: Apache-2.0 */
#include "op_node.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "op_internal.h"

/* ---- For the families ---- */

const TfLiteTensor* gxnor_op_input(const TfLiteContext* context,
                                   const gxnor_op_node* self, int32_t place) {
  const int32_t index = self->inputs[place];
  return index == kTfLiteOptionalTensor ? NULL : &context->tensors[index];
}

const TfLiteTensor* gxnor_op_output(const TfLiteContext* context,
                                    const gxnor_op_node* self) {
  return &context->tensors[self->output];
}

int32_t gxnor_op_packed_size(int32_t channels) {
  return 2 * ((channels - 1) / GXNOR_LANES + 1);
}

TfLiteStatus gxnor_op_resize_output(TfLiteContext* context,
                                    const gxnor_op_node* self,
                                    const int32_t* leading,
                                    int32_t leading_count, int32_t last) {
  TfLiteTensor* const output = &context->tensors[self->output];
  const size_t rank = (size_t)leading_count + 1;
  TfLiteIntArray* dims;
  /* The runtime would take a constant of the right shape. */
  if (output->allocation_type == kTfLiteMmapRo) {
    return gxnor_op_fail(context, self,
                         "the output is a constant; the file is damaged");
  }
  dims = malloc(sizeof *dims + rank * sizeof dims->data[0]);
  if (dims == NULL) return gxnor_op_fail(context, self, "out of memory");
  dims->size = (int32_t)rank;
  for (int32_t i = 0; i < leading_count; ++i) dims->data[i] = leading[i];
  dims->data[leading_count] = last;
  /* The runtime frees `dims`. */
  return context->ResizeTensor(context, output, dims);
}

TfLiteStatus gxnor_op_resize_scratch(TfLiteContext* context,
                                     gxnor_op_node* self, size_t size) {
  if (gxnor_memory_resize(&self->scratch, size)) return kTfLiteOk;
  return gxnor_op_fail(context, self,
                       "there is no memory for %zu bytes of scratch; use a "
                       "smaller batch, or load_delegate(kernels=\"reference\")",
                       size);
}

gxnor_op_runner gxnor_op_make_runner(const TfLiteContext* context,
                                     const gxnor_op_node* self) {
  const gxnor_op_runner runner = {self->shared->pool,
                                  context->recommended_num_threads};
  return runner;
}

void gxnor_op_run_tasks(void* runner, gxnor_host_task task, void* argument,
                        int32_t count) {
  const gxnor_op_runner* const self = runner;
  gxnor_thread_pool_run(self->pool, self->threads, task, argument, count);
}

TfLiteStatus gxnor_op_fail(TfLiteContext* context, const gxnor_op_node* self,
                           const char* format, ...) {
  char text[512];
  char output[64] = "?";
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (self->output >= 0) {
    const char* const name = context->tensors[self->output].name;
    if (name != NULL) gxnor_copy_printable(name, output, sizeof output);
  }
  context->ReportError(context, "gxnor_tf: %s, output tensor '%s': %s.\n",
                       self->name, output, text);
  return kTfLiteError;
}

const char* gxnor_shape_text(const int32_t* sizes, int32_t rank,
                             char text[kGxnorShapeTextSize]) {
  size_t length = 0;
  for (int32_t i = 0; i < rank && length + 16 < kGxnorShapeTextSize; ++i) {
    length += (size_t)snprintf(text + length, kGxnorShapeTextSize - length,
                               i == 0 ? "%d" : ", %d", (int)sizes[i]);
  }
  text[length] = '\0';
  return text;
}

const char* gxnor_dims_text(const TfLiteIntArray* dims,
                            char text[kGxnorShapeTextSize]) {
  return gxnor_shape_text(dims == NULL ? NULL : dims->data,
                          dims == NULL ? 0 : dims->size, text);
}

TfLiteStatus gxnor_op_check_sizes(TfLiteContext* context,
                                  const gxnor_op_node* self,
                                  const TfLiteIntArray* dims) {
  char text[kGxnorShapeTextSize];
  for (int32_t i = 0; i < dims->size; ++i) {
    if (dims->data[i] < 1) {
      return gxnor_op_fail(context, self,
                           "all sizes of the input must be >= 1; received (%s)",
                           gxnor_dims_text(dims, text));
    }
  }
  return kTfLiteOk;
}

TfLiteStatus gxnor_op_check_packed_image(TfLiteContext* context,
                                         const gxnor_op_node* self,
                                         int32_t channels, int32_t sizes[3]) {
  const TfLiteIntArray* const dims = gxnor_op_input(context, self, 0)->dims;
  char text[kGxnorShapeTextSize];
  if (dims == NULL || dims->size != 4) {
    return gxnor_op_fail(context, self,
                         "the input must have the shape (batch, height, "
                         "width, channels); received (%s)",
                         gxnor_dims_text(dims, text));
  }
  if (gxnor_op_check_sizes(context, self, dims) != kTfLiteOk) {
    return kTfLiteError;
  }
  if (dims->data[3] != gxnor_op_packed_size(channels)) {
    return gxnor_op_fail(
        context, self,
        "the last axis of the input must be %d, for option `channels` is %d "
        "and the input packed; received (%s)",
        (int)gxnor_op_packed_size(channels), (int)channels,
        gxnor_dims_text(dims, text));
  }
  for (int32_t i = 0; i < 3; ++i) sizes[i] = dims->data[i];
  return kTfLiteOk;
}

/* ---- Init ---- */

static const gxnor_op_family* family_of(gxnor_op op) {
  switch (op) {
    case GXNOR_OP_CONV_2D:
    case GXNOR_OP_FULLY_CONNECTED:
      return &gxnor_op_conv_family;
    case GXNOR_OP_DEPTHWISE_CONV_2D:
      return &gxnor_op_depthwise_family;
    case GXNOR_OP_MAX_POOL_2D:
      return &gxnor_op_max_pool_family;
    case GXNOR_OP_PACK:
    case GXNOR_OP_UNPACK:
      return &gxnor_op_pack_family;
    default:
      return NULL;
  }
}

static bool is_tensor(const TfLiteContext* context, int32_t index) {
  return index >= 0 && (size_t)index < context->tensors_size;
}

/* Reads the indices of a node's tensors; false if there are others than the
 * op has. */
static bool read_tensors(const TfLiteContext* context, const TfLiteNode* node,
                         gxnor_op_node* self) {
  const TfLiteIntArray* const inputs = node->inputs;
  const TfLiteIntArray* const outputs = node->outputs;
  if (outputs == NULL || outputs->size != 1 ||
      !is_tensor(context, outputs->data[0])) {
    return false;
  }
  self->output = outputs->data[0];
  if (inputs == NULL || inputs->size < self->family->required_inputs ||
      inputs->size > self->family->most_inputs) {
    return false;
  }
  for (int32_t i = 0; i < inputs->size; ++i) {
    const int32_t index = inputs->data[i];
    const bool optional = i >= self->family->required_inputs;
    if (!is_tensor(context, index) &&
        !(optional && index == kTfLiteOptionalTensor)) {
      return false;
    }
    self->inputs[i] = index;
  }
  return true;
}

static void* op_init(TfLiteContext* context, const char* buffer,
                     size_t length) {
  const TfLiteDelegateParams* const delegated =
      (const TfLiteDelegateParams*)(const void*)buffer;
  TfLiteNode* node;
  TfLiteRegistration* registration;
  gxnor_op_node* self;
  (void)length;
  if (delegated->nodes_to_replace->size != 1 ||
      context->GetNodeAndRegistration(context,
                                      delegated->nodes_to_replace->data[0],
                                      &node, &registration) != kTfLiteOk) {
    return NULL;
  }
  self = calloc(1, sizeof *self);
  if (self == NULL) return NULL;
  self->shared = delegated->delegate->data_;
  self->packed.kind = GXNOR_MEMORY_WEIGHTS;
  self->scratch.kind = GXNOR_MEMORY_SCRATCH;
  gxnor_copy_printable(registration->custom_name, self->name,
                       sizeof self->name);
  for (int32_t i = 0; i < kGxnorMaxInputs; ++i) {
    self->inputs[i] = kTfLiteOptionalTensor;
  }
  self->output = kTfLiteOptionalTensor;
  self->op = gxnor_op_from_name(registration->custom_name);
  self->family = family_of(self->op);
  /* Init cannot fail: Prepare reports the message. */
  if (self->family == NULL) {
    snprintf(self->message, sizeof self->message,
             "the delegate does not know this op; update gxnor_tf");
  } else if (!read_tensors(context, node, self)) {
    snprintf(self->message, sizeof self->message,
             "the op must have %s and one output; export the model again",
             self->family->inputs_text);
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
  gxnor_op_node* const self = buffer;
  (void)context;
  if (self == NULL) return;
  gxnor_memory_resize(&self->packed, 0);
  gxnor_memory_resize(&self->scratch, 0);
  free(self);
}

/* ---- Prepare and Invoke ---- */

/* Checks that constants are where words may be read from. */
static TfLiteStatus check_alignment(TfLiteContext* context,
                                    const gxnor_op_node* self) {
  for (int32_t i = 0; i < self->family->most_inputs; ++i) {
    const TfLiteTensor* const input = gxnor_op_input(context, self, i);
    if (input == NULL || input->type != kTfLiteInt32 ||
        input->allocation_type != kTfLiteMmapRo) {
      continue;
    }
    if (input->data == NULL || (uintptr_t)input->data % sizeof(int32_t) != 0) {
      return gxnor_op_fail(context, self,
                           "the data of input %d must be 4-byte aligned in "
                           "the file; export the model again",
                           (int)i);
    }
  }
  return kTfLiteOk;
}

static TfLiteStatus op_prepare(TfLiteContext* context, TfLiteNode* node) {
  gxnor_op_node* const self = node->user_data;
  if (self == NULL) {
    context->ReportError(context, "gxnor_tf: a node could not be set up.\n");
    return kTfLiteError;
  }
  if (self->message[0] != '\0') {
    return gxnor_op_fail(context, self, "%s", self->message);
  }
  if (check_alignment(context, self) != kTfLiteOk) return kTfLiteError;
  return self->family->prepare(context, self);
}

static TfLiteStatus op_invoke(TfLiteContext* context, TfLiteNode* node) {
  const gxnor_op_node* const self = node->user_data;
  const gxnor_status status = self->family->invoke(context, self);
  if (status != GXNOR_OK) {
    return gxnor_op_fail(context, self, "the kernel failed with status %d",
                         (int)status);
  }
  return kTfLiteOk;
}

static const char* op_profiling_string(const TfLiteContext* context,
                                       const TfLiteNode* node) {
  const gxnor_op_node* const self = node->user_data;
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
