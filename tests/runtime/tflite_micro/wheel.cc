/* SPDX-License-Identifier: Apache-2.0 */
// Adds the ops of gxnor_ops.cc to an interpreter of the wheel `tflite-micro`,
// and watches over the memory that they get: every buffer has a guard word
// behind it, which must be whole after each Prepare and Eval.
#include <stdint.h>
#include <string.h>

#include <vector>

#include "gxnor_ops.h"
#include "tensorflow/lite/micro/micro_context.h"
#include "tensorflow/lite/micro/micro_log.h"

// A test of the tests moves the guard of scratch buffers into the buffer.
#if !defined(GXNOR_TEST_GUARD_SHIFT)
#define GXNOR_TEST_GUARD_SHIFT 0
#endif

namespace tflite {
namespace micro {
// The names are right for both places of the types, as in gxnor_ops.h.
namespace wheel {
// ---- The wheel's own functions ----

void* AllocatePersistent(MicroContext* context, size_t bytes) GXNOR_TEST_SYMBOL(
    "_ZN6tflite5micro23MicroInterpreterContext"
    "24AllocatePersistentBufferEm");

TfLiteStatus RequestScratch(MicroContext* context, size_t bytes, int* index)
    GXNOR_TEST_SYMBOL(
        "_ZN6tflite5micro23MicroInterpreterContext"
        "27RequestScratchBufferInArenaEmPi");

void* GetScratch(MicroContext* context, int index) GXNOR_TEST_SYMBOL(
    "_ZN6tflite5micro23MicroInterpreterContext16GetScratchBufferEi");

const TFLMRegistration* FindOp(const void* resolver, const char* name)
    GXNOR_TEST_SYMBOL(
        "_ZNK6tflite5micro22MicroMutableOpResolverILj200EE6FindOpEPKc");

// ---- Guards ----

namespace {

constexpr uint32_t kGuard = 0x5a5aa5a5;
constexpr size_t kGuardBytes = sizeof kGuard;

std::vector<char*>& PersistentGuards() {
  static std::vector<char*> guards;
  return guards;
}

std::vector<size_t>& ScratchSizes() {  // By index.
  static std::vector<size_t> sizes;
  return sizes;
}

char*& ScratchGuard() {  // Of the op that runs; nullptr: it has none.
  static char* guard = nullptr;
  return guard;
}

bool IsWhole(const char* guard) {
  return memcmp(guard, &kGuard, kGuardBytes) == 0;
}

bool GuardsAreWhole() {
  for (const char* guard : PersistentGuards()) {
    if (!IsWhole(guard)) return false;
  }
  return ScratchGuard() == nullptr || IsWhole(ScratchGuard());
}

// ---- Registration ----

constexpr int kMaxOps = 6;
constexpr int kCustom = 32;
TFLMRegistration originals[kMaxOps];
int original_count = 0;

TfLiteStatus Check(TfLiteStatus status) {
  if (GuardsAreWhole()) return status;
  MicroPrintf("A guard word was overwritten.");
  return kTfLiteError;
}

template <int kPlace>
TfLiteStatus CheckedPrepare(TfLiteContext* context, TfLiteNode* node) {
  ScratchGuard() = nullptr;
  return Check(originals[kPlace].prepare(context, node));
}

template <int kPlace>
TfLiteStatus CheckedEval(TfLiteContext* context, TfLiteNode* node) {
  ScratchGuard() = nullptr;
  return Check(originals[kPlace].invoke(context, node));
}

struct Checked {
  decltype(TFLMRegistration::prepare) prepare;
  decltype(TFLMRegistration::invoke) invoke;
};

constexpr Checked kChecked[kMaxOps] = {
    {CheckedPrepare<0>, CheckedEval<0>}, {CheckedPrepare<1>, CheckedEval<1>},
    {CheckedPrepare<2>, CheckedEval<2>}, {CheckedPrepare<3>, CheckedEval<3>},
    {CheckedPrepare<4>, CheckedEval<4>}, {CheckedPrepare<5>, CheckedEval<5>},
};

// The wheel's MicroMutableOpResolver<200>, to be used by reference only.
struct Resolver {
  static constexpr unsigned kCapacity = 200;

  void* vtable;
  TFLMRegistration registrations[kCapacity];
  unsigned length;

