/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of int8 inputs by lists of taps, the weights that are not 0.
 *
 * A word holds two inputs in lanes of 16 bits, those of two neighbouring
 * positions of the convolution: one addition serves both. The input rows that
 * a row of the convolution sees are kept that way, twice: words of the second
 * copy begin one position later, so that all taps load whole words. A tap is a
 * byte offset, the same for all positions of a row.
 *
 * Inputs are added as signed numbers: a word is low + 65536 * high modulo
 * 2^32, whatever the signs, and so is a sum of words. */
#ifndef GXNOR_TAPS_INTERNAL_H_
#define GXNOR_TAPS_INTERNAL_H_

#include "gxnor_conv2d_internal.h"

/* Positions of the convolution that are summed together. */
#define GXNOR_TAPS_BLOCK 8

/* Sums are in [-128 * depth, 128 * depth] and have to fit a lane. */
#define GXNOR_TAPS_MAX_DEPTH 255

/* With n taps that are not 0 the sums of a channel are in [low, low + 255 n],
 * and thresholds matter in [low, low + 255 n + 1] only. A sum less a threshold
 * thus fits a lane if 255 n + 1 <= 2^15; then the comparison is its sign. */
#define GXNOR_TAPS_MAX_SIGN_DEPTH 128

/* What is kept in the buffer. */
typedef struct gxnor_taps_plan {
  int32_t lanes;     /* Output channels of which taps are listed: 2^n. */
  int32_t positions; /* Of a row of the convolution: a multiple of 8. */
  int32_t extent;    /* Input rows that a position sees. */
  int32_t rows;      /* Input rows that there is room for. */
  int32_t phases;    /* Columns between two positions, as far as seen. */
  int32_t copies;    /* Of a row: 2, or 1 if no tap needs the second. */
  int32_t words;     /* Of a copy of a phase of one channel. */
  int32_t row_words; /* Of all of them. */
} gxnor_taps_plan;

/* Fills in what the buffer has room for; 0 if taps are not possible. */
int gxnor_taps_make_plan(const gxnor_conv2d_params* params,
                         const gxnor_conv2d_shape* shape, size_t buffer_size,
                         gxnor_taps_plan* plan);

/* Bytes of the smallest buffer with which nothing is computed twice, 0 if taps
 * are not possible. */
size_t gxnor_taps_buffer_size(const gxnor_conv2d_params* params,
                              const gxnor_conv2d_shape* shape);

/* 2^15 in both lanes of a word, from which sums start: no lane borrows from the
 * next one. */
#define GXNOR_TAPS_ORIGIN 0x80008000u

/* What is known of a listed channel. Its list holds the taps of weight +1 from
 * the begin on, and those of weight -1 from the end back. */
typedef struct gxnor_taps_lane {
  uint32_t start; /* The origin; with signs, less the high threshold. */
  uint32_t gap;   /* With signs: high less low threshold, in both lanes. */
  uint16_t plus;  /* Taps of weight +1. */
  uint16_t minus; /* Taps of weight -1. */
} gxnor_taps_lane;

/* The parts of the buffer. */
typedef struct gxnor_taps {
  const gxnor_taps_plan* plan;
  /* Whether bit 15 of a lane tells sum >= high and, after the gap is added,
   * sum >= low. */
  int signs;
  gxnor_taps_lane* lanes; /* [lanes] */
  uint32_t* rows;         /* [plan->rows][row_words] */
  uint16_t* offsets;      /* [depth], of all taps. */
  uint16_t* lists;        /* [lanes][depth] */
  int32_t first_row;      /* Input rows present: [first_row, end_row). */
  int32_t end_row;
} gxnor_taps;

/* Lays out the buffer. */
void gxnor_taps_set_up(const gxnor_conv2d_call* call,
                       const gxnor_taps_plan* plan, void* buffer,
                       gxnor_taps* taps);

/* Lists the taps of `count` channels of a group from lane `first` on. Sums
 * start from 2^15. If there are thresholds, and the depth is at most
 * GXNOR_TAPS_MAX_SIGN_DEPTH, they start from 2^15 less the high one: bit 15 of
 * a lane tells sum >= high and, after the gap is added, sum >= low. */
void gxnor_taps_list(const gxnor_conv2d_call* call, int32_t group,
                     int32_t first, int32_t count, gxnor_taps* taps);

/* No row is present. */
void gxnor_taps_forget_rows(gxnor_taps* taps);

/* Fetches the input rows that a row of the convolution sees, for the positions
 * from *at on; returns the first of them. Present rows are of the same batch
 * and positions, and of a row above. */
const uint32_t* gxnor_taps_fetch_rows(const gxnor_conv2d_call* call,
                                      const gxnor_conv2d_position* at,
                                      gxnor_taps* taps);

/* Sums of listed channels for a block of positions; `rows` is where the block
 * begins in the first row. */
void gxnor_taps_sum(const gxnor_conv2d_call* call, const gxnor_taps* taps,
                    const uint32_t* rows, int32_t first, int32_t count,
                    uint32_t* sums);

/* Writes the packed output: the maximum of the ternary states over each pool
 * window. */
void gxnor_taps_write_t2(const gxnor_conv2d_call* call,
                         const gxnor_taps_plan* plan, void* buffer,
                         uint32_t* GXNOR_RESTRICT output);

/* Writes the accumulators as the output. The parameters have no pool. */
void gxnor_taps_write_s32(const gxnor_conv2d_call* call,
                          const gxnor_taps_plan* plan, void* buffer,
                          int32_t* GXNOR_RESTRICT output);

#endif /* GXNOR_TAPS_INTERNAL_H_ */
