/* SPDX-License-Identifier: Apache-2.0 */
/* Random convolutions, with what a plain computation says of them.
 *
 * Every array has exactly the size that the kernels are told, so that a
 * sanitizer sees each access beyond. */
#ifndef GXNOR_TESTS_PROBLEM_H_
#define GXNOR_TESTS_PROBLEM_H_

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gxnor/conv2d.h"

typedef struct problem {
  gxnor_conv2d_params params;
  gxnor_conv2d_shape shape;
  int8_t* input;   /* [batches][height][width][channels] */
  int8_t* weights; /* [output channels][kernel h][kernel w][channels] */
  int32_t *high, *low;
  int32_t* sums;  /* Expected: before thresholds and pool. */
  int8_t* states; /* Expected: after them. */
} problem;

/* A generator with the same numbers everywhere (xorshift). */
static inline uint32_t next_random(uint32_t* state) {
  *state ^= *state << 13;
  *state ^= *state >> 17;
  *state ^= *state << 5;
  return *state;
}

static inline int32_t random_in(uint32_t* state, int32_t low, int32_t high) {
  const uint32_t range = (uint32_t)(high - low) + 1u;
  return low + (int32_t)(next_random(state) % range);
}

static inline void* allocate(size_t count, size_t size) {
  void* const memory = calloc(count, size);
  if (memory == NULL) abort();
  return memory;
}

/* Parameters of a 3x2 convolution on 6x5; tests change what they are about. */
static inline gxnor_conv2d_params default_params(int32_t input_channels,
                                                 int32_t output_channels) {
  const gxnor_conv2d_params params = {
      .batches = 1,
      .input_height = 6,
      .input_width = 5,
      .input_channels = input_channels,
      .output_channels = output_channels,
      .kernel_height = 3,
      .kernel_width = 2,
      .stride_height = 1,
      .stride_width = 1,
      .dilation_height = 1,
      .dilation_width = 1,
      .pool_height = 1,
      .pool_width = 1,
      .pool_stride_height = 1,
      .pool_stride_width = 1,
  };
  return params;
}

/* ---- The plain computation ---- */

static inline int32_t plain_sum(const problem* p, int32_t n, int32_t y,
                                int32_t x, int32_t o) {
  const gxnor_conv2d_params* const q = &p->params;
  int32_t sum = 0;
  for (int32_t ky = 0; ky < q->kernel_height; ++ky) {
    for (int32_t kx = 0; kx < q->kernel_width; ++kx) {
      const int32_t iy =
          y * q->stride_height - q->pad_top + ky * q->dilation_height;
      const int32_t ix =
          x * q->stride_width - q->pad_left + kx * q->dilation_width;
      if (iy < 0 || iy >= q->input_height) continue;
      if (ix < 0 || ix >= q->input_width) continue;
      for (int32_t c = 0; c < q->input_channels; ++c) {
        sum += p->input[((n * q->input_height + iy) * q->input_width + ix) *
                            q->input_channels +
                        c] *
               p->weights[((o * q->kernel_height + ky) * q->kernel_width + kx) *
                              q->input_channels +
                          c];
      }
    }
  }
  return sum;
}

static inline int8_t plain_state(const problem* p, int32_t n, int32_t y,
                                 int32_t x, int32_t o) {
  const gxnor_conv2d_params* const q = &p->params;
  int8_t maximum = -1;
  for (int32_t wy = 0; wy < q->pool_height; ++wy) {
    for (int32_t wx = 0; wx < q->pool_width; ++wx) {
      const int32_t cy = y * q->pool_stride_height - q->pool_pad_top + wy;
      const int32_t cx = x * q->pool_stride_width - q->pool_pad_left + wx;
      int32_t sum;
      int8_t state;
      if (cy < 0 || cy >= p->shape.conv_height) continue;
      if (cx < 0 || cx >= p->shape.conv_width) continue;
      sum =
          p->sums[((n * p->shape.conv_height + cy) * p->shape.conv_width + cx) *
                      q->output_channels +
                  o];
      state = (int8_t)(sum >= p->high[o] ? 1 : sum < p->low[o] ? -1 : 0);
      if (state > maximum) maximum = state;
    }
  }
  return maximum;
}

