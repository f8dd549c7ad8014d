/* SPDX-License-Identifier: Apache-2.0 */
#include "gxnor_taps_internal.h"

#include "arch/gxnor_taps_mve.h"
#include "gxnor_compiler_internal.h"

/* The inner loop is fast whatever the rest is compiled for. GCC's scheduler
 * before register allocation would load ahead and spill. */
#if defined(__GNUC__) && !defined(__clang__)
#define INNER_LOOP __attribute__((optimize("O2", "no-schedule-insns")))
#else
#define INNER_LOOP
#endif

/* Fewer positions of a row are not worth a word with lanes for 8 of them. */
#define LEAST_POSITIONS 4

/* ---- The buffer ---- */

/* How many positions further the last tap of a kernel row is. */
static int32_t reach(const gxnor_conv2d_params* p) {
  return (p->kernel_width - 1) * p->dilation_width / p->stride_width;
}

/* Bytes of everything but the rows. */
static size_t list_bytes(int32_t lanes, int32_t depth) {
  const size_t offsets = ((size_t)lanes + 1) * (size_t)depth;
  return (size_t)lanes * sizeof(gxnor_taps_lane) + offsets * sizeof(uint16_t);
}

/* Plans for so many channels; 0 if there is no room for a block. Offsets of
 * taps have 16 bits, which bounds all products below. */
static int plan_lanes(const gxnor_conv2d_params* p,
                      const gxnor_conv2d_shape* shape, size_t buffer_size,
                      int32_t lanes, gxnor_taps_plan* plan) {
  const size_t lists =
      list_bytes(gxnor_least(lanes, p->output_channels), shape->depth);
  const int64_t across = (int64_t)(p->kernel_width - 1) * p->dilation_width;
  const int64_t down = (int64_t)(p->kernel_height - 1) * p->dilation_height;
  int32_t room, position_bytes, more, positions;
  if (buffer_size < lists || across > UINT16_MAX || down > UINT16_MAX) return 0;
  buffer_size -= lists;
  room = buffer_size < INT32_MAX ? (int32_t)buffer_size : INT32_MAX;
  more = reach(p) / 2 * 2;
  plan->lanes = lanes;
  plan->extent = (int32_t)down + 1;
  plan->phases = gxnor_least(p->stride_width, (int32_t)across + 1);
  plan->copies = reach(p) > 0 ? 2 : 1;
  position_bytes = 2 * p->input_channels * plan->phases * plan->copies;
  positions =
      gxnor_least(room, UINT16_MAX) / plan->extent / position_bytes - more;
  positions = positions / GXNOR_TAPS_BLOCK * GXNOR_TAPS_BLOCK;
  if (positions < GXNOR_TAPS_BLOCK) return 0;
  if (positions > shape->conv_width) {
    positions = (shape->conv_width + GXNOR_TAPS_BLOCK - 1) / GXNOR_TAPS_BLOCK *
                GXNOR_TAPS_BLOCK;
  }
  plan->positions = positions;
  plan->words = (positions + more) / 2;
  plan->row_words = (positions + more) * position_bytes / 4;
  plan->rows = room / (4 * plan->row_words);
  return 1;
}

int gxnor_taps_make_plan(const gxnor_conv2d_params* params,
                         const gxnor_conv2d_shape* shape, size_t buffer_size,
                         gxnor_taps_plan* plan) {
  if (shape->depth > GXNOR_TAPS_MAX_DEPTH ||
      shape->conv_width < LEAST_POSITIONS) {
    return 0;
  }
  for (int32_t lanes = GXNOR_LANES; lanes > 0; lanes /= 2) {
    if (plan_lanes(params, shape, buffer_size, lanes, plan)) return 1;
  }
  return 0;
}

