/* SPDX-License-Identifier: Apache-2.0 */
/* The delegate with whole models, in a runtime that is just enough of one.
 *
 * Input, written by seeds.py from real models: see take_model. Everything in it
 * may be wrong. What TensorFlow Lite itself guarantees to a delegate holds
 * here, too, and nothing else: a tensor's index is one of the model's or
 * absent, or the delegate has to see that it is not; no tensor is both input
 * and output of a node; inputs of a node that runs have data of `bytes` bytes,
 * as does its output; memory is aligned but for constants; all nodes are
 * prepared before any of them runs, and every later node may resize what an
 * earlier one has seen. */
#include <stdarg.h>
#include <stdbool.h>

#include "fuzz_bytes.h"
#include "host_conv2d.h"
#include "memory.h"
#include "options_writer.h"
#include "tflite_abi.h"

enum { kMostTensors = 12, kMostNodes = 6, kMostRank = 5, kMostIndices = 4 };

/* Bytes of a tensor beyond which a runtime here says that memory is short. */
enum { kMostBytes = 1 << 18 };

/* Products of bytes beyond which a model would take long here. */
static const uint64_t kMostWork = 1 << 24;

/* The delegate allocates no more than this, times the bytes of all tensors,
 * which the runtime allocates, and so many for small ones. */
enum { kMostMemory = 512, kLeastMemory = 1 << 16 };

TfLiteDelegate* tflite_plugin_create_delegate(
    const char* const* option_keys, const char* const* option_values,
    size_t option_count, void (*report_error)(const char*));
void tflite_plugin_destroy_delegate(TfLiteDelegate* base);

typedef struct int_array {
  int32_t size;
  int32_t data[kMostRank];
} int_array;

typedef struct model_node {
  TfLiteNode node;
  TfLiteRegistration registration; /* Of the op in the model. */
  TfLiteNode kernel_node;
  TfLiteRegistration kernel; /* Of the delegate; no `init`: none. */
  int_array inputs, outputs;
  uint8_t* options;
} model_node;

/* `context` is first: the callbacks cast it back. */
typedef struct runtime {
  TfLiteContext context;
  TfLiteTensor tensors[kMostTensors];
  uint8_t* constants[kMostTensors]; /* The blocks of their data. */
  model_node nodes[kMostNodes];
  int32_t node_count;
  TfLiteIntArray* plan;
  int reports;
} runtime;

static runtime* runtime_of(TfLiteContext* context) {
  return (runtime*)(void*)context;
}

/* ---- What the delegate calls ---- */

static TfLiteStatus get_plan(TfLiteContext* context, TfLiteIntArray** plan) {
  *plan = runtime_of(context)->plan;
  return kTfLiteOk;
}

static TfLiteStatus get_node(TfLiteContext* context, int index,
                             TfLiteNode** node,
                             TfLiteRegistration** registration) {
  runtime* const r = runtime_of(context);
  REQUIRE(index >= 0 && index < r->node_count);
  *node = &r->nodes[index].node;
  *registration = &r->nodes[index].registration;
  return kTfLiteOk;
}

static TfLiteStatus replace_nodes(TfLiteContext* context,
                                  TfLiteRegistration registration,
                                  const TfLiteIntArray* nodes,
                                  TfLiteDelegate* delegate) {
  runtime* const r = runtime_of(context);
  model_node* replaced;
  TfLiteDelegateParams params;
  REQUIRE(nodes->size == 1);
  replaced = &r->nodes[nodes->data[0]];
  replaced->kernel = registration;
  memset(&params, 0, sizeof params);
  params.delegate = delegate;
  params.nodes_to_replace = (TfLiteIntArray*)(void*)(uintptr_t)nodes;
  replaced->kernel_node.user_data = registration.init(
      context, (const char*)(const void*)&params, sizeof params);
  return kTfLiteOk;
}

static void report_error(TfLiteContext* context, const char* format, ...) {
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  REQUIRE(vsnprintf(text, sizeof text, format, arguments) > 0);
  va_end(arguments);
  ++runtime_of(context)->reports;
}

static void report_option(const char* text) { REQUIRE(text[0] != '\0'); }

/* ---- Tensors ---- */

