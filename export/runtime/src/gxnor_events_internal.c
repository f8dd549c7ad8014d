/* SPDX-License-Identifier: Apache-2.0 */
#include "gxnor_events_internal.h"

#include "gxnor_lowest_bit_internal.h"

/* GCC's scheduler before register allocation would load ahead and spill. */
#if defined(__GNUC__) && !defined(__clang__)
#define NO_SCHEDULE __attribute__((optimize("no-schedule-insns")))
#else
#define NO_SCHEDULE
#endif

#if defined(__GNUC__)
#define ALWAYS_INLINE inline __attribute__((always_inline))
#else
#define ALWAYS_INLINE inline
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

/* Lists the events of one sign of a pixel; returns their end. */
static uint16_t* list_pixel(const uint32_t* pixel, int32_t channels,
                            int32_t sign, uint32_t first, uint16_t* end) {
  for (int32_t left = channels; left > 0; left -= GXNOR_LANES) {
    /* Damaged input, set in both planes or in tail bits, must not overrun. */
    const uint32_t lanes = left < GXNOR_LANES ? (1u << left) - 1u : 0xFFFFFFFFu;
    uint32_t bits = pixel[sign] & ~pixel[1 - sign] & lanes;
    while (bits != 0) {
      *end++ = (uint16_t)(first + GXNOR_EVENT_STEP * gxnor_lowest_bit(bits));
      bits &= bits - 1;
    }
    pixel += 2;
    first += GXNOR_EVENT_STEP * GXNOR_LANES;
  }
  return end;
}

void gxnor_events_list_row(const gxnor_conv2d_call* call,
                           const gxnor_conv2d_position* first,
                           int32_t positions, void* buffer,
                           gxnor_row_events* row) {
  const gxnor_conv2d_params* const p = call->params;
  const size_t words = 2 * (size_t)call->shape.input_groups;
  const int32_t top = first->y * p->stride_height - p->pad_top;
  const int32_t left = first->x * p->stride_width - p->pad_left;
  const uint32_t* const image = (const uint32_t*)call->input +
                                (size_t)first->batch * (size_t)p->input_height *
                                    (size_t)p->input_width * words;
  const uint32_t tap = GXNOR_EVENT_STEP * (uint32_t)p->input_channels;
  uint16_t* end;
  row->columns = (positions - 1) * p->stride_width + p->kernel_width;
  row->starts[0] = buffer;
  row->starts[1] = row->starts[0] + row->columns + 1;
  row->events = row->starts[1] + row->columns + 1;
  end = row->events;
  for (int32_t sign = 0; sign < 2; ++sign) {
    for (int32_t column = 0; column < row->columns; ++column) {
      const int32_t x = left + column;
      row->starts[sign][column] = (uint16_t)(end - row->events);
      if (x < 0 || x >= p->input_width) continue;
      for (int32_t ky = 0; ky < p->kernel_height; ++ky) {
        const int32_t y = top + ky * p->dilation_height;
        if (y < 0 || y >= p->input_height) continue;
        end = list_pixel(
            image + ((size_t)y * (size_t)p->input_width + (size_t)x) * words,
            p->input_channels, 1 - sign,
            (uint32_t)(ky * p->kernel_width + column) * tap, end);
      }
    }
    row->starts[sign][row->columns] = (uint16_t)(end - row->events);
  }
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
    gxnor_event_list* const list = &events->lists[sign];
    uint16_t* const rest = events->rests[sign];
    list->events = row->events + starts[0];
    list->eights = count / 8;
    list->rest = count % 8 != 0 ? rest : NULL;
    for (int32_t i = 0; i < 8; ++i) {
      rest[i] = i < count % 8 ? list->events[count / 8 * 8 + i] : null_record;
    }
    events->start += sign == 0 ? -count : count;
  }
}

/* ---- Sums ---- */

/* Planes of the weights 1, 2, 4 and 8; those above are in memory. */
typedef struct low_planes {
  uint32_t ones, twos, fours, eights;
} low_planes;

/* low + b + c = 2 * carry + low. */
static ALWAYS_INLINE uint32_t add(uint32_t* low, uint32_t b, uint32_t c) {
  const uint32_t differ = *low ^ b;
  const uint32_t carry = (*low & b) | (differ & c);
  *low = differ ^ c;
  return carry;
}

#if GXNOR_EVENT_STEP == 1 && defined(__arm__) && defined(__GNUC__)
/* Makes one LDRD of the two words; it needs an alignment of 4 only. */
typedef uint64_t __attribute__((may_alias)) record_pair;
#endif

/* Adds weight + 1 = 2 P + Z of one record. P and Z exclude each other, hence
 * the first plane needs no full adder. */
