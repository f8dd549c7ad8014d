/* SPDX-License-Identifier: Apache-2.0 */
// See micro_context.h.
#ifndef GXNOR_TESTS_MICRO_LOG_H_
#define GXNOR_TESTS_MICRO_LOG_H_

#include <cstdarg>

void MicroPrintf(const char* format, ...);
void VMicroPrintf(const char* format, va_list arguments);

#endif  // GXNOR_TESTS_MICRO_LOG_H_
