/* SPDX-License-Identifier: Apache-2.0 */
#include "gxnor/conv2d.h"
#include "gxnor_conv2d_internal.h"
#include "kernels.h"
#include "sizes.h"

/* Fewer positions than these share the weights they read. */
enum { kFewPositions = 4 };

/* Rows are divided into at most so many tasks, for as many threads. */
enum { kChunks = 8 };

/* Threads are not worth waking for fewer products of 32 lanes. */
enum { kWorthThreads = 1 << 12 };

/* Below this depth there is nothing to be skipped. */
enum { kDeep = 64 };

/* Sizes of the padded input; false if padding dominates it. */
static bool plan_input(gxnor_host_conv2d* plan) {
  const gxnor_conv2d_params* const p = &plan->params;
  const int64_t height =
      gxnor_host_padded_size(plan->shape.conv_height, p->stride_height,
                             p->kernel_height, p->dilation_height);
  const int64_t width =
      gxnor_host_padded_size(plan->shape.conv_width, p->stride_width,
                             p->kernel_width, p->dilation_width);
  if (!gxnor_host_may_pad(p, height, width)) return false;
  plan->padded_height = (int32_t)height;
  plan->padded_width = (int32_t)width;
  plan->pixel_bytes = plan->s8_input ? (size_t)p->input_channels
                                     : (size_t)plan->shape.input_groups * 8;
  plan->row_bytes = plan->pixel_bytes * (size_t)width;
  plan->image_bytes = plan->row_bytes * (size_t)height;
  return true;
}

/* Columns of the kernel are one segment unless dilation separates them. */
static void plan_segments(gxnor_host_conv2d* plan) {
  const gxnor_conv2d_params* const p = &plan->params;
  const bool together = p->dilation_width == 1 || p->kernel_width == 1;
  const int32_t taps = together ? p->kernel_width : 1;
  plan->segment_columns = together ? 1 : p->kernel_width;
  plan->segment_words = plan->s8_input ? (taps * p->input_channels - 1) / 4 + 1
                                       : taps * plan->shape.input_groups;
}

/* Whether the lists of events are possible: columns of the kernel side by
 * side, and byte offsets of 32 bits. */
static bool may_list_events(const gxnor_host_conv2d* plan,
                            const gxnor_host_block* block) {
  const gxnor_conv2d_params* const p = &plan->params;
  const int64_t taps =
      (int64_t)p->kernel_height * p->kernel_width + plan->padded_width;
  return !plan->s8_input && !plan->s32_output && plan->shape.depth >= kDeep &&
         (p->kernel_width == 1 || p->dilation_width == 1) &&
         taps <= UINT32_MAX / (8 * (int64_t)p->input_channels * block->groups);
}

/* Chooses the widest block that is not wider than the output. For many
 * positions a narrow one would be slower than dense groups. */
static void plan_block(gxnor_host_conv2d* plan) {
  const gxnor_host_kernels* const kernels = plan->kernels;
  const gxnor_host_block* block = kernels->blocks;
  const int64_t positions = (int64_t)plan->params.batches *
                            plan->shape.conv_height * plan->shape.conv_width;
  plan->block = NULL;
  while (block->groups > plan->shape.output_groups) ++block;
  if (block->groups == 0 || !may_list_events(plan, block)) return;
  if (positions >= kFewPositions &&
      (kernels->counts_fast || block != kernels->blocks)) {
    return;
  }
  plan->block = block;
}

static void plan_weights(gxnor_host_conv2d* plan) {
  const gxnor_conv2d_shape* const s = &plan->shape;
  const size_t segments =
      (size_t)plan->params.kernel_height * (size_t)plan->segment_columns;
  const size_t word = plan->s8_input ? 4u * GXNOR_LANES : 8u * GXNOR_LANES;
  const size_t extra = (plan->s32_output ? 0u : 8u * GXNOR_LANES) +
                       (plan->s8_input ? 4u * GXNOR_LANES : 0u);
  const int32_t wide = plan->block == NULL ? 0 : plan->block->groups;
  plan->blocks = wide == 0 ? 0 : s->output_groups / wide;
  plan->block_bytes =
      ((size_t)s->depth + 1 + (size_t)s->planes) * 8 * (size_t)wide;
  plan->first_dense = plan->blocks * wide;
  plan->dense_groups = s->output_groups - plan->first_dense;
  plan->group_bytes = extra + segments * (size_t)plan->segment_words * word;
  plan->packed_bytes = (size_t)plan->blocks * plan->block_bytes +
                       (size_t)plan->dense_groups * plan->group_bytes;
}

