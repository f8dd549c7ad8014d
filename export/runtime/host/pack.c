/* SPDX-License-Identifier: Apache-2.0 */
/* Packed weights, in this order:
 *   blocks of events  records {P, Z} of the block's channels [depth + 1], then
 *                     thresholds {high, low} of them [planes]
 *   dense groups      s8 input: biases [32]; t2 output: {high[32], low[32]};
 *                     weights as gxnor_host_tile has them */
#include <string.h>

#include "gxnor_conv2d_internal.h"
#include "gxnor_transpose_internal.h"
#include "kernels.h"

static const uint32_t* group_records(const gxnor_host_conv2d* plan,
                                     const uint32_t* weights, int32_t group) {
  return weights + (size_t)group * ((size_t)plan->shape.depth + 1) * 2;
}

/* ---- Dense ---- */

/* Packs one word of 32 input channels for 32 lanes: {gate[32], sign[32]}. */
static void pack_t2_word(const uint32_t* records, int32_t channels,
                         uint32_t* packed) {
  uint32_t* const gates = packed;
  uint32_t* const signs = packed + GXNOR_LANES;
  memset(packed, 0, 2 * GXNOR_LANES * sizeof *packed);
  for (int32_t i = 0; i < channels; ++i) {
    gates[i] = ~records[2 * i + 1];
    signs[i] = gates[i] & ~records[2 * i];
  }
  gxnor_transpose(gates);
  gxnor_transpose(signs);
}

static void pack_t2_group(const gxnor_host_conv2d* plan,
                          const uint32_t* records, uint32_t* packed) {
  const gxnor_conv2d_params* const p = &plan->params;
  const int32_t taps = p->kernel_height * p->kernel_width;
  for (int32_t tap = 0; tap < taps; ++tap) {
    for (int32_t left = p->input_channels; left > 0; left -= GXNOR_LANES) {
      const int32_t channels = left < GXNOR_LANES ? left : GXNOR_LANES;
      pack_t2_word(records, channels, packed);
      records += 2 * channels;
      packed += 2 * GXNOR_LANES;
    }
  }
}

/* Packs a segment of `count` weights per lane and adds them to sums. */
static void pack_s8_segment(const uint32_t* records, int32_t count,
                            int8_t* packed, int32_t sums[GXNOR_LANES]) {
  for (int32_t i = 0; i < count; ++i) {
    int8_t* const lanes = packed + i / 4 * 4 * GXNOR_LANES + i % 4;
    for (int32_t lane = 0; lane < GXNOR_LANES; ++lane) {
      const int32_t plus = (int32_t)(records[2 * i] >> lane & 1);
      const int32_t zero = (int32_t)(records[2 * i + 1] >> lane & 1);
      const int32_t weight = 2 * plus + zero - 1;
      lanes[4 * lane] = (int8_t)weight;
      sums[lane] += weight;
    }
  }
}

static void pack_s8_group(const gxnor_host_conv2d* plan,
                          const uint32_t* records, int32_t* biases,
                          int8_t* packed) {
  const gxnor_conv2d_params* const p = &plan->params;
  const int32_t segments = p->kernel_height * plan->segment_columns;
  const int32_t count =
      p->kernel_width / plan->segment_columns * p->input_channels;
  const size_t bytes = (size_t)plan->segment_words * 4 * GXNOR_LANES;
  int32_t sums[GXNOR_LANES] = {0};
  memset(packed, 0, (size_t)segments * bytes);
  for (int32_t i = 0; i < segments; ++i) {
    pack_s8_segment(records, count, packed, sums);
    records += 2 * (size_t)count;
    packed += bytes;
  }
  /* Kernels see inputs + 128. */
  for (int32_t i = 0; i < GXNOR_LANES; ++i) biases[i] = -128 * sums[i];
}

static void pack_thresholds(const gxnor_host_conv2d* plan,
                            const void* thresholds, int32_t group,
                            int32_t* packed) {
  const int32_t planes = plan->shape.planes;
  int32_t* const high = packed;
  int32_t* const low = packed + GXNOR_LANES;
  const int32_t* pairs = thresholds;
  if (!plan->s8_input) {
    const uint32_t* const words =
        (const uint32_t*)thresholds + (size_t)group * (size_t)planes * 2;
    for (int32_t lane = 0; lane < GXNOR_LANES; ++lane) {
      high[lane] = gxnor_conv2d_read_threshold(words, planes, lane);
      low[lane] = gxnor_conv2d_read_threshold(words + 1, planes, lane);
    }
    return;
  }
  for (int32_t lane = 0; lane < GXNOR_LANES; ++lane) {
    const int32_t channel = group * GXNOR_LANES + lane;
    const bool used = channel < plan->params.output_channels;
    /* Lanes without a channel get state 0. */
    high[lane] = used ? pairs[2 * (size_t)channel] : INT32_MAX;
    low[lane] = used ? pairs[2 * (size_t)channel + 1] : INT32_MIN;
  }
}

static void pack_group(const gxnor_host_conv2d* plan, const uint32_t* weights,
                       const void* thresholds, int32_t group, uint8_t* packed) {
  const uint32_t* const records = group_records(plan, weights, group);
  int32_t* const biases = (int32_t*)(void*)packed;
  if (plan->s8_input) packed += GXNOR_LANES * sizeof(int32_t);
  if (!plan->s32_output) {
    pack_thresholds(plan, thresholds, group, (int32_t*)(void*)packed);
    packed += 2 * GXNOR_LANES * sizeof(int32_t);
  }
  if (plan->s8_input) {
    pack_s8_group(plan, records, biases, (int8_t*)(void*)packed);
  } else {
    pack_t2_group(plan, records, (uint32_t*)(void*)packed);
  }
}

/* ---- Events ---- */

/* Copies rows of {a, b} of each group of a block to rows of {a[], b[]}. */
static uint32_t* interleave(const uint32_t* const* groups, int32_t group_count,
                            int32_t rows, uint32_t* packed) {
  for (int32_t row = 0; row < rows; ++row, packed += 2 * group_count) {
    for (int32_t i = 0; i < group_count; ++i) {
      packed[i] = groups[i][2 * (size_t)row];
      packed[group_count + i] = groups[i][2 * (size_t)row + 1];
    }
  }
  return packed;
}

static void pack_block(const gxnor_host_conv2d* plan, const uint32_t* weights,
                       const uint32_t* thresholds, int32_t block,
                       uint32_t* packed) {
  const int32_t wide = plan->block->groups;
  const size_t planes = (size_t)plan->shape.planes;
  const uint32_t* groups[GXNOR_HOST_MAX_BLOCK];
  for (int32_t i = 0; i < wide; ++i) {
    groups[i] = group_records(plan, weights, block * wide + i);
  }
  packed = interleave(groups, wide, plan->shape.depth + 1, packed);
  for (int32_t i = 0; i < wide; ++i) {
    groups[i] = thresholds + (size_t)(block * wide + i) * planes * 2;
  }
  interleave(groups, wide, (int32_t)planes, packed);
}

void gxnor_host_conv2d_pack(const gxnor_host_conv2d* plan,
                            const uint32_t* weights, const void* thresholds,
                            void* packed) {
  uint8_t* at = packed;
  for (int32_t i = 0; i < plan->blocks; ++i, at += plan->block_bytes) {
    pack_block(plan, weights, thresholds, i, (uint32_t*)(void*)at);
  }
  for (int32_t i = 0; i < plan->dense_groups; ++i, at += plan->group_bytes) {
    pack_group(plan, weights, thresholds, plan->first_dense + i, at);
  }
}