/* ---- Sizes ---- */

static inline size_t count_inputs(const problem* p) {
  return (size_t)p->params.batches * (size_t)p->params.input_height *
         (size_t)p->params.input_width * (size_t)p->params.input_channels;
}

static inline size_t count_sums(const problem* p) {
  return (size_t)p->params.batches * (size_t)p->shape.conv_height *
         (size_t)p->shape.conv_width * (size_t)p->params.output_channels;
}

static inline size_t count_outputs(const problem* p) {
  return (size_t)p->params.batches * (size_t)p->shape.output_height *
         (size_t)p->shape.output_width * (size_t)p->params.output_channels;
}

/* ---- Making and packing ---- */

/* Makes a problem. `largest` bounds the inputs: 1 for ternary ones, 128 for
 * int8. One input in three, and one weight in three, is 0. */
static inline problem make_problem(gxnor_conv2d_params params, int32_t largest,
                                   uint32_t seed) {
  problem p;
  size_t weights;
  p.params = params;
  if (gxnor_conv2d_get_shape(&params, &p.shape) != GXNOR_OK) abort();
  weights = (size_t)params.output_channels * (size_t)p.shape.depth;
  p.input = allocate(count_inputs(&p), sizeof *p.input);
  p.weights = allocate(weights, sizeof *p.weights);
  p.high = allocate((size_t)params.output_channels, sizeof *p.high);
  p.low = allocate((size_t)params.output_channels, sizeof *p.low);
  p.sums = allocate(count_sums(&p), sizeof *p.sums);
  p.states = allocate(count_outputs(&p), sizeof *p.states);
  seed = seed * 2654435761u + 1u;
  for (size_t i = 0; i < count_inputs(&p); ++i) {
    const int32_t magnitude = random_in(&seed, 1, largest);
    const int32_t sign = random_in(&seed, -1, 1);
    p.input[i] =
        (int8_t)(magnitude == 128 && sign == 1 ? 127 : sign * magnitude);
  }
  for (size_t i = 0; i < weights; ++i) {
    p.weights[i] = (int8_t)random_in(&seed, -1, 1);
  }
  for (int32_t o = 0; o < params.output_channels; ++o) {
    const int32_t middle = random_in(&seed, -2, 3);
    const int32_t half = random_in(&seed, 0, 2) * largest;
    const int32_t top = largest * p.shape.depth + 1;
    const int32_t bottom = -largest * p.shape.depth;
    p.high[o] = middle + half > top ? top : middle + half;
    p.low[o] = middle - half < bottom ? bottom : middle - half;
    if (p.high[o] < bottom) p.high[o] = bottom;
    if (p.low[o] > top) p.low[o] = top;
  }
  return p;
}

/* Computes what is expected. */
static inline void solve(problem* p) {
  size_t i = 0;
  for (int32_t n = 0; n < p->params.batches; ++n) {
    for (int32_t y = 0; y < p->shape.conv_height; ++y) {
      for (int32_t x = 0; x < p->shape.conv_width; ++x) {
        for (int32_t o = 0; o < p->params.output_channels; ++o) {
          p->sums[i++] = plain_sum(p, n, y, x, o);
        }
      }
    }
  }
  i = 0;
  for (int32_t n = 0; n < p->params.batches; ++n) {
    for (int32_t y = 0; y < p->shape.output_height; ++y) {
      for (int32_t x = 0; x < p->shape.output_width; ++x) {
        for (int32_t o = 0; o < p->params.output_channels; ++o) {
          p->states[i++] = plain_state(p, n, y, x, o);
        }
      }
    }
  }
}

static inline void free_problem(problem* p) {
  free(p->input);
  free(p->weights);
  free(p->high);
  free(p->low);
  free(p->sums);
  free(p->states);
}

