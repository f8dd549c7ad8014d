/* SPDX-License-Identifier: Apache-2.0 */
/* Firmware that classifies a digit with the paper's MNIST net. The Makefile
 * says how to build and run it.
 *
 * What is specific to the emulated boards lies in board/: start-up code,
 * linker script and text output. On your board, use yours and keep main(). */
#include "board.h"
#include "digit.h"
#include "model.h"

/* All the memory that the model needs. Words, for their alignment. */
static uint32_t arena[MODEL_ARENA_BYTES / sizeof(uint32_t)];

static int8_t image[MODEL_INPUTS];
static int32_t logits[MODEL_OUTPUTS];
static float scores[MODEL_OUTPUTS];

#if MODEL_INPUTS != DIGIT_ROWS * DIGIT_COLUMNS
#error "The digit has 28 x 28 pixels, and so must have the model's input."
#endif

/* Brightness 0..255 less 128, as the model wants it. */
static int8_t pixel(char letter) {
  switch (letter) {
    case '.':
      return 85 - 128;
    case '+':
      return 170 - 128;
    case '#':
      return 255 - 128;
    default:
      return 0 - 128;
  }
}

static void print_digit(void) {
  char row[DIGIT_COLUMNS + 2] = {0};
  row[DIGIT_COLUMNS] = '\n';
  for (int y = 0; y < DIGIT_ROWS; ++y) {
    for (int x = 0; x < DIGIT_COLUMNS; ++x)
      row[x] = kDigit[y * DIGIT_COLUMNS + x];
    board_print(row);
  }
}

/* A score with three digits behind the point. */
static void print_score(float score) {
  const float size = score < 0.0f ? -score : score;
  const uint32_t thousandths = (uint32_t)(size * 1000.0f + 0.5f);
  board_print(score < 0.0f ? "-" : " ");
  board_print_unsigned(thousandths / 1000);
  board_print(thousandths % 1000 < 10    ? ".00"
              : thousandths % 1000 < 100 ? ".0"
                                         : ".");
  board_print_unsigned(thousandths % 1000);
}

int main(void) {
  int label = 0;
  int status = model_init(arena, sizeof(arena));
  if (status != 0) {
    board_print("model_init refuses the arena.\n");
    return 1;
  }
  for (int i = 0; i < MODEL_INPUTS; ++i) image[i] = pixel(kDigit[i]);
  status = model_invoke(image, logits, arena);
  if (status != 0) {
    board_print("model_invoke fails.\n");
    return 1;
  }
  model_scores(logits, scores);

  print_digit();
  for (int i = 0; i < MODEL_OUTPUTS; ++i) {
    if (scores[i] > scores[label]) label = i;
    board_print("score ");
    board_print_signed(i);
    board_print(": ");
    print_score(scores[i]);
    board_print(" (logit ");
    board_print_signed(logits[i]);
    board_print(")\n");
  }
  board_print("label: ");
  board_print_signed(label);
  board_print("\narena: ");
  board_print_unsigned(sizeof(arena));
  board_print(" bytes, stack: ");
  board_print_unsigned(board_stack_bytes());
  board_print(" bytes\n");
  return 0;
}
