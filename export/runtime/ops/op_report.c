/* SPDX-License-Identifier: Apache-2.0 */
#include "op_report.h"

#include <string.h>

#undef gxnor_op_fail /* Maybe a macro, but this is the function. */

bool gxnor_op_fail(const gxnor_op_report* report, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  report->print(report->where, format, arguments);
  va_end(arguments);
  return false;
}

const char* gxnor_number_text(int64_t number, char text[kGxnorNumberTextSize]) {
  /* Unsigned, because the smallest number has no opposite. */
  uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
  size_t start = kGxnorNumberTextSize;
  text[--start] = '\0';
  do {
    text[--start] = (char)('0' + rest % 10);
    rest /= 10;
  } while (rest != 0);
  if (number < 0) text[--start] = '-';
  memmove(text, text + start, kGxnorNumberTextSize - start);
  return text;
}

const char* gxnor_shape_text(const int* sizes, int rank,
                             char text[kGxnorShapeTextSize]) {
  size_t length = 0;
  for (int i = 0; i < rank && length + 16 < kGxnorShapeTextSize; ++i) {
    char number[kGxnorNumberTextSize];
    size_t digits;
    if (i > 0) {
      text[length++] = ',';
      text[length++] = ' ';
    }
    digits = strlen(gxnor_number_text(sizes[i], number));
    memcpy(text + length, number, digits);
    length += digits;
  }
  text[length] = '\0';
  return text;
}
