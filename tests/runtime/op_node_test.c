/* SPDX-License-Identifier: Apache-2.0 */
/* A node in a runtime that is just enough of one. The real ones are in
 * tests/export/custom_ops_test.py; here a sanitizer looks on. */
#include "op_node.h"

#include <stdarg.h>

#include "check.h"
#include "depthwise_problem.h"
#include "op_internal.h"
#include "options_writer.h"

enum { kInput, kWeights, kThresholds, kOutput, kTensors };
enum { kMaxRank = 5 };

typedef struct int_array {
  int32_t size;
  int32_t data[kMaxRank];
} int_array;

/* A model of one op. `context` is first: the callbacks cast it back. */
typedef struct runtime {
  TfLiteContext context;
  TfLiteTensor tensors[kTensors];
  int_array dims[kTensors];
  int_array inputs, outputs, nodes;
  TfLiteNode node;
  TfLiteRegistration registration; /* Of the op in the model. */
  TfLiteRegistration kernel;       /* Of the delegate. */
  writer options;
  char error[1024];
} runtime;

static TfLiteStatus get_node(TfLiteContext* context, int index,
                             TfLiteNode** node,
                             TfLiteRegistration** registration) {
  runtime* const r = (runtime*)(void*)context;
  CHECK_EQ(index, 7);
  *node = &r->node;
  *registration = &r->registration;
  return kTfLiteOk;
}

static void report_error(TfLiteContext* context, const char* format, ...) {
  runtime* const r = (runtime*)(void*)context;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(r->error, sizeof r->error, format, arguments);
  va_end(arguments);
}

static TfLiteStatus resize(TfLiteContext* context, TfLiteTensor* tensor,
                           TfLiteIntArray* dims) {
  const size_t size = tensor->type == kTfLiteInt8 ? 1 : sizeof(int32_t);
  size_t elements = 1;
  CHECK(dims->size <= kMaxRank);
  for (int32_t i = 0; i < dims->size; ++i) {
    elements *= (size_t)dims->data[i];
  }
  if (elements > 100000) { /* Damaged options ask for very much padding. */
    free(dims);
    context->ReportError(context, "out of memory");
    return kTfLiteError;
  }
  tensor->dims->size = dims->size;
  for (int32_t i = 0; i < dims->size; ++i) {
    tensor->dims->data[i] = dims->data[i];
  }
  free(dims);
  free(tensor->data);
  tensor->bytes = elements * size;
  tensor->data = allocate(elements, size);
  return kTfLiteOk;
}

static void set_tensor(runtime* r, int index, TfLiteType type, void* data,
                       int constant, int32_t rank, const int32_t* sizes) {
  TfLiteTensor* const tensor = &r->tensors[index];
  size_t elements = 1;
  r->dims[index].size = rank;
  for (int32_t i = 0; i < rank; ++i) {
    r->dims[index].data[i] = sizes[i];
    elements *= (size_t)sizes[i];
  }
  tensor->type = type;
  tensor->data = data;
  tensor->dims = (TfLiteIntArray*)(void*)&r->dims[index];
  tensor->allocation_type = constant ? kTfLiteMmapRo : 2;
  tensor->bytes = elements * (type == kTfLiteInt8 ? 1 : sizeof(int32_t));
  tensor->name = "name";
}

/* A runtime with one node of these options, but without tensors yet. */
static void start_runtime(runtime* r, const char* op, int32_t inputs,
                          const entry* options, size_t option_count) {
  memset(r, 0, sizeof *r);
  r->context.tensors_size = kTensors;
  r->context.tensors = r->tensors;
  r->context.GetNodeAndRegistration = get_node;
  r->context.ReportError = report_error;
  r->context.ResizeTensor = resize;
  r->inputs.size = inputs;
  for (int32_t i = 0; i < 3; ++i) r->inputs.data[i] = i;
  r->outputs.size = 1;
  r->outputs.data[0] = kOutput;
  write_map(&r->options, options, option_count, 4);
  r->node.inputs = (TfLiteIntArray*)(void*)&r->inputs;
  r->node.outputs = (TfLiteIntArray*)(void*)&r->outputs;
  r->node.custom_initial_data = r->options.bytes;
  r->node.custom_initial_data_size = (int32_t)r->options.size;
  r->registration.builtin_code = kTfLiteBuiltinCustom;
  r->registration.custom_name = op;
  r->kernel = gxnor_op_node_registration();
}

/* What a test wants: a fully connected op or a convolution, packed input,
 * thresholds or neither. */
typedef struct kind {
  bool fully_connected, packed, ternary;
} kind;

static gxnor_conv2d_params params_of(kind k) {
  gxnor_conv2d_params params = default_params(3, 33);
  params.batches = 2;
  if (k.fully_connected) {
    params.kernel_height = params.input_height;
    params.kernel_width = params.input_width;
  }
  return params;
}

