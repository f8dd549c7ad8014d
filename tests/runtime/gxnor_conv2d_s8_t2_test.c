/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "problem.h"

/* Checks the kernel's output word for word, with buffers of many sizes. */
static void check_output(problem* p) {
  const size_t positions = count_outputs(p) / (size_t)p->params.output_channels;
  uint32_t* const weights = pack_weights(p);
  int32_t* const thresholds = pair_thresholds(p);
  uint32_t* expected;
  size_t words, size;
  solve(p);
  expected =
      pack_states(p->states, positions, p->params.output_channels, &words);
  for (int32_t i = 0; get_s8_buffer_size(p, i, &size); ++i) {
    void* const buffer = allocate(size, 1);
    uint32_t* const output = allocate(words, sizeof *output);
    memset(buffer, 0xA5, size);
    memset(output, 0xA5, words * sizeof *output);
    CHECK_EQ(gxnor_conv2d_s8_t2(&p->params, p->input, weights, thresholds,
                                i == 0 ? NULL : buffer, size, output),
             GXNOR_OK);
    CHECK(memcmp(output, expected, words * sizeof *output) == 0);
    free(buffer);
    free(output);
  }
  free(weights);
  free(thresholds);
  free(expected);
}

static void test_all_cases(void) {
  gxnor_conv2d_params params;
  for (int32_t i = 0; get_case(i, 1, &params); ++i) {
    problem p = make_problem(params, 128, (uint32_t)i);
    check_output(&p);
    free_problem(&p);
  }
}

static void test_first_layers(void) {
  uint32_t state = 1;
  for (uint32_t i = 0; i < 150; ++i) {
    problem p = make_problem(random_first_layer(&state, 1), 128, i);
    check_output(&p);
    free_problem(&p);
  }
}

static gxnor_conv2d_params fully_connected(int32_t depth, int32_t channels) {
  gxnor_conv2d_params params = default_params(depth, channels);
  params.input_height = params.input_width = 1;
  params.kernel_height = params.kernel_width = 1;
  return params;
}

/* Images that are mostly background. */
static void test_fully_connected(void) {
  static const int8_t kBackgrounds[] = {-128, 0, 127};
  for (size_t i = 0; i < sizeof kBackgrounds; ++i) {
    gxnor_conv2d_params params = fully_connected(784, 40);
    uint32_t state = 5;
    problem p;
    params.batches = 2;
    p = make_problem(params, 128, (uint32_t)i);
    for (size_t j = 0; j < count_inputs(&p); ++j) {
      if (random_in(&state, 0, 4) > 0) p.input[j] = kBackgrounds[i];
    }
    check_output(&p);
    free_problem(&p);
  }
}

/* Inputs of which every second bit is set, as many as can be where sums are
 * made of digits, and the largest sums. */
static void test_most_digits(void) {
  static const int8_t kInputs[] = {85, -85, 42, -43, 127, -128};
  for (size_t i = 0; i < sizeof kInputs; ++i) {
    problem p = make_problem(fully_connected(784, 3), 128, (uint32_t)i);
    memset(p.input, kInputs[i], 784);
    memset(p.weights, 1, 784);
    memset(p.weights + 784, -1, 784);
    for (int32_t o = 0; o < 2; ++o) {
      p.high[o] = kInputs[i] * (o == 0 ? 784 : -784);
      p.low[o] = p.high[o] - 1;
    }
    check_output(&p);
    CHECK_EQ(p.states[0], 1);
    CHECK_EQ(p.states[1], 1);
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

/* The largest sums, the widest range of them, and thresholds at all ends, for
 * depths around those at which lanes of 16 bits are just enough. One width is
 * enough for blocks of positions, the other is not. */
static void test_extremes(void) {
  static const int32_t kDepths[] = {1, 2, 125, 127, 128, 129, 200, 255, 256};
  for (size_t i = 0; i < sizeof kDepths / sizeof kDepths[0]; ++i) {
    for (int32_t values = 0; values < 8; ++values) {
      gxnor_conv2d_params params = default_params(kDepths[i], 36);
      const int32_t depth = kDepths[i];
      problem p;
      params.input_height = 2;
      params.input_width = values % 2 == 0 ? 10 : 3;
      params.kernel_height = params.kernel_width = 1;
      p = make_problem(params, 128, (uint32_t)i);
      for (size_t j = 0; j < count_inputs(&p); ++j) {
        const int8_t extremes[] = {-128, 127, (int8_t)(j / 7 % 2 ? -128 : 127),
                                   (int8_t)(j % 2 ? -128 : 127)};
        p.input[j] = extremes[values / 2];
      }
      for (int32_t o = 0; o < 36; ++o) {
        const int32_t ends[] = {
            INT32_MIN,    INT32_MIN + 1, INT32_MAX - 1,    INT32_MAX,
            -128 * depth, 128 * depth,   -128 * depth - 1, 128 * depth + 1,
            127 * depth,  -127 * depth,  127 * depth + 1,  0};
        int8_t* const weights = p.weights + o * depth;
        for (int32_t k = 0; k < depth; ++k) {
          weights[k] = (int8_t)(o % 3 == 2 ? k % 2 * 2 - 1 : o % 3 * 2 - 1);
        }
        p.high[o] = ends[o / 3];
        p.low[o] = p.high[o] < -127 * depth ? p.high[o] : -127 * depth;
      }
      check_output(&p);
      for (int32_t o = 0; o < 36; ++o) p.low[o] = p.high[o];
      check_output(&p);
      for (int32_t o = 0; o < 36; ++o) p.low[o] = INT32_MIN;
      check_output(&p);
      free_problem(&p);
    }
  }
}

/* Weights that are +1 and 0 at once: any output, but no other memory. */
static void test_damaged_weights(void) {
  problem p = make_problem(default_params(9, 33), 128, 3);
  const size_t words =
      (size_t)p.shape.output_groups * ((size_t)p.shape.depth + 1) * 2;
  uint32_t* const weights = allocate(words, sizeof *weights);
  int32_t* const thresholds = pair_thresholds(&p);
  uint32_t* const output = allocate(count_outputs(&p) * 4, sizeof *output);
  uint32_t state = 7;
  size_t size;
  for (int32_t density = 0; density < 2; ++density) {
    for (size_t i = 0; i < words; ++i) {
      weights[i] = density ? 0xFFFFFFFFu : next_random(&state);
    }
    for (int32_t i = 0; get_s8_buffer_size(&p, i, &size); ++i) {
      void* const buffer = allocate(size, 1);
      CHECK_EQ(gxnor_conv2d_s8_t2(&p.params, p.input, weights, thresholds,
                                  buffer, size, output),
               GXNOR_OK);
      free(buffer);
    }
  }
  free(weights);
  free(thresholds);
  free(output);
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
  test_first_layers();
  test_fully_connected();
  test_most_digits();
  test_binary();
  test_known_values();
  test_extremes();
  test_damaged_weights();
  test_all_zero();
  test_errors();
  return check_result();
}
