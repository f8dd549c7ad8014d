/* SPDX-License-Identifier: Apache-2.0 */
#include "gxnor_conv2d_internal.h"

#include <stddef.h>

#include "gxnor_shape_internal.h"
#include "gxnor_take_bit_internal.h"

/* Checks what all kernels have. */
static gxnor_status check(gxnor_conv2d_shape_of shape_of,
                          const gxnor_conv2d_params* params, const void* input,
                          const uint32_t* weights, const void* output,
                          gxnor_conv2d_call* call) {
  if (params == NULL || input == NULL || weights == NULL || output == NULL) {
    return GXNOR_ERR_ARG;
  }
  call->params = params;
  call->input = input;
  call->weights = weights;
  call->thresholds = NULL;
  call->scratch = NULL;
  return shape_of(params, &call->shape);
}

gxnor_status gxnor_conv2d_check_sums(gxnor_conv2d_shape_of shape_of,
                                     const gxnor_conv2d_params* params,
                                     const void* input, const uint32_t* weights,
                                     const void* output,
                                     gxnor_conv2d_call* call) {
  const gxnor_status status =
      check(shape_of, params, input, weights, output, call);
  if (status != GXNOR_OK) return status;
  return gxnor_conv2d_has_pool(params) ? GXNOR_ERR_SHAPE : GXNOR_OK;
}

gxnor_status gxnor_conv2d_check_states(
    gxnor_conv2d_shape_of shape_of, const gxnor_conv2d_params* params,
    const void* input, const uint32_t* weights, const void* thresholds,
    const void* output, gxnor_conv2d_call* call) {
  gxnor_status status;
  if (thresholds == NULL) return GXNOR_ERR_ARG;
  status = check(shape_of, params, input, weights, output, call);
  call->thresholds = thresholds;
  return status;
}

int gxnor_conv2d_find_tap(const gxnor_conv2d_call* call,
                          const gxnor_conv2d_position* position, int32_t ky,
                          int32_t kx, gxnor_conv2d_tap* found) {
  const gxnor_conv2d_params* const p = call->params;
  const int32_t y =
      position->y * p->stride_height - p->pad_top + ky * p->dilation_height;
  const int32_t x =
      position->x * p->stride_width - p->pad_left + kx * p->dilation_width;
  if (y < 0 || y >= p->input_height || x < 0 || x >= p->input_width) return 0;
  found->input =
      ((size_t)position->batch * (size_t)p->input_height + (size_t)y) *
          (size_t)p->input_width +
      (size_t)x;
  found->number = ky * p->kernel_width + kx;
  return 1;
}

const uint32_t* gxnor_conv2d_group_records(const gxnor_conv2d_call* call,
                                           int32_t group) {
  return call->weights + (size_t)group * ((size_t)call->shape.depth + 1) * 2;
}

uint32_t gxnor_conv2d_lane_mask(int32_t channels, int32_t group) {
  const int32_t lanes = channels - group * GXNOR_LANES;
  return lanes < GXNOR_LANES ? (1u << lanes) - 1u : 0xFFFFFFFFu;
}

void gxnor_conv2d_add_record(const uint32_t record[2], int32_t plane_count,
                             uint32_t* planes) {
  /* As they exclude each other, the first plane needs no full adder. */
  uint32_t carry = record[0] | (planes[0] & record[1]);
  planes[0] ^= record[1];
  for (int32_t i = 1; carry != 0 && i < plane_count; ++i) {
    const uint32_t plane = planes[i];
    planes[i] = plane ^ carry;
    carry &= plane;
  }
}

/* Adds weight + 1 for all activations of one sign (0: +1, 1: -1) and returns
 * how many there are. */
static uint32_t add_events(const gxnor_conv2d_call* call,
                           const gxnor_conv2d_position* position, int32_t sign,
                           uint32_t* planes) {
  const gxnor_conv2d_params* const p = call->params;
  const int32_t groups = call->shape.input_groups;
  const uint32_t* const input = call->input;
  const uint32_t* const records =
      gxnor_conv2d_group_records(call, position->group);
  uint32_t events = 0;
  for (int32_t ky = 0; ky < p->kernel_height; ++ky) {
    for (int32_t kx = 0; kx < p->kernel_width; ++kx) {
      gxnor_conv2d_tap at;
      if (!gxnor_conv2d_find_tap(call, position, ky, kx, &at)) continue;
      for (int32_t group = 0; group < groups; ++group) {
        const int32_t first =
            at.number * p->input_channels + group * GXNOR_LANES;
        const size_t word =
            2 * (at.input * (size_t)groups + (size_t)group) + (size_t)sign;
        /* The mask keeps a damaged input inside the records. */
        uint32_t bits =
            input[word] & gxnor_conv2d_lane_mask(p->input_channels, group);
        while (bits != 0) {
          const uint32_t record = gxnor_take_bit(&bits, (uint32_t)first, 1);
          gxnor_conv2d_add_record(records + 2 * (size_t)record,
                                  call->shape.planes, planes);
          ++events;
        }
      }
    }
  }
  return events;
}

