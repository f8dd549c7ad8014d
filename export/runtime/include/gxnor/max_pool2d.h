/* SPDX-License-Identifier: Apache-2.0 */
/* Max-pool of packed ternary states; layouts are in gxnor/types.h.
 *
 * All functions are pure: they allocate nothing, keep no state and may be
 * called from any thread or interrupt. They check pointers and parameters,
 * not data; no data, however wrong, makes them access other memory than the
 * tensors. Input and output must not overlap. */
#ifndef GXNOR_MAX_POOL2D_H_
#define GXNOR_MAX_POOL2D_H_

#include "gxnor/types.h"

#if defined(__cplusplus)
extern "C" {
#endif

/* A max-pool. Its padding contributes nothing. */
typedef struct gxnor_max_pool2d_params {
  int32_t batches;       /* >= 1 */
  int32_t input_height;  /* >= 1 */
  int32_t input_width;   /* >= 1 */
  int32_t channels;      /* >= 1, unpacked */
  int32_t pool_height;   /* >= 1 */
  int32_t pool_width;    /* >= 1 */
  int32_t stride_height; /* >= 1 */
  int32_t stride_width;  /* >= 1 */
  int32_t pad_top;       /* >= 0, < pool_height */
  int32_t pad_bottom;    /* >= 0, < pool_height */
  int32_t pad_left;      /* >= 0, < pool_width */
  int32_t pad_right;     /* >= 0, < pool_width */
} gxnor_max_pool2d_params;

/* What follows from the parameters. */
typedef struct gxnor_max_pool2d_shape {
  int32_t output_height;
  int32_t output_width;
  int32_t groups; /* Groups of 32 channels. */
} gxnor_max_pool2d_shape;

/* Checks the parameters and computes the sizes that follow from them.
 *
 * Every tensor has at most 2^31 - 1 elements, packed or not.
 * Returns: GXNOR_OK; GXNOR_ERR_ARG; GXNOR_ERR_SHAPE if a parameter is out of
 *          range, the pool does not fit its padded input, or a tensor would be
 *          too large. *shape is valid after GXNOR_OK only. */
gxnor_status gxnor_max_pool2d_get_shape(const gxnor_max_pool2d_params* params,
                                        gxnor_max_pool2d_shape* shape);

/* Pools.
 *
 * input   t2 [batches][input_height][input_width][channels]; a channel that is
 *         set in both planes counts as 0
 * output  t2 [batches][output_height][output_width][channels]; tail bits are 0
 *         if those of the input are
 * Returns: GXNOR_OK, GXNOR_ERR_ARG, GXNOR_ERR_SHAPE. */
gxnor_status gxnor_max_pool2d_t2(const gxnor_max_pool2d_params* params,
                                 const uint32_t* input,
                                 uint32_t* GXNOR_RESTRICT output);

#if defined(__cplusplus)
}
#endif

#endif /* GXNOR_MAX_POOL2D_H_ */
