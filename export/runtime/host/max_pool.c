/* SPDX-License-Identifier: Apache-2.0 */
#include "max_pool.h"

#include "gxnor/max_pool2d.h"
#include "gxnor_shape_internal.h"

/* Rows of the output in a task. */
enum { kRows = 4 };

/* What a task needs. */
typedef struct call {
  const gxnor_conv2d_params* params;
  const gxnor_conv2d_shape* shape;
  const uint32_t* states;
  uint32_t* output;
} call;

/* Pools some rows of an image: a max-pool on what these rows see. */
static void rows_task(void* argument, int32_t index) {
  const call* const c = argument;
  const gxnor_conv2d_params* const p = c->params;
  const gxnor_conv2d_shape* const s = c->shape;
  const size_t row_words = 2 * (size_t)s->output_groups;
  const int32_t chunks = (s->output_height - 1) / kRows + 1;
  const int32_t batch = index / chunks;
  const int32_t begin = index % chunks * kRows;
  const int32_t left = s->output_height - begin;
  const int32_t last = begin + (left < kRows ? left : kRows) - 1;
  int32_t top, bottom, ignored;
  gxnor_max_pool2d_params pool = {
      .batches = 1,
      .input_width = s->conv_width,
      .channels = p->output_channels,
      .pool_height = p->pool_height,
      .pool_width = p->pool_width,
      .stride_height = p->pool_stride_height,
      .stride_width = p->pool_stride_width,
      .pad_left = p->pool_pad_left,
      .pad_right = p->pool_pad_right,
  };
  gxnor_clip_window(begin, p->pool_stride_height, p->pool_pad_top,
                    p->pool_height, s->conv_height, &top, &ignored);
  gxnor_clip_window(last, p->pool_stride_height, p->pool_pad_top,
                    p->pool_height, s->conv_height, &ignored, &bottom);
  pool.input_height = bottom - top;
  /* What was clipped is padding. */
  pool.pad_top = top - (begin * p->pool_stride_height - p->pool_pad_top);
  pool.pad_bottom =
      last * p->pool_stride_height - p->pool_pad_top + p->pool_height - bottom;
  gxnor_max_pool2d_t2(
      &pool,
      c->states + ((size_t)batch * (size_t)s->conv_height + (size_t)top) *
                      (size_t)s->conv_width * row_words,
      c->output + ((size_t)batch * (size_t)s->output_height + (size_t)begin) *
                      (size_t)s->output_width * row_words);
}

void gxnor_host_max_pool(const gxnor_conv2d_params* params,
                         const gxnor_conv2d_shape* shape,
                         const uint32_t* states, uint32_t* output,
                         gxnor_host_run_tasks run_tasks, void* runner) {
  call c = {params, shape, states, output};
  const int32_t chunks = (shape->output_height - 1) / kRows + 1;
  run_tasks(runner, rows_task, &c, params->batches * chunks);
}