void gxnor_conv2d_add_to_all(uint32_t number, int32_t plane_count,
                             uint32_t* planes) {
  uint32_t carry = 0;
  for (int32_t i = 0; i < plane_count; ++i) {
    const uint32_t bit = 0u - ((number >> i) & 1u);
    const uint32_t plane = planes[i];
    planes[i] = plane ^ bit ^ carry;
    carry = (plane & bit) | (carry & (plane ^ bit));
  }
}

void gxnor_conv2d_accumulate_t2(const gxnor_conv2d_call* call,
                                const gxnor_conv2d_position* position,
                                uint32_t planes[GXNOR_MAX_PLANES]) {
  const int32_t plane_count = call->shape.planes;
  uint32_t plus_events;
  uint32_t minus_events;
  /* With ~a = -a - 1: ~(-1 + M) = -M, so the complement subtracts what was
   * added to -1. M and then the sum hold one unit too much per event. */
  for (int32_t i = 0; i < plane_count; ++i) planes[i] = 0xFFFFFFFFu;
  minus_events = add_events(call, position, 1, planes);
  for (int32_t i = 0; i < plane_count; ++i) planes[i] = ~planes[i];
  plus_events = add_events(call, position, 0, planes);
  gxnor_conv2d_add_to_all(minus_events - plus_events, plane_count, planes);
}

void gxnor_conv2d_compare(const gxnor_conv2d_call* call,
                          const gxnor_conv2d_position* position,
                          uint32_t planes[GXNOR_MAX_PLANES], uint32_t pair[2]) {
  const int32_t plane_count = call->shape.planes;
  const uint32_t* threshold = call->thresholds;
  /* The borrow of sum - threshold ripples through the planes. */
  uint32_t below_high = 0;
  uint32_t below_low = 0;
  threshold += 2 * (size_t)plane_count * (size_t)position->group;
  /* Thresholds are in offset binary, which differs in the sign bit. */
  planes[plane_count - 1] = ~planes[plane_count - 1];
  for (int32_t i = 0; i < plane_count; ++i) {
    const uint32_t sum = planes[i];
    const uint32_t high = threshold[2 * i];
    const uint32_t low = threshold[2 * i + 1];
    below_high = ((high | below_high) & ~sum) | (high & below_high);
    below_low = ((low | below_low) & ~sum) | (low & below_low);
  }
  pair[0] = ~below_high;
  pair[1] = below_low;
}

int32_t gxnor_conv2d_read_threshold(const uint32_t* words, int32_t plane_count,
                                    int32_t lane) {
  uint32_t offset = 0;
  for (int32_t i = plane_count - 1; i >= 0; --i) {
    offset = 2 * offset + (words[2 * i] >> lane & 1u);
  }
  return (int32_t)offset - ((int32_t)1 << (plane_count - 1));
}

void gxnor_conv2d_gather(const gxnor_conv2d_call* call,
                         const uint32_t planes[GXNOR_MAX_PLANES],
                         int32_t sums[GXNOR_LANES]) {
  const int32_t plane_count = call->shape.planes;
  for (int32_t lane = 0; lane < GXNOR_LANES; ++lane) {
    /* The sign bit stands for all higher bits. */
    uint32_t sum = 0u - ((planes[plane_count - 1] >> lane) & 1u);
    for (int32_t i = plane_count - 2; i >= 0; --i) {
      sum = 2u * sum + ((planes[i] >> lane) & 1u);
    }
    sums[lane] = (int32_t)sum;
  }
}

