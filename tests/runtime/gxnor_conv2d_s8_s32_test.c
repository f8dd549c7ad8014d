/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "problem.h"

/* Checks the output, with buffers of many sizes. */
static void check_output(problem* p) {
  uint32_t* const weights = pack_weights(p);
  size_t size;
  solve(p);
  for (int32_t i = 0; get_s8_buffer_size(p, i, &size); ++i) {
    void* const buffer = allocate(size, 1);
    int32_t* const output = allocate(count_outputs(p), sizeof *output);
    memset(buffer, 0xA5, size);
    memset(output, 0xA5, count_outputs(p) * sizeof *output);
    CHECK_EQ(gxnor_conv2d_s8_s32(&p->params, p->input, weights,
                                 i == 0 ? NULL : buffer, size, output),
             GXNOR_OK);
    CHECK(memcmp(output, p->sums, count_sums(p) * sizeof *output) == 0);
    free(buffer);
    free(output);
  }
  free(weights);
}

static void test_all_cases(void) {
  gxnor_conv2d_params params;
  for (int32_t i = 0; get_case(i, 0, &params); ++i) {
    problem p = make_problem(params, 128, (uint32_t)i);
    check_output(&p);
    free_problem(&p);
  }
}

static void test_first_layers(void) {
  uint32_t state = 1;
  for (uint32_t i = 0; i < 150; ++i) {
    problem p = make_problem(random_first_layer(&state, 0), 128, i);
    check_output(&p);
    free_problem(&p);
  }
}

/* The largest sums, for depths around those at which lanes of 16 bits are just
 * enough. */
static void test_extremes(void) {
  static const int32_t kDepths[] = {1, 128, 255, 256, 257, 784};
  static const int8_t kInputs[] = {-128, 127, 85, -85};
  for (size_t i = 0; i < sizeof kDepths / sizeof kDepths[0]; ++i) {
    for (size_t j = 0; j < 2 * sizeof kInputs; ++j) {
      gxnor_conv2d_params params = default_params(kDepths[i], 2);
      problem p;
      params.input_width = j % 2 == 0 ? 9 : 2;
      params.kernel_height = params.kernel_width = 1;
      p = make_problem(params, 128, 1);
      memset(p.input, kInputs[j / 2], count_inputs(&p));
      memset(p.weights, 1, (size_t)kDepths[i]);
      memset(p.weights + kDepths[i], -1, (size_t)kDepths[i]);
      check_output(&p);
      CHECK_EQ(p.sums[0], kInputs[j / 2] * kDepths[i]);
      CHECK_EQ(p.sums[1], -kInputs[j / 2] * kDepths[i]);
      free_problem(&p);
    }
  }
}

/* More taps than a buffer's events can be numbered for at a time. */
static void test_large_depth(void) {
  gxnor_conv2d_params params = default_params(20000, 3);
  problem p;
  params.input_height = 1;
  params.input_width = 2;
  params.kernel_height = params.kernel_width = 1;
  p = make_problem(params, 128, 2);
  check_output(&p);
  free_problem(&p);
}

/* The largest sum of all: 128 * GXNOR_MAX_DEPTH is just below 2^31. */
static void test_largest_depth(void) {
  gxnor_conv2d_params params = default_params(GXNOR_MAX_DEPTH, 1);
  const size_t depth = GXNOR_MAX_DEPTH;
  int8_t* const input = allocate(depth, sizeof *input);
  uint32_t* const weights = allocate((depth + 1) * 2, sizeof *weights);
  int32_t output = 0;
  params.input_height = params.input_width = 1;
  params.kernel_height = params.kernel_width = 1;
  memset(input, -128, depth);
  for (size_t i = 0; i < depth; ++i) weights[2 * i + 1] = 0xFFFFFFFEu;
  CHECK_EQ(gxnor_conv2d_s8_s32(&params, input, weights, NULL, 0, &output),
           GXNOR_OK);
  CHECK_EQ(output, INT64_C(128) * GXNOR_MAX_DEPTH);
  free(input);
  free(weights);
}

static void test_errors(void) {
  gxnor_conv2d_params params = default_params(1, 1);
  const int8_t input[64] = {0};
  const uint32_t words[64] = {0};
  int32_t output[64];
  CHECK_EQ(gxnor_conv2d_s8_s32(NULL, input, words, NULL, 0, output),
           GXNOR_ERR_ARG);
  CHECK_EQ(gxnor_conv2d_s8_s32(&params, NULL, words, NULL, 0, output),
           GXNOR_ERR_ARG);
  CHECK_EQ(gxnor_conv2d_s8_s32(&params, input, NULL, NULL, 0, output),
           GXNOR_ERR_ARG);
  CHECK_EQ(gxnor_conv2d_s8_s32(&params, input, words, NULL, 0, NULL),
           GXNOR_ERR_ARG);
  params.pool_width = 2;
  CHECK_EQ(gxnor_conv2d_s8_s32(&params, input, words, NULL, 0, output),
           GXNOR_ERR_SHAPE);
}

int main(void) {
  test_all_cases();
  test_first_layers();
  test_extremes();
  test_large_depth();
  test_largest_depth();
  test_errors();
  return check_result();
}
