/* SPDX-License-Identifier: Apache-2.0 */
/* The inner parts of the convolutions.
 *
 * A kernel is a function that computes 32 output channels of one position of
 * the convolution, called from one of two loops over all positions. */
#ifndef GXNOR_CONV2D_INTERNAL_H_
#define GXNOR_CONV2D_INTERNAL_H_

#include "gxnor/types.h"

/* Planes at GXNOR_MAX_DEPTH. */
#define GXNOR_MAX_PLANES 26

/* The checked arguments of a kernel. */
typedef struct gxnor_conv2d_call {
  const gxnor_conv2d_params* params;
  gxnor_conv2d_shape shape;
  const void* input;
  const uint32_t* weights;
  const void* thresholds; /* NULL if the kernel has none. */
} gxnor_conv2d_call;

/* A position of the convolution, before the pool, and a group of 32 output
 * channels. */
typedef struct gxnor_conv2d_position {
  int32_t batch;
  int32_t y;
  int32_t x;
  int32_t group;
} gxnor_conv2d_position;

/* Computes the states {plus, minus} of 32 output channels. */
typedef void (*gxnor_conv2d_ternary)(const gxnor_conv2d_call* call,
                                     const gxnor_conv2d_position* position,
                                     uint32_t pair[2]);

/* Computes the accumulators of 32 output channels. */
typedef void (*gxnor_conv2d_sums)(const gxnor_conv2d_call* call,
                                  const gxnor_conv2d_position* position,
                                  int32_t sums[GXNOR_LANES]);

/* Writes the packed output: the maximum of the ternary states over each pool
 * window. */
void gxnor_conv2d_write_t2(const gxnor_conv2d_call* call,
                           gxnor_conv2d_ternary ternary,
                           uint32_t* GXNOR_RESTRICT output);

/* Writes the accumulators as the output. The parameters have no pool. */
void gxnor_conv2d_write_s32(const gxnor_conv2d_call* call,
                            gxnor_conv2d_sums sums,
                            int32_t* GXNOR_RESTRICT output);

/* Whether the parameters have a pool. */
int gxnor_conv2d_has_pool(const gxnor_conv2d_params* params);

/* Sums of a packed input. Bit l of planes[i], i < shape.planes, is bit i of
 * the two's complement sum of lane l. */
void gxnor_conv2d_accumulate_t2(const gxnor_conv2d_call* call,
                                const gxnor_conv2d_position* position,
                                uint32_t planes[GXNOR_MAX_PLANES]);

/* Sums of an int8 input. */
void gxnor_conv2d_accumulate_s8(const gxnor_conv2d_call* call,
                                const gxnor_conv2d_position* position,
                                int32_t sums[GXNOR_LANES]);

#endif /* GXNOR_CONV2D_INTERNAL_H_ */
