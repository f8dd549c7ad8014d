/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a generated model on the inputs of inputs.h and prints its output and
 * the bits of its scores, a line for each. Needs RESULT, the type of the
 * output's elements, and HAS_SCORES, 0 or 1, as macros. */
#include "board.h"
#include "inputs.h"
#include "model.h"

static uint32_t arena[MODEL_ARENA_BYTES / sizeof(uint32_t)];
static RESULT result[MODEL_OUTPUTS];

#if HAS_SCORES
static union {
  float scores[MODEL_OUTPUTS];
  int32_t bits[MODEL_OUTPUTS];
} output;
#endif

static void print_line(int32_t number) {
  board_print_signed(number);
  board_print("\n");
}

int main(void) {
  int status = model_init(arena, sizeof arena);
  for (size_t at = 0; status == 0 && at < sizeof inputs; at += MODEL_INPUTS) {
    status = model_invoke(inputs + at, result, arena);
    for (size_t i = 0; i < MODEL_OUTPUTS; ++i) print_line(result[i]);
#if HAS_SCORES
    model_scores(result, output.scores);
    for (size_t i = 0; i < MODEL_OUTPUTS; ++i) print_line(output.bits[i]);
#endif
  }
  return status;
}
