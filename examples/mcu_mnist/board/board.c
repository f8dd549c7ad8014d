/* SPDX-License-Identifier: Apache-2.0 */
/* The part of a board that all processors have in common. */
#include "board.h"

#include <stddef.h>

#include "board_internal.h"

#define STACK_PAINT 0xDEADBEEFu

int main(void);

/* Compilers call these two even where there is no C library. Their loops must
 * not become calls of themselves. */
#define NO_IDIOMS \
  __attribute__((used, optimize("no-tree-loop-distribute-patterns")))

void* memcpy(void* restrict target, const void* restrict source, size_t size);
void* memset(void* target, int value, size_t size);

NO_IDIOMS void* memcpy(void* restrict target, const void* restrict source,
                       size_t size) {
  unsigned char* to = target;
  const unsigned char* from = source;
  for (size_t i = 0; i < size; ++i) to[i] = from[i];
  return target;
}

NO_IDIOMS void* memset(void* target, int value, size_t size) {
  unsigned char* to = target;
  for (size_t i = 0; i < size; ++i) to[i] = (unsigned char)value;
  return target;
}

void board_start(void) {
  const uint32_t* from = board_data_flash;
  for (uint32_t* p = board_data_start; p < board_data_end; ++p) *p = *from++;
  for (uint32_t* p = board_bss_start; p < board_bss_end; ++p) *p = 0;
  /* Nothing is below this frame. */
  const uint32_t* here = (const uint32_t*)__builtin_frame_address(0);
  for (uint32_t* p = board_stack_start; p + 16 < here; ++p) *p = STACK_PAINT;
  board_exit(main());
}

uint32_t board_stack_bytes(void) {
  const uint32_t* p = board_stack_start;
  while (p < board_stack_end && *p == STACK_PAINT) ++p;
  return (uint32_t)((uintptr_t)board_stack_end - (uintptr_t)p);
}

void board_print(const char* text) { board_call_host(BOARD_WRITE, text); }

void board_print_unsigned(uint64_t number) {
  char digits[21];
  size_t first = sizeof(digits) - 1;
  digits[first] = '\0';
  do {
    digits[--first] = (char)('0' + (int)(number % 10));
    number /= 10;
  } while (number != 0);
  board_print(digits + first);
}

void board_print_signed(int32_t number) {
  if (number < 0) board_print("-");
  board_print_unsigned(number < 0 ? 0u - (uint32_t)number : (uint32_t)number);
}

void board_exit(int status) {
  /* ADP_Stopped_ApplicationExit and the status. */
  const uint32_t reason[2] = {0x20026, (uint32_t)status};
  board_call_host(BOARD_EXIT, reason);
  for (;;) {
  }
}

void board_fault(void) {
  board_print("The processor has met a fault.\n");
  board_exit(99);
}
