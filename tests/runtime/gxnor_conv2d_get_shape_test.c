/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "check.h"
#include "problem.h"

static void test_sizes(void) {
  gxnor_conv2d_params p = default_params(33, 64);
  gxnor_conv2d_shape s;
  CHECK_EQ(gxnor_conv2d_get_shape(&p, &s), GXNOR_OK);
  CHECK_EQ(s.conv_height, 4);
  CHECK_EQ(s.conv_width, 4);
  CHECK_EQ(s.output_height, 4);
  CHECK_EQ(s.output_width, 4);
  CHECK_EQ(s.depth, 3 * 2 * 33);
  CHECK_EQ(s.planes, 9);
  CHECK_EQ(s.input_groups, 2);
  CHECK_EQ(s.output_groups, 2);

  p.stride_height = 2;
  p.dilation_width = 3;
  p.pad_left = 2;
  p.pad_bottom = 4;
  p.pool_height = 2;
  p.pool_pad_top = 1;
  p.pool_stride_width = 2;
  CHECK_EQ(gxnor_conv2d_get_shape(&p, &s), GXNOR_OK);
  CHECK_EQ(s.conv_height, (6 + 4 - 3) / 2 + 1);
  CHECK_EQ(s.conv_width, 5 + 2 - 4 + 1);
  CHECK_EQ(s.output_height, 4 + 1 - 2 + 1);
  CHECK_EQ(s.output_width, 2);
}

/* 2^(planes - 1) - 1 >= depth + 1, and no plane is too many. */
static void test_planes(void) {
  static const struct {
    int32_t depth, planes;
  } kCases[] = {
      {1, 3},    {2, 3},         {3, 4},         {6, 4},         {7, 5},
      {800, 11}, {16777213, 25}, {16777214, 25}, {16777215, 26},
  };
  for (size_t i = 0; i < sizeof kCases / sizeof kCases[0]; ++i) {
    gxnor_conv2d_params p = default_params(kCases[i].depth, 1);
    gxnor_conv2d_shape s;
    p.input_height = p.input_width = 1;
    p.kernel_height = p.kernel_width = 1;
    CHECK_EQ(gxnor_conv2d_get_shape(&p, &s), GXNOR_OK);
    CHECK_EQ(s.planes, kCases[i].planes);
  }
}

static void test_bad_values(void) {
  /* All members are int32_t: a value below the least is refused. */
  enum { kMembers = sizeof(gxnor_conv2d_params) / sizeof(int32_t) };
  const int32_t pads_begin =
      (int32_t)(offsetof(gxnor_conv2d_params, pad_top) / sizeof(int32_t));
  const int32_t pools_begin =
      (int32_t)(offsetof(gxnor_conv2d_params, pool_height) / sizeof(int32_t));
  const int32_t pool_pads_begin =
      (int32_t)(offsetof(gxnor_conv2d_params, pool_pad_top) / sizeof(int32_t));
  for (int32_t i = 0; i < kMembers; ++i) {
    const int is_pad =
        (i >= pads_begin && i < pools_begin) || i >= pool_pads_begin;
    for (int32_t value = -1; value <= (is_pad ? -1 : 0); ++value) {
      gxnor_conv2d_params p = default_params(1, 1);
      gxnor_conv2d_shape s;
      memcpy((char*)&p + (size_t)i * sizeof value, &value, sizeof value);
      CHECK_EQ(gxnor_conv2d_get_shape(&p, &s), GXNOR_ERR_SHAPE);
    }
  }
}

static void check_refused(gxnor_conv2d_params p) {
  gxnor_conv2d_shape s;
  CHECK_EQ(gxnor_conv2d_get_shape(&p, &s), GXNOR_ERR_SHAPE);
}

static void test_what_does_not_fit(void) {
  const gxnor_conv2d_params good = default_params(1, 1);
  gxnor_conv2d_params p = good;
  p.kernel_height = 7; /* Input height is 6. */
  check_refused(p);
  p = good;
  p.dilation_width = 5; /* Taps 0 and 5 of width 5. */
  check_refused(p);
  p = good;
  p.pool_height = 5; /* The convolution's height is 4. */
  check_refused(p);
  p = good;
  p.pool_pad_left = 1; /* Not below the pool width. */
  check_refused(p);
}

static void test_overflow(void) {
  const gxnor_conv2d_params good = default_params(1, 1);
  gxnor_conv2d_params p = good;
  p.pad_top = p.pad_bottom = INT32_MAX;
  check_refused(p);
  p = good;
  p.dilation_height = INT32_MAX;
  check_refused(p);
  p = good;
  p.input_channels = GXNOR_MAX_DEPTH / 6 + 1; /* Kernel 3x2. */
  check_refused(p);
  p = good;
  p.kernel_height = p.kernel_width = p.input_height = p.input_width = INT32_MAX;
  check_refused(p);
  p = good;
  p.batches = INT32_MAX; /* Input. */
  check_refused(p);
  p = good;
  p.output_channels = INT32_MAX; /* Output and weights. */
  check_refused(p);
  p = good;
  p.pad_top = p.pad_left = 1 << 20; /* Output. */
  check_refused(p);
  p = default_params(100000, 1 << 20); /* Weights only. */
  p.input_height = p.kernel_height;
  p.input_width = p.kernel_width;
  check_refused(p);
}

/* A pool can make few outputs of more sums than anyone waits for. */
static void test_padding_without_end(void) {
  gxnor_conv2d_params p = default_params(1, 1);
  gxnor_conv2d_shape s;
  p.pad_top = p.pad_bottom = 18;
  p.pool_height = 39; /* One output. */
  p.pool_stride_height = 39;
  CHECK_EQ(gxnor_conv2d_get_shape(&p, &s), GXNOR_ERR_SHAPE);
  p.pad_top = 17; /* Four times the rows of input and kernel, less than one. */
  CHECK_EQ(gxnor_conv2d_get_shape(&p, &s), GXNOR_OK);
  CHECK_EQ(s.conv_height, 39);
  p = default_params(1, 1);
  p.pad_left = p.pool_width = 1000000000;
  CHECK_EQ(gxnor_conv2d_get_shape(&p, &s), GXNOR_ERR_SHAPE);
}

static void test_null(void) {
  gxnor_conv2d_params p = default_params(1, 1);
  gxnor_conv2d_shape s;
  CHECK_EQ(gxnor_conv2d_get_shape(NULL, &s), GXNOR_ERR_ARG);
  CHECK_EQ(gxnor_conv2d_get_shape(&p, NULL), GXNOR_ERR_ARG);
}

int main(void) {
  test_sizes();
  test_planes();
  test_bad_values();
  test_what_does_not_fit();
  test_overflow();
  test_padding_without_end();
  test_null();
  return check_result();
}
