/* SPDX-License-Identifier: Apache-2.0 */
/* What the node in op_node.c and the families of ops, op_*.c, share. */
#ifndef GXNOR_OP_INTERNAL_H_
#define GXNOR_OP_INTERNAL_H_

#include "host_depthwise_conv2d.h"
#include "memory.h"
#include "op_options.h"
#include "tflite_abi.h"
#include "thread_pool.h"

#if defined(__GNUC__)
#define GXNOR_PRINTF_LIKE(text, first) \
  __attribute__((format(printf, text, first)))
#else
#define GXNOR_PRINTF_LIKE(text, first)
#endif

enum { kGxnorMaxInputs = 3, kGxnorShapeTextSize = 64 };

typedef struct gxnor_op_family gxnor_op_family;

/* What the nodes of a delegate share. */
typedef struct gxnor_op_shared {
  const gxnor_host_kernels* kernels; /* NULL: those of gxnor/conv2d.h. */
  gxnor_thread_pool* pool;
} gxnor_op_shared;

/* A node. It belongs to one interpreter. */
typedef struct gxnor_op_node {
  gxnor_op op;
  const gxnor_op_shared* shared;
  const gxnor_op_family* family; /* NULL if the op is unknown. */
  char name[48];
  int32_t inputs[kGxnorMaxInputs]; /* kTfLiteOptionalTensor: absent. */
  int32_t output;                  /* Likewise, if Init failed. */
  gxnor_op_params params;          /* Complete after Prepare. */
  bool on_host; /* Whether there is a plan for the host's kernels. */
  union {
    gxnor_host_conv2d conv2d; /* Of a fully connected op, too. */
    gxnor_host_depthwise_conv2d depthwise;
  } plan;
  gxnor_memory packed; /* Weights, if the plan has them packed. */
  gxnor_memory scratch;
  char message[GXNOR_OPTIONS_MESSAGE_SIZE]; /* What Init found, or "". */
} gxnor_op_node;

/* Ops that have the same tensors and checks. */
struct gxnor_op_family {
  int32_t required_inputs;
  int32_t most_inputs;     /* <= kGxnorMaxInputs; further ones are optional. */
  const char* inputs_text; /* After "the op must have". */
  /* Checks all that invoke relies on, completes the parameters and resizes
   * the output. All required tensors exist. */
  TfLiteStatus (*prepare)(TfLiteContext* context, gxnor_op_node* self);
  /* Runs the kernel. */
  gxnor_status (*invoke)(const TfLiteContext* context,
                         const gxnor_op_node* self);
};

/* GxnorConv2D and GxnorFullyConnected. */
extern const gxnor_op_family gxnor_op_conv_family;

/* GxnorDepthwiseConv2D. */
extern const gxnor_op_family gxnor_op_depthwise_family;

/* GxnorMaxPool2D. */
extern const gxnor_op_family gxnor_op_max_pool_family;

/* GxnorPack and GxnorUnpack. */
extern const gxnor_op_family gxnor_op_pack_family;

/* An input by its place in the op; NULL if it is absent. */
const TfLiteTensor* gxnor_op_input(const TfLiteContext* context,
                                   const gxnor_op_node* self, int32_t place);

const TfLiteTensor* gxnor_op_output(const TfLiteContext* context,
                                    const gxnor_op_node* self);

/* Words of one position of a packed tensor. */
int32_t gxnor_op_packed_size(int32_t channels);

/* Resizes the output to `leading_count` sizes and the size `last`. */
TfLiteStatus gxnor_op_resize_output(TfLiteContext* context,
                                    const gxnor_op_node* self,
                                    const int32_t* leading,
                                    int32_t leading_count, int32_t last);

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
    gxnor_op_fail(TfLiteContext* context, const gxnor_op_node* self,
                  const char* format, ...);

/* Writes a shape as "1, 28, 28, 2", cut after some sizes. */
const char* gxnor_shape_text(const int32_t* sizes, int32_t rank,
                             char text[kGxnorShapeTextSize]);

/* The same of a tensor's shape, which may be NULL. */
const char* gxnor_dims_text(const TfLiteIntArray* dims,
                            char text[kGxnorShapeTextSize]);

/* Checks that no size is below 1. */
TfLiteStatus gxnor_op_check_sizes(TfLiteContext* context,
                                  const gxnor_op_node* self,
                                  const TfLiteIntArray* dims);

/* Checks that the first input has the shape (batch, height, width, words) of
 * packed channels, and reads the first three sizes. */
TfLiteStatus gxnor_op_check_packed_image(TfLiteContext* context,
                                         const gxnor_op_node* self,
                                         int32_t channels, int32_t sizes[3]);

#endif /* GXNOR_OP_INTERNAL_H_ */