static ALWAYS_INLINE uint32_t add_record(const uint32_t* records,
                                         uint16_t event, uint32_t* ones) {
#if GXNOR_EVENT_STEP == 8
  const uint32_t* const record =
      (const uint32_t*)(const void*)((const char*)records + event);
#else
  const uint32_t* record = records + 2 * (size_t)event;
#endif
  uint32_t positive, zero, carry;
#if GXNOR_EVENT_STEP == 1 && defined(__arm__) && defined(__GNUC__)
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

static ALWAYS_INLINE uint32_t add_two(const uint32_t* records,
                                      const uint16_t* events, low_planes* low) {
  const uint32_t a = add_record(records, events[0], &low->ones);
  const uint32_t b = add_record(records, events[1], &low->ones);
  return add(&low->twos, a, b);
}

/* Adds eight records; the carry has the weight 16. */
static ALWAYS_INLINE uint32_t add_eight(const uint32_t* records,
                                        const uint16_t* events,
                                        low_planes* low) {
  uint32_t a, b, c;
  a = add_two(records, events, low);
  b = add_two(records, events + 2, low);
  c = add(&low->fours, a, b);
  a = add_two(records, events + 4, low);
  b = add_two(records, events + 6, low);
  a = add(&low->fours, a, b);
  return add(&low->eights, c, a);
}

/* Adds a carry to the `count` planes before `end`, of rising weight. */
#if GXNOR_EVENT_STEP == 8
static ALWAYS_INLINE void ripple(uint32_t* end, int32_t count, uint32_t carry) {
  for (uint32_t* plane = end - count; plane < end; ++plane) {
    const uint32_t old = *plane;
    *plane = old ^ carry;
    carry &= old;
  }
}
#else
#define STEP(k)                     \
  do {                              \
    const uint32_t old = end[-(k)]; \
    end[-(k)] = old ^ carry;        \
    carry &= old;                   \
  } while (0)
static ALWAYS_INLINE void ripple(uint32_t* end, int32_t count, uint32_t carry) {
  /* A jump into unrolled steps, for nets of usual depth. */
  while (count > 8) {
    STEP(count);
    --count;
  }
  switch (count) {
    case 8:
      STEP(8); /* Fall through. */
    case 7:
      STEP(7); /* Fall through. */
    case 6:
      STEP(6); /* Fall through. */
    case 5:
      STEP(5); /* Fall through. */
    case 4:
      STEP(4); /* Fall through. */
    case 3:
      STEP(3); /* Fall through. */
    case 2:
      STEP(2); /* Fall through. */
    case 1:
      STEP(1); /* Fall through. */
    default:
      break;
  }
}
#undef STEP
#endif

NO_SCHEDULE void gxnor_events_sum(const uint32_t* records,
                                  const gxnor_position_events* events,
                                  int32_t plane_count,
                                  uint32_t planes[GXNOR_MAX_PLANES]) {
  const uint32_t start = (uint32_t)events->start;
  uint32_t* const upper = planes + 4;
  uint32_t* const end = planes + plane_count;
  const int32_t upper_count = plane_count - 4;
  low_planes low;
  for (int32_t i = 0; i < plane_count; ++i) planes[i] = 0u - (start >> i & 1u);
  low.ones = planes[0];
  low.twos = planes[1];
  low.fours = planes[2];
  low.eights = planes[3];
  /* With ~a = -a - 1 the complements before and after the inputs -1 subtract
   * what they add; the first is in the start. */
  for (int32_t sign = 0;; ++sign) {
    const uint16_t* list = events->lists[sign].events;
    int32_t left = events->lists[sign].eights;
    for (; left >= 4; left -= 4, list += 32) {
      uint32_t a = add_eight(records, list, &low);
      uint32_t b = add_eight(records, list + 8, &low);
      uint32_t c = add(&upper[0], a, b);
      a = add_eight(records, list + 16, &low);
      b = add_eight(records, list + 24, &low);
      a = add(&upper[0], a, b);
      ripple(end, upper_count - 2, add(&upper[1], c, a));
    }
    for (; left >= 0; --left, list += 8) {
      if (left == 0) {
        list = events->lists[sign].rest;
        if (list == NULL) break;
      }
      ripple(end, upper_count, add_eight(records, list, &low));
    }
    if (sign == 1) break;
    low.ones = ~low.ones;
    low.twos = ~low.twos;
    low.fours = ~low.fours;
    low.eights = ~low.eights;
    for (int32_t i = 0; i < upper_count; ++i) upper[i] = ~upper[i];
  }
  planes[0] = low.ones;
  planes[1] = low.twos;
  planes[2] = low.fours;
  planes[3] = low.eights;
}
