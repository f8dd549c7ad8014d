/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "problem.h"

/* Checks the output with buffers for lists of so many positions, 0 for none. */
static void check_output(problem* p, const uint32_t* input) {
  static const int32_t kListed[] = {0, 1, 2, INT32_MAX};
  uint32_t* const weights = pack_weights(p);
  solve(p);
  for (size_t i = 0; i < sizeof kListed / sizeof kListed[0]; ++i) {
    int32_t* const output = allocate(count_outputs(p), sizeof *output);
    size_t size = 0;
    void* buffer = NULL;
    memset(output, 0xA5, count_outputs(p) * sizeof *output);
    if (kListed[i] > 0) {
      CHECK_EQ(gxnor_conv2d_get_buffer_size(&p->params, kListed[i], &size),
               GXNOR_OK);
      buffer = allocate(size + 1, 1);
    }
    CHECK_EQ(
        gxnor_conv2d_t2_s32(&p->params, input, weights, buffer, size, output),
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
    problem p = make_problem(params, 1, (uint32_t)i);
    uint32_t* const input = pack_input(&p);
    check_output(&p, input);
    free(input);
    free_problem(&p);
  }
}

/* Sums of depth and -depth, where the planes are just enough. */
static void test_extremes(void) {
  for (int32_t channels = 1; channels <= 66; ++channels) {
    problem p = make_problem(default_params(channels, 2), 1, 1);
    uint32_t* input;
    memset(p.input, -1, count_inputs(&p));
    memset(p.weights, 1, (size_t)p.shape.depth);
    memset(p.weights + p.shape.depth, -1, (size_t)p.shape.depth);
    input = pack_input(&p);
    check_output(&p, input);
    CHECK_EQ(p.sums[0], -p.shape.depth);
    CHECK_EQ(p.sums[1], p.shape.depth);
    free(input);
    free_problem(&p);
  }
}

static void test_tail_bits(void) {
  problem p = make_problem(default_params(37, 3), 1, 4);
  uint32_t* const input = pack_input(&p);
  for (size_t i = 0; i < count_inputs(&p) / 37; ++i) {
    input[4 * i + 2] |= 0xFFFFFFE0u;
    input[4 * i + 3] |= 0xFFFFFFE0u;
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
  CHECK_EQ(p.sums[0], 0);
  free(input);
  free_problem(&p);
}

static void test_errors(void) {
  gxnor_conv2d_params params = default_params(1, 1);
  uint32_t words[64] = {0};
  int32_t output[64];
  CHECK_EQ(gxnor_conv2d_t2_s32(NULL, words, words, NULL, 0, output),
           GXNOR_ERR_ARG);
  CHECK_EQ(gxnor_conv2d_t2_s32(&params, NULL, words, NULL, 0, output),
           GXNOR_ERR_ARG);
  CHECK_EQ(gxnor_conv2d_t2_s32(&params, words, NULL, NULL, 0, output),
           GXNOR_ERR_ARG);
  CHECK_EQ(gxnor_conv2d_t2_s32(&params, words, words, NULL, 0, NULL),
           GXNOR_ERR_ARG);
  params.pool_height = 2;
  CHECK_EQ(gxnor_conv2d_t2_s32(&params, words, words, NULL, 0, output),
           GXNOR_ERR_SHAPE);
  params = default_params(1, 1);
  params.pool_stride_width = 2;
  CHECK_EQ(gxnor_conv2d_t2_s32(&params, words, words, NULL, 0, output),
           GXNOR_ERR_SHAPE);
  params = default_params(0, 1);
  CHECK_EQ(gxnor_conv2d_t2_s32(&params, words, words, NULL, 0, output),
           GXNOR_ERR_SHAPE);
}

int main(void) {
  test_all_cases();
  test_extremes();
  test_tail_bits();
  test_all_zero();
  test_errors();
  return check_result();
}