static void make_runtime(runtime* r, kind k, const problem* p) {
  const gxnor_conv2d_params* const q = &p->params;
  const int32_t input[] = {q->batches, q->input_height, q->input_width,
                           k.packed ? 2 : q->input_channels};
  const int32_t weights[] = {p->shape.output_groups, p->shape.depth + 1, 2};
  const int32_t sliced[] = {p->shape.output_groups, p->shape.planes, 2};
  const int32_t pairs[] = {q->output_channels, 2};
  const int32_t nothing[] = {1, 1, 1, 1};
  const entry flat[] = {{"input_channels", q->input_channels},
                        {"output_channels", q->output_channels},
                        {"version", 1}};
  if (k.fully_connected) {
    start_runtime(r, "GxnorFullyConnected", k.ternary ? 3 : 2, flat, 3);
  } else {
    start_runtime(r, "GxnorConv2D", k.ternary ? 3 : 2, kConv2dEntries,
                  kConv2dEntryCount);
  }
  if (k.packed) {
    set_tensor(r, kInput, kTfLiteInt32, pack_input(p), 0, 4, input);
  } else {
    int8_t* const copy = allocate(count_inputs(p), 1);
    memcpy(copy, p->input, count_inputs(p));
    set_tensor(r, kInput, kTfLiteInt8, copy, 0, 4, input);
  }
  set_tensor(r, kWeights, kTfLiteInt32, pack_weights(p), 1, 3, weights);
  if (k.packed) {
    set_tensor(r, kThresholds, kTfLiteInt32, pack_thresholds(p), 1, 3, sliced);
  } else {
    set_tensor(r, kThresholds, kTfLiteInt32, pair_thresholds(p), 1, 2, pairs);
  }
  set_tensor(r, kOutput, kTfLiteInt32, NULL, 0, 4, nothing);
}

static void free_runtime(runtime* r) {
  for (int i = 0; i < kTensors; ++i) free(r->tensors[i].data);
}

/* The kernels of the nodes that follow; NULL: those of gxnor/conv2d.h. */
static const gxnor_host_kernels* kernels = NULL;

/* Init and Prepare of the node; the status is that of Prepare. */
static TfLiteStatus start(runtime* r, TfLiteNode* node) {
  /* Of the last node, which is gone before the next one starts. */
  static gxnor_op_shared shared;
  static TfLiteDelegate delegate;
  TfLiteDelegateParams params;
  shared.kernels = kernels;
  delegate.data_ = &shared;
  memset(&params, 0, sizeof params);
  memset(node, 0, sizeof *node);
  r->nodes.size = 1;
  r->nodes.data[0] = 7;
  params.delegate = &delegate;
  params.nodes_to_replace = (TfLiteIntArray*)(void*)&r->nodes;
  node->user_data = r->kernel.init(
      &r->context, (const char*)(const void*)&params, sizeof params);
  return r->kernel.prepare(&r->context, node);
}

static void test_all_kinds(void) {
  for (int i = 0; i < 8; ++i) {
    const kind k = {(i & 1) != 0, (i & 2) != 0, (i & 4) != 0};
    problem p = make_problem(params_of(k), k.packed ? 1 : 128, (uint32_t)i);
    const int32_t channels = p.params.output_channels;
    runtime r;
    TfLiteNode node;
    make_runtime(&r, k, &p);
    solve(&p);
    CHECK_EQ(start(&r, &node), kTfLiteOk);
    CHECK_EQ(r.kernel.invoke(&r.context, &node), kTfLiteOk);
    CHECK(strcmp(r.error, "") == 0);
    CHECK_EQ(r.dims[kOutput].size, k.fully_connected ? 2 : 4);
    CHECK_EQ(r.dims[kOutput].data[0], 2);
    if (k.ternary) {
      size_t words;
      uint32_t* const expected = pack_states(
          p.states, count_outputs(&p) / (size_t)channels, channels, &words);
      CHECK_EQ(r.tensors[kOutput].bytes, words * sizeof *expected);
      CHECK(memcmp(r.tensors[kOutput].data, expected,
                   words * sizeof *expected) == 0);
      free(expected);
    } else {
      CHECK_EQ(r.tensors[kOutput].bytes, count_sums(&p) * sizeof(int32_t));
      CHECK(memcmp(r.tensors[kOutput].data, p.sums,
                   count_sums(&p) * sizeof(int32_t)) == 0);
    }
    CHECK(strcmp(r.kernel.profiling_string(&r.context, &node),
                 r.registration.custom_name) == 0);
    r.kernel.free(&r.context, node.user_data);
    free_runtime(&r);
    free_problem(&p);
  }
}

