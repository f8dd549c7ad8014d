/* SPDX-License-Identifier: Apache-2.0 */
/* What an instruction set provides: the inner loops, of one signature. */
#ifndef GXNOR_HOST_KERNELS_H_
#define GXNOR_HOST_KERNELS_H_

#include <string.h>

#include "host_conv2d.h"

/* Positions of the convolution that a tile has at most. */
#define GXNOR_HOST_MAX_TILE 6

/* Groups of 32 channels that a block of events has at most. */
#define GXNOR_HOST_MAX_BLOCK 16

/* Positions of a task: some tiles, so that their inputs stay in the cache
 * while a group's weights do. */
#define GXNOR_HOST_TASK_POSITIONS (8 * GXNOR_HOST_MAX_TILE)

/* Some positions of the convolution and a group of 32 output channels.
 *
 * Word j of segment (row, column) of position i is at
 *   inputs[i] + row * row_bytes + column * column_bytes + j * size
 * where size is that of {gate, sign} or of four int8 + 128.
 *
 * Weights are [rows][columns][words] of
 *   t2  {gate[32], sign[32]}: bit c of a lane's word is input channel c
 *   s8  int8_t[32][4] */
typedef struct gxnor_host_tile {
  const uint8_t* inputs[GXNOR_HOST_MAX_TILE];
  const void* weights;
  const int32_t* biases; /* [32], of s8 inputs only. */
  int32_t count;
  int32_t rows;
  int32_t columns;
  int32_t words;
  size_t row_bytes;
  size_t column_bytes;
} gxnor_host_tile;

/* Sums of 32 lanes for each position of a tile. */
typedef int32_t gxnor_host_sums[GXNOR_HOST_MAX_TILE][GXNOR_LANES];

/* One input and a block of output channels. The records of the weights are
 * {P, Z} of the whole block, the thresholds {high, low} by bit plane. */
typedef struct gxnor_host_events {
  const uint8_t* records;
  const uint32_t* thresholds;
  int32_t planes;
  /* Byte offsets of the records of inputs -1, then of those +1. Both counts
   * are multiples of 8, filled up with the null record. */
  const uint32_t* offsets[2];
  int32_t counts[2];
  int32_t start; /* Inputs +1 less inputs -1, less 1. */
} gxnor_host_events;

/* Columns that the depthwise kernels read at a time. */
#define GXNOR_HOST_COLUMNS 32

/* Planes of the sums of GXNOR_HOST_MAX_TAPS taps. */
#define GXNOR_HOST_MAX_PLANES 9

/* A row of a depthwise convolution, of 32 channels. The planes may be read up
 * to a multiple of GXNOR_HOST_COLUMNS. Every tap adds product + 1. */
typedef struct gxnor_host_depthwise_row {
  const uint32_t* plus; /* Where the first tap of the first column reads. */
  const uint32_t* minus;
  const uint32_t* records;    /* {P, Z} by tap. */
  const uint32_t* thresholds; /* {high, low} by plane; NULL for sums. */
  const size_t* offsets;      /* What a tap adds to the place of the first. */
  int32_t taps;
  int32_t plane_count;
  int32_t columns;
  int32_t lanes; /* Channels. */
  size_t step;   /* From one column to the next in the output. */
} gxnor_host_depthwise_row;

/* How the kernels of an instruction set sum the events of a block. */
struct gxnor_host_block {
  int32_t groups; /* Of 32 channels; 0 behind the last one of a list. */
  /* Writes `groups` pairs {plus, minus}. */
  void (*events)(const gxnor_host_events* events, uint32_t* pairs);
};

struct gxnor_host_kernels {
  const char* name;
  bool (*is_supported)(void);
  int32_t tile;     /* Positions of a full tile, <= GXNOR_HOST_MAX_TILE. */
  bool counts_fast; /* Whether dense beats events at many positions. */
  gxnor_host_block blocks[3]; /* Widest first. */
  void (*t2_sums)(const gxnor_host_tile* tile, gxnor_host_sums sums);
  void (*s8_sums)(const gxnor_host_tile* tile, gxnor_host_sums sums);
  /* Compares sums with {high[32], low[32]}; writes {plus, minus}. */
  void (*compare)(const int32_t* sums, const int32_t* thresholds,
                  uint32_t* pair);
  /* Writes pairs {plus, minus}, or sums of the lanes. */
  void (*depthwise_states)(const gxnor_host_depthwise_row* row,
                           uint32_t* pairs);
  void (*depthwise_sums)(const gxnor_host_depthwise_row* row, int32_t* sums);
};

/* Four bytes from anywhere. */
static inline int32_t gxnor_host_load_word(const uint8_t* memory) {
  int32_t word;
  memcpy(&word, memory, sizeof word);
  return word;
}

/* A gxnor_host_run_tasks that uses the calling thread. */
void gxnor_host_run_here(void* runner, gxnor_host_task task, void* argument,
                         int32_t count);

#if defined(__x86_64__)
extern const gxnor_host_kernels gxnor_host_avx512;
extern const gxnor_host_kernels gxnor_host_avx2;
#elif defined(__aarch64__)
extern const gxnor_host_kernels gxnor_host_neon;
#endif
extern const gxnor_host_kernels gxnor_host_portable;

#endif /* GXNOR_HOST_KERNELS_H_ */
