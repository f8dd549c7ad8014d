/* SPDX-License-Identifier: Apache-2.0 */
// See micro_context.h.
#ifndef GXNOR_TESTS_KERNEL_UTIL_H_
#define GXNOR_TESTS_KERNEL_UTIL_H_

#include "tensorflow/lite/micro/micro_context.h"

namespace tflite {
namespace micro {

TFLMRegistration RegisterOp(
    void* (*init)(TfLiteContext* context, const char* buffer, size_t length),
    TfLiteStatus (*prepare)(TfLiteContext* context, TfLiteNode* node),
    TfLiteStatus (*invoke)(TfLiteContext* context, TfLiteNode* node),
    void (*free)(TfLiteContext* context, void* buffer) = nullptr,
    void (*reset)(TfLiteContext* context, void* buffer) = nullptr)
    GXNOR_TEST_SYMBOL(
        "_ZN6tflite5micro10RegisterOpEPFPvPNS0_13TfLiteContextEPKcmEPFNS0_"
        "12TfLiteStatusES3_PNS0_10TfLiteNodeEESC_PFvS3_S1_ESE_");

const TfLiteEvalTensor* GetEvalInput(const TfLiteContext* context,
                                     const TfLiteNode* node, int index)
    GXNOR_TEST_SYMBOL(
        "_ZN6tflite5micro12GetEvalInputEPKNS0_13TfLiteContext"
        "EPKNS0_10TfLiteNodeEi");

TfLiteEvalTensor* GetEvalOutput(const TfLiteContext* context,
                                const TfLiteNode* node, int index)
    GXNOR_TEST_SYMBOL(
        "_ZN6tflite5micro13GetEvalOutputEPKNS0_13TfLiteContext"
        "EPKNS0_10TfLiteNodeEi");

template <typename T>
T* GetTensorData(TfLiteEvalTensor* tensor) {
  return reinterpret_cast<T*>(tensor->data.raw);
}

template <typename T>
const T* GetTensorData(const TfLiteEvalTensor* tensor) {
  return reinterpret_cast<const T*>(tensor->data.raw);
}

}  // namespace micro
}  // namespace tflite

#endif  // GXNOR_TESTS_KERNEL_UTIL_H_
