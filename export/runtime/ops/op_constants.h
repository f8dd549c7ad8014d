/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of what kernels rely on in weights and thresholds. */
#ifndef GXNOR_OP_CONSTANTS_H_
#define GXNOR_OP_CONSTANTS_H_

#include "op_check.h"

/* P & Z == 0, a null record after each group, weight 0 in lanes without an
 * output channel. */
bool gxnor_op_check_weights(const gxnor_op_tensor* weights,
                            int32_t output_channels,
                            const gxnor_conv2d_shape* shape,
                            const gxnor_op_report* report);

/* Bit-sliced thresholds, which go with packed inputs. */
bool gxnor_op_check_sliced_thresholds(const gxnor_op_tensor* thresholds,
                                      int32_t output_channels,
                                      const gxnor_conv2d_shape* shape,
                                      const gxnor_op_report* report);

/* Pairs of thresholds, which go with int8 inputs. */
bool gxnor_op_check_plain_thresholds(const gxnor_op_tensor* thresholds,
                                     int32_t output_channels,
                                     const gxnor_op_report* report);

/* Words are read from the data of a constant. */
bool gxnor_op_check_alignment(const char* what, const gxnor_op_tensor* tensor,
                              const gxnor_op_report* report);

#endif /* GXNOR_OP_CONSTANTS_H_ */