/* Changes that Prepare must refuse, each with a text of its message. */
static void unknown_op(runtime* r) {
  r->registration.custom_name = "GxnorPool\x80";
}
static void one_input(runtime* r) { r->inputs.size = 1; }
static void wrong_tensor(runtime* r) { r->inputs.data[1] = kTensors; }
static void wrong_thresholds_tensor(runtime* r) { r->inputs.data[2] = -2; }
static void two_outputs(runtime* r) { r->outputs.size = 2; }
static void no_options(runtime* r) { r->node.custom_initial_data_size = -1; }
static void float_input(runtime* r) { r->tensors[kInput].type = 1; }
static void zero_point(runtime* r) {
  r->tensors[kInput].type = kTfLiteInt8;
  r->tensors[kInput].params.zero_point = -128;
}
static void uint8_weights(runtime* r) { r->tensors[kWeights].type = 3; }
static void int64_thresholds(runtime* r) { r->tensors[kThresholds].type = 4; }
static void int8_output(runtime* r) { r->tensors[kOutput].type = 9; }
static void constant_output(runtime* r) {
  r->tensors[kOutput].allocation_type = kTfLiteMmapRo;
}
static void wrong_output(runtime* r) { r->outputs.data[0] = -1; }
static void rank_2(runtime* r) { r->dims[kInput].size = 2; }
static void no_dims(runtime* r) { r->tensors[kInput].dims = NULL; }
static void empty_batch(runtime* r) { r->dims[kInput].data[0] = 0; }
static void wrong_channels(runtime* r) { r->dims[kInput].data[3] = 4; }
static void small_input(runtime* r) { r->dims[kInput].data[1] = 2; }
static void large_input(runtime* r) { r->dims[kInput].data[0] = INT32_MAX; }
static void weights_shape(runtime* r) { r->dims[kWeights].data[1] += 1; }
static void weights_rank(runtime* r) { r->dims[kWeights].size = 2; }
static void variable_weights(runtime* r) {
  r->tensors[kWeights].allocation_type = 2;
}
static void odd_weights(runtime* r) {
  char* const data = r->tensors[kWeights].data;
  memmove(data + 1, data, r->tensors[kWeights].bytes - 1);
  r->tensors[kWeights].data = data + 1;
}
static void odd_constant_input(runtime* r) {
  char* const data = r->tensors[kInput].data;
  r->tensors[kInput].allocation_type = kTfLiteMmapRo;
  r->tensors[kInput].data = data + 2;
}
static void short_weights(runtime* r) { r->tensors[kWeights].bytes -= 4; }
static void both_planes(runtime* r) {
  ((uint32_t*)r->tensors[kWeights].data)[0] |= 1u << 3;
  ((uint32_t*)r->tensors[kWeights].data)[1] |= 1u << 3;
}
static void unused_lane(runtime* r) {
  uint32_t* const words = r->tensors[kWeights].data;
  words[r->dims[kWeights].data[1] * 2 + 1] &= ~(1u << 31);
}
static void no_null_record(runtime* r) {
  uint32_t* const words = r->tensors[kWeights].data;
  words[r->dims[kWeights].data[1] * 2 - 1] = 1;
}
static void thresholds_shape(runtime* r) { r->dims[kThresholds].data[1] += 1; }
static void low_above_high(runtime* r) {
  uint32_t* const words = r->tensors[kThresholds].data;
  const int32_t planes = r->dims[kThresholds].data[1];
  for (int32_t i = 0; i < planes; ++i) {
    const uint32_t low = words[2 * i + 1];
    words[2 * i + 1] = i == 0 ? ~words[2 * i] : words[2 * i];
    words[2 * i] = i == 0 ? 0 : low;
  }
}
static void threshold_out_of_range(runtime* r) {
  uint32_t* const words = r->tensors[kThresholds].data;
  const int32_t planes = r->dims[kThresholds].data[1];
  words[2 * (planes - 1)] |= 1;
  words[2 * (planes - 2)] |= 1;
}
static void unused_threshold(runtime* r) {
  uint32_t* const words = r->tensors[kThresholds].data;
  words[r->dims[kThresholds].data[1] * 2] ^= 1u << 5;
}
static void pool_without_thresholds(runtime* r) {
  entry entries[kConv2dEntryCount];
  memcpy(entries, kConv2dEntries, sizeof entries);
  set_entry(entries, kConv2dEntryCount, "pool_height", 2);
  write_map(&r->options, entries, kConv2dEntryCount, 4);
  r->inputs.size = 2;
}
static void absent_name(runtime* r) {
  r->tensors[kOutput].name = NULL;
  r->tensors[kInput].type = 1;
}

/* Checks that Prepare refuses the node with a message that has the text. */
static void check_refused(runtime* r, const char* text) {
  TfLiteNode node;
  CHECK_EQ(start(r, &node), kTfLiteError);
  if (strstr(r->error, text) == NULL) {
    printf("received: %s\nexpected: %s\n", r->error, text);
    CHECK(false);
  }
  r->kernel.free(&r->context, node.user_data);
}

