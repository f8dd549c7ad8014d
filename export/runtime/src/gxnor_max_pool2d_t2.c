/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "gxnor/max_pool2d.h"
#include "gxnor_shape_internal.h"

/* The part of the input that a window sees, [top, bottom) x [left, right). */
typedef struct area {
  int32_t top, bottom, left, right;
} area;

/* The maximum of states is plus | plus', minus & minus'. */
static void pool(const uint32_t* input, int32_t width, size_t groups,
                 const area* window, uint32_t* output) {
  for (size_t group = 0; group < groups; ++group) {
    uint32_t plus = 0;
    uint32_t minus = 0xFFFFFFFFu;
    for (int32_t y = window->top; y < window->bottom; ++y) {
      for (int32_t x = window->left; x < window->right; ++x) {
        const size_t position = (size_t)y * (size_t)width + (size_t)x;
        const uint32_t* const pair = input + 2 * (position * groups + group);
        /* A damaged channel, set in both, counts as 0. */
        plus |= pair[0] & ~pair[1];
        minus &= pair[1] & ~pair[0];
      }
    }
    output[2 * group] = plus;
    output[2 * group + 1] = minus;
  }
}

gxnor_status gxnor_max_pool2d_t2(const gxnor_max_pool2d_params* params,
                                 const uint32_t* input,
                                 uint32_t* GXNOR_RESTRICT output) {
  const gxnor_max_pool2d_params* const p = params;
  gxnor_max_pool2d_shape shape;
  gxnor_status status;
  size_t groups;
  if (params == NULL || input == NULL || output == NULL) return GXNOR_ERR_ARG;
  status = gxnor_max_pool2d_get_shape(params, &shape);
  if (status != GXNOR_OK) return status;
  groups = (size_t)shape.groups;
  for (int32_t batch = 0; batch < p->batches; ++batch) {
    for (int32_t y = 0; y < shape.output_height; ++y) {
      area window;
      gxnor_clip_window(y, p->stride_height, p->pad_top, p->pool_height,
                        p->input_height, &window.top, &window.bottom);
      for (int32_t x = 0; x < shape.output_width; ++x) {
        gxnor_clip_window(x, p->stride_width, p->pad_left, p->pool_width,
                          p->input_width, &window.left, &window.right);
        pool(input, p->input_width, groups, &window, output);
        output += 2 * groups;
      }
    }
    input += (size_t)p->input_height * (size_t)p->input_width * groups * 2;
  }
  return GXNOR_OK;
}
