/* SPDX-License-Identifier: Apache-2.0 */
/* Runs ops that passed gxnor_op_check on the kernels of include/gxnor. */
#ifndef GXNOR_OP_RUN_H_
#define GXNOR_OP_RUN_H_

#include "op_check.h"

#if defined(__cplusplus)
extern "C" {
#endif

/* The data of a node. */
typedef struct gxnor_op_data {
  const void* input;
  bool packed; /* Whether the input is int32, else int8. */
  const uint32_t* weights;
  const void* thresholds; /* NULL if there are none. */
  void* buffer;           /* 4-byte aligned, or NULL. */
  size_t buffer_size;
  void* output;
} gxnor_op_data;

/* The bytes of a buffer with which an op runs best; with less, or with none,
 * it is slower. */
size_t gxnor_op_buffer_size(gxnor_op op, bool packed,
                            const gxnor_op_params* params);

/* One function for each kind of op, so that a linker can leave out kernels
 * that are not needed.
 * Returns: GXNOR_OK after gxnor_op_check. */
gxnor_status gxnor_op_run_conv2d(const gxnor_op_params* params,
                                 const gxnor_op_data* data);
gxnor_status gxnor_op_run_depthwise_conv2d(const gxnor_op_params* params,
                                           const gxnor_op_data* data);
gxnor_status gxnor_op_run_max_pool2d(const gxnor_op_params* params,
                                     const gxnor_op_data* data);
gxnor_status gxnor_op_run_pack(const gxnor_op_params* params,
                               const gxnor_op_data* data);
gxnor_status gxnor_op_run_unpack(const gxnor_op_params* params,
                                 const gxnor_op_data* data);

#if defined(__cplusplus)
}
#endif

#endif /* GXNOR_OP_RUN_H_ */
