/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "run.h"

/* The events of a row of the convolution, in a part of the scratch buffer: the
 * byte offsets of their records, by column of the padded input, first those of
 * the inputs -1, then those of the inputs +1. A column counts as the kernel's
 * column of its number; those of the position x begin x * stride columns
 * further right. */
typedef struct row_events {
  uint32_t* offsets;
  uint32_t* starts[2]; /* By sign and column: index of its first offset. */
  uint32_t* position;  /* The lists of one position. */
} row_events;

static row_events events_of(const gxnor_host_call* c, int32_t chunk) {
  const gxnor_host_conv2d* const plan = c->plan;
  uint8_t* const memory =
      c->scratch + plan->events_offset + (size_t)chunk * plan->events_bytes;
  const size_t columns = (size_t)plan->padded_width + 1;
  row_events row;
  row.starts[0] = (uint32_t*)(void*)memory;
  row.starts[1] = row.starts[0] + columns;
  row.position = row.starts[1] + columns;
  row.offsets = row.position + plan->shape.depth + 2 * 8;
  return row;
}

static uint32_t record_bytes(const gxnor_host_conv2d* plan) {
  return (uint32_t)plan->block->groups * 8;
}

/* Lists the events of one pixel; returns their end. */
static uint32_t* list_pixel(const uint8_t* pixel, int32_t channels, size_t sign,
                            uint32_t first, uint32_t step, uint32_t* offsets) {
  for (int32_t left = channels; left > 0; left -= GXNOR_LANES) {
    const uint32_t lanes = left < GXNOR_LANES ? (1u << left) - 1u : 0xFFFFFFFFu;
    uint32_t pair[2], bits;
    memcpy(pair, pixel, sizeof pair);
    pixel += sizeof pair;
    /* Damaged inputs, set in both planes, would not fit the list. */
    bits = pair[sign] & ~pair[1 - sign] & lanes;
    for (; bits != 0; bits &= bits - 1) {
      *offsets++ = first + (uint32_t)__builtin_ctz(bits) * step;
    }
    first += GXNOR_LANES * step;
  }
  return offsets;
}

/* Lists the events of a row, 0 being the first one of the first image. */
static void list_row(const gxnor_host_call* c, int32_t index, row_events* row) {
  const gxnor_host_conv2d* const plan = c->plan;
  const gxnor_conv2d_params* const p = &plan->params;
  const uint32_t step = record_bytes(plan);
  const uint32_t tap = (uint32_t)p->input_channels * step;
  const int32_t batch = index / plan->shape.conv_height;
  const int32_t top =
      index % plan->shape.conv_height * p->stride_height - p->pad_top;
  const uint8_t* const image =
      c->input + (size_t)batch * (size_t)p->input_height *
                     (size_t)p->input_width * plan->pixel_bytes;
  uint32_t* end = row->offsets;
  for (size_t sign = 0; sign < 2; ++sign) {
    for (int32_t column = 0; column < plan->padded_width; ++column) {
      const int32_t x = column - p->pad_left;
      row->starts[sign][column] = (uint32_t)(end - row->offsets);
      if (x < 0 || x >= p->input_width) continue;
      for (int32_t ky = 0; ky < p->kernel_height; ++ky) {
        const int32_t y = top + ky * p->dilation_height;
        if (y < 0 || y >= p->input_height) continue;
        end = list_pixel(
            image + ((size_t)y * (size_t)p->input_width + (size_t)x) *
                        plan->pixel_bytes,
            p->input_channels, 1 - sign,
            (uint32_t)(ky * p->kernel_width + column) * tap, step, end);
      }
    }
    row->starts[sign][plan->padded_width] = (uint32_t)(end - row->offsets);
  }
}

/* Takes the lists of the position in column x, each filled up to a multiple of
 * 8 with the null record. */
static gxnor_host_events take_position(const gxnor_host_conv2d* plan,
                                       const row_events* row, int32_t x) {
  const gxnor_conv2d_params* const p = &plan->params;
  const size_t column = (size_t)x * (size_t)p->stride_width;
  const uint32_t step = record_bytes(plan);
  const uint32_t shift = (uint32_t)column * (uint32_t)p->input_channels * step;
  const uint32_t null_record = (uint32_t)plan->shape.depth * step;
  gxnor_host_events events = {.planes = plan->shape.planes, .start = -1};
  uint32_t* list = row->position;
  for (size_t sign = 0; sign < 2; ++sign) {
    const uint32_t* const starts = row->starts[sign] + column;
    const uint32_t* const offsets = row->offsets + starts[0];
    const int32_t count = (int32_t)(starts[p->kernel_width] - starts[0]);
    int32_t filled = count;
    for (int32_t i = 0; i < count; ++i) list[i] = offsets[i] - shift;
    while (filled % 8 != 0) list[filled++] = null_record;
    events.offsets[sign] = list;
    events.counts[sign] = filled;
    events.start += sign == 0 ? -count : count;
    list += filled;
  }
  return events;
}

/* Computes a block of one position. */
static void run_block(const gxnor_host_call* c, gxnor_host_events* events,
                      size_t position, int32_t block) {
  const gxnor_host_conv2d* const plan = c->plan;
  const size_t wide = (size_t)plan->block->groups;
  const size_t records = ((size_t)plan->shape.depth + 1) * 8 * wide;
  events->records = c->packed + (size_t)block * plan->block_bytes;
  events->thresholds =
      (const uint32_t*)(const void*)(events->records + records);
  plan->block->events(
      events, c->states + 2 * (position * (size_t)plan->shape.output_groups +
                               (size_t)block * wide));
}

/* ---- Many positions: a task has some rows ---- */

static void rows_task(void* argument, int32_t chunk) {
  const gxnor_host_call* const c = argument;
  const gxnor_host_conv2d* const plan = c->plan;
  const int32_t rows = plan->params.batches * plan->shape.conv_height;
  const int32_t end =
      (int32_t)((int64_t)(chunk + 1) * rows / plan->event_chunks);
  row_events row = events_of(c, chunk);
  for (int32_t y = (int32_t)((int64_t)chunk * rows / plan->event_chunks);
       y < end; ++y) {
    list_row(c, y, &row);
    for (int32_t x = 0; x < plan->shape.conv_width; ++x) {
      const size_t position =
          (size_t)y * (size_t)plan->shape.conv_width + (size_t)x;
      gxnor_host_events events = take_position(plan, &row, x);
      for (int32_t block = 0; block < plan->blocks; ++block) {
        run_block(c, &events, position, block);
      }
    }
  }
}

/* ---- One position: a task has one block ---- */

typedef struct position_call {
  const gxnor_host_call* call;
  const gxnor_host_events* events;
  size_t position;
} position_call;

static void block_task(void* argument, int32_t block) {
  const position_call* const p = argument;
  gxnor_host_events events = *p->events;
  run_block(p->call, &events, p->position, block);
}

void gxnor_host_run_events(const gxnor_host_call* call) {
  const gxnor_host_conv2d* const plan = call->plan;
  gxnor_host_call c = *call;
  row_events row = events_of(call, 0);
  if (plan->shape.conv_height * plan->shape.conv_width != 1) {
    call->run_tasks(call->runner, rows_task, &c, plan->event_chunks);
    return;
  }
  for (int32_t batch = 0; batch < plan->params.batches; ++batch) {
    gxnor_host_events events;
    position_call one = {call, &events, (size_t)batch};
    list_row(call, batch, &row);
    events = take_position(plan, &row, 0);
    call->run_tasks(call->runner, block_task, &one, plan->blocks);
  }
}
