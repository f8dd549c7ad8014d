/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "gxnor/conv2d.h"
#include "gxnor/max_pool2d.h"
#include "problem.h"

static const gxnor_max_pool2d_params kParams = {
    .batches = 2,
    .input_height = 6,
    .input_width = 5,
    .channels = 40,
    .pool_height = 3,
    .pool_width = 2,
    .stride_height = 2,
    .stride_width = 1,
    .pad_top = 1,
    .pad_bottom = 2,
    .pad_left = 0,
    .pad_right = 1,
};

/* The pools of all cases, on what a convolution of one tap hands through. */
static void test_all_cases(void) {
  gxnor_conv2d_params params;
  for (int32_t i = 0; get_case(i, 1, &params); ++i) {
    const int32_t channels = params.input_channels;
    problem p;
    gxnor_max_pool2d_params pool;
    gxnor_max_pool2d_shape shape;
    uint32_t *input, *output, *expected;
    size_t words;
    params.output_channels = channels;
    params.kernel_height = params.kernel_width = 1;
    params.stride_height = params.stride_width = 1;
    params.pad_top = params.pad_bottom = 0;
    params.pad_left = params.pad_right = 0;
    p = make_problem(params, 1, (uint32_t)i);
    memset(p.weights, 0, (size_t)(channels * channels));
    for (int32_t c = 0; c < channels; ++c) {
      p.weights[c * channels + c] = 1;
      p.high[c] = 1;
      p.low[c] = 0;
    }
    solve(&p);
    input = pack_input(&p);
    expected = pack_states(p.states, count_outputs(&p) / (size_t)channels,
                           channels, &words);
    output = allocate(words, sizeof *output);
    pool = (gxnor_max_pool2d_params){
        .batches = params.batches,
        .input_height = params.input_height,
        .input_width = params.input_width,
        .channels = channels,
        .pool_height = params.pool_height,
        .pool_width = params.pool_width,
        .stride_height = params.pool_stride_height,
        .stride_width = params.pool_stride_width,
        .pad_top = params.pool_pad_top,
        .pad_bottom = params.pool_pad_bottom,
        .pad_left = params.pool_pad_left,
        .pad_right = params.pool_pad_right,
    };
    CHECK_EQ(gxnor_max_pool2d_get_shape(&pool, &shape), GXNOR_OK);
    CHECK_EQ(shape.output_height, p.shape.output_height);
    CHECK_EQ(shape.output_width, p.shape.output_width);
    CHECK_EQ(shape.groups, p.shape.output_groups);
    CHECK_EQ(gxnor_max_pool2d_t2(&pool, input, output), GXNOR_OK);
    CHECK(memcmp(output, expected, words * sizeof *output) == 0);
    free(input);
    free(output);
    free(expected);
    free_problem(&p);
  }
}

/* A channel that is set in both planes counts as 0. */
static void test_damaged_input(void) {
  const uint32_t input[] = {3, 3, 4, 8};
  const gxnor_max_pool2d_params params = {1, 1, 2, 32, 1, 2, 1, 1, 0, 0, 0, 0};
  uint32_t output[2];
  CHECK_EQ(gxnor_max_pool2d_t2(&params, input, output), GXNOR_OK);
  CHECK_EQ(output[0], 4);
  CHECK_EQ(output[1], 0);
}

static gxnor_status get(gxnor_max_pool2d_params params) {
  gxnor_max_pool2d_shape shape;
  return gxnor_max_pool2d_get_shape(&params, &shape);
}

static void test_errors(void) {
  gxnor_max_pool2d_params p;
  gxnor_max_pool2d_shape shape;
  uint32_t words[4] = {0};
  uint32_t output[4];
  CHECK_EQ(gxnor_max_pool2d_get_shape(NULL, &shape), GXNOR_ERR_ARG);
  CHECK_EQ(gxnor_max_pool2d_get_shape(&kParams, NULL), GXNOR_ERR_ARG);
  CHECK_EQ(gxnor_max_pool2d_t2(NULL, words, output), GXNOR_ERR_ARG);
  CHECK_EQ(gxnor_max_pool2d_t2(&kParams, NULL, output), GXNOR_ERR_ARG);
  CHECK_EQ(gxnor_max_pool2d_t2(&kParams, words, NULL), GXNOR_ERR_ARG);
  /* Every value below its least. */
  for (size_t i = 0; i < sizeof p / sizeof(int32_t); ++i) {
    const int32_t wrong = i < 8 ? 0 : -1;
    p = kParams;
    memcpy((char*)&p + i * sizeof wrong, &wrong, sizeof wrong);
    CHECK_EQ(get(p), GXNOR_ERR_SHAPE);
    CHECK_EQ(gxnor_max_pool2d_t2(&p, words, output), GXNOR_ERR_SHAPE);
  }
  p = kParams;
  p.pad_top = 3; /* A window that sees nothing. */
  CHECK_EQ(get(p), GXNOR_ERR_SHAPE);
  p = kParams;
  p.pool_height = 10;
  CHECK_EQ(get(p), GXNOR_ERR_SHAPE);
  p = kParams;
  p.channels = INT32_MAX / 60;
  CHECK_EQ(get(p), GXNOR_OK);
  p.channels += 1;
  CHECK_EQ(get(p), GXNOR_ERR_SHAPE);
}

int main(void) {
  CHECK_EQ(get(kParams), GXNOR_OK);
  test_all_cases();
  test_damaged_input();
  test_errors();
  return check_result();
}
