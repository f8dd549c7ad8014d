/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "gxnor/conv2d.h"
#include "gxnor_shape_internal.h"

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
  return gxnor_all_at_least(1, sizes, sizeof sizes / sizeof sizes[0]) &&
         gxnor_all_at_least(0, pads, sizeof pads / sizeof pads[0]) &&
         /* Every pool window holds a position of the convolution. */
         p->pool_pad_top < p->pool_height &&
         p->pool_pad_bottom < p->pool_height &&
         p->pool_pad_left < p->pool_width && p->pool_pad_right < p->pool_width;
}

/* The smallest p with 2^(p - 1) - 1 >= depth + 1. */
static int32_t count_planes(int32_t depth) {
  int32_t planes = 1;
  for (int32_t most = 0; most < depth + 1; most = 2 * most + 1) ++planes;
  return planes;
}

/* Whether the padding is so wide, by a damaged file's say, that computing the
 * sums of nothing would take for ever. */
static int is_padded_beyond_use(int32_t positions, int32_t input_size,
                                int32_t kernel_size) {
  return positions / 4 > (int64_t)input_size + kernel_size;
}

gxnor_status gxnor_conv2d_find_shape(const gxnor_conv2d_params* params,
                                     int32_t tap_channels,
                                     gxnor_conv2d_shape* shape) {
  const gxnor_conv2d_params* const p = params;
  gxnor_conv2d_shape s;
  if (!in_range(p)) return GXNOR_ERR_SHAPE;

  s.conv_height = gxnor_count_windows(p->input_height, p->pad_top,
                                      p->pad_bottom, p->kernel_height,
                                      p->dilation_height, p->stride_height);
  s.conv_width =
      gxnor_count_windows(p->input_width, p->pad_left, p->pad_right,
                          p->kernel_width, p->dilation_width, p->stride_width);
  if (s.conv_height == 0 || s.conv_width == 0 ||
      is_padded_beyond_use(s.conv_height, p->input_height, p->kernel_height) ||
      is_padded_beyond_use(s.conv_width, p->input_width, p->kernel_width)) {
    return GXNOR_ERR_SHAPE;
  }
  s.output_height =
      gxnor_count_windows(s.conv_height, p->pool_pad_top, p->pool_pad_bottom,
                          p->pool_height, 1, p->pool_stride_height);
  s.output_width =
      gxnor_count_windows(s.conv_width, p->pool_pad_left, p->pool_pad_right,
                          p->pool_width, 1, p->pool_stride_width);
  if (s.output_height == 0 || s.output_width == 0) return GXNOR_ERR_SHAPE;

  s.depth = gxnor_bounded_product(p->kernel_height, p->kernel_width,
                                  tap_channels, 1, GXNOR_MAX_DEPTH);
  if (s.depth == 0) return GXNOR_ERR_SHAPE;
  s.planes = count_planes(s.depth);
  s.input_groups = gxnor_count_groups(p->input_channels);
  s.output_groups = gxnor_count_groups(p->output_channels);

  if (gxnor_bounded_product(
          p->batches, p->input_height, p->input_width,
          gxnor_position_size(p->input_channels, s.input_groups),
          INT32_MAX) == 0 ||
      gxnor_bounded_product(
          p->batches, s.output_height, s.output_width,
          gxnor_position_size(p->output_channels, s.output_groups),
          INT32_MAX) == 0 ||
      gxnor_bounded_product(s.output_groups, s.depth + 1, 2, 1, INT32_MAX) ==
          0) {
    return GXNOR_ERR_SHAPE;
  }
  *shape = s;
  return GXNOR_OK;
}

gxnor_status gxnor_conv2d_get_shape(const gxnor_conv2d_params* params,
                                    gxnor_conv2d_shape* shape) {
  if (params == NULL || shape == NULL) return GXNOR_ERR_ARG;
  return gxnor_conv2d_find_shape(params, params->input_channels, shape);
}
