/* SPDX-License-Identifier: Apache-2.0 */
/* The part of the TensorFlow Lite C ABI that an external delegate touches.
 *
 * No package ships TensorFlow Lite's C headers, and the ABI of these structs
 * has been stable for years, so they are declared here under their own names
 * (tensorflow/lite/core/c/common.h). Enums are int32_t; what is never looked
 * into is void *.
 *
 * 64-bit targets only: TfLiteRegistration is passed by value and has grown
 * over time. On x86-64 it travels on the stack with all other arguments in
 * registers, on AArch64 by reference, so that a caller's longer struct is
 * harmless; 32-bit ARM would find later arguments in the wrong place. */
#ifndef GXNOR_TFLITE_ABI_H_
#define GXNOR_TFLITE_ABI_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

_Static_assert(sizeof(void*) == 8,
               "The delegate supports 64-bit targets only. Microcontrollers "
               "use the kernels in include/gxnor.");

typedef int32_t TfLiteStatus;
enum { kTfLiteOk = 0, kTfLiteError = 1 };

typedef int32_t TfLiteType;
enum { kTfLiteInt32 = 2, kTfLiteInt8 = 9 };

typedef int32_t TfLiteAllocationType;
enum { kTfLiteMmapRo = 1, kTfLitePersistentRo = 5 };

enum { kTfLiteOptionalTensor = -1 };
enum { kTfLiteBuiltinCustom = 32, kTfLiteBuiltinDelegate = 51 };
enum { kTfLiteDelegateFlagsAllowDynamicTensors = 1 };

typedef struct TfLiteIntArray {
  int32_t size;
  int32_t data[];
} TfLiteIntArray;

typedef struct TfLiteQuantizationParams {
  float scale;
  int32_t zero_point;
} TfLiteQuantizationParams;

typedef struct TfLiteQuantization {
  int32_t type;
  void* params;
} TfLiteQuantization;

typedef struct TfLiteTensor {
  TfLiteType type;
  void* data;
  TfLiteIntArray* dims;
  TfLiteQuantizationParams params;
  TfLiteAllocationType allocation_type;
  size_t bytes;
  const void* allocation;
  const char* name;
  void* delegate;
  int32_t buffer_handle;
  bool data_is_stale;
  bool is_variable;
  TfLiteQuantization quantization;
  void* sparsity;
  const TfLiteIntArray* dims_signature;
} TfLiteTensor;

typedef struct TfLiteNode {
  TfLiteIntArray* inputs;
  TfLiteIntArray* outputs;
  TfLiteIntArray* intermediates;
  TfLiteIntArray* temporaries;
  void* user_data;
  void* builtin_data;
  const void* custom_initial_data;
  int32_t custom_initial_data_size;
  void* delegate;
  bool might_have_side_effect;
} TfLiteNode;

struct TfLiteContext;
struct TfLiteDelegate;

typedef struct TfLiteRegistration {
  void* (*init)(struct TfLiteContext*, const char*, size_t);
  void (*free)(struct TfLiteContext*, void*);
  TfLiteStatus (*prepare)(struct TfLiteContext*, TfLiteNode*);
  TfLiteStatus (*invoke)(struct TfLiteContext*, TfLiteNode*);
  const char* (*profiling_string)(const struct TfLiteContext*,
                                  const TfLiteNode*);
  int32_t builtin_code;
  const char* custom_name;
  int32_t version;
  void* registration_external;
  void* async_kernel;
  uint64_t inplace_operator;
  /* What a later runtime may append; zero means "not set" there. Only to be
   * written: the structs that a runtime hands out may end before. */
  void* reserved[8];
} TfLiteRegistration;

typedef struct TfLiteContext {
  size_t tensors_size;
  TfLiteStatus (*GetExecutionPlan)(struct TfLiteContext*, TfLiteIntArray**);
  TfLiteTensor* tensors;
  void* impl_;
  TfLiteStatus (*ResizeTensor)(struct TfLiteContext*, TfLiteTensor*,
                               TfLiteIntArray*);
  void (*ReportError)(struct TfLiteContext*, const char*, ...);
  TfLiteStatus (*AddTensors)(struct TfLiteContext*, int, int*);
  TfLiteStatus (*GetNodeAndRegistration)(struct TfLiteContext*, int,
                                         TfLiteNode**, TfLiteRegistration**);
  TfLiteStatus (*ReplaceNodeSubsetsWithDelegateKernels)(struct TfLiteContext*,
                                                        TfLiteRegistration,
                                                        const TfLiteIntArray*,
                                                        struct TfLiteDelegate*);
  int recommended_num_threads; /* The interpreter's; below 1: not set. */
  /* More members follow, none of which is used. */
} TfLiteContext;

typedef struct TfLiteDelegateParams {
  struct TfLiteDelegate* delegate;
  TfLiteIntArray* nodes_to_replace;
  TfLiteIntArray* input_tensors;
  TfLiteIntArray* output_tensors;
} TfLiteDelegateParams;

typedef struct TfLiteDelegate {
  void* data_;
  TfLiteStatus (*Prepare)(TfLiteContext*, struct TfLiteDelegate*);
  void* CopyFromBufferHandle;
  void* CopyToBufferHandle;
  void* FreeBufferHandle;
  int64_t flags;
  void* opaque_delegate_builder;
} TfLiteDelegate;

#endif /* GXNOR_TFLITE_ABI_H_ */