size_t gxnor_taps_buffer_size(const gxnor_conv2d_params* params,
                              const gxnor_conv2d_shape* shape) {
  gxnor_taps_plan plan;
  if (!gxnor_taps_make_plan(params, shape, SIZE_MAX, &plan)) return 0;
  return list_bytes(gxnor_least(plan.lanes, params->output_channels),
                    shape->depth) +
         (size_t)plan.extent * (size_t)plan.row_words * sizeof(uint32_t);
}

/* Numbers all taps by their offsets. */
static void set_offsets(const gxnor_conv2d_params* p, gxnor_taps* taps) {
  const gxnor_taps_plan* const plan = taps->plan;
  uint16_t* offset = taps->offsets;
  for (int32_t ky = 0; ky < p->kernel_height; ++ky) {
    for (int32_t kx = 0; kx < p->kernel_width; ++kx) {
      const int32_t column = kx * p->dilation_width;
      const int32_t phase = column % p->stride_width;
      const int32_t further = column / p->stride_width;
      for (int32_t channel = 0; channel < p->input_channels; ++channel) {
        const int32_t copy =
            (channel * plan->phases + phase) * plan->copies + further % 2;
        *offset++ = (uint16_t)(4 * (ky * p->dilation_height * plan->row_words +
                                    copy * plan->words + further / 2));
      }
    }
  }
}

void gxnor_taps_set_up(const gxnor_conv2d_call* call,
                       const gxnor_taps_plan* plan, void* buffer,
                       gxnor_taps* taps) {
  const int32_t lanes = gxnor_least(plan->lanes, call->params->output_channels);
  const size_t row_words = (size_t)plan->rows * (size_t)plan->row_words;
  taps->plan = plan;
  taps->signs = call->thresholds != NULL &&
                call->shape.depth <= GXNOR_TAPS_MAX_SIGN_DEPTH;
  taps->lanes = buffer;
  taps->rows = (uint32_t*)(void*)(taps->lanes + lanes);
  taps->offsets = (uint16_t*)(void*)(taps->rows + row_words);
  taps->lists = taps->offsets + call->shape.depth;
  set_offsets(call->params, taps);
  gxnor_taps_forget_rows(taps);
}

/* ---- Taps ---- */

static int32_t clamp(int32_t value, int32_t low, int32_t high) {
  return value < low ? low : value > high ? high : value;
}

/* Lists the taps of a channel. */
static void list_lane(const uint32_t* records, int32_t depth, int32_t lane,
                      const uint16_t* offsets, uint16_t* list,
                      gxnor_taps_lane* listed) {
  const uint32_t bit = (uint32_t)1 << lane;
  uint16_t* plus = list;
  uint16_t* minus = list + depth;
  for (int32_t tap = 0; tap < depth; ++tap, records += 2) {
    if ((records[0] & bit) != 0) {
      *plus++ = offsets[tap];
    } else if ((records[1] & bit) == 0) {
      *--minus = offsets[tap];
    }
  }
  listed->plus = (uint16_t)(plus - list);
  listed->minus = (uint16_t)(list + depth - minus);
}

/* Makes sums start such that a comparison is a bit. */
static void set_thresholds(const int32_t thresholds[2],
                           gxnor_taps_lane* listed) {
  const int32_t smallest = -128 * listed->plus - 127 * listed->minus;
  const int32_t largest = 127 * listed->plus + 128 * listed->minus;
  const int32_t high = clamp(thresholds[0], smallest, largest + 1);
  const int32_t low = clamp(thresholds[1], smallest, largest + 1);
  listed->start = GXNOR_TAPS_ORIGIN - (uint32_t)high * 0x10001u;
  listed->gap = (uint32_t)(high - low) * 0x10001u;
}

void gxnor_taps_list(const gxnor_conv2d_call* call, int32_t group,
                     int32_t first, int32_t count, gxnor_taps* taps) {
  const uint32_t* const records = gxnor_conv2d_group_records(call, group);
  const size_t channel = (size_t)group * GXNOR_LANES + (size_t)first;
  const int32_t* thresholds = call->thresholds;
  if (taps->signs) thresholds += 2 * channel;
  for (int32_t i = 0; i < count; ++i) {
    gxnor_taps_lane* const listed = taps->lanes + i;
    list_lane(records, call->shape.depth, first + i, taps->offsets,
              taps->lists + i * call->shape.depth, listed);
    listed->start = GXNOR_TAPS_ORIGIN;
    if (taps->signs) set_thresholds(thresholds + 2 * i, listed);
  }
}