static void test_refusals(void) {
  static const struct {
    void (*change)(runtime*);
    const char* text;
  } kCases[] = {
      {unknown_op, "GxnorPool?, output tensor 'name': the delegate does not"},
      {one_input, "must have the inputs"},
      {wrong_tensor, "must have the inputs"},
      {wrong_thresholds_tensor, "must have the inputs"},
      {two_outputs, "must have the inputs"},
      {wrong_output, "output tensor '?': the op must have the inputs"},
      {no_options, "0 bytes, are no flexbuffer map"},
      {float_input, "GxnorConv2D, output tensor 'name': the input must be"},
      {zero_point, "zero point 0; received -128"},
      {uint8_weights, "must be int32; received TfLiteType 3, 2 and 2"},
      {int64_thresholds, "must be int32; received TfLiteType 2, 4 and 2"},
      {int8_output, "must be int32; received TfLiteType 2, 2 and 9"},
      {constant_output, "the output is a constant; the file is damaged"},
      {rank_2, "(batch, height, width, channels); received (2, 6)"},
      {no_dims, "(batch, height, width, channels); received ()"},
      {empty_batch, ">= 1; received (0, 6, 5, 2)"},
      {wrong_channels, "must be 2, for option `input_channels` is 3"},
      {small_input, "do not fit the input 2x5"},
      {large_input, "2^31 - 1 elements; received batch 2147483647"},
      {weights_shape,
       "weights must have the shape (2, 19, 2); received "
       "(2, 20, 2)"},
      {weights_rank,
       "weights must have the shape (2, 19, 2); received "
       "(2, 19)"},
      {variable_weights, "weights must be a constant"},
      {odd_weights, "data of the weights must be 4-byte aligned"},
      {odd_constant_input, "data of the input must be 4-byte aligned"},
      {short_weights, "must be a constant of 304 bytes; received 300"},
      {both_planes, "record 0 of weight group 0 is {0x"},
      {unused_lane, "record 0 of weight group 1 is {0x"},
      {no_null_record, "group 0 does not end with the null record"},
      {thresholds_shape, "thresholds must have the shape (2, 6, 2)"},
      {low_above_high, "of threshold group 0 has high"},
      {threshold_out_of_range, "lane 0 of threshold group 0 has high"},
      {unused_threshold, "lane 5 of threshold group 1 has high"},
      {pool_without_thresholds, "a pool needs thresholds; received pool 2x1"},
      {absent_name, "output tensor '?': the input must be int8"},
  };
  const kind k = {false, true, true};
  problem p = make_problem(params_of(k), 1, 1);
  for (size_t i = 0; i < sizeof kCases / sizeof kCases[0]; ++i) {
    runtime r;
    void* data[kTensors];
    make_runtime(&r, k, &p);
    for (int j = 0; j < kTensors; ++j) data[j] = r.tensors[j].data;
    kCases[i].change(&r);
    check_refused(&r, kCases[i].text);
    for (int j = 0; j < kOutput; ++j) r.tensors[j].data = data[j];
    free_runtime(&r);
  }
  free_problem(&p);
}

/* Whatever a byte of the options becomes, the node runs or is refused. */
static void check_damaged_options(runtime* r) {
  for (size_t i = 0; i < r->options.size; ++i) {
    const uint8_t byte = r->options.bytes[i];
    for (int change = 1; change < 256; change += 3) {
      TfLiteNode node;
      r->options.bytes[i] = (uint8_t)(byte ^ change);
      if (start(r, &node) == kTfLiteOk) {
        CHECK_EQ(r->kernel.invoke(&r->context, &node), kTfLiteOk);
      } else {
        CHECK(r->error[0] != '\0');
      }
      r->kernel.free(&r->context, node.user_data);
    }
    r->options.bytes[i] = byte;
  }
}

/* A wide problem, for which hosts pack weights for events. */
static void make_wide_runtime(runtime* r, const problem* p) {
  const gxnor_conv2d_params* const q = &p->params;
  const int32_t input[] = {q->batches, 2, 2, 4};
  const int32_t weights[] = {p->shape.output_groups, p->shape.depth + 1, 2};
  const int32_t sliced[] = {p->shape.output_groups, p->shape.planes, 2};
  const int32_t nothing[] = {1, 1};
  const entry entries[] = {{"input_channels", q->input_channels},
                           {"output_channels", q->output_channels},
                           {"version", 1}};
  start_runtime(r, "GxnorFullyConnected", 3, entries, 3);
  set_tensor(r, kInput, kTfLiteInt32, pack_input(p), 0, 4, input);
  set_tensor(r, kWeights, kTfLiteInt32, pack_weights(p), 1, 3, weights);
  set_tensor(r, kThresholds, kTfLiteInt32, pack_thresholds(p), 1, 3, sliced);
  set_tensor(r, kOutput, kTfLiteInt32, NULL, 0, 2, nothing);
}

static TfLiteStatus resize_fails(TfLiteContext* context, TfLiteTensor* tensor,
                                 TfLiteIntArray* dims) {
  (void)tensor;
  free(dims);
  context->ReportError(context, "out of memory");
  return kTfLiteError;
}

/* A Prepare that failed late is followed by one that does not, with another
 * batch. */
