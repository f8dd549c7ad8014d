/* SPDX-License-Identifier: Apache-2.0 */
/* What a model may say of a custom op: the one place that decides it, for
 * every runtime. After these checks a kernel can run blindly, as long as the
 * constants have the bytes that the runtime says. */
#ifndef GXNOR_OP_CHECK_H_
#define GXNOR_OP_CHECK_H_

#include <stddef.h>

#include "op_options.h"
#include "op_report.h"

#if defined(__cplusplus)
extern "C" {
#endif

/* The numbers of TfLiteType, the same in every runtime. */
enum { kGxnorInt32 = 2, kGxnorInt8 = 9 };

/* Places of the inputs. */
enum { kGxnorInput, kGxnorWeights, kGxnorThresholds, kGxnorMaxInputs };

/* What a runtime knows of a tensor when it prepares. */
typedef struct gxnor_op_tensor {
  int type; /* A TfLiteType. */
  int zero_point;
  int rank;
  const int* sizes;
  bool constant;
  const void* data; /* Of a constant. */
  size_t bytes;     /* Likewise. */
} gxnor_op_tensor;

/* The tensors of a node. */
typedef struct gxnor_op_tensors {
  gxnor_op_tensor inputs[kGxnorMaxInputs]; /* What the op has of them. */
  bool has_thresholds;
  gxnor_op_tensor output; /* gxnor_op_check does not look at its shape. */
} gxnor_op_tensors;

/* The shape that the op gives its output. */
typedef struct gxnor_op_output {
  const int* leading; /* All sizes but the last; maybe the input's own. */
  int leading_count;
  int last;
  int sizes[3]; /* What `leading` points to otherwise. */
} gxnor_op_output;

/* Checks that an op has tensors for all it needs and no more: `present` has
 * one bit for each of its `input_count` inputs. Reports what is wrong. */
bool gxnor_op_check_count(gxnor_op op, int input_count, unsigned present,
                          int output_count, const gxnor_op_report* report);

/* Checks types, shapes and constants of an op whose options were read, and
 * completes its parameters with the shape of its input. Reports what is
 * wrong. *output is valid only if nothing is, and as long as `tensors`. */
bool gxnor_op_check(gxnor_op op, const gxnor_op_tensors* tensors,
                    gxnor_op_params* params, gxnor_op_output* output,
                    const gxnor_op_report* report);

/* Checks that the output's shape in the model is the one it must have, for
 * runtimes that do not resize tensors. */
bool gxnor_op_check_output_shape(const gxnor_op_tensor* received,
                                 const gxnor_op_output* output,
                                 const gxnor_op_report* report);

#if defined(__cplusplus)
}
#endif

#endif /* GXNOR_OP_CHECK_H_ */
