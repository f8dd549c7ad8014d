/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/gxnor_taps_mve.h"
#include "gxnor_pool_internal.h"
#include "gxnor_taps_internal.h"

/* Words of a block. */
#define WORDS (GXNOR_TAPS_BLOCK / 2)

/* Channels that are summed together: as many as a lane has bits. */
#define CHANNELS 16

/* Channels whose taps are listed, and where they are used. */
typedef struct listed {
  const gxnor_conv2d_call* call;
  gxnor_taps* taps;
  int32_t group;
  int32_t first; /* Lane of the group. */
  int32_t count;
  int direct;                     /* No pool, and all channels of a group. */
  const gxnor_pool_windows* rows; /* Of the present row. */
  void* output;                   /* Of the image. */
} listed;

/* Does something with a block of positions, of which those before `end` exist.
 * `rows` is where the block begins; *window is the first pool window that has
 * positions of this block or later ones. */
typedef void (*write_block)(const listed* l, const uint32_t* rows,
                            const gxnor_conv2d_position* at, int32_t end,
                            int32_t* window);

/* ---- Packed output ---- */

/* The comparisons of up to 32 channels with their high and low thresholds, for
 * a block of positions: the lower 16 channels and the others, by words. */
typedef struct comparisons {
  uint32_t high[2][WORDS];
  uint32_t low[2][WORDS];
} comparisons;

#if GXNOR_TAPS_MVE
/* Gathers the signs of up to 16 channels; the first channel's bit is the lowest
 * of a lane. */
static void gather_signs(const uint32_t* sums, const gxnor_taps_lane* lanes,
                         int32_t count, uint32_t high[WORDS],
                         uint32_t low[WORDS]) {
  uint32x4_t high_bits = vdupq_n_u32(0);
  uint32x4_t low_bits = vdupq_n_u32(0);
  for (int32_t i = 0; i < count; ++i, sums += WORDS) {
    const uint32x4_t words = vldrwq_u32(sums);
    high_bits = mve_gather(high_bits, words);
    low_bits = mve_gather(low_bits, words + lanes[i].gap);
  }
  mve_store_gathered(high_bits, count, high);
  mve_store_gathered(low_bits, count, low);
}
#else
/* The top bits of both lanes. */
#define SIGNS 0x80008000u

/* Gathers the signs of two words. */
static void gather_two(const uint32_t* sums, const gxnor_taps_lane* lanes,
                       int32_t count, uint32_t high[2], uint32_t low[2]) {
  uint32_t high0 = 0, high1 = 0, low0 = 0, low1 = 0;
  for (int32_t i = 0; i < count; ++i, sums += WORDS) {
    const uint32_t gap = lanes[i].gap;
    high0 = high0 >> 1 | (sums[0] & SIGNS);
    high1 = high1 >> 1 | (sums[1] & SIGNS);
    low0 = low0 >> 1 | ((sums[0] + gap) & SIGNS);
    low1 = low1 >> 1 | ((sums[1] + gap) & SIGNS);
  }
  high[0] = high0 >> (CHANNELS - count);
  high[1] = high1 >> (CHANNELS - count);
  low[0] = low0 >> (CHANNELS - count);
  low[1] = low1 >> (CHANNELS - count);
}

/* Gathers the signs of up to 16 channels; the first channel's bit is the lowest
 * of a lane. */
static void gather_signs(const uint32_t* sums, const gxnor_taps_lane* lanes,
                         int32_t count, uint32_t high[WORDS],
                         uint32_t low[WORDS]) {
  gather_two(sums, lanes, count, high, low);
  gather_two(sums + 2, lanes, count, high + 2, low + 2);
}
#endif

/* The sum of one position, without signs. */
static int32_t read_sum(const uint32_t* sums, int32_t position) {
  const uint32_t word = sums[position / 2];
  return (int32_t)(position % 2 == 0 ? word & 0xFFFFu : word >> 16) - 0x8000;
}

/* Compares the sums of `count` channels with thresholds for all words. */
static void compare_sums(const uint32_t* sums, const int32_t* thresholds,
                         int32_t count, uint32_t high[WORDS],
                         uint32_t low[WORDS]) {
  for (int32_t i = 0; i < GXNOR_TAPS_BLOCK; ++i) {
    uint32_t high_bits = 0;
    uint32_t low_bits = 0;
    for (int32_t lane = 0; lane < count; ++lane) {
      const int32_t sum = read_sum(sums + WORDS * lane, i);
      high_bits |= (uint32_t)(sum >= thresholds[2 * lane]) << lane;
      low_bits |= (uint32_t)(sum >= thresholds[2 * lane + 1]) << lane;
    }
    if (i % 2 == 0) {
      high[i / 2] = high_bits;
      low[i / 2] = low_bits;
    } else {
      high[i / 2] |= high_bits << 16;
      low[i / 2] |= low_bits << 16;
    }
  }
}

