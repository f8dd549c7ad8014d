/* SPDX-License-Identifier: Apache-2.0 */
/* Ternary-weight 2-D convolutions; layouts are in gxnor/types.h.
 *
 * All functions are pure: they allocate nothing, keep no state and may be
 * called from any thread or interrupt. They check pointers and parameters,
 * not data; no data, however wrong, makes them access other memory than the
 * tensors. Input and output must not overlap. */
#ifndef GXNOR_CONV2D_H_
#define GXNOR_CONV2D_H_

#include <stddef.h>

#include "gxnor/types.h"

#if defined(__cplusplus)
extern "C" {
#endif

/* Checks the parameters and computes the sizes that follow from them.
 *
 * Every tensor has at most 2^31 - 1 elements, packed or not; and there are at
 * most four times as many rows of the convolution, before the pool, as the
 * input and the kernel have, and columns likewise.
 * Returns: GXNOR_OK; GXNOR_ERR_ARG; GXNOR_ERR_SHAPE if a parameter is out of
 *          range, the kernel or the pool does not fit its padded input, or a
 *          tensor would be too large. *shape is valid after GXNOR_OK only. */
gxnor_status gxnor_conv2d_get_shape(const gxnor_conv2d_params* params,
                                    gxnor_conv2d_shape* shape);

/* Computes the size of a buffer with which the two kernels for ternary inputs
 * are several times as fast: it takes lists of the inputs that are not 0.
 *
 * `positions` is how many positions of a row of the convolution the lists
 * cover; conv_width is best, and fewer need less. Any size is right: the
 * kernels make of a buffer what they can, and of none, too.
 * Returns: GXNOR_OK; GXNOR_ERR_ARG; GXNOR_ERR_SHAPE if gxnor_conv2d_get_shape
 *          refuses the parameters or `positions` is below 1. *size is valid
 *          after GXNOR_OK only; it is 0 if a buffer would not help, as with
 *          dilated columns and depths beyond 65535, with Helium beyond 32767,
 *          on Armv6-M and RISC-V beyond 8191. */
gxnor_status gxnor_conv2d_get_buffer_size(const gxnor_conv2d_params* params,
                                          int32_t positions, size_t* size);

/* Ternary input, ternary output, max-pool.
 *
 * input       t2 [batches][input_height][input_width][input_channels];
 *             tail bits are ignored
 * weights     records [output groups][depth + 1][2]
 * thresholds  t2 thresholds [output groups][planes][2]
 * buffer      2-byte aligned, of buffer_size bytes; NULL: none
 * output      t2 [batches][output_height][output_width][output_channels];
 *             tail bits are set to 0
 * Returns: GXNOR_OK, GXNOR_ERR_ARG, GXNOR_ERR_SHAPE. */
gxnor_status gxnor_conv2d_t2_t2(const gxnor_conv2d_params* params,
                                const uint32_t* input, const uint32_t* weights,
                                const uint32_t* thresholds, void* buffer,
                                size_t buffer_size,
                                uint32_t* GXNOR_RESTRICT output);

/* Ternary input, the accumulators as output, no pool.
 *
 * input    as above
 * weights  as above
 * buffer   as above
 * output   int32_t [batches][output_height][output_width][output_channels],
 *          in [-depth, depth]
 * Returns: GXNOR_OK, GXNOR_ERR_ARG, GXNOR_ERR_SHAPE. */
gxnor_status gxnor_conv2d_t2_s32(const gxnor_conv2d_params* params,
                                 const uint32_t* input, const uint32_t* weights,
                                 void* buffer, size_t buffer_size,
                                 int32_t* GXNOR_RESTRICT output);

/* Computes the size of a buffer with which the two kernels for int8 inputs are
 * several times as fast, first layers more than ten times.
 *
 * It takes lists of the weights that are not 0 and some rows of the input;
 * where a row has fewer than 4 positions, or the depth is beyond 255, lists of
 * the inputs' digits. Any size is right: the kernels make of a buffer what they
 * can, and of none, too.
 * Returns: GXNOR_OK; GXNOR_ERR_ARG; GXNOR_ERR_SHAPE if gxnor_conv2d_get_shape
 *          refuses the parameters. *size is valid after GXNOR_OK only; it is 0
 *          if a buffer would not help, as with few taps for few positions and
 *          the depths that gxnor_conv2d_get_buffer_size says. */
gxnor_status gxnor_conv2d_s8_get_buffer_size(const gxnor_conv2d_params* params,
                                             size_t* size);

/* int8 input with zero point 0, ternary output, max-pool.
 *
 * input       int8_t [batches][input_height][input_width][input_channels]
 * weights     as above
 * thresholds  s8 thresholds [output_channels][2]
 * buffer      4-byte aligned, of buffer_size bytes; NULL: none
 * output      as of gxnor_conv2d_t2_t2
 * Returns: GXNOR_OK, GXNOR_ERR_ARG, GXNOR_ERR_SHAPE. */
gxnor_status gxnor_conv2d_s8_t2(const gxnor_conv2d_params* params,
                                const int8_t* input, const uint32_t* weights,
                                const int32_t* thresholds, void* buffer,
                                size_t buffer_size,
                                uint32_t* GXNOR_RESTRICT output);

/* int8 input with zero point 0, the accumulators as output, no pool.
 *
 * input    as of gxnor_conv2d_s8_t2
 * weights  as above
 * buffer   as of gxnor_conv2d_s8_t2
 * output   int32_t [batches][output_height][output_width][output_channels],
 *          in [-128 * depth, 128 * depth]
 * Returns: GXNOR_OK, GXNOR_ERR_ARG, GXNOR_ERR_SHAPE. */
gxnor_status gxnor_conv2d_s8_s32(const gxnor_conv2d_params* params,
                                 const int8_t* input, const uint32_t* weights,
                                 void* buffer, size_t buffer_size,
                                 int32_t* GXNOR_RESTRICT output);

#if defined(__cplusplus)
}
#endif

#endif /* GXNOR_CONV2D_H_ */
