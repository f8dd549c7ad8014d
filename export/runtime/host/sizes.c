/* SPDX-License-Identifier: Apache-2.0 */
#include "sizes.h"

/* Padding may make a tensor this many times as large, and a small one four
 * times as much: a kernel and a few columns more are large beside one pixel. */
enum { kMostPadding = 64, kSmall = 4 };

/* Positions that may be kept for a tensor that has `positions`. */
static int64_t most_positions(int64_t positions) {
  const int64_t further = (kSmall - 1) * positions;
  return kMostPadding *
         (positions + (further < kMostPadding ? further : kMostPadding));
}

size_t gxnor_host_round_up(size_t size, size_t unit) {
  return (size + unit - 1) / unit * unit;
}

int64_t gxnor_host_padded_size(int32_t positions, int32_t stride,
                               int32_t kernel, int32_t dilation) {
  return (int64_t)(positions - 1) * stride + (int64_t)(kernel - 1) * dilation +
         1;
}

bool gxnor_host_may_pad(const gxnor_conv2d_params* params, int64_t height,
                        int64_t width) {
  const int64_t limit =
      most_positions((int64_t)params->input_height * params->input_width);
  /* Divided, for the product may be too large for any type. */
  return height <= limit / width && height <= INT32_MAX / width &&
         height * width <= INT32_MAX / params->batches;
}

bool gxnor_host_may_pool(const gxnor_conv2d_params* params,
                         const gxnor_conv2d_shape* shape) {
  const int64_t output = (int64_t)shape->output_height * shape->output_width;
  const int64_t input = (int64_t)params->input_height * params->input_width;
  const int64_t positions = (int64_t)shape->conv_height * shape->conv_width;
  const int64_t words =
      2 * (int64_t)params->batches * positions * shape->output_groups;
  /* 2^31 words at most, as in any tensor. */
  return positions <= most_positions(output + input / shape->output_groups) &&
         words <= INT32_MAX;
}

size_t gxnor_host_states_bytes(const gxnor_conv2d_params* params,
                               const gxnor_conv2d_shape* shape) {
  return gxnor_host_round_up(
      (size_t)params->batches * (size_t)shape->conv_height *
          (size_t)shape->conv_width * (size_t)shape->output_groups * 8,
      GXNOR_HOST_ALIGNMENT);
}
