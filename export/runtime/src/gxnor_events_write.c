/* SPDX-License-Identifier: Apache-2.0 */
#include "gxnor_events_internal.h"

/* Where a record of the number 0 would be for a position of a stretch: before
 * the group's records by as many as the position is further right. */
static const uint32_t* position_records(const gxnor_conv2d_call* call,
                                        int32_t group, int32_t position) {
  const gxnor_conv2d_params* const p = call->params;
  const uintptr_t shift = (uintptr_t)position * (uintptr_t)p->stride_width *
                          (uintptr_t)p->input_channels * 8;
  const uintptr_t records = (uintptr_t)gxnor_conv2d_group_records(call, group);
  return (const uint32_t*)(records - shift);
}

static int32_t least(int32_t a, int32_t b) { return a < b ? a : b; }

/* ---- Packed output ---- */

/* The pool windows that a row or a column of the convolution is in. */
typedef struct windows {
  int32_t begin;
  int32_t end;
} windows;

/* An axis of the pool. */
typedef struct axis {
  int32_t size; /* Of the convolution. */
  int32_t stride;
  int32_t pad;
  int32_t window;
  int32_t count; /* Of windows. */
} axis;

/* Moves on to a row or column, which is not before the last one. */
static void move_to(const axis* a, int32_t at, windows* in) {
  while (in->end < a->count && in->end * a->stride - a->pad <= at) ++in->end;
  while (in->begin < in->end &&
         in->begin * a->stride - a->pad + a->window <= at) {
    ++in->begin;
  }
}

/* Moves on to the first row or column from `at` on that is in a window, and
 * returns it; the size of the axis if there is none. Strides may leave out so
 * many that walking over them would take forever. */
static int32_t move_on(const axis* a, int32_t at, windows* in) {
  move_to(a, at, in);
  if (in->begin < in->end) return at;
  if (in->end == a->count) return a->size;
  at = in->end * a->stride - a->pad;
  move_to(a, at, in);
  return at;
}

/* Takes states into the maxima of the windows that they are in. */
static void take_maximum(const gxnor_conv2d_shape* shape, const uint32_t* pair,
                         int32_t group, const windows* rows,
                         const windows* columns, uint32_t* output) {
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

/* All maxima of nothing: the smallest state, in lanes that have a channel. */
static void start_maxima(const gxnor_conv2d_call* call, uint32_t* output) {
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

static void write_stretch_t2(const gxnor_conv2d_call* call,
                             const gxnor_conv2d_position* first,
                             int32_t positions, void* buffer,
                             const windows* rows, const axis* across,
                             windows* columns, uint32_t* output) {
  const gxnor_conv2d_shape* const s = &call->shape;
  gxnor_conv2d_position at = *first;
  gxnor_row_events row;
  gxnor_events_list_row(call, first, positions, buffer, &row);
  for (int32_t i = 0; i < positions; ++i) {
    gxnor_position_events events;
    move_to(across, first->x + i, columns);
    if (columns->begin == columns->end) continue;
    gxnor_events_take(call, &row, i, &events);
    for (at.group = 0; at.group < s->output_groups; ++at.group) {
      uint32_t planes[GXNOR_MAX_PLANES];
      uint32_t pair[2];
      gxnor_events_sum(position_records(call, at.group, i), &events, s->planes,
                       planes);
      gxnor_conv2d_compare(call, &at, planes, pair);
      take_maximum(s, pair, at.group, rows, columns, output);
    }
  }
}

/* Writes one image; at->batch is its number. */
static void write_image_t2(const gxnor_conv2d_call* call, int32_t positions,
                           void* buffer, gxnor_conv2d_position* at,
                           uint32_t* output) {
  const gxnor_conv2d_params* const p = call->params;
  const gxnor_conv2d_shape* const s = &call->shape;
  const axis down = {s->conv_height, p->pool_stride_height, p->pool_pad_top,
                     p->pool_height, s->output_height};
  const axis across = {s->conv_width, p->pool_stride_width, p->pool_pad_left,
                       p->pool_width, s->output_width};
  windows rows = {0, 0};
  for (at->y = move_on(&down, 0, &rows); at->y < down.size;
       at->y = move_on(&down, at->y + 1, &rows)) {
    windows columns = {0, 0};
    at->x = move_on(&across, 0, &columns);
    while (at->x < across.size) {
      const int32_t count = least(positions, across.size - at->x);
      write_stretch_t2(call, at, count, buffer, &rows, &across, &columns,
                       output);
      at->x = move_on(&across, at->x + count, &columns);
    }
  }
}

void gxnor_events_write_t2(const gxnor_conv2d_call* call, int32_t positions,
                           void* buffer, uint32_t* GXNOR_RESTRICT output) {
  const gxnor_conv2d_shape* const s = &call->shape;
  const size_t image_words = 2 * (size_t)s->output_height *
                             (size_t)s->output_width * (size_t)s->output_groups;
  gxnor_conv2d_position at;
  start_maxima(call, output);
  at.group = 0;
  for (at.batch = 0; at.batch < call->params->batches; ++at.batch) {
    write_image_t2(call, positions, buffer, &at, output);
    output += image_words;
  }
}

/* ---- Sums ---- */

void gxnor_events_write_s32(const gxnor_conv2d_call* call, int32_t positions,
                            void* buffer, int32_t* GXNOR_RESTRICT output) {
  const gxnor_conv2d_params* const p = call->params;
  const gxnor_conv2d_shape* const s = &call->shape;
  gxnor_conv2d_position at;
  at.group = 0;
  for (at.batch = 0; at.batch < p->batches; ++at.batch) {
    for (at.y = 0; at.y < s->conv_height; ++at.y) {
      int32_t count;
      for (at.x = 0; at.x < s->conv_width; at.x += count) {
        gxnor_row_events row;
        count = least(positions, s->conv_width - at.x);
        gxnor_events_list_row(call, &at, count, buffer, &row);
        for (int32_t i = 0; i < count; ++i) {
          gxnor_position_events events;
          gxnor_events_take(call, &row, i, &events);
          for (int32_t group = 0; group < s->output_groups; ++group) {
            const int32_t left = p->output_channels - group * GXNOR_LANES;
            const int32_t lanes = least(left, GXNOR_LANES);
            uint32_t planes[GXNOR_MAX_PLANES];
            int32_t sums[GXNOR_LANES];
            gxnor_events_sum(position_records(call, group, i), &events,
                             s->planes, planes);
            gxnor_conv2d_gather(call, planes, sums);
            for (int32_t lane = 0; lane < lanes; ++lane) *output++ = sums[lane];
          }
        }
      }
    }
  }
}