  TfLiteStatus AddCustom(const char* name,
                         const TFLMRegistration* registration) {
    if (length == 0 || length >= kCapacity || original_count == kMaxOps ||
        FindOp(this, name) != nullptr) {
      return kTfLiteError;
    }
    TFLMRegistration* const added = &registrations[length++];
    *added = *registration;
    added->builtin_code = kCustom;
    added->custom_name = name;
    originals[original_count] = *registration;
    added->prepare = kChecked[original_count].prepare;
    added->invoke = kChecked[original_count].invoke;
    ++original_count;
    // Does the wheel agree, or has it another layout?
    return FindOp(this, name) == added ? kTfLiteOk : kTfLiteError;
  }
};

// A new interpreter: the buffers of the last one may be gone.
void Start() {
  PersistentGuards().clear();
  ScratchSizes().clear();
  original_count = 0;
}

bool AddAll(void* resolver) {
  Start();
  return ::gxnor::AddGxnorOps(*static_cast<Resolver*>(resolver)) == kTfLiteOk;
}

bool AddTwo(void* resolver) {
  Resolver& self = *static_cast<Resolver*>(resolver);
  Start();
  return ::gxnor::AddGxnorPack(self) == kTfLiteOk &&
         ::gxnor::AddGxnorUnpack(self) == kTfLiteOk;
}

bool AddTwice(void* resolver) {
  Resolver& self = *static_cast<Resolver*>(resolver);
  Start();
  return ::gxnor::AddGxnorPack(self) == kTfLiteOk &&
         ::gxnor::AddGxnorOps(self) == kTfLiteOk;
}

size_t LargestScratch() {
  size_t largest = 0;
  for (const size_t size : ScratchSizes()) {
    largest = size > largest ? size : largest;
  }
  return largest;
}

using Context = MicroContext;  // In one of two namespaces.

}  // namespace
}  // namespace wheel
}  // namespace micro
}  // namespace tflite

namespace wheel = tflite::micro::wheel;

void* wheel::Context::AllocatePersistentBuffer(size_t bytes) {
  void* const buffer =
      wheel::AllocatePersistent(this, bytes + wheel::kGuardBytes);
  if (buffer == nullptr) return nullptr;
  memset(buffer, 0xa5, bytes);  // What is in an arena is not 0.
  wheel::PersistentGuards().push_back(static_cast<char*>(buffer) + bytes);
  memcpy(wheel::PersistentGuards().back(), &wheel::kGuard, wheel::kGuardBytes);
  return buffer;
}

auto wheel::Context::RequestScratchBufferInArena(size_t bytes, int* buffer_idx)
    -> TfLiteStatus {
  const TfLiteStatus status =
      wheel::RequestScratch(this, bytes + wheel::kGuardBytes, buffer_idx);
  if (status != kTfLiteOk) return status;
  wheel::ScratchSizes().resize(static_cast<size_t>(*buffer_idx) + 1);
  wheel::ScratchSizes().back() = bytes;
  return kTfLiteOk;
}

void* wheel::Context::GetScratchBuffer(int buffer_idx) {
  char* const buffer = static_cast<char*>(wheel::GetScratch(this, buffer_idx));
  const size_t bytes = wheel::ScratchSizes()[static_cast<size_t>(buffer_idx)];
  memset(buffer, 0xa5, bytes);
  wheel::ScratchGuard() = buffer + bytes - GXNOR_TEST_GUARD_SHIFT;
  memcpy(wheel::ScratchGuard(), &wheel::kGuard, wheel::kGuardBytes);
  return buffer;
}

// What the wheel's interpreter finds by name; it passes its resolver. All
// builds of this file are in one process, so that each has names of its own.
#define GXNOR_TEST_JOIN(name, suffix) name##_##suffix
#define GXNOR_TEST_NAME_OF(name, suffix) GXNOR_TEST_JOIN(name, suffix)
#define GXNOR_TEST_EXPORT(type, name)                                        \
  extern "C" __attribute__((visibility("default"))) type GXNOR_TEST_NAME_OF( \
      name, GXNOR_TEST_SUFFIX)

GXNOR_TEST_EXPORT(bool, AddGxnorOps)(void* resolver) {
  return wheel::AddAll(resolver);
}

// GxnorPack and GxnorUnpack.
GXNOR_TEST_EXPORT(bool, AddTwoGxnorOps)(void* resolver) {
  return wheel::AddTwo(resolver);
}

GXNOR_TEST_EXPORT(bool, AddGxnorOpsTwice)(void* resolver) {
  return wheel::AddTwice(resolver);
}

// Bytes of scratch of the op that asked for most, in the last interpreter.
GXNOR_TEST_EXPORT(size_t, LargestGxnorScratch)() {
  return wheel::LargestScratch();
}
