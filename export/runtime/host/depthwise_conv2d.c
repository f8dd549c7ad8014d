/* SPDX-License-Identifier: Apache-2.0 */
#include "gxnor/depthwise_conv2d.h"

#include <string.h>

#include "gxnor_conv2d_internal.h"
#include "host_depthwise_conv2d.h"
#include "kernels.h"
#include "max_pool.h"
#include "sizes.h"

/* Threads are not worth waking for fewer products of 32 lanes. */
enum { kWorthThreads = 1 << 14 };

/* Tasks to be shared out, if there is work for so many. */
enum { kTasks = 16 };

/* ---- Plan ---- */

/* Sizes of the planes; false if padding dominates them. A row has its columns
 * by phase: those with x % stride = 0, then those with 1, and so on. So the
 * columns that a tap meets lie side by side. */
static bool plan_planes(gxnor_host_depthwise_conv2d* plan) {
  const gxnor_conv2d_params* const p = &plan->params;
  const int64_t height =
      gxnor_host_padded_size(plan->shape.conv_height, p->stride_height,
                             p->kernel_height, p->dilation_height);
  const int64_t columns = (int64_t)gxnor_host_round_up(
      (size_t)plan->shape.conv_width, GXNOR_HOST_COLUMNS);
  const int64_t last_tap =
      (int64_t)(p->kernel_width - 1) * p->dilation_width / p->stride_width;
  const int64_t width = (columns + last_tap) * p->stride_width;
  if (!gxnor_host_may_pad(p, height, width)) return false;
  plan->padded_height = (int32_t)height;
  plan->phase_width = (int32_t)(columns + last_tap);
  plan->row_words = (size_t)width;
  plan->plane_words = (size_t)width * (size_t)height;
  return true;
}

static void plan_taps(gxnor_host_depthwise_conv2d* plan) {
  const gxnor_conv2d_params* const p = &plan->params;
  size_t* offset = plan->offsets;
  for (int32_t ky = 0; ky < p->kernel_height; ++ky) {
    for (int32_t kx = 0; kx < p->kernel_width; ++kx) {
      const int32_t x = kx * p->dilation_width;
      *offset++ = (size_t)ky * (size_t)p->dilation_height * plan->row_words +
                  (size_t)(x % p->stride_width) * (size_t)plan->phase_width +
                  (size_t)(x / p->stride_width);
    }
  }
}

/* Rows of a group are divided where groups alone are no work for threads. */
static void plan_tasks(gxnor_host_depthwise_conv2d* plan) {
  const int64_t groups =
      (int64_t)plan->params.batches * plan->shape.output_groups;
  const int64_t words = groups * plan->shape.conv_height *
                        plan->shape.conv_width * plan->shape.depth;
  plan->worth_threads = words >= kWorthThreads;
  plan->row_chunks = 1;
  if (plan->worth_threads && groups < kTasks) {
    const int32_t most = kTasks / (int32_t)groups;
    plan->row_chunks =
        plan->shape.conv_height < most ? plan->shape.conv_height : most;
  }
}

gxnor_status gxnor_host_depthwise_conv2d_plan(
    const gxnor_conv2d_params* params, bool s32_output,
    const gxnor_host_kernels* kernels, gxnor_host_depthwise_conv2d* plan) {
  const gxnor_status status =
      gxnor_depthwise_conv2d_get_shape(params, &plan->shape);
  size_t planes;
  if (status != GXNOR_OK) return status;
  plan->params = *params;
  plan->kernels = kernels;
  plan->s32_output = s32_output;
  if (plan->shape.depth > GXNOR_HOST_MAX_TAPS || !plan_planes(plan) ||
      !gxnor_host_may_pool(params, &plan->shape)) {
    return GXNOR_ERR_SHAPE;
  }
  plan_tasks(plan);
  plan_taps(plan);
  planes = 2 * (size_t)params->batches * (size_t)plan->shape.output_groups;
  plan->states_offset = gxnor_host_round_up(
      planes * plan->plane_words * sizeof(uint32_t), GXNOR_HOST_ALIGNMENT);
  plan->scratch_bytes = plan->states_offset;
  if (gxnor_conv2d_has_pool(params)) {
    plan->scratch_bytes += gxnor_host_states_bytes(params, &plan->shape);
  }
  return GXNOR_OK;
}

/* ---- Run ---- */

/* What a task needs. */
typedef struct call {
  const gxnor_host_depthwise_conv2d* plan;
  const uint32_t* input;
  const uint32_t* weights;
  const uint32_t* thresholds;
  uint32_t* planes;
  uint32_t* states; /* Of the convolution: in scratch, or the output. */
  int32_t* sums;    /* The output. */
} call;

static uint32_t* planes_of(const call* c, int32_t group) {
  return c->planes + (size_t)group * 2 * c->plan->plane_words;
}

/* Writes the planes of one group of one image. A channel set in both, as in
 * damaged input, counts as 0. */