static void test_prepare_after_failure(void) {
  gxnor_conv2d_params params = default_params(40, 600);
  problem p;
  runtime r;
  TfLiteNode node;
  uint32_t* expected;
  size_t words;
  params.input_height = params.input_width = 2;
  params.kernel_height = params.kernel_width = 2;
  params.batches = 3;
  p = make_problem(params, 1, 1);
  solve(&p);
  make_wide_runtime(&r, &p);
  r.context.ResizeTensor = resize_fails;
  r.dims[kInput].data[0] = 1;
  CHECK_EQ(start(&r, &node), kTfLiteError);
  r.context.ResizeTensor = resize;
  r.dims[kInput].data[0] = 3;
  CHECK_EQ(r.kernel.prepare(&r.context, &node), kTfLiteOk);
  CHECK_EQ(r.kernel.invoke(&r.context, &node), kTfLiteOk);
  expected = pack_states(p.states, 3, 600, &words);
  CHECK(memcmp(r.tensors[kOutput].data, expected, words * 4) == 0);
  r.kernel.free(&r.context, node.user_data);
  check_damaged_options(&r);
  free(expected);
  free_runtime(&r);
  free_problem(&p);
}

/* In a damaged file another node may write a tensor of this one, and give it
 * another size after this one was prepared. */
static void test_sizes_that_change_after_prepare(void) {
  for (int i = 0; i < 8; ++i) {
    const kind k = {false, (i & 1) != 0, (i & 2) != 0};
    const int tensor = (i & 4) != 0 ? kInput : kOutput;
    problem p = make_problem(params_of(k), 1, 1);
    runtime r;
    TfLiteNode node;
    size_t right;
    make_runtime(&r, k, &p);
    CHECK_EQ(start(&r, &node), kTfLiteOk);
    right = r.tensors[tensor].bytes;
    free(r.tensors[tensor].data);
    r.tensors[tensor].bytes = right - 1;
    r.tensors[tensor].data = allocate(right - 1, 1);
    CHECK_EQ(r.kernel.invoke(&r.context, &node), kTfLiteError);
    CHECK(strstr(r.error, "another op writes one of them") != NULL);
    free(r.tensors[tensor].data);
    r.tensors[tensor].bytes = right;
    r.tensors[tensor].data = NULL;
    CHECK_EQ(r.kernel.invoke(&r.context, &node), kTfLiteError);
    r.tensors[tensor].data = allocate(right, 1);
    CHECK_EQ(r.kernel.invoke(&r.context, &node), kTfLiteOk);
    r.kernel.free(&r.context, node.user_data);
    free_runtime(&r);
    free_problem(&p);
  }
}

static void test_plain_thresholds(void) {
  const kind k = {true, false, true};
  problem p = make_problem(params_of(k), 128, 1);
  runtime r;
  TfLiteNode node;
  p.low[32] = p.high[32] + 1;
  make_runtime(&r, k, &p);
  CHECK_EQ(start(&r, &node), kTfLiteError);
  CHECK(strstr(r.error, "channel 32 has high threshold") != NULL);
  r.kernel.free(&r.context, node.user_data);
  free_runtime(&r);
  free_problem(&p);
}

/* Thresholds may be there as the index -1. */
static void test_absent_thresholds(void) {
  const kind k = {false, true, true};
  problem p = make_problem(params_of(k), 1, 1);
  runtime r;
  TfLiteNode node;
  make_runtime(&r, k, &p);
  r.inputs.data[2] = kTfLiteOptionalTensor;
  solve(&p);
  CHECK_EQ(start(&r, &node), kTfLiteOk);
  CHECK_EQ(r.kernel.invoke(&r.context, &node), kTfLiteOk);
  CHECK(memcmp(r.tensors[kOutput].data, p.sums,
               count_sums(&p) * sizeof(int32_t)) == 0);
  r.kernel.free(&r.context, node.user_data);
  free_runtime(&r);
  free_problem(&p);
}

static void test_damaged_options(void) {
  const kind k = {false, true, true};
  problem p = make_problem(params_of(k), 1, 1);
  runtime r;
  make_runtime(&r, k, &p);
  check_damaged_options(&r);
  free_runtime(&r);
  free_problem(&p);
}

/* ---- GxnorDepthwiseConv2D and GxnorMaxPool2D ---- */

static const entry kMaxPoolEntries[] = {
    {"channels", 40},  {"pad_bottom", 1},    {"pad_left", 0},
    {"pad_right", 1},  {"pad_top", 0},       {"pool_height", 3},
    {"pool_width", 2}, {"stride_height", 2}, {"stride_width", 1},
    {"version", 1},
};
enum {
  kMaxPoolEntryCount = sizeof kMaxPoolEntries / sizeof kMaxPoolEntries[0]
};

/* A pool of 40 channels at 6x5, 2 images. */
static void make_max_pool_runtime(runtime* r) {
  const int32_t input[] = {2, 6, 5, 4}, nothing[] = {1, 1, 1, 1};
  uint32_t* const words = allocate(2 * 6 * 5 * 4, sizeof *words);
  uint32_t seed = 1;
  for (size_t i = 0; i < 2 * 6 * 5 * 4; i += 2) {
    words[i] = next_random(&seed);
    words[i + 1] = next_random(&seed) & ~words[i];
  }
  start_runtime(r, "GxnorMaxPool2D", 1, kMaxPoolEntries, kMaxPoolEntryCount);
  set_tensor(r, kInput, kTfLiteInt32, words, 0, 4, input);
  set_tensor(r, kOutput, kTfLiteInt32, NULL, 0, 4, nothing);
}

