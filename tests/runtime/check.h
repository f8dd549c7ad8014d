/* SPDX-License-Identifier: Apache-2.0 */
/* Checks for C tests: main() calls them and returns check_result(). */
#ifndef GXNOR_TESTS_CHECK_H_
#define GXNOR_TESTS_CHECK_H_

#include <inttypes.h>
#include <stdio.h>

static int check_count;
static int check_failures;

#define CHECK(condition)                                               \
  do {                                                                 \
    ++check_count;                                                     \
    if (!(condition)) {                                                \
      ++check_failures;                                                \
      printf("%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
    }                                                                  \
  } while (0)

/* Compares integers. */
#define CHECK_EQ(actual, expected)                                    \
  do {                                                                \
    const int64_t actual_ = (int64_t)(actual);                        \
    const int64_t expected_ = (int64_t)(expected);                    \
    ++check_count;                                                    \
    if (actual_ != expected_) {                                       \
      ++check_failures;                                               \
      printf("%s:%d: %s is %" PRId64 ", not %" PRId64 "\n", __FILE__, \
             __LINE__, #actual, actual_, expected_);                  \
    }                                                                 \
  } while (0)

/* The exit status of a test. A test without any check fails. */
static inline int check_result(void) {
  printf("%d checks, %d failures\n", check_count, check_failures);
  return check_count > 0 && check_failures == 0 ? 0 : 1;
}

#endif /* GXNOR_TESTS_CHECK_H_ */
