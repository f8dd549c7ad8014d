/* SPDX-License-Identifier: Apache-2.0 */
/* What all kernels share: status codes, parameters and layouts.
 *
 * Layouts, all NHWC. "t2" is a ternary tensor in two bit planes, "s8" and
 * "s32" are signed integers.
 *
 * t2 activations  uint32_t [batches][height][width][groups][2], one group is
 *                 32 channels. Channel c is bit c % 32 (LSB first) of the pair
 *                 {plus, minus} of group c / 32: in plus if the state is +1,
 *                 in minus if it is -1. plus & minus == 0, tail bits are 0.
 * weights         uint32_t [groups][depth + 1][2], one group is 32 output
 *                 channels and depth = kernel height * kernel width * input
 *                 channels. Record (ky * kernel width + kx) * input channels
 *                 + ci is {P, Z}; lane l of a group is output channel
 *                 32 * group + l: its bit is set in P if the weight is +1, in
 *                 Z if it is 0. P & Z == 0. The last record of a group is
 *                 {0, 0}. Lanes without an output channel hold weight 0.
 * t2 thresholds   uint32_t [groups][planes][2], bit-sliced: bit l of word
 *                 [g][i][k] is bit i (LSB first) of T + 2^(planes - 1), where
 *                 T is the high (k = 0) or low (k = 1) threshold of output
 *                 channel 32 * g + l, in [-depth, depth + 1].
 * s8 thresholds   int32_t [output channels][2], {high, low}.
 *
 * A ternary output is +1 where the accumulator is >= high, -1 where it is
 * < low, else 0; low <= high. */
#ifndef GXNOR_TYPES_H_
#define GXNOR_TYPES_H_

#include <stdint.h>

#if defined(__cplusplus)
#define GXNOR_RESTRICT __restrict
#else
#define GXNOR_RESTRICT restrict
#endif

/* Channels in one word. */
#define GXNOR_LANES 32

/* Largest depth: |128 * depth| fits an int32_t. */
#define GXNOR_MAX_DEPTH 16777215

typedef enum gxnor_status {
  GXNOR_OK = 0,
  GXNOR_ERR_ARG = -1,   /* A pointer is NULL, or not aligned. */
  GXNOR_ERR_SHAPE = -2, /* A size is out of range, or sizes do not fit. */
} gxnor_status;

/* A 2-D convolution and the max-pool after it. Padding of the convolution
 * contributes zeros, that of the pool nothing. */
typedef struct gxnor_conv2d_params {
  int32_t batches;         /* >= 1 */
  int32_t input_height;    /* >= 1 */
  int32_t input_width;     /* >= 1 */
  int32_t input_channels;  /* >= 1, unpacked */
  int32_t output_channels; /* >= 1, unpacked */
  int32_t kernel_height;   /* >= 1 */
  int32_t kernel_width;    /* >= 1 */
  int32_t stride_height;   /* >= 1 */
  int32_t stride_width;    /* >= 1 */
  int32_t dilation_height; /* >= 1 */
  int32_t dilation_width;  /* >= 1 */
  int32_t pad_top;         /* >= 0 */
  int32_t pad_bottom;      /* >= 0 */
  int32_t pad_left;        /* >= 0 */
  int32_t pad_right;       /* >= 0 */
  /* No pool: sizes and strides 1, paddings 0. */
  int32_t pool_height;        /* >= 1 */
  int32_t pool_width;         /* >= 1 */
  int32_t pool_stride_height; /* >= 1 */
  int32_t pool_stride_width;  /* >= 1 */
  int32_t pool_pad_top;       /* >= 0, < pool_height */
  int32_t pool_pad_bottom;    /* >= 0, < pool_height */
  int32_t pool_pad_left;      /* >= 0, < pool_width */
  int32_t pool_pad_right;     /* >= 0, < pool_width */
} gxnor_conv2d_params;

/* What follows from the parameters. */
typedef struct gxnor_conv2d_shape {
  int32_t conv_height; /* Of the convolution, before the pool. */
  int32_t conv_width;
  int32_t output_height; /* After the pool. */
  int32_t output_width;
  int32_t depth;         /* Taps of one output. */
  int32_t planes;        /* Bit planes of an accumulator of ternary taps. */
  int32_t input_groups;  /* Groups of 32 input channels. */
  int32_t output_groups; /* Groups of 32 output channels. */
} gxnor_conv2d_shape;

#endif /* GXNOR_TYPES_H_ */