/* Sums up to 16 of the listed channels, from `lane` on, and compares. */
static void compare_lanes(const listed* l, const uint32_t* rows, int32_t lane,
                          comparisons* found) {
  const gxnor_taps_lane* const lanes = l->taps->lanes + lane;
  const int32_t count = gxnor_least(l->count - lane, CHANNELS);
  uint32_t* const high = found->high[lane / CHANNELS];
  uint32_t* const low = found->low[lane / CHANNELS];
  uint32_t sums[CHANNELS * WORDS];
  gxnor_taps_sum(l->call, l->taps, rows, lane, count, sums);
  if (l->taps->signs) {
    gather_signs(sums, lanes, count, high, low);
  } else {
    const size_t channel =
        (size_t)l->group * GXNOR_LANES + (size_t)(l->first + lane);
    const int32_t* const thresholds = l->call->thresholds;
    compare_sums(sums, thresholds + 2 * channel, count, high, low);
  }
}

/* Joins the comparisons of one position. */
static uint32_t join(uint32_t halves[2][WORDS], int32_t position) {
  const uint32_t first = halves[0][position / 2];
  const uint32_t second = halves[1][position / 2];
  return position % 2 == 0 ? (first & 0xFFFFu) | second << 16
                           : first >> 16 | (second & 0xFFFF0000u);
}

/* Takes the states of a block into the maxima of the pool windows that they
 * are in; *window is the first of these. */
static void take_states(const listed* l, uint32_t pairs[GXNOR_TAPS_BLOCK][2],
                        int32_t begin, int32_t end, int32_t* window) {
  const gxnor_conv2d_params* const p = l->call->params;
  gxnor_pool_windows one;
  for (one.begin = *window; one.begin < l->call->shape.output_width;
       one.begin = one.end) {
    const int32_t start = one.begin * p->pool_stride_width - p->pool_pad_left;
    const int32_t stop = gxnor_least(start + p->pool_width, end);
    uint32_t maximum[2] = {0, 0xFFFFFFFFu};
    if (start >= end) break;
    for (int32_t x = start < begin ? begin : start; x < stop; ++x) {
      maximum[0] |= pairs[x - begin][0];
      maximum[1] &= pairs[x - begin][1];
    }
    one.end = one.begin + 1;
    gxnor_pool_take(&l->call->shape, maximum, l->group, l->rows, &one,
                    l->output);
    if (start + p->pool_width <= end) *window = one.end;
  }
}

/* Writes the states of a block as they are. */
static void write_states(const listed* l, uint32_t pairs[GXNOR_TAPS_BLOCK][2],
                         const gxnor_conv2d_position* at, int32_t end) {
  const gxnor_conv2d_shape* const s = &l->call->shape;
  const size_t first = (size_t)at->y * (size_t)s->conv_width + (size_t)at->x;
  const uint32_t mask =
      gxnor_conv2d_lane_mask(l->call->params->output_channels, l->group);
  uint32_t* output = l->output;
  output += 2 * (first * (size_t)s->output_groups + (size_t)l->group);
  for (int32_t i = 0; i < end - at->x; ++i) {
    output[0] = pairs[i][0];
    output[1] = pairs[i][1] & mask;
    output += 2 * (size_t)s->output_groups;
  }
}

static void write_block_t2(const listed* l, const uint32_t* rows,
                           const gxnor_conv2d_position* at, int32_t end,
                           int32_t* window) {
  comparisons found;
  uint32_t pairs[GXNOR_TAPS_BLOCK][2];
  for (int32_t i = 0; i < WORDS && l->count <= CHANNELS; ++i) {
    found.high[1][i] = found.low[1][i] = 0;
  }
  for (int32_t lane = 0; lane < l->count; lane += CHANNELS) {
    compare_lanes(l, rows, lane, &found);
  }
  for (int32_t i = 0; i < GXNOR_TAPS_BLOCK; ++i) {
    pairs[i][0] = join(found.high, i) << l->first;
    pairs[i][1] = ~(join(found.low, i) << l->first);
  }
  if (l->direct) {
    write_states(l, pairs, at, end);
  } else {
    take_states(l, pairs, at->x, end, window);
  }
}

/* ---- Sums ---- */

