/* SPDX-License-Identifier: Apache-2.0 */
#include "gxnor_events_internal.h"

/* Groups that are summed at once. */
#if GXNOR_EVENTS_MVE
#include "arch/gxnor_events_mve.h"
#define MAX_GROUPS 4
/* GCC 12 would store a vector in a way that its assembler refuses. */
#define NO_VECTOR(pointer) __asm__("" : "+r"(pointer))
#else
#define MAX_GROUPS 1
#define NO_VECTOR(pointer) ((void)0)
#endif

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

/* How many of the groups that are left are summed next: never three. */
static int32_t take_groups(int32_t left) {
  return MAX_GROUPS == 1 || left == 1 ? 1 : left < MAX_GROUPS ? 2 : MAX_GROUPS;
}

/* The states of some groups of a position, from at->group on. */
static void get_states(const gxnor_conv2d_call* call,
                       const gxnor_conv2d_position* at, int32_t groups,
                       int32_t position, const gxnor_position_events* events,
                       uint32_t states[2][MAX_GROUPS]) {
  const uint32_t* const records = position_records(call, at->group, position);
  const int32_t count = call->shape.planes;
#if GXNOR_EVENTS_MVE
  mve_plane planes[GXNOR_MAX_PLANES];
  mve_sum(records, 8 * ((uint32_t)call->shape.depth + 1), groups, events, count,
          planes);
  mve_compare(
      (const uint32_t*)call->thresholds + 2 * (size_t)count * (size_t)at->group,
      groups, count, planes, states);
#else
  uint32_t planes[GXNOR_MAX_PLANES];
  (void)groups;
  gxnor_events_sum(records, events, count, planes);
  gxnor_conv2d_compare(call, at, planes, &states[0][0]);
#endif
}

/* The planes of the sums of some groups of a position. */
static void get_planes(const gxnor_conv2d_call* call, int32_t first,
                       int32_t groups, int32_t position,
                       const gxnor_position_events* events,
                       uint32_t planes[MAX_GROUPS][GXNOR_MAX_PLANES]) {
  const uint32_t* const records = position_records(call, first, position);
  const int32_t count = call->shape.planes;
#if GXNOR_EVENTS_MVE
  mve_plane lanes[GXNOR_MAX_PLANES];
  mve_sum(records, 8 * ((uint32_t)call->shape.depth + 1), groups, events, count,
          lanes);
  mve_take_planes(groups, count, lanes, planes);
#else
  (void)groups;
  gxnor_events_sum(records, events, count, planes[0]);
#endif
}

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

/* Takes the states of groups into the maxima of the windows that they are in;
 * `output` is that of the first group. */
static void take_maximum(const gxnor_conv2d_shape* shape,
                         uint32_t states[2][MAX_GROUPS], int32_t groups,
                         const windows* rows, const windows* columns,
                         uint32_t* output) {
  for (int32_t y = rows->begin; y < rows->end; ++y) {
    for (int32_t x = columns->begin; x < columns->end; ++x) {
      const size_t position =
          (size_t)y * (size_t)shape->output_width + (size_t)x;
      uint32_t* maximum = output + 2 * position * (size_t)shape->output_groups;
      for (int32_t g = 0; g < groups; ++g) {
        NO_VECTOR(maximum);
        *maximum++ |= states[0][g];
        *maximum++ &= states[1][g];
      }
    }
  }
}

/* All maxima of nothing: the smallest state, in lanes that have a channel. */
static void start_maxima(const gxnor_conv2d_call* call, uint32_t* output) {
  const gxnor_conv2d_shape* const s = &call->shape;
  const size_t positions = (size_t)call->params->batches *
                           (size_t)s->output_height * (size_t)s->output_width;
  const size_t words = 2 * (size_t)s->output_groups;
  const uint32_t last = gxnor_conv2d_lane_mask(call->params->output_channels,
                                               s->output_groups - 1);
  for (size_t i = 0; i < positions; ++i, output += words) {
    for (size_t j = 0; j < words; ++j) output[j] = 0u - (uint32_t)(j & 1);
    output[words - 1] = last;
  }
}

static void write_stretch_t2(const gxnor_conv2d_call* call,
                             const gxnor_conv2d_position* first,
                             int32_t positions, void* buffer,
                             const windows* rows, const axis* across,
                             windows* columns, uint32_t* output) {
  const gxnor_conv2d_shape* const s = &call->shape;
  gxnor_conv2d_position at = {first->batch, first->y, first->x, 0};
  gxnor_row_events row;
  gxnor_events_list_row(call, first, positions, buffer, &row);
  for (int32_t i = 0; i < positions; ++i) {
    gxnor_position_events events;
    move_to(across, first->x + i, columns);
    if (columns->begin == columns->end) continue;
    gxnor_events_take(call, &row, i, &events);
    for (at.group = 0; at.group < s->output_groups;) {
      const int32_t groups = take_groups(s->output_groups - at.group);
      uint32_t states[2][MAX_GROUPS];
      get_states(call, &at, groups, i, &events, states);
      take_maximum(s, states, groups, rows, columns,
                   output + 2 * (size_t)at.group);
      at.group += groups;
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
          for (int32_t group = 0; group < s->output_groups;) {
            const int32_t groups = take_groups(s->output_groups - group);
            uint32_t planes[MAX_GROUPS][GXNOR_MAX_PLANES];
            get_planes(call, group, groups, i, &events, planes);
            for (int32_t g = 0; g < groups; ++g, ++group) {
              const int32_t left = p->output_channels - group * GXNOR_LANES;
              const int32_t lanes = least(left, GXNOR_LANES);
              int32_t sums[GXNOR_LANES];
              gxnor_conv2d_gather(call, planes[g], sums);
              for (int32_t l = 0; l < lanes; ++l) *output++ = sums[l];
            }
          }
        }
      }
    }
  }
}
