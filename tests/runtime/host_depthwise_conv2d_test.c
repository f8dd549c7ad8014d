/* SPDX-License-Identifier: Apache-2.0 */
/* The host's depthwise kernels, all that this processor has. */
#include "host_depthwise_conv2d.h"

#include "check.h"
#include "depthwise_problem.h"
#include "kernels.h"
#include "thread_pool.h"

static void in_pool(void* pool, gxnor_host_task task, void* argument,
                    int32_t count) {
  gxnor_thread_pool_run(pool, 3, task, argument, count);
}

/* Runs all kernels, each alone and with a pool of threads. */
static void check_problem(const depthwise_problem* p, const uint32_t* input,
                          bool s32_output, gxnor_thread_pool* pool) {
  const gxnor_conv2d_params* const params = &p->full.params;
  const size_t channels = (size_t)params->output_channels;
  uint32_t* const weights = pack_weights(&p->narrow);
  uint32_t* const thresholds = pack_thresholds(&p->narrow);
  size_t words = count_sums(&p->full);
  void* expected = p->full.sums;
  const char* name;
  if (!s32_output) {
    expected = pack_states(p->full.states, count_outputs(&p->full) / channels,
                           (int32_t)channels, &words);
  }
  for (size_t i = 0; (name = gxnor_host_kernels_name(i)) != NULL; ++i) {
    gxnor_host_depthwise_conv2d plan;
    void* scratch;
    CHECK_EQ(gxnor_host_depthwise_conv2d_plan(
                 params, s32_output, gxnor_host_find_kernels(name), &plan),
             GXNOR_OK);
    plan.worth_threads = true;
    scratch = allocate(plan.scratch_bytes, 1);
    memset(scratch, 0xA5, plan.scratch_bytes);
    for (int run = 0; run < 2; ++run) {
      uint32_t* const output = allocate(words, sizeof *output);
      gxnor_host_depthwise_conv2d_run(&plan, input, weights,
                                      s32_output ? NULL : thresholds, scratch,
                                      output, run == 0 ? NULL : in_pool, pool);
      if (memcmp(output, expected, words * sizeof *output) != 0) {
        printf("%s, s32 %d, run %d, channels %d\n", name, s32_output, run,
               (int)channels);
        CHECK(false);
      }
      free(output);
    }
    free(scratch);
  }
  CHECK(true);
  if (!s32_output) free(expected);
  free(weights);
  free(thresholds);
}

static void test_all_cases(gxnor_thread_pool* pool) {
  for (int ternary = 0; ternary < 2; ++ternary) {
    gxnor_conv2d_params params;
    for (int32_t i = 0; get_depthwise_case(i, ternary, &params); ++i) {
      depthwise_problem p = make_depthwise_problem(params, (uint32_t)i);
      uint32_t* const input = pack_input(&p.full);
      check_problem(&p, input, !ternary, pool);
      free(input);
      free_depthwise_problem(&p);
    }
  }
}

/* Rows of several steps of the kernels, with strides and the most taps. */
static void test_wide(gxnor_thread_pool* pool) {
  for (int32_t width = 30; width < 100; width += 17) {
    gxnor_conv2d_params params = default_params(33, 33);
    depthwise_problem p;
    uint32_t* input;
    params.input_width = width;
    params.input_height = 12;
    params.kernel_height = 8;
    params.kernel_width = 16;
    params.pad_left = 9;
    params.pad_right = 4;
    params.stride_width = width % 3 + 1;
    p = make_depthwise_problem(params, (uint32_t)width);
    input = pack_input(&p.full);
    check_problem(&p, input, false, pool);
    check_problem(&p, input, true, pool);
    free(input);
    free_depthwise_problem(&p);
  }
}

/* A channel set in both planes counts as 0. */
static void test_damaged_input(gxnor_thread_pool* pool) {
  depthwise_problem p = make_depthwise_problem(default_params(40, 40), 1);
  const size_t words = count_inputs(&p.full) / 40 * 4;
  uint32_t* const input = allocate(words, sizeof *input);
  memset(p.full.input, 0, count_inputs(&p.full));
  memset(input, 0xFF, words * sizeof *input);
  solve(&p.full);
  check_problem(&p, input, false, pool);
  free(input);
  free_depthwise_problem(&p);
}

static void test_refusals(void) {
  const gxnor_host_kernels* const kernels = gxnor_host_find_kernels("auto");
  gxnor_conv2d_params params = default_params(3, 4);
  gxnor_host_depthwise_conv2d plan;
  CHECK_EQ(gxnor_host_depthwise_conv2d_plan(&params, false, kernels, &plan),
           GXNOR_ERR_SHAPE);
  /* More taps than the kernels count. */
  params = default_params(3, 3);
  params.input_height = params.input_width = 20;
  params.kernel_height = 3;
  params.kernel_width = 43;
  params.pad_left = 40;
  CHECK_EQ(gxnor_host_depthwise_conv2d_plan(&params, false, kernels, &plan),
           GXNOR_ERR_SHAPE);
  /* Far more padding than input. */
  params = default_params(3, 3);
  params.pad_left = 1 << 30;
  params.stride_width = 1 << 29;
  CHECK_EQ(gxnor_host_depthwise_conv2d_plan(&params, false, kernels, &plan),
           GXNOR_ERR_SHAPE);
  /* A product of sizes that 64 bits do not hold. */
  params = default_params(1, 1);
  params.input_height = 8192;
  params.input_width = 16384;
  params.kernel_height = params.kernel_width = 1;
  params.stride_height = (1 << 30) - 1;
  params.stride_width = 1 << 28;
  params.pad_top = params.pad_bottom = 1 << 29;
  CHECK_EQ(gxnor_host_depthwise_conv2d_plan(&params, false, kernels, &plan),
           GXNOR_ERR_SHAPE);
}

/* Rows are divided where there are few groups, and threads are not woken for
 * little work. */
static void test_tasks(void) {
  const gxnor_host_kernels* const kernels = gxnor_host_find_kernels("auto");
  gxnor_conv2d_params params = default_params(32, 32);
  gxnor_host_depthwise_conv2d plan;
  CHECK_EQ(gxnor_host_depthwise_conv2d_plan(&params, false, kernels, &plan),
           GXNOR_OK);
  CHECK(!plan.worth_threads);
  params.input_height = params.input_width = 100;
  CHECK_EQ(gxnor_host_depthwise_conv2d_plan(&params, false, kernels, &plan),
           GXNOR_OK);
  CHECK(plan.worth_threads && plan.row_chunks > 1);
}

int main(void) {
  gxnor_thread_pool* const pool = gxnor_thread_pool_create();
  test_all_cases(pool);
  test_wide(pool);
  test_damaged_input(pool);
  test_refusals();
  test_tasks();
  gxnor_thread_pool_destroy(pool);
  return check_result();
}
