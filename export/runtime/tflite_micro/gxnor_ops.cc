/* SPDX-License-Identifier: Apache-2.0 */
#include "gxnor_ops.h"

#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include "../ops/op_run.h"
#include "tensorflow/lite/micro/kernels/kernel_util.h"
#include "tensorflow/lite/micro/micro_context.h"
#include "tensorflow/lite/micro/micro_log.h"

// The most scratch memory that one op asks for. Packed convolutions list the
// inputs of a whole row there; with less memory they list fewer at a time, and
// with none they are several times as slow. See gxnor_ops.h.
#if !defined(GXNOR_OPS_MAX_SCRATCH_BYTES)
#define GXNOR_OPS_MAX_SCRATCH_BYTES SIZE_MAX
#endif

namespace tflite {
namespace micro {
namespace gxnor {
namespace {

static_assert(static_cast<int>(kTfLiteInt32) == kGxnorInt32 &&
                  static_cast<int>(kTfLiteInt8) == kGxnorInt8,
              "TFLM numbers the types of tensors in another way.");

constexpr size_t kMaxScratchBytes = GXNOR_OPS_MAX_SCRATCH_BYTES;

// What Eval needs, all of it found by Prepare.
struct OpData {
  gxnor_op_params params;
  bool packed;          // Whether the input is int32, else int8.
  size_t scratch_size;  // 0: none.
  int scratch_index;
};

// ---- Errors ----

struct Reporter {
  gxnor_op op;
  int output;  // Index of the tensor in the file; -1: none.
};

// The `print` of a gxnor_op_report; `where` is a Reporter.
void Print(void* where, const char* format, va_list arguments) {
  const Reporter* const reporter = static_cast<const Reporter*>(where);
  MicroPrintf("gxnor_tf: %s, output tensor %d:", gxnor_op_name(reporter->op),
              reporter->output);
  VMicroPrintf(format, arguments);
}

// ---- Init ----

// Cannot fail: Prepare reports a nullptr, and reads the options.
void* Init(TfLiteContext* context, const char*, size_t) {
  return GetMicroContext(context)->AllocatePersistentBuffer(sizeof(OpData));
}

// ---- Prepare ----

// Copies what there is to check; `tensor` is a temporary one, or nullptr.
bool TakeTensor(MicroContext* micro_context, TfLiteTensor* tensor,
                gxnor_op_tensor* view) {
  if (tensor == nullptr) return false;
  view->type = static_cast<int>(tensor->type);
  view->zero_point = static_cast<int>(tensor->params.zero_point);
  view->rank = tensor->dims == nullptr ? 0 : tensor->dims->size;
  view->sizes = tensor->dims == nullptr ? nullptr : tensor->dims->data;
  view->constant = tensor->allocation_type == kTfLiteMmapRo;
  view->data = tensor->data.data;
  view->bytes = tensor->bytes;
  micro_context->DeallocateTempTfLiteTensor(tensor);
  return true;
}

// Reads the tensors of a node that has as many as its op needs.
bool ReadTensors(MicroContext* micro_context, const TfLiteNode* node,
                 gxnor_op op, gxnor_op_tensors* tensors,
                 const gxnor_op_report* report) {
  const int inputs = node->inputs == nullptr ? 0 : node->inputs->size;
  const int outputs = node->outputs == nullptr ? 0 : node->outputs->size;
  unsigned present = 0;
  for (int i = 0; i < inputs && i < kGxnorMaxInputs; ++i) {
    if (node->inputs->data[i] >= 0) present |= 1u << i;
  }
  if (!gxnor_op_check_count(op, inputs, present, outputs, report)) return false;
  tensors->has_thresholds = (present >> kGxnorThresholds & 1) != 0;
  for (int i = 0; i < inputs; ++i) {
    if ((present >> i & 1) == 0) continue;
#if defined(USE_TFLM_COMPRESSION)
    if (micro_context->IsTensorCompressed(node, i)) {
      return gxnor_op_fail(report,
                           "input %d is compressed; leave the tensors of "
                           "Gxnor ops as they are",
                           i);
    }
#endif
    if (!TakeTensor(micro_context,
                    micro_context->AllocateTempInputTensor(node, i),
                    &tensors->inputs[i])) {
      return gxnor_op_fail(report,
                           "input %d cannot be read; make the arena larger, "
                           "or export the model again",
                           i);
    }
    // TFLM does not tell how much of a constant is in the file, of which
    // damage could make the kernels read beyond.
    if (i == kGxnorInput && tensors->inputs[i].constant) {
      return gxnor_op_fail(report,
                           "input 0 is a constant; export the model again");
    }
  }
  if (!TakeTensor(micro_context,
                  micro_context->AllocateTempOutputTensor(node, 0),
                  &tensors->output)) {
    return gxnor_op_fail(report,
                         "the output cannot be read; make the arena larger, "
                         "or export the model again");
  }
  return true;
}

bool RequestScratch(MicroContext* micro_context, gxnor_op op, OpData* data,
                    const gxnor_op_report* report) {
  const size_t wanted = gxnor_op_buffer_size(op, data->packed, &data->params);
  data->scratch_size = wanted < kMaxScratchBytes ? wanted : kMaxScratchBytes;
  if (data->scratch_size != 0 &&
      micro_context->RequestScratchBufferInArena(
          data->scratch_size, &data->scratch_index) != kTfLiteOk) {
    return gxnor_op_fail(
        report,
        "the arena has no room for %d bytes of scratch; make it larger, or "
        "define GXNOR_OPS_MAX_SCRATCH_BYTES",
        static_cast<int>(data->scratch_size));
  }
  return true;
}

TfLiteStatus PrepareOp(TfLiteContext* context, TfLiteNode* node, gxnor_op op) {
  MicroContext* const micro_context = GetMicroContext(context);
  OpData* const data = static_cast<OpData*>(node->user_data);
  const bool has_output = node->outputs != nullptr && node->outputs->size > 0;
  Reporter reporter = {op, has_output ? node->outputs->data[0] : -1};
  const gxnor_op_report report = {Print, &reporter};
  gxnor_op_tensors tensors = {};
  gxnor_op_output output;
  if (data == nullptr) {
    gxnor_op_fail(&report, "the arena has no room for %d bytes; make it larger",
                  static_cast<int>(sizeof(OpData)));
    return kTfLiteError;
  }
  const size_t options_size =
      node->custom_initial_data_size < 0 ? 0 : node->custom_initial_data_size;
  if (!ReadTensors(micro_context, node, op, &tensors, &report) ||
      !gxnor_op_read_options(op, node->custom_initial_data, options_size,
                             &data->params, &report) ||
      !gxnor_op_check(op, &tensors, &data->params, &output, &report) ||
      !gxnor_op_check_output_shape(&tensors.output, &output, &report)) {
    return kTfLiteError;
  }
  data->packed = tensors.inputs[kGxnorInput].type == kGxnorInt32;
  return RequestScratch(micro_context, op, data, &report) ? kTfLiteOk
                                                          : kTfLiteError;
}

template <gxnor_op kOp>
TfLiteStatus Prepare(TfLiteContext* context, TfLiteNode* node) {
  return PrepareOp(context, node, kOp);
}

// ---- Eval ----

// The data of an input; nullptr if it is absent.
template <typename T>
const T* InputData(const TfLiteContext* context, const TfLiteNode* node,
                   int place) {
  const TfLiteEvalTensor* const tensor = GetEvalInput(context, node, place);
  return tensor == nullptr ? nullptr : GetTensorData<T>(tensor);
}

template <gxnor_status (*kRun)(const gxnor_op_params*, const gxnor_op_data*)>
TfLiteStatus Eval(TfLiteContext* context, TfLiteNode* node) {
  const OpData* const self = static_cast<const OpData*>(node->user_data);
  gxnor_op_data data;
  data.input = InputData<uint8_t>(context, node, kGxnorInput);
  data.packed = self->packed;
  data.weights = InputData<uint32_t>(context, node, kGxnorWeights);
  data.thresholds = InputData<uint32_t>(context, node, kGxnorThresholds);
  data.buffer =
      self->scratch_size == 0
          ? nullptr
          : GetMicroContext(context)->GetScratchBuffer(self->scratch_index);
  data.buffer_size = self->scratch_size;
  data.output = GetTensorData<uint8_t>(GetEvalOutput(context, node, 0));
  return kRun(&self->params, &data) == GXNOR_OK ? kTfLiteOk : kTfLiteError;
}

}  // namespace

TFLMRegistration RegisterGxnorConv2D() {
  return RegisterOp(Init, Prepare<GXNOR_OP_CONV_2D>, Eval<gxnor_op_run_conv2d>);
}

TFLMRegistration RegisterGxnorFullyConnected() {
  return RegisterOp(Init, Prepare<GXNOR_OP_FULLY_CONNECTED>,
                    Eval<gxnor_op_run_conv2d>);
}

TFLMRegistration RegisterGxnorDepthwiseConv2D() {
  return RegisterOp(Init, Prepare<GXNOR_OP_DEPTHWISE_CONV_2D>,
                    Eval<gxnor_op_run_depthwise_conv2d>);
}

TFLMRegistration RegisterGxnorMaxPool2D() {
  return RegisterOp(Init, Prepare<GXNOR_OP_MAX_POOL_2D>,
                    Eval<gxnor_op_run_max_pool2d>);
}

TFLMRegistration RegisterGxnorPack() {
  return RegisterOp(Init, Prepare<GXNOR_OP_PACK>, Eval<gxnor_op_run_pack>);
}

TFLMRegistration RegisterGxnorUnpack() {
  return RegisterOp(Init, Prepare<GXNOR_OP_UNPACK>, Eval<gxnor_op_run_unpack>);
}

}  // namespace gxnor
}  // namespace micro
}  // namespace tflite
