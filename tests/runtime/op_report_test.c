/* SPDX-License-Identifier: Apache-2.0 */
#include "op_report.h"

#include <limits.h>
#include <string.h>

#include "check.h"

static void test_numbers(void) {
  static const int64_t kNumbers[] = {
      0, 7, -7, 10, 1234567890, INT64_C(-9000000000), INT64_MIN, INT64_MAX,
  };
  for (size_t i = 0; i < sizeof kNumbers / sizeof kNumbers[0]; ++i) {
    char text[kGxnorNumberTextSize];
    char expected[32];
    snprintf(expected, sizeof expected, "%" PRId64, kNumbers[i]);
    CHECK(gxnor_number_text(kNumbers[i], text) == text);
    CHECK(strcmp(text, expected) == 0);
  }
}

static void test_shapes(void) {
  static const int kSizes[] = {1, 28, -3, INT_MIN};
  int longest[16];
  char text[kGxnorShapeTextSize];
  CHECK(strcmp(gxnor_shape_text(NULL, 0, text), "") == 0);
  CHECK(strcmp(gxnor_shape_text(kSizes, 1, text), "1") == 0);
  CHECK(strcmp(gxnor_shape_text(kSizes, 4, text), "1, 28, -3, -2147483648") ==
        0);
  for (int i = 0; i < 16; ++i) longest[i] = INT_MIN;
  gxnor_shape_text(longest, 16, text);
  CHECK(strlen(text) < sizeof text);
  CHECK(strstr(text, "-2147483648, -2147483648") == text);
}

static void print(void* where, const char* format, va_list arguments) {
  vsnprintf(where, 32, format, arguments);
}

static void test_fail(void) {
  char text[32] = "";
  const gxnor_op_report report = {print, text};
  CHECK(!gxnor_op_fail(&report, "%s is %d, 0x%08x", "it", -5, 255u));
  CHECK(strcmp(text, "it is -5, 0x000000ff") == 0);
}

int main(void) {
  test_numbers();
  test_shapes();
  test_fail();
  return check_result();
}