/* ---- Rows ---- */

void gxnor_taps_forget_rows(gxnor_taps* taps) {
  taps->first_row = taps->end_row = INT32_MIN;
}

/* A channel's input in column `x`; padding is 0. Columns beyond the last
 * position may wrap into the row; nobody looks at their sums. */
static GXNOR_ALWAYS_INLINE uint32_t read_input(const int8_t* row, uint32_t x,
                                               uint32_t width,
                                               uint32_t channels) {
  return x < width ? (uint32_t)row[x * channels] : 0;
}

/* Fills one phase of one channel of a row, which begins at column `x`. */
static void fill_phase(const int8_t* row, uint32_t x,
                       const gxnor_conv2d_params* p, uint32_t width,
                       const gxnor_taps_plan* plan, uint32_t* words) {
  const uint32_t channels = (uint32_t)p->input_channels;
  const uint32_t stride = (uint32_t)p->stride_width;
  uint32_t first = read_input(row, x, width, channels);
  for (int32_t i = 0; i < plan->words; ++i) {
    uint32_t second, third;
    x += stride;
    second = read_input(row, x, width, channels);
    x += stride;
    third = read_input(row, x, width, channels);
    words[i] = first + (second << 16);
    if (plan->copies == 2) words[i + plan->words] = second + (third << 16);
    first = third;
  }
}

/* Fills the row of input row `y`, which may be padding. */
static void fill_row(const gxnor_conv2d_call* call,
                     const gxnor_conv2d_position* at, int32_t y,
                     const gxnor_taps_plan* plan, uint32_t* words) {
  const gxnor_conv2d_params* const p = call->params;
  const int inside = y >= 0 && y < p->input_height;
  const size_t skipped =
      (size_t)at->batch * (size_t)p->input_height + (size_t)(inside ? y : 0);
  const int8_t* const row =
      (const int8_t*)call->input +
      skipped * (size_t)p->input_width * (size_t)p->input_channels;
  const int32_t x = at->x * p->stride_width - p->pad_left;
  for (int32_t channel = 0; channel < p->input_channels; ++channel) {
    for (int32_t phase = 0; phase < plan->phases; ++phase) {
      fill_phase(row + channel, (uint32_t)(x + phase), p,
                 inside ? (uint32_t)p->input_width : 0, plan, words);
      words += plan->words * plan->copies;
    }
  }
}

/* Moves rows to the begin of the buffer. */
static void move_rows(const uint32_t* from, size_t words, uint32_t* to) {
  for (size_t i = 0; i < words; ++i) to[i] = from[i];
}

const uint32_t* gxnor_taps_fetch_rows(const gxnor_conv2d_call* call,
                                      const gxnor_conv2d_position* at,
                                      gxnor_taps* taps) {
  const gxnor_taps_plan* const plan = taps->plan;
  const size_t row_words = (size_t)plan->row_words;
  const int32_t top =
      at->y * call->params->stride_height - call->params->pad_top;
  if (top >= taps->end_row) {
    taps->first_row = taps->end_row = top;
  } else if (top + plan->extent - taps->first_row > plan->rows) {
    move_rows(taps->rows + (size_t)(top - taps->first_row) * row_words,
              (size_t)(taps->end_row - top) * row_words, taps->rows);
    taps->first_row = top;
  }
  for (; taps->end_row < top + plan->extent; ++taps->end_row) {
    fill_row(
        call, at, taps->end_row, plan,
        taps->rows + (size_t)(taps->end_row - taps->first_row) * row_words);
  }
  return taps->rows + (size_t)(top - taps->first_row) * row_words;
}

