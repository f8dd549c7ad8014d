/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "depthwise_problem.h"
#include "gxnor/conv2d.h"

/* Runs both kernels on an input and checks them word for word. */
static void check_outputs(const depthwise_problem* p, const uint32_t* input,
                          int ternary) {
  const gxnor_conv2d_params* const params = &p->full.params;
  const size_t channels = (size_t)params->output_channels;
  uint32_t* const weights = pack_weights(&p->narrow);
  if (ternary) {
    const size_t positions = count_outputs(&p->full) / channels;
    size_t words;
    uint32_t* const thresholds = pack_thresholds(&p->narrow);
    uint32_t* const expected =
        pack_states(p->full.states, positions, (int32_t)channels, &words);
    uint32_t* const output = allocate(words, sizeof *output);
    memset(output, 0xA5, words * sizeof *output);
    CHECK_EQ(gxnor_depthwise_conv2d_t2_t2(params, input, weights, thresholds,
                                          output),
             GXNOR_OK);
    CHECK(memcmp(output, expected, words * sizeof *output) == 0);
    free(thresholds);
    free(expected);
    free(output);
  } else {
    const size_t size = count_sums(&p->full);
    int32_t* const output = allocate(size, sizeof *output);
    CHECK_EQ(gxnor_depthwise_conv2d_t2_s32(params, input, weights, output),
             GXNOR_OK);
    CHECK(memcmp(output, p->full.sums, size * sizeof *output) == 0);
    free(output);
  }
  free(weights);
}

static void test_all_cases(void) {
  for (int ternary = 0; ternary < 2; ++ternary) {
    gxnor_conv2d_params params;
    for (int32_t i = 0; get_depthwise_case(i, ternary, &params); ++i) {
      depthwise_problem p = make_depthwise_problem(params, (uint32_t)i);
      uint32_t* const input = pack_input(&p.full);
      check_outputs(&p, input, ternary);
      free(input);
      free_depthwise_problem(&p);
    }
  }
}

/* Tail bits are neither read nor written. */
static void test_tail_bits(void) {
  depthwise_problem p = make_depthwise_problem(default_params(5, 5), 4);
  uint32_t* const input = pack_input(&p.full);
  for (size_t i = 0; i < count_inputs(&p.full) / 5 * 2; ++i) {
    input[i] |= 0xFFFFFFE0u;
  }
  check_outputs(&p, input, 1);
  check_outputs(&p, input, 0);
  free(input);
  free_depthwise_problem(&p);
}

static void test_shape(void) {
  gxnor_conv2d_params params = default_params(70, 70);
  gxnor_conv2d_shape full, shape;
  CHECK_EQ(gxnor_conv2d_get_shape(&params, &full), GXNOR_OK);
  CHECK_EQ(gxnor_depthwise_conv2d_get_shape(&params, &shape), GXNOR_OK);
  CHECK_EQ(shape.depth, 6);
  CHECK_EQ(shape.planes, 4);
  full.depth = shape.depth;
  full.planes = shape.planes;
  CHECK(memcmp(&shape, &full, sizeof shape) == 0);
}

static void test_errors(void) {
  gxnor_conv2d_params params = default_params(3, 3);
  gxnor_conv2d_shape shape;
  uint32_t words[200] = {0};
  uint32_t output[200];
  int32_t sums[200];
  CHECK_EQ(gxnor_depthwise_conv2d_get_shape(NULL, &shape), GXNOR_ERR_ARG);
  CHECK_EQ(gxnor_depthwise_conv2d_get_shape(&params, NULL), GXNOR_ERR_ARG);
  CHECK_EQ(gxnor_depthwise_conv2d_t2_t2(NULL, words, words, words, output),
           GXNOR_ERR_ARG);
  CHECK_EQ(gxnor_depthwise_conv2d_t2_t2(&params, NULL, words, words, output),
           GXNOR_ERR_ARG);
  CHECK_EQ(gxnor_depthwise_conv2d_t2_t2(&params, words, NULL, words, output),
           GXNOR_ERR_ARG);
  CHECK_EQ(gxnor_depthwise_conv2d_t2_t2(&params, words, words, NULL, output),
           GXNOR_ERR_ARG);
  CHECK_EQ(gxnor_depthwise_conv2d_t2_t2(&params, words, words, words, NULL),
           GXNOR_ERR_ARG);
  CHECK_EQ(gxnor_depthwise_conv2d_t2_s32(NULL, words, words, sums),
           GXNOR_ERR_ARG);
  CHECK_EQ(gxnor_depthwise_conv2d_t2_s32(&params, NULL, words, sums),
           GXNOR_ERR_ARG);
  CHECK_EQ(gxnor_depthwise_conv2d_t2_s32(&params, words, NULL, sums),
           GXNOR_ERR_ARG);
  CHECK_EQ(gxnor_depthwise_conv2d_t2_s32(&params, words, words, NULL),
           GXNOR_ERR_ARG);
  params.output_channels = 4;
  CHECK_EQ(gxnor_depthwise_conv2d_get_shape(&params, &shape), GXNOR_ERR_SHAPE);
  params.input_channels = params.output_channels = 0;
  CHECK_EQ(gxnor_depthwise_conv2d_get_shape(&params, &shape), GXNOR_ERR_SHAPE);
  params = default_params(INT32_MAX / 30, INT32_MAX / 30);
  CHECK_EQ(gxnor_depthwise_conv2d_get_shape(&params, &shape), GXNOR_OK);
  params = default_params(INT32_MAX / 30 + 1, INT32_MAX / 30 + 1);
  CHECK_EQ(gxnor_depthwise_conv2d_get_shape(&params, &shape), GXNOR_ERR_SHAPE);
  params = default_params(3, 3);
  params.pool_height = 2;
  CHECK_EQ(gxnor_depthwise_conv2d_t2_s32(&params, words, words, sums),
           GXNOR_ERR_SHAPE);
}

int main(void) {
  test_all_cases();
  test_tail_bits();
  test_shape();
  test_errors();
  return check_result();
}
