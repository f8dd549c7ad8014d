/* SPDX-License-Identifier: Apache-2.0 */
#include "gxnor_events_internal.h"

#include "arch/gxnor_add_eight_armv6m.h"
#include "gxnor_compiler_internal.h"
#include "gxnor_shape_internal.h"
#include "gxnor_take_bit_internal.h"

#if GXNOR_EVENTS_MVE
#include "arch/gxnor_fill_rest_mve.h"
#endif

/* GCC's scheduler before register allocation would load ahead and spill. */
#if defined(__GNUC__) && !defined(__clang__)
/* And the assembly for Armv6-M needs the register of a frame pointer. */
#define NO_SCHEDULE \
  __attribute__((optimize("no-schedule-insns", "omit-frame-pointer")))
#else
#define NO_SCHEDULE
#endif

/* Keeps the loads of an event where they are, where registers are few. */
#if defined(__GNUC__) && (defined(__arm__) || defined(__riscv))
#define BARRIER() __asm__ volatile("" ::: "memory")
#else
#define BARRIER() ((void)0)
#endif

/* ---- Lists ---- */

/* Sizes of a stretch. */
typedef struct stretch {
  int32_t columns; /* That its positions see. */
  size_t events;   /* At most. */
} stretch;

/* Measures a stretch; 0 if its numbers do not fit 16 bits. */
static int measure(const gxnor_conv2d_params* p,
                   const gxnor_conv2d_shape* shape, int32_t positions,
                   stretch* found) {
  const int64_t further = (int64_t)(positions - 1) * p->stride_width;
  const int64_t columns = further + p->kernel_width;
  const int64_t events = columns * p->kernel_height * p->input_channels;
  /* The number of the last position's null record is the largest. */
  const int64_t last = shape->depth + further * p->input_channels;
  if (events > UINT16_MAX || last > UINT16_MAX / GXNOR_EVENT_STEP) return 0;
  found->columns = (int32_t)columns;
  found->events = (size_t)events;
  return 1;
}

static size_t stretch_bytes(const stretch* s) {
  return 2 * (s->events + 2 * ((size_t)s->columns + 1));
}

/* Whether lists are possible and worth it at all. */
static int may_list(const gxnor_conv2d_params* p,
                    const gxnor_conv2d_shape* shape) {
  return (p->kernel_width == 1 || p->dilation_width == 1) && shape->planes >= 6;
}

size_t gxnor_events_buffer_size(const gxnor_conv2d_params* params,
                                const gxnor_conv2d_shape* shape,
                                int32_t positions) {
  stretch s;
  if (!may_list(params, shape) || !measure(params, shape, positions, &s)) {
    return 0;
  }
  return stretch_bytes(&s);
}

