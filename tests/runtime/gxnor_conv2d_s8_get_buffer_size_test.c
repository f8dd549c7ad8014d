/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "gxnor/conv2d.h"
#include "problem.h"

static size_t size_of(gxnor_conv2d_params params) {
  size_t size = 1;
  CHECK_EQ(gxnor_conv2d_s8_get_buffer_size(&params, &size), GXNOR_OK);
  return size;
}

/* First layers: 12 bytes for each of up to 32 channels, two for each of their
 * weights and for each tap, and the rows that a position sees, twice. */
static void test_rows(void) {
  gxnor_conv2d_params params = default_params(1, 32);
  params.input_height = params.input_width = 28;
  params.kernel_height = params.kernel_width = 5;
  /* The last tap is 4 positions further than the 24. */
  CHECK_EQ(size_of(params), 32 * 12 + 33 * 25 * 2 + 5 * 2 * (24 + 4) * 2);
  params.output_channels = 64;
  CHECK_EQ(size_of(params), 32 * 12 + 33 * 25 * 2 + 5 * 2 * (24 + 4) * 2);
  params.output_channels = 7;
  CHECK_EQ(size_of(params), 7 * 12 + 8 * 25 * 2 + 5 * 2 * (24 + 4) * 2);
  params = default_params(3, 32);
  params.input_height = params.input_width = 32;
  params.kernel_height = params.kernel_width = 3;
  params.pad_top = params.pad_bottom = params.pad_left = params.pad_right = 1;
  CHECK_EQ(size_of(params), 32 * 12 + 33 * 27 * 2 + 3 * 3 * 2 * (32 + 2) * 2);
  /* Every second column is a position's first, the others its second; the
   * third one is that of the next position. */
  params.stride_height = params.stride_width = 2;
  CHECK_EQ(size_of(params), 32 * 12 + 33 * 27 * 2 + 3 * 3 * 2 * 2 * 16 * 2);
  /* One column: a second copy would have no use. */
  params.kernel_width = 1;
  CHECK_EQ(size_of(params), 32 * 12 + 33 * 9 * 2 + 3 * 3 * 24 * 2);
}

/* Everything else: 88 bytes, and two for each of up to 4 digits of an input
 * and for what fills up 16 lists. */
static void test_digits(void) {
  gxnor_conv2d_params params = default_params(784, 512);
  params.input_height = params.input_width = 1;
  params.kernel_height = params.kernel_width = 1;
  CHECK_EQ(size_of(params), 88 + (784 * 4 + 16 * 7) * 2);
  params.input_channels = 16;
  CHECK_EQ(size_of(params), 88 + (16 * 4 + 16 * 7) * 2);
  /* What 16 bits number at a time. */
  params.input_channels = 65535;
  CHECK_EQ(size_of(params), 88 + (16355 * 4 + 16 * 7) * 2);
}

static void test_no_help(void) {
  gxnor_conv2d_params params = default_params(15, 512);
  params.input_height = params.input_width = 1;
  params.kernel_height = params.kernel_width = 1;
  CHECK_EQ(size_of(params), 0);
  params.input_channels = 65536;
  CHECK_EQ(size_of(params), 0);
}

/* Rows that are too large for 16 bits are used in parts. */
static void test_limits(void) {
  gxnor_conv2d_params params = default_params(3, 32);
  params.input_width = 1 << 20;
  CHECK(size_of(params) > 0);
  CHECK(size_of(params) < 70000);
  params.pad_bottom = 1 << 29;
  params.dilation_height = 1 << 28;
  params.input_width = 10;
  CHECK(size_of(params) > 0); /* Too few for a block: digits. */
  CHECK(size_of(params) < 1000);
}

static void test_errors(void) {
  gxnor_conv2d_params params = default_params(40, 33);
  size_t size;
  CHECK_EQ(gxnor_conv2d_s8_get_buffer_size(NULL, &size), GXNOR_ERR_ARG);
  CHECK_EQ(gxnor_conv2d_s8_get_buffer_size(&params, NULL), GXNOR_ERR_ARG);
  params.batches = 0;
  CHECK_EQ(gxnor_conv2d_s8_get_buffer_size(&params, &size), GXNOR_ERR_SHAPE);
}

int main(void) {
  test_rows();
  test_digits();
  test_no_help();
  test_limits();
  test_errors();
  return check_result();
}
