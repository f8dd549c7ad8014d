/* SPDX-License-Identifier: Apache-2.0 */
/* What the node in op_node.c and the host's kernels, op_*.c, share. */
#ifndef GXNOR_OP_INTERNAL_H_
#define GXNOR_OP_INTERNAL_H_

#include "host_depthwise_conv2d.h"
#include "memory.h"
#include "op_run.h"
#include "tflite_abi.h"
#include "thread_pool.h"

typedef struct gxnor_op_family gxnor_op_family;

/* What the nodes of a delegate share. */
typedef struct gxnor_op_shared {
  const gxnor_host_kernels* kernels; /* NULL: those of include/gxnor. */
  gxnor_thread_pool* pool;
} gxnor_op_shared;

/* A node. It belongs to one interpreter. */
typedef struct gxnor_op_node {
  gxnor_op op;
  const gxnor_op_shared* shared;
  const gxnor_op_family* family; /* NULL if the op is unknown. */
  char name[48];
  const void* options; /* In the model. */
  size_t options_size;
  int32_t input_count; /* 0 if one is wrong. */
  int32_t output_count;
  int32_t inputs[kGxnorMaxInputs]; /* kTfLiteOptionalTensor: absent. */
  int32_t output;                  /* Likewise. */
  gxnor_op_params params;          /* Complete after Prepare. */
  size_t input_bytes;              /* What the kernel reads and writes; */
  size_t output_bytes;             /* likewise. */
  bool on_host; /* Whether there is a plan for the host's kernels. */
  union {
    gxnor_host_conv2d conv2d; /* Of a fully connected op, too. */
    gxnor_host_depthwise_conv2d depthwise;
  } plan;
  gxnor_memory packed; /* Weights, if the plan has them packed. */
  gxnor_memory scratch;
} gxnor_op_node;

/* Ops that run on the same kernels. */
struct gxnor_op_family {
  /* Those of the host, if it has any. `prepare` makes a plan and its memory,
   * or sets on_host to false where there are none for the parameters. */
  TfLiteStatus (*prepare)(TfLiteContext* context, gxnor_op_node* self);
  void (*invoke)(const TfLiteContext* context, const gxnor_op_node* self);
  /* Those of include/gxnor. */
  gxnor_status (*run)(const gxnor_op_params* params, const gxnor_op_data* data);
};

/* GxnorConv2D and GxnorFullyConnected. */
extern const gxnor_op_family gxnor_op_conv_family;

/* GxnorDepthwiseConv2D. */
extern const gxnor_op_family gxnor_op_depthwise_family;

/* An input by its place in the op; NULL if it is absent. */
const TfLiteTensor* gxnor_op_input(const TfLiteContext* context,
                                   const gxnor_op_node* self, int32_t place);

const TfLiteTensor* gxnor_op_output_tensor(const TfLiteContext* context,
                                           const gxnor_op_node* self);

bool gxnor_op_has_thresholds(const gxnor_op_node* self);

/* Resizes the scratch buffer. */
TfLiteStatus gxnor_op_resize_scratch(TfLiteContext* context,
                                     gxnor_op_node* self, size_t size);

/* The threads that an invocation may use. */
typedef struct gxnor_op_runner {
  gxnor_thread_pool* pool;
  int32_t threads;
} gxnor_op_runner;

gxnor_op_runner gxnor_op_make_runner(const TfLiteContext* context,
                                     const gxnor_op_node* self);

/* A gxnor_host_run_tasks; the runner is a gxnor_op_runner. */
void gxnor_op_run_tasks(void* runner, gxnor_host_task task, void* argument,
                        int32_t count);

/* Reports an error of a node and returns kTfLiteError. */
TfLiteStatus GXNOR_PRINTF_LIKE(3, 4)
    gxnor_op_node_fail(TfLiteContext* context, const gxnor_op_node* self,
                       const char* format, ...);

#endif /* GXNOR_OP_INTERNAL_H_ */
