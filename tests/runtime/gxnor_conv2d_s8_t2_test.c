/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "problem.h"

/* Checks the kernel's output word for word. */
static void check_output(problem* p) {
  const size_t positions = count_outputs(p) / (size_t)p->params.output_channels;
  uint32_t* const weights = pack_weights(p);
  int32_t* const thresholds = pair_thresholds(p);
  uint32_t *output, *expected;
  size_t words;
  solve(p);
  expected =
      pack_states(p->states, positions, p->params.output_channels, &words);
  output = allocate(words, sizeof *output);
  memset(output, 0xA5, words * sizeof *output);
  CHECK_EQ(gxnor_conv2d_s8_t2(&p->params, p->input, weights, thresholds, NULL,
                              0, output),
           GXNOR_OK);
  CHECK(memcmp(output, expected, words * sizeof *output) == 0);
  free(weights);
  free(thresholds);
  free(expected);
  free(output);
}

static void test_all_cases(void) {
  gxnor_conv2d_params params;
  for (int32_t i = 0; get_case(i, 1, &params); ++i) {
    problem p = make_problem(params, 128, (uint32_t)i);
    check_output(&p);
    free_problem(&p);
  }
}

/* Equal thresholds: the output is +1 or -1, never 0. Some are at the ends of
 * their range, where the output is the same for all sums. */
static void test_binary(void) {
  gxnor_conv2d_params params;
  for (int32_t i = 0; get_case(i, 1, &params); ++i) {
    problem p = make_problem(params, 128, (uint32_t)i);
    const int32_t depth = 128 * p.shape.depth;
    for (int32_t o = 0; o < params.output_channels; ++o) {
      if (o % 5 == 1) p.high[o] = -depth;
      if (o % 5 == 3) p.high[o] = depth + 1;
      p.low[o] = p.high[o];
    }
    check_output(&p);
    for (size_t j = 0; j < count_outputs(&p); ++j) {
      const size_t o = j % (size_t)params.output_channels;
      CHECK(p.states[j] != 0);
      if (o % 5 == 1) CHECK_EQ(p.states[j], 1);
      if (o % 5 == 3) CHECK_EQ(p.states[j], -1);
    }
    free_problem(&p);
  }
}

/* Equality with a threshold, for both of them. */
static void test_known_values(void) {
  gxnor_conv2d_params params = default_params(1, 4);
  problem p;
  params.input_height = params.input_width = 1;
  params.kernel_height = params.kernel_width = 1;
  p = make_problem(params, 128, 1);
  p.input[0] = -100;
  memset(p.weights, 1, 4);
  p.high[0] = -100, p.low[0] = -100;           /* +1: >= high */
  p.high[1] = -99, p.low[1] = -99;             /* -1: < low */
  p.high[2] = -99, p.low[2] = -100;            /* 0 */
  p.high[3] = INT32_MAX, p.low[3] = INT32_MIN; /* 0 */
  check_output(&p);
  CHECK_EQ(p.states[0], 1);
  CHECK_EQ(p.states[1], -1);
  CHECK_EQ(p.states[2], 0);
  CHECK_EQ(p.states[3], 0);
  free_problem(&p);
}

static void test_all_zero(void) {
  problem p = make_problem(default_params(33, 33), 128, 5);
  memset(p.input, 0, count_inputs(&p));
  check_output(&p);
  free_problem(&p);
}

static void test_errors(void) {
  gxnor_conv2d_params params = default_params(1, 1);
  const int8_t input[64] = {0};
  const int32_t thresholds[2] = {0};
  const uint32_t words[64] = {0};
  uint32_t output[64];
  CHECK_EQ(gxnor_conv2d_s8_t2(NULL, input, words, thresholds, NULL, 0, output),
           GXNOR_ERR_ARG);
  CHECK_EQ(
      gxnor_conv2d_s8_t2(&params, NULL, words, thresholds, NULL, 0, output),
      GXNOR_ERR_ARG);
  CHECK_EQ(
      gxnor_conv2d_s8_t2(&params, input, NULL, thresholds, NULL, 0, output),
      GXNOR_ERR_ARG);
  CHECK_EQ(gxnor_conv2d_s8_t2(&params, input, words, NULL, NULL, 0, output),
           GXNOR_ERR_ARG);
  CHECK_EQ(gxnor_conv2d_s8_t2(&params, input, words, thresholds, NULL, 0, NULL),
           GXNOR_ERR_ARG);
  params.pad_left = -1;
  CHECK_EQ(
      gxnor_conv2d_s8_t2(&params, input, words, thresholds, NULL, 0, output),
      GXNOR_ERR_SHAPE);
}

int main(void) {
  test_all_cases();
  test_binary();
  test_known_values();
  test_all_zero();
  test_errors();
  return check_result();
}
