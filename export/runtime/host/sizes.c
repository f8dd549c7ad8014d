/* SPDX-License-Identifier: Apache-2.0 */
#include "sizes.h"

/* Padding may make the input this many times as large. */
enum { kMostPadding = 64 };

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
      kMostPadding *
      ((int64_t)params->input_height * params->input_width + kMostPadding);
  return height <= limit && width <= limit && height * width <= limit &&
         height * width <= INT32_MAX / params->batches;
}

size_t gxnor_host_states_bytes(const gxnor_conv2d_params* params,
                               const gxnor_conv2d_shape* shape) {
  return gxnor_host_round_up(
      (size_t)params->batches * (size_t)shape->conv_height *
          (size_t)shape->conv_width * (size_t)shape->output_groups * 8,
      GXNOR_HOST_ALIGNMENT);
}
