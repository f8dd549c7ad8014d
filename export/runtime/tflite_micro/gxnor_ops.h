/* SPDX-License-Identifier: Apache-2.0 */
// The Gxnor* custom ops in TensorFlow Lite for Microcontrollers (TFLM).
//
// Compile gxnor_ops.cc, ../ops/*.c and ../src/*.c with your TFLM tree and
// ../include in the include path, and align the model in memory to 16 bytes.
// Then:
//
//   tflite::MicroMutableOpResolver<9> resolver;
//   if (gxnor::AddGxnorOps(resolver) != kTfLiteOk) ...
//   resolver.AddCast();  // The logits: float32 of the last op's sums.
//   resolver.AddMul();
//   resolver.AddAdd();
//
// or add only the ops that the model has: a linker then leaves out the others'
// kernels. `python -m export MODEL.tflite --inspect` lists them, the builtin
// ones too.
//
// Prepare checks what a file says, but for one thing: TFLM does not tell how
// many bytes of a constant are in the file. Verify files that may be damaged.
// What Prepare refuses it reports with MicroPrintf; TFLM's macro
// TF_LITE_STRIP_ERROR_STRINGS, set for all these files, drops the texts, 4 KB.
// Each op keeps about 110 bytes in the arena. Convolutions and fully connected
// ops also ask for scratch memory, which all ops share; where it does not fit,
// compile gxnor_ops.cc with -DGXNOR_OPS_MAX_SCRATCH_BYTES=2048, say: results
// are the same, but take longer.
#ifndef GXNOR_TFLITE_MICRO_GXNOR_OPS_H_
#define GXNOR_TFLITE_MICRO_GXNOR_OPS_H_

#include "tensorflow/lite/micro/kernels/kernel_util.h"

// TFLM's C types are global until September 2026 and in tflite::micro from
// then on. Inside that namespace their bare names are right for both.
namespace tflite {
namespace micro {
namespace gxnor {

TFLMRegistration RegisterGxnorConv2D();
TFLMRegistration RegisterGxnorFullyConnected();
TFLMRegistration RegisterGxnorDepthwiseConv2D();
TFLMRegistration RegisterGxnorMaxPool2D();
TFLMRegistration RegisterGxnorPack();
TFLMRegistration RegisterGxnorUnpack();

// Each function adds one op to a MicroMutableOpResolver, and fails if it is
// full or has the op already.

template <typename Resolver>
TfLiteStatus AddGxnorConv2D(Resolver& resolver) {
  const TFLMRegistration registration = RegisterGxnorConv2D();
  return resolver.AddCustom("GxnorConv2D", &registration);
}

template <typename Resolver>
TfLiteStatus AddGxnorFullyConnected(Resolver& resolver) {
  const TFLMRegistration registration = RegisterGxnorFullyConnected();
  return resolver.AddCustom("GxnorFullyConnected", &registration);
}

template <typename Resolver>
TfLiteStatus AddGxnorDepthwiseConv2D(Resolver& resolver) {
  const TFLMRegistration registration = RegisterGxnorDepthwiseConv2D();
  return resolver.AddCustom("GxnorDepthwiseConv2D", &registration);
}

template <typename Resolver>
TfLiteStatus AddGxnorMaxPool2D(Resolver& resolver) {
  const TFLMRegistration registration = RegisterGxnorMaxPool2D();
  return resolver.AddCustom("GxnorMaxPool2D", &registration);
}

template <typename Resolver>
TfLiteStatus AddGxnorPack(Resolver& resolver) {
  const TFLMRegistration registration = RegisterGxnorPack();
  return resolver.AddCustom("GxnorPack", &registration);
}

template <typename Resolver>
TfLiteStatus AddGxnorUnpack(Resolver& resolver) {
  const TFLMRegistration registration = RegisterGxnorUnpack();
  return resolver.AddCustom("GxnorUnpack", &registration);
}

// Adds all six ops; stops at the first that cannot be added.
template <typename Resolver>
TfLiteStatus AddGxnorOps(Resolver& resolver) {
  TfLiteStatus (*const add[])(Resolver&) = {
      AddGxnorConv2D,    AddGxnorFullyConnected, AddGxnorDepthwiseConv2D,
      AddGxnorMaxPool2D, AddGxnorPack,           AddGxnorUnpack,
  };
  for (auto add_op : add) {
    const TfLiteStatus status = add_op(resolver);
    if (status != kTfLiteOk) return status;
  }
  return kTfLiteOk;
}

}  // namespace gxnor
}  // namespace micro
}  // namespace tflite

namespace gxnor = ::tflite::micro::gxnor;

#endif  // GXNOR_TFLITE_MICRO_GXNOR_OPS_H_