/* Tasks; false if there are more than can be counted. */
static bool plan_tasks(gxnor_host_conv2d* plan) {
  const gxnor_conv2d_shape* const s = &plan->shape;
  const int32_t rows = plan->params.batches * s->conv_height;
  const bool one_position = s->conv_height == 1 && s->conv_width == 1;
  int64_t words;
  plan->positions = rows * s->conv_width;
  plan->dense_chunks = (plan->positions - 1) / GXNOR_HOST_TASK_POSITIONS + 1;
  /* With one position, a task has one block. */
  plan->event_chunks = one_position ? 1 : rows < kChunks ? rows : kChunks;
  words = (int64_t)plan->positions * s->output_groups;
  plan->worth_threads = words >= kWorthThreads ||
                        words * plan->params.kernel_height *
                                plan->segment_columns * plan->segment_words >=
                            kWorthThreads;
  return (int64_t)plan->dense_groups * plan->dense_chunks <= INT32_MAX;
}

/* Lists of a row, and those of a position: two, filled up to multiples of 8. */
static size_t count_events_bytes(const gxnor_host_conv2d* plan) {
  const gxnor_conv2d_params* const p = &plan->params;
  const size_t columns = (size_t)plan->padded_width;
  const size_t seen =
      (size_t)(p->input_width < plan->padded_width ? p->input_width
                                                   : plan->padded_width);
  /* A kernel may be much higher than an input that is padded much. */
  const size_t rows =
      (size_t)(p->kernel_height < p->input_height ? p->kernel_height
                                                  : p->input_height);
  const size_t words = 2 * (columns + 1) + (size_t)plan->shape.depth + 2 * 8 +
                       seen * rows * (size_t)p->input_channels;
  return gxnor_host_round_up(words * sizeof(uint32_t), GXNOR_HOST_ALIGNMENT);
}

static void plan_scratch(gxnor_host_conv2d* plan) {
  const size_t batches = (size_t)plan->params.batches;
  size_t size = 0;
  if (plan->dense_groups > 0) {
    /* The last word of an int8 segment may end behind its pixel. */
    size = gxnor_host_round_up(batches * plan->image_bytes + 3,
                               GXNOR_HOST_ALIGNMENT);
  }
  plan->states_offset = size;
  if (gxnor_conv2d_has_pool(&plan->params)) {
    size += gxnor_host_states_bytes(&plan->params, &plan->shape);
  }
  plan->events_offset = size;
  plan->events_bytes = plan->blocks > 0 ? count_events_bytes(plan) : 0;
  size += (size_t)plan->event_chunks * plan->events_bytes;
  plan->scratch_bytes = size;
}

gxnor_status gxnor_host_conv2d_plan(const gxnor_conv2d_params* params,
                                    bool s8_input, bool s32_output,
                                    const gxnor_host_kernels* kernels,
                                    gxnor_host_conv2d* plan) {
  const gxnor_status status = gxnor_conv2d_get_shape(params, &plan->shape);
  if (status != GXNOR_OK) return status;
  plan->params = *params;
  plan->kernels = kernels;
  plan->s8_input = s8_input;
  plan->s32_output = s32_output;
  if (!plan_input(plan) || !gxnor_host_may_pool(params, &plan->shape)) {
    return GXNOR_ERR_SHAPE;
  }
  plan_segments(plan);
  plan_block(plan);
  plan_weights(plan);
  if (!plan_tasks(plan)) return GXNOR_ERR_SHAPE;
  plan_scratch(plan);
  return GXNOR_OK;
}

bool gxnor_host_conv2d_same_packing(const gxnor_host_conv2d* a,
                                    const gxnor_host_conv2d* b) {
  return a->kernels == b->kernels && a->s8_input == b->s8_input &&
         a->s32_output == b->s32_output && a->block == b->block &&
         a->params.kernel_height == b->params.kernel_height &&
         a->params.kernel_width == b->params.kernel_width &&
         a->params.input_channels == b->params.input_channels &&
         a->params.output_channels == b->params.output_channels &&
         a->segment_columns == b->segment_columns;
}