/* The bytes of a tensor by its type and shape; false if they are too many. */
static bool bytes_of(const TfLiteTensor* tensor, size_t* bytes) {
  uint64_t product = tensor->type == kTfLiteInt8 ? 1 : sizeof(int32_t);
  for (int32_t i = 0; tensor->dims != NULL && i < tensor->dims->size; ++i) {
    if (tensor->dims->data[i] < 0) return false;
    product *= (uint64_t)tensor->dims->data[i];
    if (product > kMostBytes) return false;
  }
  *bytes = (size_t)product;
  return true;
}

static bool is_constant(const TfLiteTensor* tensor) {
  return tensor->allocation_type == kTfLiteMmapRo;
}

static TfLiteStatus resize(TfLiteContext* context, TfLiteTensor* tensor,
                           TfLiteIntArray* dims) {
  size_t bytes;
  REQUIRE(!is_constant(tensor));
  free(tensor->dims);
  tensor->dims = dims;
  if (!bytes_of(tensor, &bytes)) {
    context->ReportError(context, "out of memory");
    return kTfLiteError;
  }
  tensor->bytes = bytes;
  return kTfLiteOk;
}

/* ---- The model ---- */

/* type, flags, zero point, rank, sizes; of a constant its size, how many bytes
 * it lacks, and its data, misaligned by as much as the flags say. */
static bool take_tensor(fuzz_bytes* bytes, TfLiteTensor* tensor,
                        uint8_t** constant) {
  uint8_t flags;
  size_t rank, size, missing, misaligned;
  memset(tensor, 0, sizeof *tensor);
  tensor->type = take_byte(bytes) % 16;
  flags = take_byte(bytes);
  tensor->params.zero_point = (int8_t)take_byte(bytes);
  rank = take_byte(bytes) % (kMostRank + 1);
  tensor->dims = new_block(sizeof *tensor->dims + rank * sizeof(int32_t));
  tensor->dims->size = (int32_t)rank;
  for (size_t i = 0; i < rank; ++i) {
    tensor->dims->data[i] = take_coded(bytes);
  }
  tensor->name = (flags & 8) != 0 ? NULL : "name\xff";
  if ((flags & 4) == 0) {
    tensor->allocation_type = 2; /* In the arena. */
    return bytes_of(tensor, &tensor->bytes);
  }
  tensor->allocation_type = kTfLiteMmapRo;
  size = take_number(bytes, 2);
  missing = take_byte(bytes);
  misaligned = flags & 3;
  if (size > bytes->left) size = bytes->left;
  tensor->bytes = missing > size ? 0 : size - missing;
  *constant = new_block(tensor->bytes + misaligned);
  memcpy(*constant + misaligned, bytes->next, tensor->bytes);
  bytes->next += size;
  bytes->left -= size;
  tensor->data = *constant + misaligned;
  return true;
}

/* Mostly indices of tensors, whatever the bytes. */
static void take_indices(fuzz_bytes* bytes, size_t tensors,
                         int_array* indices) {
  indices->size = take_byte(bytes) % (kMostIndices + 1);
  for (int32_t i = 0; i < indices->size; ++i) {
    const uint8_t byte = take_byte(bytes);
    indices->data[i] =
        byte >= 240 || tensors == 0 ? (int8_t)byte : byte % (int32_t)tensors;
  }
}

static bool overlap(const int_array* a, const int_array* b) {
  for (int32_t i = 0; i < a->size; ++i) {
    for (int32_t j = 0; j < b->size; ++j) {
      if (a->data[i] == b->data[j] && a->data[i] >= 0) return true;
    }
  }
  return false;
}

/* The options of an op by name, in alphabetical order. */
static const char* const kWindowNames[] = {
    "channels",          "dilation_height", "dilation_width",
    "kernel_height",     "kernel_width",    "pad_bottom",
    "pad_left",          "pad_right",       "pad_top",
    "pool_height",       "pool_pad_bottom", "pool_pad_left",
    "pool_pad_right",    "pool_pad_top",    "pool_stride_height",
    "pool_stride_width", "pool_width",      "stride_height",
    "stride_width",      "version",
};
static const char* const kPoolNames[] = {
    "channels",    "pad_bottom", "pad_left",      "pad_right",    "pad_top",
    "pool_height", "pool_width", "stride_height", "stride_width", "version",
};
static const char* const kFlatNames[] = {"input_channels", "output_channels",
                                         "version"};
static const char* const kPackNames[] = {"channels", "version"};