static void write_block_s32(const listed* l, const uint32_t* rows,
                            const gxnor_conv2d_position* at, int32_t end,
                            int32_t* window) {
  const size_t channels = (size_t)l->call->params->output_channels;
  const size_t first =
      (size_t)at->y * (size_t)l->call->shape.conv_width + (size_t)at->x;
  int32_t* output = l->output;
  (void)window;
  output +=
      first * channels + (size_t)l->group * GXNOR_LANES + (size_t)l->first;
  for (int32_t lane = 0; lane < l->count; lane += CHANNELS) {
    const int32_t count = gxnor_least(l->count - lane, CHANNELS);
    uint32_t sums[CHANNELS * WORDS];
    gxnor_taps_sum(l->call, l->taps, rows, lane, count, sums);
    for (int32_t i = 0; i < end - at->x; ++i) {
      int32_t* const to = output + (size_t)i * channels + lane;
      for (int32_t j = 0; j < count; ++j) to[j] = read_sum(sums + WORDS * j, i);
    }
  }
}

/* ---- All positions ---- */

/* Writes a row of the convolution, from column at->x on, up to `end`. */
static void write_row(const listed* l, gxnor_conv2d_position* at, int32_t end,
                      write_block write, int32_t window) {
  const uint32_t* rows = gxnor_taps_fetch_rows(l->call, at, l->taps);
  for (; at->x < end; at->x += GXNOR_TAPS_BLOCK, rows += WORDS) {
    write(l, rows, at, gxnor_least(end, at->x + GXNOR_TAPS_BLOCK), &window);
  }
}

/* Writes the channels of an image, in stretches of columns. */
static void write_image(listed* l, int32_t batch, write_block write) {
  const gxnor_pool_axis down = gxnor_pool_axis_down(l->call);
  const gxnor_pool_axis across = gxnor_pool_axis_across(l->call);
  gxnor_pool_windows columns = {0, 0};
  gxnor_conv2d_position at;
  int32_t end;
  at.batch = batch;
  at.group = l->group;
  for (int32_t x = gxnor_pool_move_on(&across, 0, &columns); x < across.size;
       x = gxnor_pool_move_on(&across, end, &columns)) {
    gxnor_pool_windows rows = {0, 0};
    end = gxnor_least(l->taps->plan->positions, across.size - x) + x;
    gxnor_taps_forget_rows(l->taps);
    l->rows = &rows;
    for (at.y = gxnor_pool_move_on(&down, 0, &rows); at.y < down.size;
         at.y = gxnor_pool_move_on(&down, at.y + 1, &rows)) {
      at.x = x;
      write_row(l, &at, end, write, columns.begin);
    }
  }
}

/* Calls `write` for all blocks; an image of the output has so many bytes. */
static void write_all(const gxnor_conv2d_call* call,
                      const gxnor_taps_plan* plan, void* buffer,
                      write_block write, size_t image_bytes, void* output) {
  const gxnor_conv2d_params* const p = call->params;
  gxnor_taps taps;
  listed l;
  gxnor_taps_set_up(call, plan, buffer, &taps);
  l.call = call;
  l.taps = &taps;
  l.direct = plan->lanes == GXNOR_LANES && !gxnor_conv2d_has_pool(p);
  for (l.group = 0; l.group < call->shape.output_groups; ++l.group) {
    const int32_t lanes =
        gxnor_least(p->output_channels - l.group * GXNOR_LANES, GXNOR_LANES);
    for (l.first = 0; l.first < lanes; l.first += plan->lanes) {
      l.count = gxnor_least(lanes - l.first, plan->lanes);
      gxnor_taps_list(call, l.group, l.first, l.count, &taps);
      l.output = output;
      for (int32_t batch = 0; batch < p->batches; ++batch) {
        write_image(&l, batch, write);
        l.output = (char*)l.output + image_bytes;
      }
    }
  }
}

void gxnor_taps_write_t2(const gxnor_conv2d_call* call,
                         const gxnor_taps_plan* plan, void* buffer,
                         uint32_t* GXNOR_RESTRICT output) {
  const gxnor_conv2d_shape* const s = &call->shape;
  if (plan->lanes < GXNOR_LANES || gxnor_conv2d_has_pool(call->params)) {
    gxnor_pool_start(call, output);
  }
  write_all(call, plan, buffer, write_block_t2,
            2 * sizeof *output * (size_t)s->output_height *
                (size_t)s->output_width * (size_t)s->output_groups,
            output);
  gxnor_pool_finish(call, output);
}

void gxnor_taps_write_s32(const gxnor_conv2d_call* call,
                          const gxnor_taps_plan* plan, void* buffer,
                          int32_t* GXNOR_RESTRICT output) {
  const gxnor_conv2d_shape* const s = &call->shape;
  write_all(call, plan, buffer, write_block_s32,
            sizeof *output * (size_t)s->conv_height * (size_t)s->conv_width *
                (size_t)call->params->output_channels,
            output);
}
