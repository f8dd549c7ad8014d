/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "problem.h"

/* Runs the kernel with a buffer for lists of so many positions, 0 for none; the
 * caller frees the result. */
static uint32_t* run_with(const problem* p, const uint32_t* input,
                          int32_t listed) {
  const size_t positions = count_outputs(p) / (size_t)p->params.output_channels;
  const size_t words = positions * 2 * (size_t)p->shape.output_groups;
  uint32_t* const weights = pack_weights(p);
  uint32_t* const thresholds = pack_thresholds(p);
  uint32_t* const output = allocate(words, sizeof *output);
  size_t size = 0;
  void* buffer = NULL;
  memset(output, 0xA5, words * sizeof *output);
  if (listed > 0) {
    CHECK_EQ(gxnor_conv2d_get_buffer_size(&p->params, listed, &size), GXNOR_OK);
    buffer = allocate(size + 1, 1);
  }
  CHECK_EQ(gxnor_conv2d_t2_t2(&p->params, input, weights, thresholds, buffer,
                              size, output),
           GXNOR_OK);
  free(weights);
  free(thresholds);
  free(buffer);
  return output;
}

static uint32_t* run(const problem* p, const uint32_t* input) {
  return run_with(p, input, 0);
}

/* Checks the kernel's output word for word. */
static void check_output(problem* p, const uint32_t* input) {
  static const int32_t kListed[] = {0, 1, 2, 3, INT32_MAX};
  const size_t channels = (size_t)p->params.output_channels;
  size_t words;
  uint32_t* expected;
  solve(p);
  expected = pack_states(p->states, count_outputs(p) / channels,
                         (int32_t)channels, &words);
  for (size_t i = 0; i < sizeof kListed / sizeof kListed[0]; ++i) {
    uint32_t* const output = run_with(p, input, kListed[i]);
    CHECK(memcmp(output, expected, words * sizeof *output) == 0);
    free(output);
  }
  free(expected);
}

/* Positions that no pool window sees are not walked over: they are many. */
static void test_wide_strides(void) {
  gxnor_conv2d_params params = default_params(40, 33);
  problem p;
  uint32_t *input, *expected, *output;
  size_t words;
  params.pool_stride_height = params.pool_stride_width = 1 << 28;
  params.pool_height = 2;
  params.pool_width = 3;
  p = make_problem(default_params(40, 33), 1, 1);
  p.params = params;
  CHECK_EQ(gxnor_conv2d_get_shape(&params, &p.shape), GXNOR_OK);
  CHECK_EQ(p.shape.output_height * p.shape.output_width, 1);
  words = 4;
  input = pack_input(&p);
  expected = run(&p, input);
  output = run_with(&p, input, INT32_MAX);
  CHECK(memcmp(output, expected, words * sizeof *output) == 0);
  free(input);
  free(expected);
  free(output);
  free_problem(&p);
}

/* A buffer of any size is taken: what has no room in it is done without. */
static void test_small_buffers(void) {
  problem p = make_problem(default_params(70, 40), 1, 7);
  uint32_t* const input = pack_input(&p);
  uint32_t* const weights = pack_weights(&p);
  uint32_t* const thresholds = pack_thresholds(&p);
  uint32_t* const expected = run(&p, input);
  const size_t words = count_outputs(&p) / 40 * 4;
  uint32_t* const output = allocate(words, sizeof *output);
  for (size_t size = 0; size < 3000; size += 38) {
    uint16_t* const buffer = allocate(size + 1, 1);
    CHECK_EQ(gxnor_conv2d_t2_t2(&p.params, input, weights, thresholds, buffer,
                                size, output),
             GXNOR_OK);
    CHECK(memcmp(output, expected, words * sizeof *output) == 0);
    free(buffer);
  }
  free(input);
  free(weights);
  free(thresholds);
  free(expected);
  free(output);
  free_problem(&p);
}

static void test_all_cases(void) {
  gxnor_conv2d_params params;
  for (int32_t i = 0; get_case(i, 1, &params); ++i) {
    problem p = make_problem(params, 1, (uint32_t)i);
    uint32_t* const input = pack_input(&p);
    check_output(&p, input);
    free(input);
    free_problem(&p);
  }
}

/* Equal thresholds: the output is +1 or -1, never 0. Some are at the ends of
 * their range, where the output is the same for all sums. */
static void test_binary(void) {
  gxnor_conv2d_params params;
  for (int32_t i = 0; get_case(i, 1, &params); ++i) {
    problem p = make_problem(params, 1, (uint32_t)i);
    const int32_t depth = p.shape.depth;
    uint32_t* const input = pack_input(&p);
    for (int32_t o = 0; o < params.output_channels; ++o) {
      if (o % 5 == 1) p.high[o] = -depth;
      if (o % 5 == 3) p.high[o] = depth + 1;
      p.low[o] = p.high[o];
    }
    check_output(&p, input);
    for (size_t j = 0; j < count_outputs(&p); ++j) {
      const size_t o = j % (size_t)params.output_channels;
      CHECK(p.states[j] != 0);
      if (o % 5 == 1) CHECK_EQ(p.states[j], 1);
      if (o % 5 == 3) CHECK_EQ(p.states[j], -1);
    }
    free(input);
    free_problem(&p);
  }
}