static void test_max_pool(void) {
  const gxnor_max_pool2d_params params = {2, 6, 5, 40, 3, 2, 2, 1, 0, 1, 0, 1};
  uint32_t expected[2 * 3 * 5 * 4];
  runtime r;
  TfLiteNode node;
  make_max_pool_runtime(&r);
  CHECK_EQ(start(&r, &node), kTfLiteOk);
  CHECK_EQ(r.kernel.invoke(&r.context, &node), kTfLiteOk);
  CHECK_EQ(gxnor_max_pool2d_t2(&params, r.tensors[kInput].data, expected),
           GXNOR_OK);
  CHECK_EQ(r.tensors[kOutput].bytes, sizeof expected);
  CHECK(memcmp(r.tensors[kOutput].data, expected, sizeof expected) == 0);
  r.kernel.free(&r.context, node.user_data);
  check_damaged_options(&r);
  free_runtime(&r);
}

/* The default problem with 33 channels, two images. */
static void make_depthwise_runtime(runtime* r, const depthwise_problem* p,
                                   bool ternary) {
  const gxnor_conv2d_params* const q = &p->full.params;
  const gxnor_conv2d_shape* const s = &p->narrow.shape;
  const int32_t input[] = {q->batches, q->input_height, q->input_width, 4};
  const int32_t weights[] = {s->output_groups, s->depth + 1, 2};
  const int32_t sliced[] = {s->output_groups, s->planes, 2};
  const int32_t nothing[] = {1, 1, 1, 1};
  entry entries[kConv2dEntryCount];
  size_t count = 0;
  for (size_t i = 0; i < kConv2dEntryCount; ++i) {
    if (strcmp(kConv2dEntries[i].key, "output_channels") == 0) continue;
    entries[count] = kConv2dEntries[i];
    if (strcmp(entries[count].key, "input_channels") == 0) {
      entries[count].key = "channels";
      entries[count].value = 33;
    }
    ++count;
  }
  start_runtime(r, "GxnorDepthwiseConv2D", ternary ? 3 : 2, entries, count);
  set_tensor(r, kInput, kTfLiteInt32, pack_input(&p->full), 0, 4, input);
  set_tensor(r, kWeights, kTfLiteInt32, pack_weights(&p->narrow), 1, 3,
             weights);
  set_tensor(r, kThresholds, kTfLiteInt32, pack_thresholds(&p->narrow), 1, 3,
             sliced);
  set_tensor(r, kOutput, kTfLiteInt32, NULL, 0, 4, nothing);
}

static depthwise_problem default_depthwise_problem(void) {
  gxnor_conv2d_params params = default_params(33, 33);
  params.batches = 2;
  return make_depthwise_problem(params, 1);
}

static void test_depthwise(void) {
  depthwise_problem p = default_depthwise_problem();
  for (int ternary = 0; ternary < 2; ++ternary) {
    size_t size = count_sums(&p.full);
    void* const packed =
        pack_states(p.full.states, count_outputs(&p.full) / 33, 33, &size);
    const void* const expected = ternary ? packed : (void*)p.full.sums;
    runtime r;
    TfLiteNode node;
    if (!ternary) size = count_sums(&p.full);
    make_depthwise_runtime(&r, &p, ternary);
    CHECK_EQ(start(&r, &node), kTfLiteOk);
    CHECK_EQ(r.kernel.invoke(&r.context, &node), kTfLiteOk);
    CHECK_EQ(r.tensors[kOutput].bytes, size * sizeof(int32_t));
    CHECK(memcmp(r.tensors[kOutput].data, expected, size * sizeof(int32_t)) ==
          0);
    r.kernel.free(&r.context, node.user_data);
    if (ternary) check_damaged_options(&r);
    free_runtime(&r);
    free(packed);
  }
  free_depthwise_problem(&p);
}

static void rank_3(runtime* r) { r->dims[kInput].size = 3; }
static void wrong_words(runtime* r) { r->dims[kInput].data[3] = 6; }
static void many_images(runtime* r) { r->dims[kInput].data[0] = INT32_MAX; }
static void int8_data(runtime* r) { r->tensors[kInput].type = kTfLiteInt8; }

/* What both ops refuse, and what one with weights does. */
static void test_image_refusals(void) {
  static const struct {
    void (*change)(runtime*);
    const char* text;
  } kCases[] = {
      {rank_3, "(batch, height, width, channels); received (2, 6, 5)"},
      {no_dims, "(batch, height, width, channels); received ()"},
      {empty_batch, ">= 1; received (0, 6, 5, 4)"},
      {wrong_words, "must be 4, for option `channels` is"},
      {many_images, "2^31 - 1 elements; received batch 2147483647"},
      {int8_data, "the input must be int32"},
      {int8_output, "int32; received TfLiteType 2"},
      {constant_output, "the output is a constant; the file is damaged"},
      {both_planes, "record 0 of weight group 0 is {0x"},
      {unused_threshold, "lane 5 of threshold group 1 has high"},
      {uint8_weights, "must be int32; received TfLiteType 3, 2 and 2"},
  };
  depthwise_problem p = default_depthwise_problem();
  for (size_t i = 0; i < sizeof kCases / sizeof kCases[0]; ++i) {
    runtime r;
    make_depthwise_runtime(&r, &p, true);
    kCases[i].change(&r);
    check_refused(&r, kCases[i].text);
    free_runtime(&r);
    if (i >= 8) continue;
    make_max_pool_runtime(&r);
    kCases[i].change(&r);
    check_refused(&r, kCases[i].text);
    free_runtime(&r);
  }
  free_depthwise_problem(&p);
}

