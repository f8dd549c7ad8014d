/* SPDX-License-Identifier: Apache-2.0 */
/* What an image asks of its board: text, an end, ticks and its own stack.
 *
 * The boards are those of QEMU in cores.txt. On another board, print to a
 * serial port and read a cycle counter; everything else stays. */
#ifndef BOARD_H_
#define BOARD_H_

#include <stdint.h>

/* Prints text that ends with a 0. */
void board_print(const char* text);

/* Prints a number in decimal. */
void board_print_unsigned(uint64_t number);
void board_print_signed(int32_t number);

/* Ends the emulator; 0 means success. */
void board_exit(int status) __attribute__((noreturn));

/* Ticks of a clock that never stops; cores.txt has its frequency. QEMU's
 * option `-icount shift=7` lets every instruction take 128 ns. */
void board_start_ticks(void);
uint64_t board_read_ticks(void);

/* The most bytes of stack in use since the start, at least. */
uint32_t board_stack_bytes(void);

#endif /* BOARD_H_ */
