/* SPDX-License-Identifier: Apache-2.0 */
/* An external delegate that runs the Gxnor* custom ops in TensorFlow Lite.
 *
 * The Python packages of TensorFlow Lite and LiteRT have no way to register a
 * custom op, but they load delegates. Each op becomes a kernel of its own, so
 * that every tensor between ops is the runtime's: it allocates and resizes
 * them, and runs the builtin ops between ours as usual.
 *
 * Nodes share the choice of kernels and a pool of threads: one delegate may
 * serve several interpreters in several threads.
 *
 * Option `kernels`: "auto" (default), a name of gxnor_host_find_kernels, or
 * "reference" for the kernels that microcontrollers run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "op_internal.h"
#include "op_node.h"

#if defined(_WIN32)
#define GXNOR_EXPORT __declspec(dllexport)
#else
#define GXNOR_EXPORT __attribute__((visibility("default")))
#endif

static bool is_ours(const TfLiteRegistration* registration) {
  static const char kPrefix[] = "Gxnor";
  return registration->builtin_code == kTfLiteBuiltinCustom &&
         registration->custom_name != NULL &&
         strncmp(registration->custom_name, kPrefix, sizeof kPrefix - 1) == 0;
}

/* Replaces one node by a kernel. */
static TfLiteStatus replace_node(TfLiteContext* context,
                                 TfLiteDelegate* delegate, int32_t node) {
  TfLiteStatus status;
  TfLiteIntArray* const nodes = malloc(sizeof *nodes + sizeof nodes->data[0]);
  if (nodes == NULL) return kTfLiteError;
  nodes->size = 1;
  nodes->data[0] = node;
  status = context->ReplaceNodeSubsetsWithDelegateKernels(
      context, gxnor_op_node_registration(), nodes, delegate);
  free(nodes);
  return status;
}

static TfLiteStatus delegate_prepare(TfLiteContext* context,
                                     TfLiteDelegate* delegate) {
  TfLiteIntArray* plan;
  TfLiteStatus status;
  int32_t count, *nodes;
  status = context->GetExecutionPlan(context, &plan);
  if (status != kTfLiteOk) return status;

  /* Replacing nodes changes the plan, hence the copy. */
  count = plan->size;
  nodes = malloc(((size_t)count + 1) * sizeof *nodes);
  if (nodes == NULL) return kTfLiteError;
  for (int32_t i = 0; i < count; ++i) nodes[i] = plan->data[i];

  for (int32_t i = 0; i < count && status == kTfLiteOk; ++i) {
    TfLiteNode* node;
    TfLiteRegistration* registration;
    status = context->GetNodeAndRegistration(context, nodes[i], &node,
                                             &registration);
    if (status == kTfLiteOk && is_ours(registration)) {
      status = replace_node(context, delegate, nodes[i]);
    }
  }
  free(nodes);
  return status;
}

/* A delegate and what its nodes share. */
typedef struct delegate {
  TfLiteDelegate base;
  gxnor_op_shared shared;
} delegate;

static void report(void (*report_error)(const char*), const char* format,
                   const char* key, const char* value) {
  char text[512], names[256] = "auto, reference";
  if (report_error == NULL) return;
  for (size_t i = 0; gxnor_host_kernels_name(i) != NULL; ++i) {
    const size_t length = strlen(names);
    snprintf(names + length, sizeof names - length, ", %s",
             gxnor_host_kernels_name(i));
  }
  snprintf(text, sizeof text, format, names, key, value);
  report_error(text);
}

/* Reads the options; false if one of them is wrong. */
static bool read_options(const char* const* keys, const char* const* values,
                         size_t count, void (*report_error)(const char*),
                         const gxnor_host_kernels** kernels) {
  *kernels = gxnor_host_find_kernels("auto");
  for (size_t i = 0; i < count; ++i) {
    if (strcmp(keys[i], "kernels") != 0) {
      report(report_error,
             "The gxnor_tf delegate has the option `kernels` only, one of "
             "%s. Received: %.64s=%.64s",
             keys[i], values[i]);
      return false;
    }
    *kernels = gxnor_host_find_kernels(values[i]);
    if (*kernels == NULL && strcmp(values[i], "reference") != 0) {
      report(report_error,
             "On this processor `kernels` must be one of %s. Received: "
             "%.64s=%.64s",
             keys[i], values[i]);
      return false;
    }
  }
  return true;
}

/* The two functions that a runtime looks up in an external delegate. */
GXNOR_EXPORT TfLiteDelegate* tflite_plugin_create_delegate(
    const char* const* option_keys, const char* const* option_values,
    size_t option_count, void (*report_error)(const char*));
GXNOR_EXPORT void tflite_plugin_destroy_delegate(TfLiteDelegate* base);

/* The bytes of packed weights (kind 0) or of scratch (kind 1) of all delegates
 * in the process. */
GXNOR_EXPORT size_t gxnor_delegate_memory(int32_t kind);

/* The kernels of this processor, best first; NULL after the last one. */
GXNOR_EXPORT const char* gxnor_delegate_kernels(size_t index);

size_t gxnor_delegate_memory(int32_t kind) {
  return kind == 0 ? gxnor_memory_total(GXNOR_MEMORY_WEIGHTS)
                   : gxnor_memory_total(GXNOR_MEMORY_SCRATCH);
}

const char* gxnor_delegate_kernels(size_t index) {
  return gxnor_host_kernels_name(index);
}

TfLiteDelegate* tflite_plugin_create_delegate(
    const char* const* option_keys, const char* const* option_values,
    size_t option_count, void (*report_error)(const char*)) {
  const gxnor_host_kernels* kernels;
  delegate* self;
  if (!read_options(option_keys, option_values, option_count, report_error,
                    &kernels)) {
    return NULL;
  }
  self = calloc(1, sizeof *self);
  if (self == NULL) return NULL;
  self->shared.kernels = kernels;
  self->shared.pool = gxnor_thread_pool_create();
  if (self->shared.pool == NULL) {
    free(self);
    return NULL;
  }
  self->base.data_ = &self->shared;
  self->base.Prepare = delegate_prepare;
  /* Without this flag the runtime prepares all nodes before it asks us, and
   * gives up at the first custom op. */
  self->base.flags = kTfLiteDelegateFlagsAllowDynamicTensors;
  return &self->base;
}

void tflite_plugin_destroy_delegate(TfLiteDelegate* base) {
  delegate* const self = (delegate*)(void*)base;
  if (self == NULL) return;
  gxnor_thread_pool_destroy(self->shared.pool);
  free(self);
}
