/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a generated model on the inputs that nets.py has written into
 * INPUTS_FILE, and prints a line for each:
 *
 *   ticks stack_bytes broken_guards logits... score_bits...
 *
 * Logits and the bits of the float32 scores are printed as unsigned numbers.
 * The first line has the ticks of nothing. */
#include <stddef.h>

#include "board.h"
#include "model.h"

extern const int8_t kInputs[];
__asm__(
    ".section .rodata.inputs, \"a\"\n"
    ".balign 4\n"
    ".global kInputs\n"
    "kInputs:\n"
    ".incbin \"" INPUTS_FILE
    "\"\n"
    ".previous\n");

#define GUARD_WORDS 4
#define GUARD 0xA5A5A5A5u

/* Guard, arena, guard. */
static uint32_t memory[2 * GUARD_WORDS + MODEL_ARENA_BYTES / 4];
static uint32_t* const kArena = memory + GUARD_WORDS;

static void print_number(uint32_t number) {
  board_print(" ");
  board_print_unsigned(number);
}

static int run(const int8_t* input) {
  int32_t logits[MODEL_OUTPUTS];
  union {
    float values[MODEL_OUTPUTS];
    uint32_t bits[MODEL_OUTPUTS];
  } scores;
  const size_t words = sizeof(memory) / sizeof(memory[0]);
  for (size_t i = 0; i < words; ++i) memory[i] = GUARD;
  if (model_init(kArena, MODEL_ARENA_BYTES) != 0) return 1;
  const uint64_t start = board_read_ticks();
  const int status = model_invoke(input, logits, kArena);
  const uint64_t ticks = board_read_ticks() - start;
  if (status != 0) return 1;
  const uint32_t stack_bytes = board_stack_bytes();
  uint32_t broken = 0;
  for (size_t i = 0; i < GUARD_WORDS; ++i) {
    if (memory[i] != GUARD) ++broken;
    if (memory[words - 1 - i] != GUARD) ++broken;
  }
  model_scores(logits, scores.values);
  board_print_unsigned(ticks);
  print_number(stack_bytes);
  print_number(broken);
  for (size_t i = 0; i < MODEL_OUTPUTS; ++i) print_number((uint32_t)logits[i]);
  for (size_t i = 0; i < MODEL_OUTPUTS; ++i) print_number(scores.bits[i]);
  board_print("\n");
  return 0;
}

int main(void) {
  board_start_ticks();
  const uint64_t start = board_read_ticks();
  board_print_unsigned(board_read_ticks() - start);
  board_print("\n");
  for (size_t i = 0; i < INPUTS_COUNT; ++i) {
    if (run(kInputs + i * MODEL_INPUTS) == 0) continue;
    board_print("The model refuses its arena or its input.\n");
    return 1;
  }
  return 0;
}
