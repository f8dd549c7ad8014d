/* SPDX-License-Identifier: Apache-2.0 */
/* Start-up, semihosting and ticks of Cortex-M. */
#include "board.h"
#include "board_internal.h"

#define SYSTEM_CONTROL_CPACR (*(volatile uint32_t*)0xE000ED88u)
#define SYSTICK_CONTROL (*(volatile uint32_t*)0xE000E010u)
#define SYSTICK_RELOAD (*(volatile uint32_t*)0xE000E014u)
#define SYSTICK_VALUE (*(volatile uint32_t*)0xE000E018u)

#define SYSTICK_PERIOD 0x1000000u /* It counts 24 bits down. */

static volatile uint32_t wraps;

void board_call_host(int operation, const void* argument) {
  register int r0 __asm__("r0") = operation;
  register const void* r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

static void reset(void) {
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
  /* Registers of floats and vectors may be used. */
  SYSTEM_CONTROL_CPACR |= 0xFu << 20;
  __asm__ volatile("dsb\n isb");
#endif
  board_start();
}

static void count_wrap(void) { wraps = wraps + 1; }

typedef void (*handler)(void);

/* Number 15 is SysTick. No other interrupt is enabled. */
__attribute__((section(".vectors"), used)) static const handler kVectors[16] = {
    (handler)(uintptr_t)board_stack_end,
    reset,
    board_fault,
    board_fault,
    board_fault,
    board_fault,
    board_fault,
    board_fault,
    board_fault,
    board_fault,
    board_fault,
    board_fault,
    board_fault,
    board_fault,
    board_fault,
    count_wrap,
};

void board_start_ticks(void) {
  wraps = 0;
  SYSTICK_RELOAD = SYSTICK_PERIOD - 1;
  SYSTICK_VALUE = 0;
  SYSTICK_CONTROL = 7; /* The processor's clock, interrupt, go. */
}

uint64_t board_read_ticks(void) {
  uint32_t before, value;
  do {
    before = wraps;
    value = SYSTICK_VALUE;
  } while (before != wraps);
  /* 0 is the last value before a wrap, and the first after the start. */
  if (value == 0) value = SYSTICK_PERIOD;
  return (uint64_t)before * SYSTICK_PERIOD + (SYSTICK_PERIOD - value);
}
