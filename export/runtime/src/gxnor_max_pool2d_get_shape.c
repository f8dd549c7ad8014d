/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "gxnor/max_pool2d.h"
#include "gxnor_shape_internal.h"

static int in_range(const gxnor_max_pool2d_params* p) {
  const int32_t sizes[] = {
      p->batches,     p->input_height, p->input_width,   p->channels,
      p->pool_height, p->pool_width,   p->stride_height, p->stride_width,
  };
  const int32_t pads[] = {p->pad_top, p->pad_bottom, p->pad_left, p->pad_right};
  return gxnor_all_at_least(1, sizes, sizeof sizes / sizeof sizes[0]) &&
         gxnor_all_at_least(0, pads, sizeof pads / sizeof pads[0]) &&
         /* Every window holds a position of the input. */
         p->pad_top < p->pool_height && p->pad_bottom < p->pool_height &&
         p->pad_left < p->pool_width && p->pad_right < p->pool_width;
}

gxnor_status gxnor_max_pool2d_get_shape(const gxnor_max_pool2d_params* params,
                                        gxnor_max_pool2d_shape* shape) {
  const gxnor_max_pool2d_params* const p = params;
  gxnor_max_pool2d_shape s;
  int32_t size;
  if (params == NULL || shape == NULL) return GXNOR_ERR_ARG;
  if (!in_range(p)) return GXNOR_ERR_SHAPE;
  s.output_height =
      gxnor_count_windows(p->input_height, p->pad_top, p->pad_bottom,
                          p->pool_height, 1, p->stride_height);
  s.output_width =
      gxnor_count_windows(p->input_width, p->pad_left, p->pad_right,
                          p->pool_width, 1, p->stride_width);
  if (s.output_height == 0 || s.output_width == 0) return GXNOR_ERR_SHAPE;
  s.groups = gxnor_count_groups(p->channels);
  size = gxnor_position_size(p->channels, s.groups);
  if (gxnor_bounded_product(p->batches, p->input_height, p->input_width, size,
                            INT32_MAX) == 0 ||
      gxnor_bounded_product(p->batches, s.output_height, s.output_width, size,
                            INT32_MAX) == 0) {
    return GXNOR_ERR_SHAPE;
  }
  *shape = s;
  return GXNOR_OK;
}
