/* SPDX-License-Identifier: Apache-2.0 */
/* A model and the kernels with arguments that they must refuse. */
#include <stddef.h>

#include "board.h"
#include "gxnor/conv2d.h"
#include "model.h"

#define GUARD 0xA5A5A5A5u
#define WORDS (MODEL_ARENA_BYTES / 4 + 8)

static uint32_t memory[WORDS];
static int32_t logits[MODEL_OUTPUTS];
static const int8_t kInput[MODEL_INPUTS];

static int mistakes;

static void expect(const char* what, int status, int expected) {
  if (status == expected) return;
  ++mistakes;
  board_print(what);
  board_print(": status ");
  board_print_signed(status);
  board_print("\n");
}

static void check_arena(void) {
  unsigned char* bytes = (unsigned char*)memory;
  expect("good arena", model_init(memory, MODEL_ARENA_BYTES), 0);
  expect("larger arena", model_init(memory, sizeof(memory)), 0);
  expect("no arena", model_init(NULL, MODEL_ARENA_BYTES), GXNOR_ERR_ARG);
  expect("small arena", model_init(memory, MODEL_ARENA_BYTES - 1),
         GXNOR_ERR_SHAPE);
  expect("empty arena", model_init(memory, 0), GXNOR_ERR_SHAPE);
  expect("odd arena", model_init(bytes + 1, MODEL_ARENA_BYTES), GXNOR_ERR_ARG);
  expect("no arena to invoke", model_invoke(kInput, logits, NULL),
         GXNOR_ERR_ARG);
  expect("odd arena to invoke", model_invoke(kInput, logits, bytes + 2),
         GXNOR_ERR_ARG);
  expect("no input", model_invoke(NULL, logits, memory), GXNOR_ERR_ARG);
  expect("no output", model_invoke(kInput, NULL, memory), GXNOR_ERR_ARG);
}

/* Parameters of which one is set to a value that no op may have. */
static void check_conv(const char* what, size_t field, int32_t value) {
  gxnor_conv2d_params params = {
      1, 4, 4, 32, 32, 3, 3, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0,
  };
  uint32_t* const tensor = memory + 4;
  ((int32_t*)&params)[field] = value;
  expect(what,
         gxnor_conv2d_t2_t2(&params, tensor, tensor, tensor, NULL, 0, memory),
         GXNOR_ERR_SHAPE);
  expect(what,
         gxnor_conv2d_s8_t2(&params, (const int8_t*)tensor, tensor,
                            (const int32_t*)tensor, NULL, 0, memory),
         GXNOR_ERR_SHAPE);
}

int main(void) {
  for (size_t i = 0; i < WORDS; ++i) memory[i] = GUARD;
  for (size_t i = 0; i < MODEL_OUTPUTS; ++i) logits[i] = (int32_t)0x5A5A5A5A;
  check_arena();
  check_conv("no batch", 0, 0);
  check_conv("negative height", 1, -4);
  check_conv("kernel larger than the input", 5, 5);
  check_conv("no stride", 7, 0);
  check_conv("negative padding", 11, -1);
  check_conv("more channels than any tensor has", 3, INT32_MAX);
  check_conv("pool larger than the convolution", 15, 3);
  check_conv("padding as large as the pool", 19, 1);
  for (size_t i = 0; i < WORDS; ++i)
    if (memory[i] != GUARD) expect("a word was written", (int)i, -1);
  for (size_t i = 0; i < MODEL_OUTPUTS; ++i)
    if (logits[i] != 0x5A5A5A5A) expect("a logit was written", (int)i, -1);
  if (mistakes == 0) board_print("all refused\n");
  return mistakes;
}
