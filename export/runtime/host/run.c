/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "gxnor_conv2d_internal.h"
#include "kernels.h"
#include "pool.h"

/* Positions of a task: some tiles, so that their inputs stay in the cache
 * while a group's weights do. */
enum { kTaskPositions = 8 * GXNOR_HOST_MAX_TILE };

/* Threads are not worth waking for fewer products of 32 lanes. */
enum { kWorthThreads = 1 << 12 };

/* What a task needs. */
typedef struct call {
  const gxnor_host_conv2d* plan;
  const uint8_t* input;
  const uint8_t* packed;
  uint8_t* padded;
  uint32_t* states; /* Of the convolution: in scratch, or the output. */
  void* output;
  int32_t chunks; /* Tasks of a group. */
  gxnor_host_events events;
} call;

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
  const call* const c = argument;
  const gxnor_host_conv2d* const plan = c->plan;
  const gxnor_conv2d_params* const p = &plan->params;
  const int32_t batch = index / plan->padded_height;
  const int32_t y = index % plan->padded_height - p->pad_top;
  uint8_t* const row = c->padded + (size_t)index * plan->row_bytes;
  const int zero = plan->s8_input ? 128 : 0;
  const int32_t right =
      p->pad_left < plan->padded_width ? p->pad_left : plan->padded_width;
  const int32_t room = plan->padded_width - right;
  const int32_t width = p->input_width < room ? p->input_width : room;
  const size_t before = (size_t)right * plan->pixel_bytes;
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

/* ---- Dense ---- */

static const uint8_t* position_input(const call* c, int32_t position) {
  const gxnor_host_conv2d* const plan = c->plan;
  const int32_t width = plan->shape.conv_width;
  const int32_t height = plan->shape.conv_height;
  const int32_t x = position % width;
  const int32_t y = position / width % height;
  const int32_t batch = position / width / height;
  return c->padded + (size_t)batch * plan->image_bytes +
         (size_t)y * (size_t)plan->params.stride_height * plan->row_bytes +
         (size_t)x * (size_t)plan->params.stride_width * plan->pixel_bytes;
}

static int32_t count_positions(const gxnor_host_conv2d* plan) {
  return plan->params.batches * plan->shape.conv_height *
         plan->shape.conv_width;
}

static void store_sums(const call* c, const int32_t* sums, int32_t position,
                       int32_t group) {
  const int32_t channels = c->plan->params.output_channels;
  const int32_t left = channels - group * GXNOR_LANES;
  const size_t lanes = (size_t)(left < GXNOR_LANES ? left : GXNOR_LANES);
  int32_t* const output = (int32_t*)c->output +
                          (size_t)position * (size_t)channels +
                          (size_t)group * GXNOR_LANES;
  memcpy(output, sums, lanes * sizeof *sums);
}

