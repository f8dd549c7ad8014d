/* SPDX-License-Identifier: Apache-2.0 */
#include "gxnor_pool_internal.h"

gxnor_pool_axis gxnor_pool_axis_down(const gxnor_conv2d_call* call) {
  const gxnor_conv2d_params* const p = call->params;
  const gxnor_pool_axis axis = {call->shape.conv_height, p->pool_stride_height,
                                p->pool_pad_top, p->pool_height,
                                call->shape.output_height};
  return axis;
}

gxnor_pool_axis gxnor_pool_axis_across(const gxnor_conv2d_call* call) {
  const gxnor_conv2d_params* const p = call->params;
  const gxnor_pool_axis axis = {call->shape.conv_width, p->pool_stride_width,
                                p->pool_pad_left, p->pool_width,
                                call->shape.output_width};
  return axis;
}

void gxnor_pool_move_to(const gxnor_pool_axis* axis, int32_t at,
                        gxnor_pool_windows* in) {
  while (in->end < axis->count && in->end * axis->stride - axis->pad <= at) {
    ++in->end;
  }
  while (in->begin < in->end &&
         in->begin * axis->stride - axis->pad + axis->window <= at) {
    ++in->begin;
  }
}

int32_t gxnor_pool_move_on(const gxnor_pool_axis* axis, int32_t at,
                           gxnor_pool_windows* in) {
  gxnor_pool_move_to(axis, at, in);
  if (in->begin < in->end) return at;
  if (in->end == axis->count) return axis->size;
  at = in->end * axis->stride - axis->pad;
  gxnor_pool_move_to(axis, at, in);
  return at;
}

void gxnor_pool_start(const gxnor_conv2d_call* call, uint32_t* output) {
  const gxnor_conv2d_shape* const s = &call->shape;
  const size_t positions = (size_t)call->params->batches *
                           (size_t)s->output_height * (size_t)s->output_width;
  for (size_t i = 0; i < positions; ++i) {
    for (int32_t group = 0; group < s->output_groups; ++group) {
      *output++ = 0;
      *output++ = gxnor_conv2d_lane_mask(call->params->output_channels, group);
    }
  }
}

void gxnor_pool_finish(const gxnor_conv2d_call* call, uint32_t* output) {
  const gxnor_conv2d_shape* const s = &call->shape;
  const size_t positions = (size_t)call->params->batches *
                           (size_t)s->output_height * (size_t)s->output_width;
  const size_t words = 2 * (size_t)s->output_groups;
  const uint32_t lanes = gxnor_conv2d_lane_mask(call->params->output_channels,
                                                s->output_groups - 1);
  if (lanes == ~(uint32_t)0) return;
  for (size_t i = 1; i <= positions; ++i) output[i * words - 2] &= lanes;
}

void gxnor_pool_take(const gxnor_conv2d_shape* shape, const uint32_t pair[2],
                     int32_t group, const gxnor_pool_windows* rows,
                     const gxnor_pool_windows* columns, uint32_t* output) {
  const size_t groups = (size_t)shape->output_groups;
  for (int32_t y = rows->begin; y < rows->end; ++y) {
    for (int32_t x = columns->begin; x < columns->end; ++x) {
      const size_t position =
          (size_t)y * (size_t)shape->output_width + (size_t)x;
      uint32_t* const maximum =
          output + 2 * (position * groups + (size_t)group);
      maximum[0] |= pair[0];
      maximum[1] &= pair[1];
    }
  }
}
