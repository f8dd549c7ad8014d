/* SPDX-License-Identifier: Apache-2.0 */
/* The inner parts of the convolutions.
 *
 * A kernel is a function that computes 32 output channels of one position of
 * the convolution, called from one of two loops over all positions. */
#ifndef GXNOR_CONV2D_INTERNAL_H_
#define GXNOR_CONV2D_INTERNAL_H_

#include <stddef.h>

#include "gxnor/types.h"

static inline int32_t gxnor_least(int32_t a, int32_t b) {
  return a < b ? a : b;
}

/* Planes at GXNOR_MAX_DEPTH. */
#define GXNOR_MAX_PLANES 26

/* The checked arguments of a kernel. */
typedef struct gxnor_conv2d_call {
  const gxnor_conv2d_params* params;
  gxnor_conv2d_shape shape;
  const void* input;
  const uint32_t* weights;
  const void* thresholds; /* NULL if the kernel has none. */
  void* scratch; /* What a kernel keeps between positions, else NULL. */
} gxnor_conv2d_call;

/* gxnor_conv2d_get_shape, or its like for other ops. */
typedef gxnor_status (*gxnor_conv2d_shape_of)(const gxnor_conv2d_params* params,
                                              gxnor_conv2d_shape* shape);

/* Checks the arguments of a kernel without thresholds and a pool.
 *
 * Returns: GXNOR_OK, GXNOR_ERR_ARG, GXNOR_ERR_SHAPE. *call is valid after
 *          GXNOR_OK only. */
gxnor_status gxnor_conv2d_check_sums(gxnor_conv2d_shape_of shape_of,
                                     const gxnor_conv2d_params* params,
                                     const void* input, const uint32_t* weights,
                                     const void* output,
                                     gxnor_conv2d_call* call);

/* Checks the arguments of a kernel with both. */
gxnor_status gxnor_conv2d_check_states(
    gxnor_conv2d_shape_of shape_of, const gxnor_conv2d_params* params,
    const void* input, const uint32_t* weights, const void* thresholds,
    const void* output, gxnor_conv2d_call* call);

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

/* Compares bit-sliced sums, which it changes, with the call's thresholds. */
void gxnor_conv2d_compare(const gxnor_conv2d_call* call,
                          const gxnor_conv2d_position* position,
                          uint32_t planes[GXNOR_MAX_PLANES], uint32_t pair[2]);

/* Reads a bit-sliced threshold of a lane from every second word. */
int32_t gxnor_conv2d_read_threshold(const uint32_t* words, int32_t plane_count,
                                    int32_t lane);

/* Gathers the sums of 32 lanes from their planes. */
void gxnor_conv2d_gather(const gxnor_conv2d_call* call,
                         const uint32_t planes[GXNOR_MAX_PLANES],
                         int32_t sums[GXNOR_LANES]);

/* Adds weight + 1 = 2 P + Z to the sums of 32 lanes. P and Z exclude each
 * other. */
void gxnor_conv2d_add_record(const uint32_t record[2], int32_t plane_count,
                             uint32_t* planes);

/* Adds the same number to all lanes. */
void gxnor_conv2d_add_to_all(uint32_t number, int32_t plane_count,
                             uint32_t* planes);

/* Sums of an int8 input. */
void gxnor_conv2d_accumulate_s8(const gxnor_conv2d_call* call,
                                const gxnor_conv2d_position* position,
                                int32_t sums[GXNOR_LANES]);

/* What a walk over the taps of one position needs. */
typedef struct gxnor_conv2d_tap {
  size_t input;   /* Index of the input position. */
  int32_t number; /* Of the tap, row by row. */
} gxnor_conv2d_tap;

/* Finds the tap (ky, kx); 0 if it lies in the padding. */
int gxnor_conv2d_find_tap(const gxnor_conv2d_call* call,
                          const gxnor_conv2d_position* position, int32_t ky,
                          int32_t kx, gxnor_conv2d_tap* found);

/* The records of the weights of a group. */
const uint32_t* gxnor_conv2d_group_records(const gxnor_conv2d_call* call,
                                           int32_t group);

/* The lanes of a group that have a channel. */
uint32_t gxnor_conv2d_lane_mask(int32_t channels, int32_t group);

#endif /* GXNOR_CONV2D_INTERNAL_H_ */