/* Writes options of the numbers that follow. */
static void take_options(fuzz_bytes* bytes, uint8_t op, writer* options) {
  static const struct {
    const char* const* names;
    size_t count;
  } kOps[] = {
      {NULL, kConv2dEntryCount}, {kFlatNames, 3}, {kWindowNames, 20},
      {kPoolNames, 10},          {kPackNames, 2}, {kPackNames, 2},
  };
  entry entries[kMaxOptions];
  const size_t count = kOps[op].count;
  for (size_t i = 0; i < count; ++i) {
    entries[i].key =
        kOps[op].names == NULL ? kConv2dEntries[i].key : kOps[op].names[i];
    entries[i].value = take_coded(bytes);
  }
  write_map(options, entries, count, 4);
}

/* op, inputs, outputs; options as a flexbuffer, or as numbers. */
static bool take_node(fuzz_bytes* bytes, size_t tensors, model_node* n) {
  static const char* const kNames[] = {
      "GxnorConv2D",
      "GxnorFullyConnected",
      "GxnorDepthwiseConv2D",
      "GxnorMaxPool2D",
      "GxnorPack",
      "GxnorUnpack",
      "Gxnor\x80",
      "Other",
  };
  const uint8_t op = take_byte(bytes) % 8;
  size_t size;
  n->registration.custom_name = kNames[op];
  n->registration.builtin_code = kTfLiteBuiltinCustom;
  take_indices(bytes, tensors, &n->inputs);
  take_indices(bytes, tensors, &n->outputs);
  n->node.inputs = (TfLiteIntArray*)(void*)&n->inputs;
  n->node.outputs = (TfLiteIntArray*)(void*)&n->outputs;
  if (take_byte(bytes) % 4 == 0 && op < 6) {
    writer written;
    take_options(bytes, op, &written);
    size = written.size;
    n->options = new_block(size);
    memcpy(n->options, written.bytes, size);
  } else {
    size = take_number(bytes, 2);
    n->options = take_block(bytes, &size);
  }
  n->node.custom_initial_data = n->options;
  n->node.custom_initial_data_size = (int32_t)size;
  return !overlap(&n->inputs, &n->outputs);
}

/* Numbers of tensors and nodes, the tensors, the nodes. */
static bool take_model(fuzz_bytes* bytes, runtime* r) {
  bool right = true;
  r->context.tensors = r->tensors;
  r->context.tensors_size = take_byte(bytes) % (kMostTensors + 1);
  r->node_count = take_byte(bytes) % (kMostNodes + 1);
  for (size_t i = 0; i < r->context.tensors_size; ++i) {
    right = take_tensor(bytes, &r->tensors[i], &r->constants[i]) && right;
  }
  r->plan = new_block(sizeof *r->plan + kMostNodes * sizeof(int32_t));
  r->plan->size = r->node_count;
  for (int32_t i = 0; i < r->node_count; ++i) {
    right = take_node(bytes, r->context.tensors_size, &r->nodes[i]) && right;
    r->plan->data[i] = i;
  }
  return right;
}

static void free_model(runtime* r) {
  for (int32_t i = 0; i < r->node_count; ++i) {
    model_node* const n = &r->nodes[i];
    if (n->kernel.free != NULL) {
      n->kernel.free(&r->context, n->kernel_node.user_data);
    }
    free(n->options);
  }
  for (size_t i = 0; i < r->context.tensors_size; ++i) {
    TfLiteTensor* const tensor = &r->tensors[i];
    if (!is_constant(tensor)) free(tensor->data);
    free(r->constants[i]);
    free(tensor->dims);
  }
  free(r->plan);
}

/* ---- Its life ---- */

static void check_memory(const runtime* r) {
  size_t bytes = 0;
  for (size_t i = 0; i < r->context.tensors_size; ++i) {
    bytes += r->tensors[i].bytes;
  }
  REQUIRE(gxnor_memory_total(GXNOR_MEMORY_WEIGHTS) +
              gxnor_memory_total(GXNOR_MEMORY_SCRATCH) <=
          kMostMemory * bytes + kLeastMemory);
}