int32_t gxnor_events_count_positions(const gxnor_conv2d_params* params,
                                     const gxnor_conv2d_shape* shape,
                                     size_t buffer_size) {
  int32_t low = 0, high = shape->conv_width;
  if (!may_list(params, shape)) return 0;
  /* What fits for some positions fits for fewer. */
  while (low < high) {
    const int32_t middle = low + (high - low + 1) / 2;
    stretch s;
    if (measure(params, shape, middle, &s) &&
        stretch_bytes(&s) <= buffer_size) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

/* Rows of the kernel that meet the input, and where. */
typedef struct kernel_rows {
  int32_t begin;
  int32_t end;
  int32_t y; /* Of row `begin`, in the input. */
} kernel_rows;

static kernel_rows clip_kernel(const gxnor_conv2d_params* p, int32_t top) {
  kernel_rows rows = {0, 0, top};
  while (rows.begin < p->kernel_height && rows.y < 0) {
    ++rows.begin;
    rows.y += p->dilation_height;
  }
  rows.end = rows.begin;
  for (int64_t y = rows.y; rows.end < p->kernel_height && y < p->input_height;
       y += p->dilation_height) {
    ++rows.end;
  }
  if (rows.begin == rows.end) rows.y = 0;
  return rows;
}

/* Lists the events of a column. Those of inputs +1 are written from ends[1]
 * on, those of inputs -1 before ends[0]. `pixel` is that of the first row. */
static GXNOR_NO_INLINE void list_column(const gxnor_conv2d_params* p,
                                        const kernel_rows* rows,
                                        const uint32_t* pixel, uint32_t column,
                                        uint16_t* ends[2]) {
  const uint32_t channels = (uint32_t)p->input_channels;
  const size_t row_words = 2 * (size_t)p->dilation_height *
                           (size_t)p->input_width *
                           (size_t)gxnor_count_groups(p->input_channels);
  uint16_t* minus_end = ends[0];
  uint16_t* plus_end = ends[1];
  for (int32_t ky = rows->begin; ky < rows->end; ++ky) {
    const uint32_t* words = pixel + (size_t)(ky - rows->begin) * row_words;
    uint32_t first = ((uint32_t)(ky * p->kernel_width) + column) * channels *
                     GXNOR_EVENT_STEP;
    for (int32_t left = p->input_channels; left > 0; left -= GXNOR_LANES) {
      /* Damaged input, set in both planes or in tail bits, must not overrun. */
      const uint32_t lanes = left < GXNOR_LANES ? (1u << left) - 1u : ~0u;
      const uint32_t either = (words[0] ^ words[1]) & lanes;
      uint32_t plus = words[0] & either;
      uint32_t minus = words[1] & either;
      while (plus != 0) {
        *plus_end++ = (uint16_t)gxnor_take_bit(&plus, first, GXNOR_EVENT_STEP);
      }
      while (minus != 0) {
        *--minus_end =
            (uint16_t)gxnor_take_bit(&minus, first, GXNOR_EVENT_STEP);
      }
      words += 2;
      first += GXNOR_EVENT_STEP * GXNOR_LANES;
    }
  }
  ends[0] = minus_end;
  ends[1] = plus_end;
}

void gxnor_events_list_row(const gxnor_conv2d_call* call,
                           const gxnor_conv2d_position* first,
                           int32_t positions, void* buffer,
                           gxnor_row_events* row) {
  const gxnor_conv2d_params* const p = call->params;
  const size_t words = 2 * (size_t)call->shape.input_groups;
  const int32_t left = first->x * p->stride_width - p->pad_left;
  const kernel_rows rows =
      clip_kernel(p, first->y * p->stride_height - p->pad_top);
  const uint32_t* const pixels =
      (const uint32_t*)call->input +
      ((size_t)first->batch * (size_t)p->input_height + (size_t)rows.y) *
          (size_t)p->input_width * words;
  uint16_t* ends[2];
  row->columns = (positions - 1) * p->stride_width + p->kernel_width;
  row->starts[0] = buffer;
  row->starts[1] = row->starts[0] + row->columns + 1;
  row->plus = row->starts[1] + row->columns + 1;
  row->minus_end = row->plus + (size_t)row->columns * (size_t)p->kernel_height *
                                   (size_t)p->input_channels;
  ends[0] = row->minus_end;
  ends[1] = row->plus;
  for (int32_t column = 0;; ++column) {
    const int32_t x = left + column;
    row->starts[0][column] = (uint16_t)(row->minus_end - ends[0]);
    row->starts[1][column] = (uint16_t)(ends[1] - row->plus);
    if (column == row->columns) break;
    if (x < 0 || x >= p->input_width) continue;
    list_column(p, &rows, pixels + (size_t)x * words, (uint32_t)column, ends);
  }
}

/* Copies up to seven events, and null records to make them eight. */
static void fill_rest(const uint16_t* events, int32_t count,
                      uint16_t null_record, uint16_t rest[8]) {
#if GXNOR_EVENTS_MVE
  gxnor_fill_rest_mve(events, count, null_record, rest);
#else
  for (int32_t i = 0; i < 8; ++i) rest[i] = i < count ? events[i] : null_record;
#endif
}

void gxnor_events_take(const gxnor_conv2d_call* call,
                       const gxnor_row_events* row, int32_t position,
                       gxnor_position_events* events) {
  const gxnor_conv2d_params* const p = call->params;
  const int32_t column = position * p->stride_width;
  const uint16_t null_record =
      (uint16_t)(GXNOR_EVENT_STEP *
                 (call->shape.depth + column * p->input_channels));
  events->start = -1;
  for (int32_t sign = 0; sign < 2; ++sign) {
    const uint16_t* const starts = row->starts[sign] + column;
    const int32_t count = starts[p->kernel_width] - starts[0];
    const uint16_t* const all = sign == 0
                                    ? row->minus_end - starts[p->kernel_width]
                                    : row->plus + starts[0];
    gxnor_event_list* const list = &events->lists[sign];
    uint16_t* const rest = events->rests[sign];
    list->events = all;
    list->eights = count / 8;
    list->rest = count % 8 != 0 ? rest : NULL;
    fill_rest(all + count / 8 * 8, count % 8, null_record, rest);
    events->start += sign == 0 ? -count : count;
  }
}

/* ---- Sums ---- */

/* Planes above the lowest four. Nets of usual depth, below 2047, have up to
 * eight of them: these are always there, and their loops are unrolled. */
#define FIXED_UPPER 8
#define EACH_UPPER(DO, count)     \
  do {                            \
    DO(0);                        \
    EACH_UPPER_FROM_1(DO, count); \
  } while (0)
#define EACH_UPPER_FROM_1(DO, count) \
  do {                               \
    DO(1);                           \
    EACH_UPPER_FROM_2(DO, count);    \
  } while (0)
#define EACH_UPPER_FROM_2(DO, count) \
  do {                               \
    DO(2);                           \
    EACH_UPPER_FROM_3(DO, count);    \
  } while (0)
#define EACH_UPPER_FROM_3(DO, count)                       \
  do {                                                     \
    DO(3);                                                 \
    DO(4);                                                 \
    DO(5);                                                 \
    DO(6);                                                 \
    DO(7);                                                 \
    for (int32_t i = FIXED_UPPER; i < (count); ++i) DO(i); \
  } while (0)

/* Planes of the weights 1, 2, 4 and 8; those above are in memory. */
typedef struct low_planes {
  uint32_t ones, twos, fours, eights;
} low_planes;

/* low + b + c = 2 * carry + low. */
static GXNOR_ALWAYS_INLINE uint32_t add(uint32_t* low, uint32_t b, uint32_t c) {
  const uint32_t differ = *low ^ b;
  const uint32_t carry = (*low & b) | (differ & c);
  *low = differ ^ c;
  return carry;
}

/* Makes one LDRD of the two words, which from Armv7 on needs an alignment of 4
 * only. */
#if GXNOR_EVENT_STEP != 8 && defined(__GNUC__) && defined(__arm__) && \
    !defined(__ARM_BIG_ENDIAN) && __ARM_ARCH >= 7
#define RECORD_PAIR 1
typedef uint64_t __attribute__((may_alias)) record_pair;
#endif

/* Adds weight + 1 = 2 P + Z of one record. P and Z exclude each other, hence
 * the first plane needs no full adder. */
static GXNOR_ALWAYS_INLINE uint32_t add_record(const uint32_t* records,
                                               uint16_t event, uint32_t* ones) {
#if GXNOR_EVENT_STEP == 8
  const uint32_t* const record =
      (const uint32_t*)(const void*)((const char*)records + event);
#else
  const uint32_t* record = records + 2 / GXNOR_EVENT_STEP * (size_t)event;
#endif
  uint32_t positive, zero, carry;
#if defined(RECORD_PAIR)
  /* LDRD has no index register: the address must not become a part of it. */
  uint64_t both;
  __asm__("" : "+r"(record));
  both = *(const record_pair*)(const void*)record;
  positive = (uint32_t)both;
  zero = (uint32_t)(both >> 32);
#else
  positive = record[0];
  zero = record[1];
#endif
  carry = positive | (*ones & zero);
  *ones ^= zero;
  BARRIER();
  return carry;
}

static GXNOR_ALWAYS_INLINE uint32_t add_two(const uint32_t* records,
                                            const uint16_t* events,
                                            low_planes* low) {
  const uint32_t a = add_record(records, events[0], &low->ones);
  const uint32_t b = add_record(records, events[1], &low->ones);
  return add(&low->twos, a, b);
}

/* Adds eight records; the carry has the weight 16. */
static GXNOR_ALWAYS_INLINE uint32_t add_eight(const uint32_t* records,
                                              const uint16_t* events,
                                              low_planes* low) {
#if defined(GXNOR_ADD_EIGHT_ARMV6M)
  return gxnor_add_eight_armv6m(records, events, &low->ones, &low->twos,
                                &low->fours, &low->eights);
#else
  uint32_t a, b, c;
  a = add_two(records, events, low);
  b = add_two(records, events + 2, low);
  c = add(&low->fours, a, b);
  a = add_two(records, events + 4, low);
  b = add_two(records, events + 6, low);
  a = add(&low->fours, a, b);
  return add(&low->eights, c, a);
#endif
}

/* Adds a carry to a plane, and makes it that to the next one. */
#define ADD_CARRY(i)               \
  do {                             \
    const uint32_t old = upper[i]; \
    upper[i] = old ^ carry;        \
    carry &= old;                  \
  } while (0)

/* A bit of a number in all lanes. */
static GXNOR_ALWAYS_INLINE uint32_t broadcast(uint32_t number, int32_t bit) {
  return 0u - (number >> bit & 1u);
}

NO_SCHEDULE void gxnor_events_sum(const uint32_t* records,
                                  const gxnor_position_events* events,
                                  int32_t plane_count,
                                  uint32_t planes[GXNOR_MAX_PLANES]) {
  const uint32_t start = (uint32_t)events->start;
  uint32_t* const upper = planes + 4;
  const int32_t upper_count = plane_count - 4;
  low_planes low;
  uint32_t carry;
  low.ones = broadcast(start, 0);
  low.twos = broadcast(start, 1);
  low.fours = broadcast(start, 2);
  low.eights = broadcast(start, 3);
#define START(i) upper[i] = broadcast(start, 4 + (i))
  EACH_UPPER(START, upper_count);
  /* With ~a = -a - 1 the complements before and after the inputs -1 subtract
   * what they add; the first is in the start. */
  for (int32_t sign = 0;; ++sign) {
    const uint16_t* list = events->lists[sign].events;
    int32_t left = events->lists[sign].eights;
    uint32_t waiting = 0;
    int waits = 0;
    for (; left >= 4; left -= 4, list += 32) {
      uint32_t a = add_eight(records, list, &low);
      uint32_t b = add_eight(records, list + 8, &low);
      uint32_t c = add(&upper[0], a, b);
      a = add_eight(records, list + 16, &low);
      b = add_eight(records, list + 24, &low);
      a = add(&upper[0], a, b);
      carry = add(&upper[1], c, a);
      if (waits) {
        carry = add(&upper[2], waiting, carry);
        EACH_UPPER_FROM_3(ADD_CARRY, upper_count);
      } else {
        waiting = carry;
      }
      waits = !waits;
    }
    if (waits) {
      carry = waiting;
      EACH_UPPER_FROM_2(ADD_CARRY, upper_count);
      waits = 0;
    }
    for (; left >= 0; --left, list += 8) {
      if (left == 0) {
        list = events->lists[sign].rest;
        if (list == NULL) break;
      }
      carry = add_eight(records, list, &low);
      if (waits) {
        carry = add(&upper[0], waiting, carry);
        EACH_UPPER_FROM_1(ADD_CARRY, upper_count);
      } else {
        waiting = carry;
      }
      waits = !waits;
    }
    if (waits) {
      carry = waiting;
      EACH_UPPER(ADD_CARRY, upper_count);
    }
    if (sign == 1) break;
    low.ones = ~low.ones;
    low.twos = ~low.twos;
    low.fours = ~low.fours;
    low.eights = ~low.eights;
#define COMPLEMENT(i) upper[i] = ~upper[i]
    EACH_UPPER(COMPLEMENT, upper_count);
  }
  planes[0] = low.ones;
  planes[1] = low.twos;
  planes[2] = low.fours;
  planes[3] = low.eights;
}