/* One tap of weight +1: the output is the thresholded input. */
static void test_known_values(void) {
  static const struct {
    int32_t high, low;
    uint32_t plus, minus;
  } kCases[] = {
      {1, 0, 1, 0},   /* x = +1 */
      {2, 0, 0, 0},   /* x = +1 is below high. */
      {2, 2, 0, 1},   /* x = +1 is below low. */
      {-1, -1, 1, 0}, /* All is plus. */
  };
  gxnor_conv2d_params params = default_params(1, 1);
  params.input_height = params.input_width = 1;
  params.kernel_height = params.kernel_width = 1;
  for (size_t i = 0; i < sizeof kCases / sizeof kCases[0]; ++i) {
    const uint32_t input[] = {1, 0};
    problem p = make_problem(params, 1, 1);
    uint32_t* output;
    p.weights[0] = 1;
    p.high[0] = kCases[i].high;
    p.low[0] = kCases[i].low;
    output = run(&p, input);
    CHECK_EQ(output[0], kCases[i].plus);
    CHECK_EQ(output[1], kCases[i].minus);
    free(output);
    free_problem(&p);
  }
}

/* Thresholds at both ends of their range, sums at both ends of theirs. */
static void test_extremes(void) {
  gxnor_conv2d_params params = default_params(33, 4);
  problem p = make_problem(params, 1, 3);
  uint32_t* input;
  const int32_t depth = p.shape.depth;
  memset(p.input, 1, count_inputs(&p));
  memset(p.weights, 1, (size_t)(2 * depth));
  memset(p.weights + 2 * depth, -1, (size_t)(2 * depth));
  p.high[0] = depth, p.low[0] = -depth;        /* +1 */
  p.high[1] = depth + 1, p.low[1] = depth + 1; /* -1 */
  p.high[2] = depth + 1, p.low[2] = 1 - depth; /* -1 */
  p.high[3] = -depth, p.low[3] = -depth;       /* +1 */
  input = pack_input(&p);
  check_output(&p, input);
  CHECK_EQ(p.states[0], 1);
  CHECK_EQ(p.states[1], -1);
  CHECK_EQ(p.states[2], -1);
  CHECK_EQ(p.states[3], 1);
  free(input);
  free_problem(&p);
}

/* Tail bits are neither read nor written. */
static void test_tail_bits(void) {
  problem p = make_problem(default_params(5, 7), 1, 4);
  uint32_t* const input = pack_input(&p);
  for (size_t i = 0; i < count_inputs(&p) / 5 * 2; ++i) {
    input[i] |= 0xFFFFFFE0u;
  }
  check_output(&p, input);
  free(input);
  free_problem(&p);
}

static void test_all_zero(void) {
  problem p = make_problem(default_params(33, 33), 1, 5);
  uint32_t* input;
  memset(p.input, 0, count_inputs(&p));
  input = pack_input(&p);
  check_output(&p, input);
  free(input);
  free_problem(&p);
}

/* Whatever the data, no access leaves the arrays. A sanitizer looks on. */
static void test_garbage(void) {
  problem p = make_problem(default_params(33, 33), 1, 6);
  const gxnor_conv2d_shape* const s = &p.shape;
  uint32_t* const input = pack_input(&p);
  uint32_t* const weights = pack_weights(&p);
  uint32_t* const thresholds = pack_thresholds(&p);
  const size_t outputs =
      (size_t)(s->output_height * s->output_width * s->output_groups * 2);
  uint32_t* const output = allocate(outputs, sizeof *output);
  memset(input, 0xFF, count_inputs(&p) / 33 * 4 * sizeof *input);
  memset(weights, 0xFF,
         (size_t)(s->output_groups * (s->depth + 1) * 2) * sizeof *weights);
  memset(thresholds, 0x5A,
         (size_t)(s->output_groups * s->planes * 2) * sizeof *thresholds);
  CHECK_EQ(gxnor_conv2d_t2_t2(&p.params, input, weights, thresholds, NULL, 0,
                              output),
           GXNOR_OK);
  for (size_t i = 2; i < outputs; i += 4) {
    CHECK_EQ(output[i] & ~1u, 0);
    CHECK_EQ(output[i + 1] & ~1u, 0);
  }
  free(input);
  free(weights);
  free(thresholds);
  free(output);
  free_problem(&p);
}

static void test_errors(void) {
  gxnor_conv2d_params params = default_params(1, 1);
  const uint32_t words[64] = {0};
  uint32_t output[64];
  CHECK_EQ(gxnor_conv2d_t2_t2(NULL, words, words, words, NULL, 0, output),
           GXNOR_ERR_ARG);
  CHECK_EQ(gxnor_conv2d_t2_t2(&params, NULL, words, words, NULL, 0, output),
           GXNOR_ERR_ARG);
  CHECK_EQ(gxnor_conv2d_t2_t2(&params, words, NULL, words, NULL, 0, output),
           GXNOR_ERR_ARG);
  CHECK_EQ(gxnor_conv2d_t2_t2(&params, words, words, NULL, NULL, 0, output),
           GXNOR_ERR_ARG);
  CHECK_EQ(gxnor_conv2d_t2_t2(&params, words, words, words, NULL, 0, NULL),
           GXNOR_ERR_ARG);
  params.stride_width = 0;
  CHECK_EQ(gxnor_conv2d_t2_t2(&params, words, words, words, NULL, 0, output),
           GXNOR_ERR_SHAPE);
}

int main(void) {
  test_all_cases();
  test_small_buffers();
  test_wide_strides();
  test_binary();
  test_known_values();
  test_extremes();
  test_tail_bits();
  test_all_zero();
  test_garbage();
  test_errors();
  return check_result();
}
