/* SPDX-License-Identifier: Apache-2.0 */
/* How the parts in this folder say what is wrong with a model. */
#ifndef GXNOR_OP_REPORT_H_
#define GXNOR_OP_REPORT_H_

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#if defined(__GNUC__)
#define GXNOR_PRINTF_LIKE(text, first) \
  __attribute__((format(printf, text, first)))
#else
#define GXNOR_PRINTF_LIKE(text, first)
#endif

#if defined(__cplusplus)
extern "C" {
#endif

/* Where texts go. The formats have %d, %s, %x and %08x only, because the
 * printf of a microcontroller may know no others. */
typedef struct gxnor_op_report {
  void (*print)(void* where, const char* format, va_list arguments);
  void* where;
} gxnor_op_report;

/* Prints a text and returns false. */
bool GXNOR_PRINTF_LIKE(2, 3)
    gxnor_op_fail(const gxnor_op_report* report, const char* format, ...);

#if defined(TF_LITE_STRIP_ERROR_STRINGS)
/* As in TensorFlow Lite Micro: with this macro no text takes memory. */
#define gxnor_op_fail(...) ((void)sizeof(gxnor_op_fail(__VA_ARGS__)), false)
#endif

/* Room for any number, and for a shape or its start. */
enum { kGxnorNumberTextSize = 21, kGxnorShapeTextSize = 64 };

/* Writes a number in decimal digits. */
const char* gxnor_number_text(int64_t number, char text[kGxnorNumberTextSize]);

/* Writes a shape as "1, 28, 28, 2", cut after some sizes. */
const char* gxnor_shape_text(const int* sizes, int rank,
                             char text[kGxnorShapeTextSize]);

#if defined(__cplusplus)
}
#endif

#endif /* GXNOR_OP_REPORT_H_ */
