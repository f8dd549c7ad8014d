/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "gxnor/conv2d.h"
#include "problem.h"

static size_t size_of(gxnor_conv2d_params params, int32_t positions) {
  size_t size = 1;
  CHECK_EQ(gxnor_conv2d_get_buffer_size(&params, positions, &size), GXNOR_OK);
  return size;
}

/* Two bytes for each input that may be an event and for each column's start,
 * once by sign. */
static void test_sizes(void) {
  const gxnor_conv2d_params params = default_params(40, 33);
  /* Positions of a row: 4. One sees 2 columns of 3 rows. */
  CHECK_EQ(size_of(params, 1), 2 * (2 * 3 * 40 + 2 * 3));
  CHECK_EQ(size_of(params, 2), 2 * (3 * 3 * 40 + 2 * 4));
  CHECK_EQ(size_of(params, 4), 2 * (5 * 3 * 40 + 2 * 6));
  CHECK_EQ(size_of(params, 5), size_of(params, 4));
  CHECK_EQ(size_of(params, INT32_MAX), size_of(params, 4));
}

/* Where lists do not help: 0. Where 16 bits limit them: less. */
static void test_limits(void) {
  gxnor_conv2d_params params = default_params(40, 33);
  params.dilation_width = 2;
  CHECK_EQ(size_of(params, 1), 0);
  params = default_params(1, 33);
  CHECK_EQ(size_of(params, 1), 0); /* A sum of 6 products. */
  params = default_params(65536 / 6 + 1, 33);
  CHECK_EQ(size_of(params, 1), 0); /* More records than 16 bits number. */
  params = default_params(5000, 33);
  CHECK(size_of(params, 4) > 0);
  CHECK_EQ(size_of(params, 4), size_of(params, 3)); /* 5 columns are many. */
}

static void test_errors(void) {
  gxnor_conv2d_params params = default_params(40, 33);
  size_t size;
  CHECK_EQ(gxnor_conv2d_get_buffer_size(NULL, 1, &size), GXNOR_ERR_ARG);
  CHECK_EQ(gxnor_conv2d_get_buffer_size(&params, 1, NULL), GXNOR_ERR_ARG);
  CHECK_EQ(gxnor_conv2d_get_buffer_size(&params, 0, &size), GXNOR_ERR_SHAPE);
  params.batches = 0;
  CHECK_EQ(gxnor_conv2d_get_buffer_size(&params, 1, &size), GXNOR_ERR_SHAPE);
}

int main(void) {
  test_sizes();
  test_limits();
  test_errors();
  return check_result();
}
