/* SPDX-License-Identifier: Apache-2.0 */
// What gxnor_ops.cc uses of TensorFlow Lite Micro, declared for the wheel
// `tflite-micro`, which has no headers. The structs have the layout of the
// wheel that pyproject.toml pins, on 64-bit processors.
//
// TFLM's C types are in tflite::micro. With GXNOR_TEST_GLOBAL_TYPES they are
// global, and MicroContext is in tflite: where they were until September 2026.
#ifndef GXNOR_TESTS_MICRO_CONTEXT_H_
#define GXNOR_TESTS_MICRO_CONTEXT_H_

#include <stddef.h>
#include <stdint.h>

// The name of a function in the wheel.
#define GXNOR_TEST_SYMBOL(name) __asm__(name)

#if !defined(GXNOR_TEST_GLOBAL_TYPES)
namespace tflite {
namespace micro {
#endif

enum TfLiteStatus { kTfLiteOk = 0, kTfLiteError = 1 };
enum TfLiteType { kTfLiteInt32 = 2, kTfLiteInt8 = 9 };
enum TfLiteAllocationType { kTfLiteMmapRo = 1 };

struct TfLiteContext;

struct TfLiteIntArray {
  int size;
  int data[1];  // As many as `size`.
};

union TfLitePtrUnion {
  char* raw;
  void* data;
};

struct TfLiteTensor {
  int quantization_type;
  void* quantization;
  struct {
    float scale;
    int32_t zero_point;
  } params;
  TfLitePtrUnion data;
  TfLiteIntArray* dims;
  size_t bytes;
  TfLiteType type;
  TfLiteAllocationType allocation_type;
  bool is_variable;
};

struct TfLiteEvalTensor {
  TfLitePtrUnion data;
  TfLiteIntArray* dims;
  TfLiteType type;
};

struct TfLiteNode {
  TfLiteIntArray* inputs;
  TfLiteIntArray* outputs;
  TfLiteIntArray* intermediates;
  void* user_data;
  void* builtin_data;
  const void* custom_initial_data;
  int custom_initial_data_size;
};

struct TFLMRegistration {
  void* (*init)(TfLiteContext* context, const char* buffer, size_t length);
  void (*free)(TfLiteContext* context, void* buffer);
  TfLiteStatus (*prepare)(TfLiteContext* context, TfLiteNode* node);
  TfLiteStatus (*invoke)(TfLiteContext* context, TfLiteNode* node);
  void (*reset)(TfLiteContext* context, void* buffer);
  int32_t builtin_code;
  const char* custom_name;
};

#if defined(GXNOR_TEST_GLOBAL_TYPES)
namespace tflite {
#endif

// The wheel's own object. Its functions are found by their names there.
class MicroContext {
 public:
  // These three are in wheel.cc: they put guard words around the memory.
  void* AllocatePersistentBuffer(size_t bytes);
  TfLiteStatus RequestScratchBufferInArena(size_t bytes, int* buffer_idx);
  void* GetScratchBuffer(int buffer_idx);

  TfLiteTensor* AllocateTempInputTensor(const TfLiteNode* node, int index)
      GXNOR_TEST_SYMBOL(
          "_ZN6tflite5micro12MicroContext23AllocateTempInputTensor"
          "EPKNS0_10TfLiteNodeEi");
  TfLiteTensor* AllocateTempOutputTensor(const TfLiteNode* node, int index)
      GXNOR_TEST_SYMBOL(
          "_ZN6tflite5micro12MicroContext24AllocateTempOutputTensor"
          "EPKNS0_10TfLiteNodeEi");
  void DeallocateTempTfLiteTensor(TfLiteTensor* tensor) GXNOR_TEST_SYMBOL(
      "_ZN6tflite5micro23MicroInterpreterContext26DeallocateTempTfLiteTensor"
      "EPNS0_12TfLiteTensorE");
};

inline MicroContext* GetMicroContext(const TfLiteContext* context) {
  return *reinterpret_cast<MicroContext* const*>(context);
}

#if !defined(GXNOR_TEST_GLOBAL_TYPES)
}  // namespace micro
#endif
}  // namespace tflite

#endif  // GXNOR_TESTS_MICRO_CONTEXT_H_
