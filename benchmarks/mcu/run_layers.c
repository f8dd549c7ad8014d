/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the layers that layers.py has written into LAYERS_FILE, compares every
 * word of their outputs, and prints a line for each run:
 *
 *   layer way buffer_bytes status wrong_words broken_guards ticks
 *
 * The first line has the ticks of a run of nothing. */
#include <stddef.h>

#include "board.h"
#include "gxnor/conv2d.h"
#include "gxnor/depthwise_conv2d.h"
#include "gxnor/fully_connected.h"
#include "gxnor/max_pool2d.h"
#include "gxnor/pack.h"

/* As in layers.py. */
typedef enum kernel {
  KERNEL_NONE = 0,
  KERNEL_CONV2D_T2_T2 = 1,
  KERNEL_CONV2D_T2_S32 = 2,
  KERNEL_CONV2D_S8_T2 = 3,
  KERNEL_CONV2D_S8_S32 = 4,
  KERNEL_FULLY_CONNECTED_T2_T2 = 5,
  KERNEL_FULLY_CONNECTED_T2_S32 = 6,
  KERNEL_DEPTHWISE_CONV2D_T2_T2 = 7,
  KERNEL_DEPTHWISE_CONV2D_T2_S32 = 8,
  KERNEL_MAX_POOL2D_T2 = 9,
  KERNEL_PACK_S8_T2 = 10,
  KERNEL_UNPACK_T2_S8 = 11,
} kernel;

/* Which buffer a kernel gets; bits of layer.ways. */
typedef enum way {
  WAY_WIDEST = 0, /* For a whole row. */
  WAY_NARROWEST,  /* Less, aligned no better than it must be. */
  WAY_NONE,       /* No buffer. */
  WAY_COUNT,
} way;

/* Arrays follow: input, weights, thresholds, and the output to come. */
typedef struct layer {
  int32_t kernel;
  int32_t ways;
  int32_t words[4]; /* Of the arrays, each padded to an even number. */
  union {
    gxnor_conv2d_params conv;
    gxnor_max_pool2d_params pool;
    gxnor_pack_params pack;
  } params;
  int32_t padding;
} layer;

typedef struct arrays {
  const void* input;
  const uint32_t* weights;
  const uint32_t* thresholds;
  const uint32_t* expected;
} arrays;

/* The layers, behind them one with the kernel KERNEL_NONE. */
extern const layer kLayers[];
__asm__(
    ".section .rodata.layers, \"a\"\n"
    ".balign 8\n"
    ".global kLayers\n"
    "kLayers:\n"
    ".incbin \"" LAYERS_FILE
    "\"\n"
    ".previous\n");

#define GUARD_WORDS 4
#define GUARD 0xA5A5A5A5u
#define GARBAGE 0x5A5AA5A5u

static uint32_t memory[48 * 1024] __attribute__((aligned(8)));
static const size_t kMemoryWords = sizeof(memory) / sizeof(memory[0]);

static size_t even(size_t words) { return (words + 1) & ~(size_t)1; }

static arrays find_arrays(const layer* l) {
  const uint32_t* first = (const uint32_t*)(l + 1);
  arrays a;
  a.input = first;
  a.weights = first + even((size_t)l->words[0]);
  a.thresholds = a.weights + even((size_t)l->words[1]);
  a.expected = a.thresholds + even((size_t)l->words[2]);
  return a;
}

static const layer* next_layer(const layer* l) {
  const arrays a = find_arrays(l);
  return (const layer*)(a.expected + even((size_t)l->words[3]));
}

/* Fills in a fully connected op by the library's function, which must find the
 * same as layers.py. */
static gxnor_status find_params(const layer* l, gxnor_conv2d_params* params) {
  const gxnor_conv2d_params* own = &l->params.conv;
  *params = *own;
  if (l->kernel != KERNEL_FULLY_CONNECTED_T2_T2 &&
      l->kernel != KERNEL_FULLY_CONNECTED_T2_S32)
    return GXNOR_OK;
  const gxnor_status status = gxnor_fully_connected_get_params(
      own->batches, own->input_height, own->input_width, own->input_channels,
      own->output_channels, params);
  const int32_t* a = (const int32_t*)own;
  const int32_t* b = (const int32_t*)params;
  for (size_t i = 0; i < sizeof(*own) / sizeof(*a); ++i)
    if (a[i] != b[i]) return GXNOR_ERR_SHAPE;
  return status;
}

/* Bytes of the buffer for a way, 0 for kernels without one. */
static gxnor_status find_buffer_size(const layer* l,
                                     const gxnor_conv2d_params* params, way how,
                                     size_t* size) {
  gxnor_status status = GXNOR_OK;
  gxnor_conv2d_shape shape;
  *size = 0;
  if (how == WAY_NONE) return status;
  switch ((kernel)l->kernel) {
    case KERNEL_CONV2D_T2_T2:
    case KERNEL_CONV2D_T2_S32:
    case KERNEL_FULLY_CONNECTED_T2_T2:
    case KERNEL_FULLY_CONNECTED_T2_S32:
      status = gxnor_conv2d_get_shape(params, &shape);
      if (status != GXNOR_OK) return status;
      return gxnor_conv2d_get_buffer_size(
          params, how == WAY_WIDEST ? shape.conv_width : 1, size);
    case KERNEL_CONV2D_S8_T2:
    case KERNEL_CONV2D_S8_S32:
      status = gxnor_conv2d_s8_get_buffer_size(params, size);
      if (how == WAY_NARROWEST) *size /= 2;
      return status;
    default:
      return status;
  }
}