/* Packs states of the last axis `channels`; *words is set to the count. */
static inline uint32_t* pack_states(const int8_t* states, size_t positions,
                                    int32_t channels, size_t* words) {
  const size_t groups = (size_t)(channels + 31) / 32;
  uint32_t* const packed = allocate(positions * groups * 2, sizeof *packed);
  for (size_t i = 0; i < positions; ++i) {
    for (size_t c = 0; c < (size_t)channels; ++c) {
      const int8_t state = states[i * (size_t)channels + c];
      uint32_t* const pair = packed + (i * groups + c / 32) * 2;
      if (state == 1) pair[0] |= 1u << c % 32;
      if (state == -1) pair[1] |= 1u << c % 32;
    }
  }
  *words = positions * groups * 2;
  return packed;
}

static inline uint32_t* pack_input(const problem* p) {
  const size_t channels = (size_t)p->params.input_channels;
  size_t words;
  return pack_states(p->input, count_inputs(p) / channels,
                     p->params.input_channels, &words);
}

static inline uint32_t* pack_weights(const problem* p) {
  const size_t depth = (size_t)p->shape.depth;
  const size_t groups = (size_t)p->shape.output_groups;
  uint32_t* const records = allocate(groups * (depth + 1) * 2, sizeof *records);
  for (size_t lane = 0; lane < groups * 32; ++lane) {
    for (size_t i = 0; i < depth; ++i) {
      uint32_t* const record = records + (lane / 32 * (depth + 1) + i) * 2;
      const int8_t weight = (int8_t)(lane < (size_t)p->params.output_channels
                                         ? p->weights[lane * depth + i]
                                         : 0);
      if (weight == 1) record[0] |= 1u << lane % 32;
      if (weight == 0) record[1] |= 1u << lane % 32;
    }
  }
  return records;
}

static inline uint32_t* pack_thresholds(const problem* p) {
  const size_t planes = (size_t)p->shape.planes;
  const size_t groups = (size_t)p->shape.output_groups;
  uint32_t* const words = allocate(groups * planes * 2, sizeof *words);
  for (size_t lane = 0; lane < groups * 32; ++lane) {
    const int used = lane < (size_t)p->params.output_channels;
    const int32_t pair[2] = {
        used ? p->high[lane] : p->shape.depth + 1,
        used ? p->low[lane] : -p->shape.depth,
    };
    for (size_t k = 0; k < 2; ++k) {
      const uint32_t offset = (uint32_t)(pair[k] + (1 << (planes - 1)));
      for (size_t i = 0; i < planes; ++i) {
        words[(lane / 32 * planes + i) * 2 + k] |= (offset >> i & 1u)
                                                   << lane % 32;
      }
    }
  }
  return words;
}

static inline int32_t* pair_thresholds(const problem* p) {
  const size_t channels = (size_t)p->params.output_channels;
  int32_t* const pairs = allocate(channels * 2, sizeof *pairs);
  for (size_t o = 0; o < channels; ++o) {
    pairs[2 * o] = p->high[o];
    pairs[2 * o + 1] = p->low[o];
  }
  return pairs;
}

/* The buffer sizes that kernels for int8 inputs go through, none first; 0 if
 * there are no more. */
static inline int get_s8_buffer_size(const problem* p, int32_t index,
                                     size_t* size) {
  size_t best = 0;
  if (gxnor_conv2d_s8_get_buffer_size(&p->params, &best) != GXNOR_OK) abort();
  switch (index) {
    case 0:
      *size = 0;
      break;
    case 1:
      *size = best;
      break;
    case 2: /* More than needed. */
      *size = 2 * best + 1000;
      break;
    default: /* Down to some words. */
      *size = best >> (index - 2);
      *size -= (size_t)index % 2;
      return best >> (index - 2) >= 16;
  }
  return 1;
}

/* ---- The cases that every kernel goes through ---- */

/* Fills in case `index`; 0 if there are no more. Without `pool`, no case has
 * one. */
