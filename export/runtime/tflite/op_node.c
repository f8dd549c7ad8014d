/* SPDX-License-Identifier: Apache-2.0 */
#include "op_node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "op_internal.h"

/* ---- For the host's kernels ---- */

const TfLiteTensor* gxnor_op_input(const TfLiteContext* context,
                                   const gxnor_op_node* self, int32_t place) {
  const int32_t index = self->inputs[place];
  return index == kTfLiteOptionalTensor ? NULL : &context->tensors[index];
}

const TfLiteTensor* gxnor_op_output_tensor(const TfLiteContext* context,
                                           const gxnor_op_node* self) {
  return &context->tensors[self->output];
}

bool gxnor_op_has_thresholds(const gxnor_op_node* self) {
  return self->inputs[kGxnorThresholds] != kTfLiteOptionalTensor;
}

TfLiteStatus gxnor_op_resize_scratch(TfLiteContext* context,
                                     gxnor_op_node* self, size_t size) {
  if (gxnor_memory_resize(&self->scratch, size)) return kTfLiteOk;
  return gxnor_op_node_fail(
      context, self,
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

/* ---- Errors ---- */

/* Who reports, and where. */
typedef struct reporter {
  TfLiteContext* context;
  const gxnor_op_node* node;
} reporter;

/* The `print` of a gxnor_op_report; `where` is a reporter. */
static void print_error(void* where, const char* format, va_list arguments) {
  const reporter* const self = where;
  TfLiteContext* const context = self->context;
  char text[512];
  char output[64] = "?";
  vsnprintf(text, sizeof text, format, arguments);
  if (self->node->output >= 0) {
    const char* const name = context->tensors[self->node->output].name;
    if (name != NULL) gxnor_copy_printable(name, output, sizeof output);
  }
  context->ReportError(context, "gxnor_tf: %s, output tensor '%s': %s.\n",
                       self->node->name, output, text);
}

TfLiteStatus gxnor_op_node_fail(TfLiteContext* context,
                                const gxnor_op_node* self, const char* format,
                                ...) {
  reporter where = {context, self};
  va_list arguments;
  va_start(arguments, format);
  print_error(&where, format, arguments);
  va_end(arguments);
  return kTfLiteError;
}

/* ---- Init ---- */

static const gxnor_op_family kMaxPoolFamily = {.run = gxnor_op_run_max_pool2d};
static const gxnor_op_family kPackFamily = {.run = gxnor_op_run_pack};
static const gxnor_op_family kUnpackFamily = {.run = gxnor_op_run_unpack};

static const gxnor_op_family* family_of(gxnor_op op) {
  switch (op) {
    case GXNOR_OP_CONV_2D:
    case GXNOR_OP_FULLY_CONNECTED:
      return &gxnor_op_conv_family;
    case GXNOR_OP_DEPTHWISE_CONV_2D:
      return &gxnor_op_depthwise_family;
    case GXNOR_OP_MAX_POOL_2D:
      return &kMaxPoolFamily;
    case GXNOR_OP_PACK:
      return &kPackFamily;
    case GXNOR_OP_UNPACK:
      return &kUnpackFamily;
    default:
      return NULL;
  }
}

/* Reads an index of a node's tensors, kTfLiteOptionalTensor for one that is
 * absent; false if it is the index of nothing. */
static bool read_index(const TfLiteContext* context,
                       const TfLiteIntArray* tensors, int32_t place,
                       int32_t* index) {
  *index = kTfLiteOptionalTensor;
  if (place >= tensors->size || tensors->data[place] == kTfLiteOptionalTensor) {
    return true;
  }
  if (tensors->data[place] < 0 ||
      (size_t)tensors->data[place] >= context->tensors_size) {
    return false;
  }
  *index = tensors->data[place];
  return true;
}

/* Reads the indices of a node's tensors. */
static void read_tensors(const TfLiteContext* context, const TfLiteNode* node,
                         gxnor_op_node* self) {
  static const TfLiteIntArray kNone = {0};
  const TfLiteIntArray* const inputs =
      node->inputs == NULL ? &kNone : node->inputs;
  const TfLiteIntArray* const outputs =
      node->outputs == NULL ? &kNone : node->outputs;
  bool right = read_index(context, outputs, 0, &self->output);
  for (int32_t i = 0; i < kGxnorMaxInputs; ++i) {
    right = read_index(context, inputs, i, &self->inputs[i]) && right;
  }
  /* No op has no input, so that Prepare reports this. */
  self->input_count = right ? inputs->size : 0;
  self->output_count =
      self->output == kTfLiteOptionalTensor ? 0 : outputs->size;
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
  self->op = gxnor_op_from_name(registration->custom_name);
  self->family = family_of(self->op);
  /* The model outlives the node. */
  self->options = node->custom_initial_data;
  self->options_size = node->custom_initial_data_size < 0
                           ? 0
                           : (size_t)node->custom_initial_data_size;
  read_tensors(context, node, self);
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

/* ---- Prepare ---- */

static gxnor_op_tensor view_of(const TfLiteTensor* tensor) {
  const bool constant = tensor->allocation_type == kTfLiteMmapRo ||
                        tensor->allocation_type == kTfLitePersistentRo;
  const gxnor_op_tensor view = {
      .type = tensor->type,
      .zero_point = tensor->params.zero_point,
      .rank = tensor->dims == NULL ? 0 : tensor->dims->size,
      .sizes = tensor->dims == NULL ? NULL : tensor->dims->data,
      .constant = constant,
      .data = tensor->data,
      .bytes = tensor->bytes,
  };
  return view;
}

/* Checks the node, completes its parameters and finds its output's shape,
 * which may point into *tensors. */
static bool check_node(const TfLiteContext* context, gxnor_op_node* self,
                       gxnor_op_tensors* tensors, gxnor_op_output* output,
                       const gxnor_op_report* report) {
  unsigned present = 0;
  memset(tensors, 0, sizeof *tensors);
  for (int32_t i = 0; i < kGxnorMaxInputs; ++i) {
    const TfLiteTensor* const tensor = gxnor_op_input(context, self, i);
    if (tensor == NULL) continue;
    present |= 1u << i;
    tensors->inputs[i] = view_of(tensor);
  }
  tensors->has_thresholds = gxnor_op_has_thresholds(self);
  if (!gxnor_op_check_count(self->op, self->input_count, present,
                            self->output_count, report)) {
    return false;
  }
  tensors->output = view_of(gxnor_op_output_tensor(context, self));
  return gxnor_op_read_options(self->op, self->options, self->options_size,
                               &self->params, report) &&
         gxnor_op_check(self->op, tensors, &self->params, output, report);
}

/* Makes a plan for the host's kernels, or room for those of include/gxnor. */
static TfLiteStatus prepare_kernels(TfLiteContext* context,
                                    gxnor_op_node* self) {
  self->on_host = false;
  if (self->shared->kernels != NULL && self->family->prepare != NULL &&
      self->family->prepare(context, self) != kTfLiteOk) {
    return kTfLiteError;
  }
  if (self->on_host) return kTfLiteOk;
  return gxnor_op_resize_scratch(
      context, self,
      gxnor_op_buffer_size(
          self->op,
          gxnor_op_input(context, self, kGxnorInput)->type == kTfLiteInt32,
          &self->params));
}

/* The bytes of a tensor of this type and shape, which were checked. */
static size_t bytes_of(TfLiteType type, const int* leading, int leading_count,
                       int last) {
  size_t bytes = (type == kTfLiteInt8 ? 1 : sizeof(int32_t)) * (size_t)last;
  for (int i = 0; i < leading_count; ++i) bytes *= (size_t)leading[i];
  return bytes;
}

/* Notes how much of the tensors the kernel will touch. */
static void set_sizes(const TfLiteContext* context, gxnor_op_node* self,
                      const gxnor_op_tensor* input,
                      const gxnor_op_output* output) {
  self->input_bytes = bytes_of(input->type, input->sizes, input->rank - 1,
                               input->sizes[input->rank - 1]);
  self->output_bytes =
      bytes_of(gxnor_op_output_tensor(context, self)->type, output->leading,
               output->leading_count, output->last);
}

static TfLiteStatus resize_output(TfLiteContext* context,
                                  const gxnor_op_node* self,
                                  const gxnor_op_output* shape) {
  TfLiteTensor* const output = &context->tensors[self->output];
  const size_t rank = (size_t)shape->leading_count + 1;
  TfLiteIntArray* dims;
  dims = malloc(sizeof *dims + rank * sizeof dims->data[0]);
  if (dims == NULL) return gxnor_op_node_fail(context, self, "out of memory");
  dims->size = (int32_t)rank;
  for (int32_t i = 0; i < shape->leading_count; ++i) {
    dims->data[i] = shape->leading[i];
  }
  dims->data[shape->leading_count] = shape->last;
  /* The runtime frees `dims`. */
  return context->ResizeTensor(context, output, dims);
}

static TfLiteStatus op_prepare(TfLiteContext* context, TfLiteNode* node) {
  gxnor_op_node* const self = node->user_data;
  reporter where = {context, self};
  const gxnor_op_report report = {print_error, &where};
  gxnor_op_tensors tensors;
  gxnor_op_output output;
  if (self == NULL) {
    context->ReportError(context, "gxnor_tf: a node could not be set up.\n");
    return kTfLiteError;
  }
  if (self->family == NULL) {
    return gxnor_op_node_fail(
        context, self, "the delegate does not know this op; update gxnor_tf");
  }
  if (!check_node(context, self, &tensors, &output, &report) ||
      prepare_kernels(context, self) != kTfLiteOk) {
    return kTfLiteError;
  }
  set_sizes(context, self, &tensors.inputs[kGxnorInput], &output);
  return resize_output(context, self, &output);
}

/* ---- Invoke ---- */

static gxnor_status invoke_reference(const TfLiteContext* context,
                                     const gxnor_op_node* self) {
  const TfLiteTensor* const input = gxnor_op_input(context, self, kGxnorInput);
  const TfLiteTensor* const weights =
      gxnor_op_input(context, self, kGxnorWeights);
  const TfLiteTensor* const thresholds =
      gxnor_op_input(context, self, kGxnorThresholds);
  const gxnor_op_data data = {
      .input = input->data,
      .packed = input->type == kTfLiteInt32,
      .weights = weights == NULL ? NULL : weights->data,
      .thresholds = thresholds == NULL ? NULL : thresholds->data,
      .buffer = self->scratch.data,
      .buffer_size = self->scratch.size,
      .output = gxnor_op_output_tensor(context, self)->data,
  };
  return self->family->run(&self->params, &data);
}

/* A damaged file can have another node that writes the same tensor, and gives
 * it another size after this one was prepared. */
static bool has_size(const TfLiteTensor* tensor, size_t bytes) {
  return tensor->data != NULL && tensor->bytes >= bytes;
}

static TfLiteStatus op_invoke(TfLiteContext* context, TfLiteNode* node) {
  const gxnor_op_node* const self = node->user_data;
  const TfLiteTensor* const input = gxnor_op_input(context, self, kGxnorInput);
  const TfLiteTensor* const output = gxnor_op_output_tensor(context, self);
  gxnor_status status;
  if (!has_size(input, self->input_bytes) ||
      !has_size(output, self->output_bytes)) {
    return gxnor_op_node_fail(
        context, self,
        "the input and the output must have %zu and %zu bytes; received %zu "
        "and %zu, for another op writes one of them, or the data is missing; "
        "the file is damaged",
        self->input_bytes, self->output_bytes, input->bytes, output->bytes);
  }
  if (self->on_host) {
    self->family->invoke(context, self);
    return kTfLiteOk;
  }
  status = invoke_reference(context, self);
  if (status != GXNOR_OK) {
    return gxnor_op_node_fail(context, self, "the kernel failed with status %d",
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