static bool prepare(runtime* r) {
  for (int32_t i = 0; i < r->node_count; ++i) {
    model_node* const n = &r->nodes[i];
    if (n->kernel.prepare == NULL) return false; /* Of another library. */
    r->reports = 0;
    REQUIRE(n->kernel.profiling_string(&r->context, &n->kernel_node) != NULL);
    if (n->kernel.prepare(&r->context, &n->kernel_node) != kTfLiteOk) {
      REQUIRE(r->reports > 0);
      return false;
    }
    REQUIRE(r->reports == 0);
  }
  return true;
}

/* Gives all tensors but constants memory of exactly their sizes. */
static void allocate_tensors(runtime* r, const fuzz_bytes* bytes) {
  for (size_t i = 0; i < r->context.tensors_size; ++i) {
    TfLiteTensor* const tensor = &r->tensors[i];
    if (is_constant(tensor)) continue;
    free(tensor->data);
    tensor->data = new_block(tensor->bytes);
    fill_with(bytes, tensor->data, tensor->bytes);
  }
}

/* About the products of a node; what is large in one tensor and small in all
 * others is not. */
static uint64_t work_of(const runtime* r, const model_node* n) {
  uint64_t constants = 64, variables = 1;
  const int_array* const lists[] = {&n->inputs, &n->outputs};
  for (size_t k = 0; k < 2; ++k) {
    for (int32_t i = 0; i < lists[k]->size; ++i) {
      const int32_t index = lists[k]->data[i];
      const TfLiteTensor* const tensor = index < 0 ? NULL : &r->tensors[index];
      if (tensor == NULL) continue; /* Absent. */
      if (is_constant(tensor)) {
        constants += tensor->bytes;
      } else {
        variables += tensor->bytes;
      }
    }
  }
  return constants * variables;
}

static void invoke(runtime* r) {
  for (int32_t i = 0; i < r->node_count; ++i) {
    model_node* const n = &r->nodes[i];
    if (work_of(r, n) > kMostWork) return;
    r->reports = 0;
    if (n->kernel.invoke(&r->context, &n->kernel_node) != kTfLiteOk) {
      REQUIRE(r->reports > 0);
      return;
    }
  }
}

/* Another batch for all tensors that no node writes. */
static void resize_inputs(runtime* r, int32_t batch) {
  for (size_t i = 0; i < r->context.tensors_size; ++i) {
    TfLiteTensor* const tensor = &r->tensors[i];
    if (is_constant(tensor) || tensor->dims->size == 0) continue;
    tensor->dims->data[0] = batch;
    if (!bytes_of(tensor, &tensor->bytes)) tensor->dims->data[0] = 0;
    bytes_of(tensor, &tensor->bytes);
  }
}

static TfLiteDelegate* create(uint8_t choice) {
  const char* const keys[] = {choice == 255 ? "kernel" : "kernels"};
  const char* const names[] = {
      "reference",
      gxnor_host_kernels_name(0),
      gxnor_host_kernels_name(1),
      gxnor_host_kernels_name(2),
      "auto",
      "none\xff",
  };
  const char* name = names[choice % 6];
  if (name == NULL) name = "auto";
  return tflite_plugin_create_delegate(keys, &name, 1, report_option);
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz_bytes bytes = {data, size};
  TfLiteDelegate* const delegate = create(take_byte(&bytes));
  const uint8_t threads = take_byte(&bytes);
  const uint8_t batch = take_byte(&bytes);
  runtime r;
  if (delegate == NULL) return 0;
  memset(&r, 0, sizeof r);
  r.context.GetExecutionPlan = get_plan;
  r.context.GetNodeAndRegistration = get_node;
  r.context.ReplaceNodeSubsetsWithDelegateKernels = replace_nodes;
  r.context.ResizeTensor = resize;
  r.context.ReportError = report_error;
  r.context.recommended_num_threads = threads == 2 ? 2 : 1;
  if (take_model(&bytes, &r) &&
      delegate->Prepare(&r.context, delegate) == kTfLiteOk) {
    for (int run = 0; run < 2; ++run) {
      if (prepare(&r)) {
        check_memory(&r);
        allocate_tensors(&r, &bytes);
        invoke(&r);
      }
      resize_inputs(&r, batch);
    }
  }
  free_model(&r);
  tflite_plugin_destroy_delegate(delegate);
  REQUIRE(gxnor_memory_total(GXNOR_MEMORY_WEIGHTS) == 0);
  REQUIRE(gxnor_memory_total(GXNOR_MEMORY_SCRATCH) == 0);
  return 0;
}
