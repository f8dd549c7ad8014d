/* SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolutions with ternary weights: output channel c sees input
 * channel c only. Layouts are in gxnor/types.h.
 *
 * The parameters are those of a convolution with as many output as input
 * channels. Its depth is kernel height * kernel width, and so the weights are
 * those of a convolution with one input channel.
 *
 * All functions are pure: they allocate nothing, keep no state and may be
 * called from any thread or interrupt. They check pointers and parameters,
 * not data; no data, however wrong, makes them access other memory than the
 * tensors. Input and output must not overlap. */
#ifndef GXNOR_DEPTHWISE_CONV2D_H_
#define GXNOR_DEPTHWISE_CONV2D_H_

#include "gxnor/types.h"

#if defined(__cplusplus)
extern "C" {
#endif

/* Checks the parameters and computes the sizes that follow from them.
 *
 * Every tensor has at most 2^31 - 1 elements, packed or not.
 * Returns: GXNOR_OK; GXNOR_ERR_ARG; GXNOR_ERR_SHAPE if a parameter is out of
 *          range, the kernel or the pool does not fit its padded input, a
 *          tensor would be too large, or the channels differ. *shape is valid
 *          after GXNOR_OK only. */
gxnor_status gxnor_depthwise_conv2d_get_shape(const gxnor_conv2d_params* params,
                                              gxnor_conv2d_shape* shape);

/* Ternary input, ternary output, max-pool.
 *
 * input       t2 [batches][input_height][input_width][channels]; tail bits
 *             are ignored
 * weights     records [groups][depth + 1][2]
 * thresholds  t2 thresholds [groups][planes][2]
 * output      t2 [batches][output_height][output_width][channels]; tail bits
 *             are set to 0
 * Returns: GXNOR_OK, GXNOR_ERR_ARG, GXNOR_ERR_SHAPE. */
gxnor_status gxnor_depthwise_conv2d_t2_t2(const gxnor_conv2d_params* params,
                                          const uint32_t* input,
                                          const uint32_t* weights,
                                          const uint32_t* thresholds,
                                          uint32_t* GXNOR_RESTRICT output);

/* Ternary input, the accumulators as output, no pool.
 *
 * input    as above
 * weights  as above
 * output   int32_t [batches][output_height][output_width][channels], in
 *          [-depth, depth]
 * Returns: GXNOR_OK, GXNOR_ERR_ARG, GXNOR_ERR_SHAPE. */
gxnor_status gxnor_depthwise_conv2d_t2_s32(const gxnor_conv2d_params* params,
                                           const uint32_t* input,
                                           const uint32_t* weights,
                                           int32_t* GXNOR_RESTRICT output);

#if defined(__cplusplus)
}
#endif

#endif /* GXNOR_DEPTHWISE_CONV2D_H_ */