/* ---- GxnorPack and GxnorUnpack ---- */

static const entry kPackEntries[] = {{"channels", 33}, {"version", 1}};

/* A node with an input of this rank: as many of the sizes 2, 3, 1, 2 before
 * the 33 channels as it takes. The states are -1, 0, 1, -1, ... */
static void make_pack_runtime(runtime* r, bool packs, int32_t rank) {
  static const int32_t kLeading[] = {2, 3, 1, 2};
  const int32_t nothing[] = {1, 1};
  int32_t sizes[kMaxRank];
  size_t positions = 1, words;
  int8_t* states;
  for (int32_t i = 0; i < rank - 1; ++i) {
    sizes[i] = kLeading[i];
    positions *= (size_t)kLeading[i];
  }
  sizes[rank - 1] = packs ? 33 : 4;
  states = allocate(positions * 33, 1);
  for (size_t i = 0; i < positions * 33; ++i) {
    states[i] = (int8_t)((int)(i % 3) - 1);
  }
  start_runtime(r, packs ? "GxnorPack" : "GxnorUnpack", 1, kPackEntries, 2);
  if (packs) {
    set_tensor(r, kInput, kTfLiteInt8, states, 0, rank, sizes);
    set_tensor(r, kOutput, kTfLiteInt32, NULL, 0, 2, nothing);
  } else {
    set_tensor(r, kInput, kTfLiteInt32,
               pack_states(states, positions, 33, &words), 0, rank, sizes);
    set_tensor(r, kOutput, kTfLiteInt8, NULL, 0, 2, nothing);
    free(states);
  }
}

/* Both directions at each rank: the output is the other op's input. */
static void test_pack(void) {
  for (int32_t rank = 2; rank <= kMaxRank; ++rank) {
    for (int packs = 0; packs < 2; ++packs) {
      runtime r, other;
      TfLiteNode node;
      make_pack_runtime(&r, packs, rank);
      make_pack_runtime(&other, !packs, rank);
      CHECK_EQ(start(&r, &node), kTfLiteOk);
      CHECK_EQ(r.kernel.invoke(&r.context, &node), kTfLiteOk);
      CHECK(strcmp(r.error, "") == 0);
      CHECK(memcmp(&r.dims[kOutput], &other.dims[kInput],
                   (size_t)(rank + 1) * sizeof(int32_t)) == 0);
      CHECK_EQ(r.tensors[kOutput].bytes, other.tensors[kInput].bytes);
      CHECK(memcmp(r.tensors[kOutput].data, other.tensors[kInput].data,
                   r.tensors[kOutput].bytes) == 0);
      r.kernel.free(&r.context, node.user_data);
      free_runtime(&r);
      free_runtime(&other);
    }
  }
}

/* A second Prepare with another batch resizes the output. */
static void test_pack_is_resized(void) {
  runtime r;
  TfLiteNode node;
  make_pack_runtime(&r, true, 2);
  CHECK_EQ(start(&r, &node), kTfLiteOk);
  CHECK_EQ(r.dims[kOutput].data[0], 2);
  r.dims[kInput].data[0] = 1;
  CHECK_EQ(r.kernel.prepare(&r.context, &node), kTfLiteOk);
  CHECK_EQ(r.dims[kOutput].data[0], 1);
  CHECK_EQ(r.tensors[kOutput].bytes, 4 * sizeof(int32_t));
  CHECK_EQ(r.kernel.invoke(&r.context, &node), kTfLiteOk);
  r.kernel.free(&r.context, node.user_data);
  free_runtime(&r);
}

