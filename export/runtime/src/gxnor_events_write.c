/* SPDX-License-Identifier: Apache-2.0 */
#include "gxnor_events_internal.h"
#include "gxnor_pool_internal.h"

/* Groups that are summed at once. */
#if GXNOR_EVENTS_MVE
#include "arch/gxnor_events_mve.h"
#define MAX_GROUPS 4
#else
#define MAX_GROUPS 1
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

static void write_stretch_t2(const gxnor_conv2d_call* call,
                             const gxnor_conv2d_position* first,
                             int32_t positions, void* buffer,
                             const gxnor_pool_windows* rows,
                             const gxnor_pool_axis* across,
                             gxnor_pool_windows* columns, uint32_t* output) {
  const gxnor_conv2d_shape* const s = &call->shape;
  gxnor_conv2d_position at = {first->batch, first->y, first->x, 0};
  gxnor_row_events row;
  gxnor_events_list_row(call, first, positions, buffer, &row);
  for (int32_t i = 0; i < positions; ++i) {
    gxnor_position_events events;
    gxnor_pool_move_to(across, first->x + i, columns);
    if (columns->begin == columns->end) continue;
    gxnor_events_take(call, &row, i, &events);
    for (at.group = 0; at.group < s->output_groups;) {
      const int32_t groups = take_groups(s->output_groups - at.group);
      uint32_t states[2][MAX_GROUPS];
      get_states(call, &at, groups, i, &events, states);
      for (int32_t g = 0; g < groups; ++g, ++at.group) {
        const uint32_t pair[2] = {states[0][g], states[1][g]};
        gxnor_pool_take(s, pair, at.group, rows, columns, output);
      }
    }
  }
}

/* Writes one image; at->batch is its number. */
static void write_image_t2(const gxnor_conv2d_call* call, int32_t positions,
                           void* buffer, gxnor_conv2d_position* at,
                           uint32_t* output) {
  const gxnor_pool_axis down = gxnor_pool_axis_down(call);
  const gxnor_pool_axis across = gxnor_pool_axis_across(call);
  gxnor_pool_windows rows = {0, 0};
  for (at->y = gxnor_pool_move_on(&down, 0, &rows); at->y < down.size;
       at->y = gxnor_pool_move_on(&down, at->y + 1, &rows)) {
    gxnor_pool_windows columns = {0, 0};
    at->x = gxnor_pool_move_on(&across, 0, &columns);
    while (at->x < across.size) {
      const int32_t count = gxnor_least(positions, across.size - at->x);
      write_stretch_t2(call, at, count, buffer, &rows, &across, &columns,
                       output);
      at->x = gxnor_pool_move_on(&across, at->x + count, &columns);
    }
  }
}

void gxnor_events_write_t2(const gxnor_conv2d_call* call, int32_t positions,
                           void* buffer, uint32_t* GXNOR_RESTRICT output) {
  const gxnor_conv2d_shape* const s = &call->shape;
  const size_t image_words = 2 * (size_t)s->output_height *
                             (size_t)s->output_width * (size_t)s->output_groups;
  uint32_t* image = output;
  gxnor_conv2d_position at;
  gxnor_pool_start(call, output);
  at.group = 0;
  for (at.batch = 0; at.batch < call->params->batches; ++at.batch) {
    write_image_t2(call, positions, buffer, &at, image);
    image += image_words;
  }
  gxnor_pool_finish(call, output);
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
        count = gxnor_least(positions, s->conv_width - at.x);
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
              const int32_t lanes = gxnor_least(left, GXNOR_LANES);
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
