/* SPDX-License-Identifier: Apache-2.0 */
/* The constants of ops with weights. */
#ifndef GXNOR_OP_WEIGHTS_H_
#define GXNOR_OP_WEIGHTS_H_

#include "op_internal.h"

/* Places of the inputs. */
enum { kGxnorInput, kGxnorWeights, kGxnorThresholds };

bool gxnor_op_has_thresholds(const gxnor_op_node* self);

/* Checks what kernels rely on: P & Z == 0, a null record after each group,
 * weight 0 in lanes without an output channel. */
TfLiteStatus gxnor_op_check_weights(TfLiteContext* context,
                                    const gxnor_op_node* self,
                                    const gxnor_conv2d_shape* shape);

/* Checks bit-sliced thresholds, which go with packed inputs. */
TfLiteStatus gxnor_op_check_sliced_thresholds(TfLiteContext* context,
                                              const gxnor_op_node* self,
                                              const gxnor_conv2d_shape* shape);

/* Checks pairs of thresholds, which go with int8 inputs. */
TfLiteStatus gxnor_op_check_plain_thresholds(TfLiteContext* context,
                                             const gxnor_op_node* self);

/* Checks that a pool has thresholds before it. */
TfLiteStatus gxnor_op_check_pool(TfLiteContext* context,
                                 const gxnor_op_node* self);

/* Reports a kernel or a pool that does not fit the input, or too large a
 * tensor, and returns kTfLiteError. */
TfLiteStatus gxnor_op_fail_shape(TfLiteContext* context,
                                 const gxnor_op_node* self);

/* Resizes the output of a convolution. */
TfLiteStatus gxnor_op_resize_conv_output(TfLiteContext* context,
                                         const gxnor_op_node* self,
                                         const gxnor_conv2d_shape* shape);

#endif /* GXNOR_OP_WEIGHTS_H_ */