static void no_input(runtime* r) { r->inputs.size = 0; }
static void absent_input(runtime* r) {
  r->inputs.data[0] = kTfLiteOptionalTensor;
}
static void two_inputs(runtime* r) { r->inputs.size = 2; }
static void int32_input(runtime* r) { r->tensors[kInput].type = 2; }
static void int8_input(runtime* r) { r->tensors[kInput].type = 9; }
static void int32_output(runtime* r) { r->tensors[kOutput].type = 2; }
static void input_zero_point(runtime* r) {
  r->tensors[kInput].params.zero_point = 3;
}
static void output_zero_point(runtime* r) {
  r->tensors[kOutput].params.zero_point = -4;
}
static void rank_1(runtime* r) { r->dims[kInput].size = 1; }
static void empty_row(runtime* r) { r->dims[kInput].data[1] = 0; }
static void negative_row(runtime* r) { r->dims[kInput].data[1] = -1; }
static void many_positions(runtime* r) {
  r->dims[kInput].data[0] = 1 << 30;
  r->dims[kInput].data[1] = 1 << 30;
  r->dims[kInput].data[2] = 1 << 30;
}
static void many_elements(runtime* r) { r->dims[kInput].data[0] = 21691755; }
static void channel_options(runtime* r, int64_t channels, int64_t version) {
  const entry entries[] = {{"channels", channels}, {"version", version}};
  write_map(&r->options, entries, 2, 8);
  r->node.custom_initial_data_size = (int32_t)r->options.size;
}
static void other_version(runtime* r) { channel_options(r, 33, 2); }
static void no_channels(runtime* r) { channel_options(r, 0, 1); }
static void huge_channels(runtime* r) { channel_options(r, INT32_MAX, 1); }
static void too_many_channels(runtime* r) {
  channel_options(r, (int64_t)INT32_MAX + 1, 1);
}
static void further_option(runtime* r) {
  const entry entries[] = {{"channels", 33}, {"groups", 1}, {"version", 1}};
  write_map(&r->options, entries, 3, 4);
  r->node.custom_initial_data_size = (int32_t)r->options.size;
}
static void no_channel_option(runtime* r) {
  const entry entries[] = {{"version", 1}};
  write_map(&r->options, entries, 1, 4);
  r->node.custom_initial_data_size = (int32_t)r->options.size;
}

static void test_pack_refusals(void) {
  static const struct {
    bool packs;
    void (*change)(runtime*);
    const char* text;
  } kCases[] = {
      {true, no_input, "GxnorPack, output tensor 'name': the op must have one"},
      {true, absent_input, "must have one input and one output"},
      {false, two_inputs,
       "GxnorUnpack, output tensor 'name': the op must have"},
      {true, two_outputs, "must have one input and one output"},
      {true, wrong_output, "output tensor '?': the op must have one input"},
      {true, no_options, "0 bytes, are no flexbuffer map"},
      {true, other_version, "`version` is 2, but"},
      {false, no_channels, "`channels` is 0, out of range"},
      {false, too_many_channels, "`channels` is 2147483648, out of range"},
      {true, further_option, "`groups` is unknown"},
      {true, no_channel_option, "`channels` is missing"},
      {true, int32_input,
       "must be int8 and the output int32; received TfLiteType 2 and 2"},
      {true, int8_output,
       "must be int8 and the output int32; received TfLiteType 9 and 9"},
      {false, int8_input,
       "must be int32 and the output int8; received TfLiteType 9 and 9"},
      {false, int32_output,
       "must be int32 and the output int8; received TfLiteType 2 and 2"},
      {true, input_zero_point, "int8 input must have zero point 0; received 3"},
      {false, output_zero_point,
       "int8 output must have zero point 0; received -4"},
      {true, no_dims, "the shape (batch, ..., channels); received ()"},
      {false, rank_1, "the shape (batch, ..., channels); received (2)"},
      {true, empty_batch, ">= 1; received (0, 3, 1, 33)"},
      {false, empty_row, ">= 1; received (2, 0, 1, 4)"},
      {false, negative_row, ">= 1; received (2, -1, 1, 4)"},
      {true, wrong_channels,
       "must be 33, for option `channels` is 33 and the input int8; received "
       "(2, 3, 1, 4)"},
      {false, huge_channels,
       "must be 134217728, for option `channels` is 2147483647 and the input "
       "packed"},
      {true, many_positions,
       "2^31 - 1 elements; received the input (1073741824, 1073741824, "
       "1073741824, 33), channels 33"},
      /* 21691755 * 3 * 33 = 2^31 + 97 */
      {false, many_elements,
       "2^31 - 1 elements; received the input (21691755, 3, 1, 4)"},
      {true, constant_output, "the output is a constant"},
  };
  for (size_t i = 0; i < sizeof kCases / sizeof kCases[0]; ++i) {
    runtime r;
    make_pack_runtime(&r, kCases[i].packs, 4);
    kCases[i].change(&r);
    check_refused(&r, kCases[i].text);
    free_runtime(&r);
  }
}

static void test_damaged_pack_options(void) {
  for (int packs = 0; packs < 2; ++packs) {
    runtime r;
    make_pack_runtime(&r, packs, 3);
    check_damaged_options(&r);
    free_runtime(&r);
  }
}

int main(void) {
  const char* name = NULL;
  size_t count = 0;
  do {
    kernels = name == NULL ? NULL : gxnor_host_find_kernels(name);
    test_all_kinds();
    test_refusals();
    test_prepare_after_failure();
    test_sizes_that_change_after_prepare();
    test_plain_thresholds();
    test_absent_thresholds();
    test_damaged_options();
    test_depthwise();
    test_max_pool();
    test_image_refusals();
    CHECK_EQ(gxnor_memory_total(GXNOR_MEMORY_WEIGHTS), 0);
    CHECK_EQ(gxnor_memory_total(GXNOR_MEMORY_SCRATCH), 0);
    name = gxnor_host_kernels_name(count++);
  } while (name != NULL);
  test_pack();
  test_pack_is_resized();
  test_pack_refusals();
  test_damaged_pack_options();
  return check_result();
}