static void split_task(void* argument, int32_t index) {
  const call* const c = argument;
  const gxnor_host_depthwise_conv2d* const plan = c->plan;
  const gxnor_conv2d_params* const p = &plan->params;
  const size_t groups = (size_t)plan->shape.output_groups;
  const size_t pixels = (size_t)p->input_height * (size_t)p->input_width;
  const uint32_t* input =
      c->input +
      2 * ((size_t)index / groups * pixels * groups + (size_t)index % groups);
  uint32_t* const plus = planes_of(c, index);
  uint32_t* const minus = plus + plan->plane_words;
  memset(plus, 0, 2 * plan->plane_words * sizeof *plus);
  for (int32_t y = 0; y < p->input_height; ++y) {
    const int64_t row = (int64_t)y + p->pad_top;
    int32_t column = p->pad_left / p->stride_width;
    int32_t phase = p->pad_left % p->stride_width;
    if (row >= plan->padded_height) break;
    for (int32_t x = 0; x < p->input_width; ++x, input += 2 * groups) {
      if (column < plan->phase_width) {
        const size_t at = (size_t)row * plan->row_words +
                          (size_t)phase * (size_t)plan->phase_width +
                          (size_t)column;
        plus[at] = input[0] & ~input[1];
        minus[at] = input[1] & ~input[0];
      }
      if (++phase == p->stride_width) {
        phase = 0;
        ++column;
      }
    }
  }
}

/* What all rows of a group have in common. */
static gxnor_host_depthwise_row row_of(const call* c, size_t group) {
  const gxnor_host_depthwise_conv2d* const plan = c->plan;
  const gxnor_conv2d_shape* const s = &plan->shape;
  const size_t channels = (size_t)plan->params.output_channels;
  const size_t lanes = channels - group * GXNOR_LANES;
  gxnor_host_depthwise_row row = {
      .records = c->weights + group * ((size_t)s->depth + 1) * 2,
      .offsets = plan->offsets,
      .taps = s->depth,
      .plane_count = s->planes,
      .columns = s->conv_width,
      .lanes = lanes < GXNOR_LANES ? (int32_t)lanes : GXNOR_LANES,
      .step = plan->s32_output ? channels : 2 * (size_t)s->output_groups,
  };
  if (!plan->s32_output) {
    row.thresholds = c->thresholds + group * (size_t)s->planes * 2;
  }
  return row;
}

/* Computes some rows of one group of one image. */
static void rows_task(void* argument, int32_t index) {
  const call* const c = argument;
  const gxnor_host_depthwise_conv2d* const plan = c->plan;
  const gxnor_conv2d_shape* const s = &plan->shape;
  const int32_t chunk = index % plan->row_chunks;
  const int32_t image_group = index / plan->row_chunks;
  const size_t batch = (size_t)(image_group / s->output_groups);
  const size_t group = (size_t)(image_group % s->output_groups);
  const int64_t rows = s->conv_height;
  const int32_t end = (int32_t)((chunk + 1) * rows / plan->row_chunks);
  const uint32_t* const plus = planes_of(c, image_group);
  gxnor_host_depthwise_row row = row_of(c, group);
  for (int32_t y = (int32_t)(chunk * rows / plan->row_chunks); y < end; ++y) {
    const size_t first =
        (size_t)y * (size_t)plan->params.stride_height * plan->row_words;
    const size_t position =
        (batch * (size_t)s->conv_height + (size_t)y) * (size_t)s->conv_width;
    row.plus = plus + first;
    row.minus = plus + plan->plane_words + first;
    if (plan->s32_output) {
      plan->kernels->depthwise_sums(
          &row, c->sums + position * row.step + group * GXNOR_LANES);
    } else {
      plan->kernels->depthwise_states(
          &row, c->states + position * row.step + 2 * group);
    }
  }
}

void gxnor_host_depthwise_conv2d_run(
    const gxnor_host_depthwise_conv2d* plan, const uint32_t* input,
    const uint32_t* weights, const uint32_t* thresholds, void* scratch,
    void* output, gxnor_host_run_tasks run_tasks, void* runner) {
  const bool pool = gxnor_conv2d_has_pool(&plan->params);
  const int32_t groups = plan->params.batches * plan->shape.output_groups;
  uint8_t* const memory = scratch;
  call c = {
      .plan = plan,
      .input = input,
      .weights = weights,
      .thresholds = thresholds,
      .planes = scratch,
      .states =
          pool ? (uint32_t*)(void*)(memory + plan->states_offset) : output,
      .sums = output,
  };
  if (run_tasks == NULL || !plan->worth_threads) {
    run_tasks = gxnor_host_run_here;
  }
  run_tasks(runner, split_task, &c, groups);
  run_tasks(runner, rows_task, &c, groups * plan->row_chunks);
  if (pool) {
    gxnor_host_max_pool(&plan->params, &plan->shape, c.states, output,
                        run_tasks, runner);
  }
}