/* Bytes to which the buffer of a kernel must be aligned. */
static size_t find_alignment(const layer* l) {
  return l->kernel == KERNEL_CONV2D_S8_T2 || l->kernel == KERNEL_CONV2D_S8_S32
             ? 4
             : 2;
}

static gxnor_status run_kernel(const layer* l,
                               const gxnor_conv2d_params* params, void* buffer,
                               size_t buffer_size, void* output) {
  const arrays a = find_arrays(l);
  switch ((kernel)l->kernel) {
    case KERNEL_NONE:
      return GXNOR_OK;
    case KERNEL_CONV2D_T2_T2:
    case KERNEL_FULLY_CONNECTED_T2_T2:
      return gxnor_conv2d_t2_t2(params, a.input, a.weights, a.thresholds,
                                buffer, buffer_size, output);
    case KERNEL_CONV2D_T2_S32:
    case KERNEL_FULLY_CONNECTED_T2_S32:
      return gxnor_conv2d_t2_s32(params, a.input, a.weights, buffer,
                                 buffer_size, output);
    case KERNEL_CONV2D_S8_T2:
      return gxnor_conv2d_s8_t2(params, a.input, a.weights,
                                (const int32_t*)a.thresholds, buffer,
                                buffer_size, output);
    case KERNEL_CONV2D_S8_S32:
      return gxnor_conv2d_s8_s32(params, a.input, a.weights, buffer,
                                 buffer_size, output);
    case KERNEL_DEPTHWISE_CONV2D_T2_T2:
      return gxnor_depthwise_conv2d_t2_t2(params, a.input, a.weights,
                                          a.thresholds, output);
    case KERNEL_DEPTHWISE_CONV2D_T2_S32:
      return gxnor_depthwise_conv2d_t2_s32(params, a.input, a.weights, output);
    case KERNEL_MAX_POOL2D_T2:
      return gxnor_max_pool2d_t2(&l->params.pool, a.input, output);
    case KERNEL_PACK_S8_T2:
      return gxnor_pack_s8_t2(&l->params.pack, a.input, output);
    case KERNEL_UNPACK_T2_S8:
      return gxnor_unpack_t2_s8(&l->params.pack, a.input, output);
  }
  return GXNOR_ERR_ARG;
}

static void print_numbers(const uint64_t* numbers, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    if (i != 0) board_print(" ");
    board_print_unsigned(numbers[i]);
  }
  board_print("\n");
}

/* Memory: guard, output, guard, buffer, guard. */
static int run_layer(const layer* l, uint32_t number, way how) {
  gxnor_conv2d_params params;
  size_t size;
  gxnor_status status = find_params(l, &params);
  if (status == GXNOR_OK) status = find_buffer_size(l, &params, how, &size);
  if (status != GXNOR_OK) {
    board_print("A layer's parameters are wrong.\n");
    return 1;
  }
  const size_t output_words = (size_t)l->words[3];
  const size_t buffer_words = (size + 3) / 4 + 2;
  const size_t total = 3 * GUARD_WORDS + even(output_words) + buffer_words;
  if (total > kMemoryWords) {
    board_print("A layer is too large for the array `memory`.\n");
    return 1;
  }
  for (size_t i = 0; i < total; ++i) memory[i] = GUARD;
  uint32_t* output = memory + GUARD_WORDS;
  for (size_t i = 0; i < output_words; ++i) output[i] = GARBAGE;
  uint8_t* buffer = (uint8_t*)(output + even(output_words) + GUARD_WORDS);
  if (how == WAY_NARROWEST) buffer += find_alignment(l);
  for (size_t i = 0; i < size; ++i) buffer[i] = 0x5A;

  const uint64_t start = board_read_ticks();
  status = run_kernel(l, &params, size != 0 ? buffer : NULL, size, output);
  const uint64_t ticks = board_read_ticks() - start;

  const uint32_t* expected = find_arrays(l).expected;
  uint64_t wrong = 0, broken = 0;
  for (size_t i = 0; i < output_words; ++i) wrong += output[i] != expected[i];
  const uint8_t* bytes = (const uint8_t*)memory;
  for (size_t i = 0; i < 4 * total; ++i) {
    const uint8_t* p = bytes + i;
    const int in_output =
        p >= (uint8_t*)output && p < (uint8_t*)(output + output_words);
    const int in_buffer = p >= buffer && p < buffer + size;
    broken += !in_output && !in_buffer && *p != (GUARD & 0xFF);
  }
  const uint64_t numbers[] = {
      number, (uint64_t)how, size,  (uint64_t)(status != GXNOR_OK),
      wrong,  broken,        ticks,
  };
  print_numbers(numbers, sizeof(numbers) / sizeof(numbers[0]));
  return 0;
}

int main(void) {
  static const layer kNothing;
  board_start_ticks();
  const uint64_t start = board_read_ticks();
  const gxnor_status status =
      run_kernel(&kNothing, &kNothing.params.conv, memory, 0, memory);
  const uint64_t nothing[] = {board_read_ticks() - start};
  if (status != GXNOR_OK) return 1;
  print_numbers(nothing, 1);
  uint32_t number = 0;
  for (const layer* l = kLayers; l->kernel != KERNEL_NONE; l = next_layer(l)) {
    for (int how = 0; how < WAY_COUNT; ++how)
      if ((l->ways >> how & 1) != 0 && run_layer(l, number, (way)how) != 0)
        return 1;
    ++number;
  }
  return 0;
}
