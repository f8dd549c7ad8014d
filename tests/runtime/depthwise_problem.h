/* SPDX-License-Identifier: Apache-2.0 */
/* Depthwise problems: those of a convolution that sees one channel. */
#ifndef GXNOR_TESTS_DEPTHWISE_PROBLEM_H_
#define GXNOR_TESTS_DEPTHWISE_PROBLEM_H_

#include "gxnor/depthwise_conv2d.h"
#include "problem.h"

typedef struct depthwise_problem {
  problem full;   /* The convolution; weights of other channels are 0. */
  problem narrow; /* The weights of the own channel alone. */
} depthwise_problem;

static inline depthwise_problem make_depthwise_problem(
    gxnor_conv2d_params params, uint32_t seed) {
  depthwise_problem p;
  const int32_t channels = params.input_channels;
  int32_t taps;
  params.output_channels = channels;
  p.full = make_problem(params, 1, seed);
  params.input_channels = 1;
  p.narrow = make_problem(params, 1, seed + 1000);
  taps = p.narrow.shape.depth;
  memset(p.full.weights, 0, (size_t)channels * (size_t)p.full.shape.depth);
  for (int32_t c = 0; c < channels; ++c) {
    for (int32_t tap = 0; tap < taps; ++tap) {
      p.full.weights[(c * taps + tap) * channels + c] =
          p.narrow.weights[c * taps + tap];
    }
    p.full.high[c] = p.narrow.high[c];
    p.full.low[c] = p.narrow.low[c];
  }
  solve(&p.full);
  return p;
}

static inline void free_depthwise_problem(depthwise_problem* p) {
  free_problem(&p->full);
  free_problem(&p->narrow);
}

/* Fills in case `index`; 0 if there are no more. Without `pool`, no case has
 * one. */
static inline int get_depthwise_case(int32_t index, int pool,
                                     gxnor_conv2d_params* params) {
  /* Those cases of convolutions that have as many outputs as inputs. */
  for (int32_t i = 0; get_case(i, pool, params); ++i) {
    if (params->input_channels != params->output_channels) continue;
    if (index-- == 0) return 1;
  }
  return 0;
}

#endif /* GXNOR_TESTS_DEPTHWISE_PROBLEM_H_ */