/* ---- Sums ---- */

#if !GXNOR_TAPS_MVE
/* Sums of a channel: two positions a word. */
typedef struct block {
  uint32_t a, b, c, d;
} block;
#define SPREAD(sum, word) ((sum).a = (sum).b = (sum).c = (sum).d = (word))
#define STORE(sum, to) \
  do {                 \
    (to)[0] = (sum).a; \
    (to)[1] = (sum).b; \
    (to)[2] = (sum).c; \
    (to)[3] = (sum).d; \
  } while (0)
/* Adds or subtracts the words of a tap: `op` is + or -. Compilers do not load
 * several words by one instruction unless told so. */
#if defined(__arm__) && defined(__GNUC__) && defined(__thumb2__)
#define TAKE(op, words, sum)                                              \
  do {                                                                    \
    register uint32_t x0 __asm__("r0");                                   \
    register uint32_t x1 __asm__("r1");                                   \
    register uint32_t x2 __asm__("r2");                                   \
    register uint32_t x3 __asm__("r3");                                   \
    __asm__ volatile("ldmia %4, {%0, %1, %2, %3}"                         \
                     : "=r"(x0), "=r"(x1), "=r"(x2), "=r"(x3)             \
                     : "r"(words), "m"(*(const uint32_t (*)[4])(words))); \
    (sum).a = (sum).a op x0;                                              \
    (sum).b = (sum).b op x1;                                              \
    (sum).c = (sum).c op x2;                                              \
    (sum).d = (sum).d op x3;                                              \
  } while (0)
#elif defined(__arm__) && defined(__GNUC__) && defined(__thumb__)
/* Has registers for two words only. */
#define LOAD_TWO(words, x0, x1)             \
  __asm__("ldmia %0!, {%1, %2}"             \
          : "+l"(words), "=r"(x0), "=r"(x1) \
          : "m"(*(const uint32_t (*)[2])(words)))
#define TAKE(op, words, sum)            \
  do {                                  \
    register uint32_t x0 __asm__("r0"); \
    register uint32_t x1 __asm__("r1"); \
    LOAD_TWO(words, x0, x1);            \
    (sum).a = (sum).a op x0;            \
    (sum).b = (sum).b op x1;            \
    LOAD_TWO(words, x0, x1);            \
    (sum).c = (sum).c op x0;            \
    (sum).d = (sum).d op x1;            \
  } while (0)
#else
#define TAKE(op, words, sum)        \
  do {                              \
    (sum).a = (sum).a op(words)[0]; \
    (sum).b = (sum).b op(words)[1]; \
    (sum).c = (sum).c op(words)[2]; \
    (sum).d = (sum).d op(words)[3]; \
  } while (0)
#endif
#endif

/* The words of the tap at an offset. */
static GXNOR_ALWAYS_INLINE const uint32_t* tap(const uint32_t* rows,
                                               uint16_t offset) {
  return (const uint32_t*)(const void*)((const char*)rows + offset);
}

INNER_LOOP void gxnor_taps_sum(const gxnor_conv2d_call* call,
                               const gxnor_taps* taps, const uint32_t* rows,
                               int32_t first, int32_t count, uint32_t* sums) {
  const int32_t depth = call->shape.depth;
  const gxnor_taps_lane* lane = taps->lanes + first;
  const gxnor_taps_lane* const lanes_end = lane + count;
  const uint16_t* list = taps->lists + first * depth;
  for (; lane < lanes_end; ++lane, sums += 4) {
    const uint16_t* end = list + lane->plus;
    block sum;
    SPREAD(sum, lane->start);
    while (list != end) {
      const uint32_t* words = tap(rows, *list++);
      TAKE(+, words, sum);
    }
    list = list - lane->plus + depth;
    end = list - lane->minus;
    while (end != list) {
      const uint32_t* words = tap(rows, *end++);
      TAKE(-, words, sum);
    }
    STORE(sum, sums);
  }
}
