/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "run.h"

/* ---- Padding ---- */

/* {plus, minus} to {gate, sign}. No channel that is set in both planes is
 * left, so that such a damaged input counts as 0. */
static void copy_pairs(const uint8_t* from, size_t bytes, uint8_t* to) {
  for (size_t i = 0; i < bytes; i += 8) {
    uint32_t pair[2];
    memcpy(pair, from + i, sizeof pair);
    pair[0] ^= pair[1];
    memcpy(to + i, pair, sizeof pair);
  }
}

static void copy_with_offset(const uint8_t* from, size_t bytes, uint8_t* to) {
  for (size_t i = 0; i < bytes; ++i) to[i] = (uint8_t)(from[i] ^ 128u);
}

/* Fills one row of the padded input. */
static void pad_row(void* argument, int32_t index) {
  const gxnor_host_call* const c = argument;
  const gxnor_host_conv2d* const plan = c->plan;
  const gxnor_conv2d_params* const p = &plan->params;
  const int32_t batch = index / plan->padded_height;
  const int32_t y = index % plan->padded_height - p->pad_top;
  uint8_t* const row = c->scratch + (size_t)index * plan->row_bytes;
  const int zero = plan->s8_input ? 128 : 0;
  const int32_t left =
      p->pad_left < plan->padded_width ? p->pad_left : plan->padded_width;
  const int32_t room = plan->padded_width - left;
  const int32_t width = p->input_width < room ? p->input_width : room;
  const size_t before = (size_t)left * plan->pixel_bytes;
  const size_t bytes = (size_t)width * plan->pixel_bytes;
  const uint8_t* from;
  if (y < 0 || y >= p->input_height) {
    memset(row, zero, plan->row_bytes);
    return;
  }
  from = c->input + ((size_t)batch * (size_t)p->input_height + (size_t)y) *
                        (size_t)p->input_width * plan->pixel_bytes;
  memset(row, zero, before);
  if (plan->s8_input) {
    copy_with_offset(from, bytes, row + before);
  } else {
    copy_pairs(from, bytes, row + before);
  }
  memset(row + before + bytes, zero, plan->row_bytes - before - bytes);
}

/* ---- Sums ---- */

/* A walk over the positions, row by row, image by image. An offset and not a
 * pointer, for it may pass the end on its way to the next row. */
typedef struct cursor {
  size_t offset; /* Where the first tap reads. */
  int32_t x;
  int32_t y;
} cursor;

static cursor cursor_at(const gxnor_host_conv2d* plan, int32_t position) {
  const int32_t row = position / plan->shape.conv_width;
  const size_t batch = (size_t)(row / plan->shape.conv_height);
  cursor at = {.x = position % plan->shape.conv_width,
               .y = row % plan->shape.conv_height};
  at.offset =
      batch * plan->image_bytes +
      (size_t)at.y * (size_t)plan->params.stride_height * plan->row_bytes +
      (size_t)at.x * (size_t)plan->params.stride_width * plan->pixel_bytes;
  return at;
}

static void advance(const gxnor_host_conv2d* plan, cursor* at) {
  const size_t column = (size_t)plan->params.stride_width * plan->pixel_bytes;
  const size_t row = (size_t)plan->params.stride_height * plan->row_bytes;
  at->offset += column;
  if (++at->x < plan->shape.conv_width) return;
  at->offset += row - (size_t)plan->shape.conv_width * column;
  at->x = 0;
  if (++at->y < plan->shape.conv_height) return;
  at->offset += plan->image_bytes - (size_t)plan->shape.conv_height * row;
  at->y = 0;
}

static void store_sums(const gxnor_host_call* c, const int32_t* sums,
                       int32_t position, int32_t group) {
  const int32_t channels = c->plan->params.output_channels;
  const int32_t left = channels - group * GXNOR_LANES;
  const size_t lanes = (size_t)(left < GXNOR_LANES ? left : GXNOR_LANES);
  int32_t* const output = c->sums + (size_t)position * (size_t)channels +
                          (size_t)group * GXNOR_LANES;
  memcpy(output, sums, lanes * sizeof *sums);
}

static void dense_task(void* argument, int32_t index) {
  const gxnor_host_call* const c = argument;
  const gxnor_host_conv2d* const plan = c->plan;
  const gxnor_host_kernels* const kernels = plan->kernels;
  const int32_t chunks = plan->dense_chunks;
  const int32_t dense = index / chunks;
  const int32_t group = plan->first_dense + dense;
  const int32_t first = index % chunks * GXNOR_HOST_TASK_POSITIONS;
  const int32_t left = plan->positions - first;
  const int32_t end =
      first +
      (left < GXNOR_HOST_TASK_POSITIONS ? left : GXNOR_HOST_TASK_POSITIONS);
  const uint8_t* weights = c->packed +
                           (size_t)plan->blocks * plan->block_bytes +
                           (size_t)dense * plan->group_bytes;
  const int32_t* thresholds = NULL;
  gxnor_host_tile tile;
  cursor walk = cursor_at(plan, first);
  tile.biases = NULL;
  if (plan->s8_input) {
    tile.biases = (const int32_t*)(const void*)weights;
    weights += GXNOR_LANES * sizeof(int32_t);
  }
  if (!plan->s32_output) {
    thresholds = (const int32_t*)(const void*)weights;
    weights += 2 * GXNOR_LANES * sizeof(int32_t);
  }
  tile.weights = weights;
  tile.rows = plan->params.kernel_height;
  tile.columns = plan->segment_columns;
  tile.words = plan->segment_words;
  tile.row_bytes = (size_t)plan->params.dilation_height * plan->row_bytes;
  tile.column_bytes = (size_t)plan->params.dilation_width * plan->pixel_bytes;
  for (int32_t at = first; at < end; at += tile.count) {
    gxnor_host_sums sums;
    tile.count = end - at < kernels->tile ? end - at : kernels->tile;
    for (int32_t i = 0; i < tile.count; ++i) {
      tile.inputs[i] = c->scratch + walk.offset;
      advance(plan, &walk);
    }
    if (plan->s8_input) {
      kernels->s8_sums(&tile, sums);
    } else {
      kernels->t2_sums(&tile, sums);
    }
    for (int32_t i = 0; i < tile.count; ++i) {
      if (plan->s32_output) {
        store_sums(c, sums[i], at + i, group);
      } else {
        kernels->compare(
            sums[i], thresholds,
            c->states + ((size_t)(at + i) * (size_t)plan->shape.output_groups +
                         (size_t)group) *
                            2);
      }
    }
  }
}

void gxnor_host_run_dense(const gxnor_host_call* call) {
  const gxnor_host_conv2d* const plan = call->plan;
  gxnor_host_call c = *call;
  call->run_tasks(call->runner, pad_row, &c,
                  plan->params.batches * plan->padded_height);
  call->run_tasks(call->runner, dense_task, &c,
                  plan->dense_groups * plan->dense_chunks);
}