static inline int get_case(int32_t index, int pool,
                           gxnor_conv2d_params* params) {
  static const int32_t kChannels[] = {1, 31, 32, 33, 64, 70};
  const int32_t kinds = pool ? 9 : 6;
  const int32_t sizes = (int32_t)(sizeof kChannels / sizeof kChannels[0]);
  gxnor_conv2d_params p;
  if (index >= kinds * sizes * sizes) return 0;
  p = default_params(kChannels[index % sizes],
                     kChannels[index / sizes % sizes]);
  switch (index / (sizes * sizes)) {
    case 1: /* Stride. */
      p.stride_height = 2;
      p.stride_width = 3;
      break;
    case 2: /* Padding on all sides, more than the kernel needs. */
      p.pad_top = 1;
      p.pad_bottom = 3;
      p.pad_left = 2;
      p.pad_right = 1;
      break;
    case 3: /* Dilation. */
      p.dilation_height = 2;
      p.dilation_width = 3;
      p.pad_left = 1;
      break;
    case 4: /* Batches, and a kernel of one tap. */
      p.batches = 3;
      p.kernel_height = p.kernel_width = 1;
      break;
    case 5: /* A kernel as large as the input. */
      p.kernel_height = p.input_height;
      p.kernel_width = p.input_width;
      break;
    case 6: /* Pool. */
      p.pool_height = p.pool_stride_height = 2;
      p.pool_width = p.pool_stride_width = 2;
      break;
    case 7: /* Overlapping pool with padding. */
      p.batches = 2;
      p.pool_height = 3;
      p.pool_width = 2;
      p.pool_stride_height = 2;
      p.pool_pad_top = 2;
      p.pool_pad_bottom = 1;
      p.pool_pad_left = 1;
      p.pool_pad_right = 1;
      break;
    case 8: /* Pool that skips positions, behind a padded convolution. */
      p.pad_top = p.pad_left = p.pad_right = 1;
      p.pool_width = 2;
      p.pool_stride_height = 3;
      p.pool_stride_width = 3;
      break;
    default:
      break;
  }
  *params = p;
  return 1;
}

/* A convolution such as first layers have: few input channels, wider than a
 * block of positions, all else at random. Without `pool` it has none. */
static inline gxnor_conv2d_params random_first_layer(uint32_t* state,
                                                     int pool) {
  gxnor_conv2d_shape shape;
  gxnor_conv2d_params p;
  do {
    p = default_params(random_in(state, 1, 4), random_in(state, 1, 70));
    p.batches = random_in(state, 1, 2);
    p.input_height = random_in(state, 1, 12);
    p.input_width = random_in(state, 1, 40);
    p.kernel_height = random_in(state, 1, 5);
    p.kernel_width = random_in(state, 1, 5);
    p.stride_height = random_in(state, 1, 3);
    p.stride_width = random_in(state, 1, 3);
    p.dilation_height = random_in(state, 1, 2);
    p.dilation_width = random_in(state, 1, 3);
    p.pad_top = random_in(state, 0, 3);
    p.pad_bottom = random_in(state, 0, 3);
    p.pad_left = random_in(state, 0, 3);
    p.pad_right = random_in(state, 0, 3);
    if (pool) {
      p.pool_height = random_in(state, 1, 3);
      p.pool_width = random_in(state, 1, 3);
      p.pool_stride_height = random_in(state, 1, 3);
      p.pool_stride_width = random_in(state, 1, 4);
      p.pool_pad_top = random_in(state, 0, p.pool_height - 1);
      p.pool_pad_bottom = random_in(state, 0, p.pool_height - 1);
      p.pool_pad_left = random_in(state, 0, p.pool_width - 1);
      p.pool_pad_right = random_in(state, 0, p.pool_width - 1);
    }
  } while (gxnor_conv2d_get_shape(&p, &shape) != GXNOR_OK);
  return p;
}

#endif /* GXNOR_TESTS_PROBLEM_H_ */
