/* SPDX-License-Identifier: Apache-2.0 */
/* Loops of known length: three instructions a round. */
#include <stddef.h>

#include "board.h"

__attribute__((noinline)) static void loop(uint32_t rounds) {
#if defined(__riscv)
  __asm__ volatile(
      "1: addi %0, %0, -1\n"
      "nop\n"
      "bnez %0, 1b\n"
      : "+r"(rounds));
#else
  __asm__ volatile(
      "1: sub %0, #1\n"
      "cmp %0, #0\n"
      "bne 1b\n"
      : "+l"(rounds)
      :
      : "cc");
#endif
}

int main(void) {
  static const uint32_t kRounds[] = {10, 1000, 1000000, 20000000};
  board_start_ticks();
  uint64_t start = board_read_ticks();
  const uint64_t nothing = board_read_ticks() - start;
  for (size_t i = 0; i < sizeof(kRounds) / sizeof(kRounds[0]); ++i) {
    start = board_read_ticks();
    loop(kRounds[i]);
    const uint64_t ticks = board_read_ticks() - start - nothing;
    board_print_unsigned(kRounds[i]);
    board_print(" ");
    board_print_unsigned(ticks);
    board_print("\n");
  }
  return 0;
}
