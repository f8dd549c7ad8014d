/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "gxnor/conv2d.h"

/* Whether all values are at least `least`. */
static int all_at_least(int32_t least, const int32_t* values, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    if (values[i] < least) return 0;
  }
  return 1;
}

static int in_range(const gxnor_conv2d_params* p) {
  const int32_t sizes[] = {
      p->batches,         p->input_height,       p->input_width,
      p->input_channels,  p->output_channels,    p->kernel_height,
      p->kernel_width,    p->stride_height,      p->stride_width,
      p->dilation_height, p->dilation_width,     p->pool_height,
      p->pool_width,      p->pool_stride_height, p->pool_stride_width,
  };
  const int32_t pads[] = {
      p->pad_top,      p->pad_bottom,      p->pad_left,      p->pad_right,
      p->pool_pad_top, p->pool_pad_bottom, p->pool_pad_left, p->pool_pad_right,
  };
  return all_at_least(1, sizes, sizeof sizes / sizeof sizes[0]) &&
         all_at_least(0, pads, sizeof pads / sizeof pads[0]) &&
         /* Every pool window holds a position of the convolution. */
         p->pool_pad_top < p->pool_height &&
         p->pool_pad_bottom < p->pool_height &&
         p->pool_pad_left < p->pool_width && p->pool_pad_right < p->pool_width;
}

/* Counts the windows that fit into a padded axis; 0 if there is none. */
static int32_t count_windows(int32_t size, int32_t pad_before,
                             int32_t pad_after, int32_t window,
                             int32_t dilation, int32_t stride) {
  const int64_t padded = (int64_t)size + pad_before + pad_after;
  const int64_t extent = (int64_t)(window - 1) * dilation + 1;
  if (padded > INT32_MAX || extent > padded) return 0;
  /* 32 bits wide, for a Cortex-M divides these in hardware. */
  return (int32_t)(padded - extent) / stride + 1;
}

/* Multiplies four factors >= 1; 0 if the product is above the limit. */
static int32_t bounded_product(int32_t a, int32_t b, int32_t c, int32_t d,
                               int32_t limit) {
  const int32_t factors[] = {b, c, d};
  int64_t product = a;
  for (size_t i = 0; i < sizeof factors / sizeof factors[0]; ++i) {
    product *= factors[i];
    if (product > limit) return 0;
  }
  return (int32_t)product;
}

static int32_t count_groups(int32_t channels) {
  return (channels - 1) / GXNOR_LANES + 1;
}

/* Words or elements of one position, whichever is more. */
static int32_t position_size(int32_t channels, int32_t groups) {
  return channels > 2 * groups ? channels : 2 * groups;
}

/* The smallest p with 2^(p - 1) - 1 >= depth + 1. */
static int32_t count_planes(int32_t depth) {
  int32_t planes = 1;
  for (int32_t most = 0; most < depth + 1; most = 2 * most + 1) ++planes;
  return planes;
}

gxnor_status gxnor_conv2d_get_shape(const gxnor_conv2d_params* params,
                                    gxnor_conv2d_shape* shape) {
  const gxnor_conv2d_params* const p = params;
  gxnor_conv2d_shape s;
  if (params == NULL || shape == NULL) return GXNOR_ERR_ARG;
  if (!in_range(p)) return GXNOR_ERR_SHAPE;

  s.conv_height =
      count_windows(p->input_height, p->pad_top, p->pad_bottom,
                    p->kernel_height, p->dilation_height, p->stride_height);
  s.conv_width =
      count_windows(p->input_width, p->pad_left, p->pad_right, p->kernel_width,
                    p->dilation_width, p->stride_width);
  if (s.conv_height == 0 || s.conv_width == 0) return GXNOR_ERR_SHAPE;
  s.output_height =
      count_windows(s.conv_height, p->pool_pad_top, p->pool_pad_bottom,
                    p->pool_height, 1, p->pool_stride_height);
  s.output_width =
      count_windows(s.conv_width, p->pool_pad_left, p->pool_pad_right,
                    p->pool_width, 1, p->pool_stride_width);
  if (s.output_height == 0 || s.output_width == 0) return GXNOR_ERR_SHAPE;

  s.depth = bounded_product(p->kernel_height, p->kernel_width,
                            p->input_channels, 1, GXNOR_MAX_DEPTH);
  if (s.depth == 0) return GXNOR_ERR_SHAPE;
  s.planes = count_planes(s.depth);
  s.input_groups = count_groups(p->input_channels);
  s.output_groups = count_groups(p->output_channels);

  if (bounded_product(p->batches, p->input_height, p->input_width,
                      position_size(p->input_channels, s.input_groups),
                      INT32_MAX) == 0 ||
      bounded_product(p->batches, s.output_height, s.output_width,
                      position_size(p->output_channels, s.output_groups),
                      INT32_MAX) == 0 ||
      bounded_product(s.output_groups, s.depth + 1, 2, 1, INT32_MAX) == 0) {
    return GXNOR_ERR_SHAPE;
  }
  *shape = s;
  return GXNOR_OK;
}