static void dense_task(void* argument, int32_t index) {
  const call* const c = argument;
  const gxnor_host_conv2d* const plan = c->plan;
  const gxnor_host_kernels* const kernels = plan->kernels;
  const int32_t dense = index / c->chunks;
  const int32_t group = plan->blocks * kernels->block_groups + dense;
  const int32_t first = index % c->chunks * kTaskPositions;
  const int32_t left = count_positions(plan) - first;
  const int32_t end = first + (left < kTaskPositions ? left : kTaskPositions);
  const uint8_t* weights = c->packed +
                           (size_t)plan->blocks * plan->block_bytes +
                           (size_t)dense * plan->group_bytes;
  const int32_t* thresholds = NULL;
  gxnor_host_tile tile;
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
      tile.inputs[i] = position_input(c, at + i);
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

/* ---- Events ---- */

/* Writes the byte offsets of the records of one sign, filled up to a multiple
 * of 8 with the null record; returns their number. */
static int32_t list_events(const gxnor_host_conv2d* plan, const uint8_t* input,
                           int32_t sign, uint32_t* offsets) {
  const uint32_t record_bytes = (uint32_t)plan->kernels->block_groups * 8;
  const int32_t channels = plan->params.input_channels;
  const int32_t positions =
      plan->params.kernel_height * plan->params.kernel_width;
  uint32_t first = 0;
  int32_t count = 0;
  for (int32_t position = 0; position < positions; ++position) {
    for (int32_t left = channels; left > 0; left -= GXNOR_LANES) {
      const uint32_t lanes =
          left < GXNOR_LANES ? (1u << left) - 1u : 0xFFFFFFFFu;
      uint32_t pair[2], bits;
      memcpy(pair, input, sizeof pair);
      input += sizeof pair;
      /* Damaged inputs, set in both planes, would not fit the list. */
      bits = pair[sign] & ~pair[1 - sign] & lanes;
      for (; bits != 0; bits &= bits - 1) {
        offsets[count++] =
            (first + (uint32_t)__builtin_ctz(bits)) * record_bytes;
      }
      first += (uint32_t)(left < GXNOR_LANES ? left : GXNOR_LANES);
    }
  }
  return count;
}

static int32_t fill_up(const gxnor_host_conv2d* plan, uint32_t* offsets,
                       int32_t count) {
  const uint32_t null_record =
      (uint32_t)plan->shape.depth * (uint32_t)plan->kernels->block_groups * 8;
  while (count % 8 != 0) offsets[count++] = null_record;
  return count;
}

static void events_task(void* argument, int32_t index) {
  const call* const c = argument;
  const gxnor_host_conv2d* const plan = c->plan;
  const int32_t wide = plan->kernels->block_groups;
  gxnor_host_events events = c->events;
  events.records = c->packed + (size_t)index * plan->block_bytes;
  events.thresholds =
      (const uint32_t*)(const void*)(events.records +
                                     ((size_t)plan->shape.depth + 1) * 8 *
                                         (size_t)wide);
  plan->kernels->events(&events, c->states + (size_t)index * 2 * (size_t)wide);
}

/* ---- All of it ---- */

void gxnor_host_run_here(void* runner, gxnor_host_task task, void* argument,
                         int32_t count) {
  (void)runner;
  for (int32_t i = 0; i < count; ++i) task(argument, i);
}

static bool is_worth_threads(const gxnor_host_conv2d* plan) {
  return (int64_t)count_positions(plan) * plan->shape.output_groups *
             plan->params.kernel_height * plan->segment_columns *
             plan->segment_words >=
         kWorthThreads;
}

/* The blocks of the events scheme, image by image. */
static void run_events(call* c, uint32_t* offsets,
                       gxnor_host_run_tasks run_tasks, void* runner) {
  const gxnor_host_conv2d* const plan = c->plan;
  uint32_t* const states = c->states;
  const size_t input_bytes = (size_t)plan->params.kernel_height *
                             (size_t)plan->params.kernel_width *
                             (size_t)plan->shape.input_groups * 8;
  for (int32_t batch = 0; batch < plan->params.batches; ++batch) {
    const uint8_t* const input = c->input + (size_t)batch * input_bytes;
    int32_t minus, plus;
    minus = list_events(plan, input, 1, offsets);
    c->events.offsets[0] = offsets;
    c->events.counts[0] = fill_up(plan, offsets, minus);
    c->events.offsets[1] = offsets + c->events.counts[0];
    plus = list_events(plan, input, 0, offsets + c->events.counts[0]);
    c->events.counts[1] = fill_up(plan, offsets + c->events.counts[0], plus);
    c->events.start = plus - minus - 1;
    c->events.planes = plan->shape.planes;
    c->states = states + (size_t)batch * (size_t)plan->shape.output_groups * 2;
    run_tasks(runner, events_task, c, plan->blocks);
  }
  c->states = states;
}

void gxnor_host_conv2d_run(const gxnor_host_conv2d* plan, const void* input,
                           const void* packed, void* scratch, void* output,
                           gxnor_host_run_tasks run_tasks, void* runner) {
  const bool pool = gxnor_conv2d_has_pool(&plan->params);
  const int32_t batches = plan->params.batches;
  uint8_t* const memory = scratch;
  call c;
  memset(&c, 0, sizeof c);
  c.plan = plan;
  c.input = input;
  c.packed = packed;
  c.padded = memory;
  c.output = output;
  c.states = pool ? (uint32_t*)(void*)(memory + plan->states_offset) : output;
  if (run_tasks == NULL || !is_worth_threads(plan))
    run_tasks = gxnor_host_run_here;
  if (plan->blocks > 0) {
    run_events(&c, (uint32_t*)(void*)(memory + plan->events_offset), run_tasks,
               runner);
  }
  if (plan->dense_groups > 0) {
    c.chunks = (count_positions(plan) - 1) / kTaskPositions + 1;
    run_tasks(runner, pad_row, &c, batches * plan->padded_height);
    run_tasks(runner, dense_task, &c, plan->dense_groups * c.chunks);
  }
  if (pool) {
    gxnor_host_pool(&plan->params, &plan->shape, c.states, output);
  }
}
