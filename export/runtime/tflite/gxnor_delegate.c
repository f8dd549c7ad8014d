/* SPDX-License-Identifier: Apache-2.0 */
/* An external delegate that runs the Gxnor* custom ops in TensorFlow Lite.
 *
 * The Python packages of TensorFlow Lite and LiteRT have no way to register a
 * custom op, but they load delegates. Each op becomes a kernel of its own, so
 * that every tensor between ops is the runtime's: it allocates and resizes
 * them, and runs the builtin ops between ours as usual.
 *
 * The delegate has no state of its own: one may serve several interpreters in
 * several threads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* The two functions that a runtime looks up in an external delegate. */
GXNOR_EXPORT TfLiteDelegate* tflite_plugin_create_delegate(
    const char* const* option_keys, const char* const* option_values,
    size_t option_count, void (*report_error)(const char*));
GXNOR_EXPORT void tflite_plugin_destroy_delegate(TfLiteDelegate* delegate);

TfLiteDelegate* tflite_plugin_create_delegate(
    const char* const* option_keys, const char* const* option_values,
    size_t option_count, void (*report_error)(const char*)) {
  TfLiteDelegate* delegate;
  if (option_count != 0) {
    if (report_error != NULL) {
      char text[256];
      snprintf(text, sizeof text,
               "The gxnor_tf delegate has no options: load it without any. "
               "Received: %.64s=%.64s",
               option_keys[0], option_values[0]);
      report_error(text);
    }
    return NULL;
  }
  delegate = calloc(1, sizeof *delegate);
  if (delegate == NULL) return NULL;
  delegate->Prepare = delegate_prepare;
  /* Without this flag the runtime prepares all nodes before it asks us, and
   * gives up at the first custom op. */
  delegate->flags = kTfLiteDelegateFlagsAllowDynamicTensors;
  return delegate;
}

void tflite_plugin_destroy_delegate(TfLiteDelegate* delegate) {
  free(delegate);
}