void gxnor_conv2d_accumulate_s8(const gxnor_conv2d_call* call,
                                const gxnor_conv2d_position* position,
                                int32_t sums[GXNOR_LANES]) {
  const gxnor_conv2d_params* const p = call->params;
  const int8_t* const input = call->input;
  const uint32_t* const records =
      gxnor_conv2d_group_records(call, position->group);
  /* Unsigned, for intermediate sums may wrap. */
  uint32_t biased[GXNOR_LANES];
  uint32_t bias = 0;
  for (int32_t lane = 0; lane < GXNOR_LANES; ++lane) biased[lane] = 0;
  for (int32_t ky = 0; ky < p->kernel_height; ++ky) {
    for (int32_t kx = 0; kx < p->kernel_width; ++kx) {
      gxnor_conv2d_tap at;
      if (!gxnor_conv2d_find_tap(call, position, ky, kx, &at)) continue;
      for (int32_t channel = 0; channel < p->input_channels; ++channel) {
        const size_t element =
            at.input * (size_t)p->input_channels + (size_t)channel;
        const uint32_t value = (uint32_t)input[element];
        const uint32_t* const record =
            records + 2 * ((size_t)at.number * (size_t)p->input_channels +
                           (size_t)channel);
        const uint32_t plus = record[0];
        const uint32_t zero = record[1];
        if (value == 0) continue;
        bias += value;
        /* value * (weight + 1) = value * (2 P + Z). */
        for (int32_t lane = 0; lane < GXNOR_LANES; ++lane) {
          biased[lane] +=
              value * (2u * ((plus >> lane) & 1u) + ((zero >> lane) & 1u));
        }
      }
    }
  }
  for (int32_t lane = 0; lane < GXNOR_LANES; ++lane) {
    sums[lane] = (int32_t)(biased[lane] - bias);
  }
}

int gxnor_conv2d_has_pool(const gxnor_conv2d_params* params) {
  return params->pool_height != 1 || params->pool_width != 1 ||
         params->pool_stride_height != 1 || params->pool_stride_width != 1;
}

/* The maximum of the ternary states over one pool window. */
static void max_over_window(const gxnor_conv2d_call* call,
                            gxnor_conv2d_ternary ternary, int32_t batch,
                            int32_t y, int32_t x, int32_t group,
                            uint32_t maximum[2]) {
  const gxnor_conv2d_params* const p = call->params;
  int32_t y_begin, y_end, x_begin, x_end;
  gxnor_conv2d_position position;
  gxnor_clip_window(y, p->pool_stride_height, p->pool_pad_top, p->pool_height,
                    call->shape.conv_height, &y_begin, &y_end);
  gxnor_clip_window(x, p->pool_stride_width, p->pool_pad_left, p->pool_width,
                    call->shape.conv_width, &x_begin, &x_end);
  position.batch = batch;
  position.group = group;
  maximum[0] = 0;
  maximum[1] = gxnor_conv2d_lane_mask(p->output_channels, group);
  for (position.y = y_begin; position.y < y_end; ++position.y) {
    for (position.x = x_begin; position.x < x_end; ++position.x) {
      uint32_t pair[2];
      ternary(call, &position, pair);
      maximum[0] |= pair[0];
      maximum[1] &= pair[1];
    }
  }
  maximum[0] &= gxnor_conv2d_lane_mask(p->output_channels, group);
}

void gxnor_conv2d_write_t2(const gxnor_conv2d_call* call,
                           gxnor_conv2d_ternary ternary,
                           uint32_t* GXNOR_RESTRICT output) {
  const gxnor_conv2d_shape* const shape = &call->shape;
  for (int32_t batch = 0; batch < call->params->batches; ++batch) {
    for (int32_t y = 0; y < shape->output_height; ++y) {
      for (int32_t x = 0; x < shape->output_width; ++x) {
        for (int32_t group = 0; group < shape->output_groups; ++group) {
          max_over_window(call, ternary, batch, y, x, group, output);
          output += 2;
        }
      }
    }
  }
}

void gxnor_conv2d_write_s32(const gxnor_conv2d_call* call,
                            gxnor_conv2d_sums sums,
                            int32_t* GXNOR_RESTRICT output) {
  const gxnor_conv2d_shape* const shape = &call->shape;
  const int32_t channels = call->params->output_channels;
  gxnor_conv2d_position at;
  for (at.batch = 0; at.batch < call->params->batches; ++at.batch) {
    for (at.y = 0; at.y < shape->conv_height; ++at.y) {
      for (at.x = 0; at.x < shape->conv_width; ++at.x) {
        for (at.group = 0; at.group < shape->output_groups; ++at.group) {
          const int32_t first = at.group * GXNOR_LANES;
          int32_t lanes[GXNOR_LANES];
          sums(call, &at, lanes);
          for (int32_t lane = 0; lane < GXNOR_LANES && first + lane < channels;
               ++lane) {
            *output++ = lanes[lane];
          }
        }
      }
    }
  }
}
