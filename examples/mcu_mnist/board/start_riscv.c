/* SPDX-License-Identifier: Apache-2.0 */
/* Start-up, semihosting and ticks of 32-bit RISC-V. */
#include "board.h"
#include "board_internal.h"

void board_enter(void);

__attribute__((naked, section(".vectors"), used)) void board_enter(void) {
  __asm__ volatile(
      ".option push\n"
      ".option norelax\n"
      "la gp, __global_pointer$\n"
      ".option pop\n"
      "la sp, board_stack_end\n"
      "la t0, board_trap\n"
      "csrw mtvec, t0\n"
      "j board_start\n");
}

void board_trap(void);

__attribute__((used, aligned(4))) void board_trap(void) { board_fault(); }

/* The three instructions are uncompressed and lie in one page. */
void board_call_host(int operation, const void* argument) {
  register int a0 __asm__("a0") = operation;
  register const void* a1 __asm__("a1") = argument;
  __asm__ volatile(
      ".option push\n"
      ".option norvc\n"
      ".balign 16\n"
      "slli x0, x0, 0x1f\n"
      "ebreak\n"
      "srai x0, x0, 7\n"
      ".option pop"
      : "+r"(a0)
      : "r"(a1)
      : "memory");
}

/* The counter of instructions always counts. */
void board_start_ticks(void) {}

uint64_t board_read_ticks(void) {
  uint32_t high, low, again;
  do {
    __asm__ volatile(
        "csrr %0, minstreth\n"
        "csrr %1, minstret\n"
        "csrr %2, minstreth"
        : "=r"(high), "=r"(low), "=r"(again));
  } while (high != again);
  return (uint64_t)high << 32 | low;
}
