/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "check.h"
#include "gxnor/pack.h"

static gxnor_status get(int32_t positions, int32_t channels, int32_t* groups) {
  const gxnor_pack_params params = {positions, channels};
  return gxnor_pack_get_groups(&params, groups);
}

static void test_groups(void) {
  static const int32_t kCases[][2] = {
      {1, 1},  {31, 1}, {32, 1},  {33, 2},
      {64, 2}, {65, 3}, {100, 4}, {INT32_MAX, 1 << 26}};
  for (size_t i = 0; i < sizeof kCases / sizeof kCases[0]; ++i) {
    int32_t groups = -1;
    CHECK_EQ(get(1, kCases[i][0], &groups), GXNOR_OK);
    CHECK_EQ(groups, kCases[i][1]);
  }
}

/* Neither form of a tensor may have more than 2^31 - 1 elements. */
static void test_largest(void) {
  int32_t groups = -1;
  CHECK_EQ(get(INT32_MAX / 2, 1, &groups), GXNOR_OK); /* Two words each. */
  CHECK_EQ(get(INT32_MAX / 2 + 1, 1, &groups), GXNOR_ERR_SHAPE);
  CHECK_EQ(get(INT32_MAX / 32, 32, &groups), GXNOR_OK);
  CHECK_EQ(get(INT32_MAX / 32 + 1, 32, &groups), GXNOR_ERR_SHAPE);
  CHECK_EQ(get(2, INT32_MAX, &groups), GXNOR_ERR_SHAPE);
  CHECK_EQ(get(INT32_MAX, INT32_MAX, &groups), GXNOR_ERR_SHAPE);
}

static void test_errors(void) {
  const gxnor_pack_params params = {1, 1};
  int32_t groups = -1;
  CHECK_EQ(gxnor_pack_get_groups(NULL, &groups), GXNOR_ERR_ARG);
  CHECK_EQ(gxnor_pack_get_groups(&params, NULL), GXNOR_ERR_ARG);
  CHECK_EQ(get(0, 1, &groups), GXNOR_ERR_SHAPE);
  CHECK_EQ(get(1, 0, &groups), GXNOR_ERR_SHAPE);
  CHECK_EQ(get(INT32_MIN, 1, &groups), GXNOR_ERR_SHAPE);
  CHECK_EQ(get(1, INT32_MIN, &groups), GXNOR_ERR_SHAPE);
  CHECK_EQ(groups, -1);
}

int main(void) {
  test_groups();
  test_largest();
  test_errors();
  return check_result();
}
