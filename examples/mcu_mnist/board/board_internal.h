/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BOARD_INTERNAL_H_
#define BOARD_INTERNAL_H_

#include <stdint.h>

/* Of image.ld. */
extern uint32_t board_data_start[], board_data_end[], board_data_flash[];
extern uint32_t board_bss_start[], board_bss_end[];
extern uint32_t board_stack_start[], board_stack_end[];

/* Operations of Arm's semihosting, which RISC-V has taken over. */
enum { BOARD_WRITE = 0x04, BOARD_EXIT = 0x20 };

/* Asks the emulator for a service. Of each processor. */
void board_call_host(int operation, const void* argument);

/* Where the processor's entry goes once there is a stack. */
void board_start(void) __attribute__((noreturn));

/* Where a processor goes that can go on no more. */
void board_fault(void);

#endif /* BOARD_INTERNAL_H_ */
