/* SPDX-License-Identifier: Apache-2.0 */
/* Helium, the vectors of Cortex-M55 and M85: sums of one, two or four groups
 * of channels at once, and their states. A part of gxnor_events_write.c.
 *
 * A vector has a word in each of four lanes, and a word a bit of 32 sums. Four
 * groups have a lane each. Lanes that two groups or one leave over share the
 * events of a group: those lanes are added in the end. */
#ifndef GXNOR_EVENTS_MVE_H_
#define GXNOR_EVENTS_MVE_H_

#include <arm_mve.h>

#define MVE_INLINE static inline __attribute__((always_inline))

/* For loops that would lack registers within another function. */
#define MVE_NO_INLINE static __attribute__((noinline))

/* A plane: a bit of all sums. */
typedef uint32_t mve_plane[4];

/* Sums of a position on the way. The planes of the weights 1, 2 and 4 are in
 * registers, those above in memory. From plane 18 on, which sums of no list
 * have, carries wait for others of their weight. */
typedef struct mve_sums {
  const uint32_t* records; /* Where a record of the number 0 would be. */
  mve_plane* planes;
  int32_t count; /* Of planes, at least 6. */
  /* Four groups: addresses of P and Z of each group's record of the number 0.
   * Two: `plus` has words from `records` to there. What is left is scratch. */
  uint32x4_t plus, zero;
  uint32x4_t ones, twos, fours;
} mve_sums;

/* ---- Records ----
 *
 * In assembly, for compilers spill what the eight registers are enough for:
 * those of mve_sums, b, c and t. */

/* clang-format off */

/* Adds weight + 1 = 2 P + Z of a record in each lane. P and Z exclude each
 * other, hence the first plane needs no full adder. */
#define ADD_RECORD(p, z, carry)           \
  "vldrw.u32 %q[t], [" z "]\n"            \
  "vand %q[" carry "], %q[ones], %q[t]\n" \
  "veor %q[ones], %q[ones], %q[t]\n"      \
  "vldrw.u32 %q[t], [" p "]\n"            \
  "vorr %q[" carry "], %q[" carry "], %q[t]\n"

/* The records so many words from `records`, or those of one event: its bytes
 * from the records of the number 0. */
#define ADD_RECORDS(words, carry)                  \
  ADD_RECORD("%[records], %q[" words "], uxtw #2", \
             "%[zeros], %q[" words "], uxtw #2", carry)
#define ADD_RECORDS_OF(event, carry)   \
  ADD_RECORD("%[" event "], %q[plus]", \
             "%[" event "], %q[zero]", carry)

/* low + b + c = 2 * b + low. */
#define FULL_ADDER(low, b, c)                \
  "veor %q[t], %q[" low "], %q[" b "]\n"     \
  "vand %q[" b "], %q[" low "], %q[" b "]\n" \
  "vand %q[" low "], %q[t], %q[" c "]\n"     \
  "vorr %q[" b "], %q[" b "], %q[" low "]\n" \
  "veor %q[" low "], %q[t], %q[" c "]\n"

/* Lets the carry b wait; it is c when the next one is b. */
#define KEEP(i) "vstrw.32 %q[b], [%[planes], #16*(18+" #i ")]\n"
#define TAKE(i) "vldrw.32 %q[c], [%[planes], #16*(18+" #i ")]\n"

/* Two records in each lane: eight events, to one group. */
#define ADD_2_TO_1(events, carry)                    \
  "vldrh.u32 %q[plus], [%[events], #" events "]\n"   \
  ADD_RECORDS("plus", carry)                         \
  "vldrh.u32 %q[plus], [%[events], #" events "+8]\n" \
  ADD_RECORDS("plus", "c")                           \
  FULL_ADDER("twos", carry, "c")

/* Four events, to two groups. */
#define ADD_2_TO_2(events)                      \
  "vldrh.u32 %q[c], [%[events], #" events "]\n" \
  "vadd.i32 %q[zero], %q[c], %q[plus]\n"        \
  ADD_RECORDS("zero", "b")                      \
  "vrev64.32 %q[zero], %q[c]\n"                 \
  "vadd.i32 %q[zero], %q[zero], %q[plus]\n"     \
  ADD_RECORDS("zero", "c")                      \
  FULL_ADDER("twos", "b", "c")

/* Four records in each lane. */
#define ADD_4_TO_1(events)      \
  ADD_2_TO_1(events, "zero")    \
  ADD_2_TO_1(events "+16", "b") \
  FULL_ADDER("fours", "b", "zero")

#define ADD_4_TO_2(events)        \
  ADD_2_TO_2(events) KEEP(0)      \
  ADD_2_TO_2(events "+8") TAKE(0) \
  FULL_ADDER("fours", "b", "c")

#define ADD_4_TO_4(events)                      \
  "vldrh.u32 %q[t], [%[events], #" events "]\n" \
  "vshl.i32 %q[t], %q[t], #2\n"                 \
  "vmov %[event_0], %[event_1], %e[t]\n"        \
  "vmov %[event_2], %[event_3], %f[t]\n"        \
  ADD_RECORDS_OF("event_0", "b")                \
  ADD_RECORDS_OF("event_1", "c")                \
  FULL_ADDER("twos", "b", "c") KEEP(0)          \
  ADD_RECORDS_OF("event_2", "b")                \
  ADD_RECORDS_OF("event_3", "c")                \
  FULL_ADDER("twos", "b", "c") TAKE(0)          \
  FULL_ADDER("fours", "b", "c")

/* Adds two carries to a plane in memory; b is the next carry. Four groups leave
 * no register for the plane, and do with one operation more. */
#define ADD_CARRIES(i)                           \
  "vldrw.32 %q[zero], [%[planes], #16*" #i "]\n" \
  FULL_ADDER("zero", "b", "c")                   \
  "vstrw.32 %q[zero], [%[planes], #16*" #i "]\n"

#define ADD_CARRIES_OF_4(i)                   \
  "vldrw.32 %q[t], [%[planes], #16*" #i "]\n" \
  "veor %q[c], %q[c], %q[t]\n"                \
  "veor %q[b], %q[b], %q[t]\n"                \
  "veor %q[c], %q[c], %q[b]\n"                \
  "vbic %q[b], %q[b], %q[c]\n"                \
  "veor %q[c], %q[c], %q[t]\n"                \
  "vstrw.32 %q[c], [%[planes], #16*" #i "]\n" \
  "veor %q[b], %q[b], %q[t]\n"

/* More records in each lane; ADD_4 takes so many bytes of the list. */
#define ADD_8(ADD_4, ADD_CARRIES, bytes, events) \
  ADD_4(events) KEEP(1)                          \
  ADD_4(events "+" bytes) TAKE(1)                \
  ADD_CARRIES(3)
#define ADD_16(ADD_4, ADD_CARRIES, bytes, events)              \
  ADD_8(ADD_4, ADD_CARRIES, bytes, events) KEEP(2)             \
  ADD_8(ADD_4, ADD_CARRIES, bytes, events "+2*" bytes) TAKE(2) \
  ADD_CARRIES(4)
#define ADD_32(ADD_4, ADD_CARRIES, bytes, events)               \
  ADD_16(ADD_4, ADD_CARRIES, bytes, events) KEEP(3)             \
  ADD_16(ADD_4, ADD_CARRIES, bytes, events "+4*" bytes) TAKE(3) \
  ADD_CARRIES(5)

/* clang-format on */

/* Defines what adds so many records in each lane and returns the carry. */
#define MVE_ADDER(name, text)                                                  \
  MVE_INLINE uint32x4_t name(mve_sums* s, const uint16_t* events) {            \
    uint32_t event_0, event_1, event_2, event_3;                               \
    uint32x4_t b, c, t;                                                        \
    __asm__(text                                                               \
            : [ones] "+&w"(s->ones), [twos] "+&w"(s->twos),                    \
              [fours] "+&w"(s->fours), [plus] "+&w"(s->plus),                  \
              [zero] "+&w"(s->zero), [b] "=&w"(b), [c] "=&w"(c), [t] "=&w"(t), \
              [event_0] "=&r"(event_0), [event_1] "=&r"(event_1),              \
              [event_2] "=&r"(event_2), [event_3] "=&r"(event_3)               \
            : [records] "r"(s->records), [zeros] "r"(s->records + 1),          \
              [events] "l"(events), [planes] "r"(s->planes)                    \
            : "memory");                                                       \
    return b;                                                                  \
  }
MVE_ADDER(mve_add_4_to_1, ADD_4_TO_1("0"))
MVE_ADDER(mve_add_4_to_2, ADD_4_TO_2("0"))
MVE_ADDER(mve_add_4_to_4, ADD_4_TO_4("0"))
MVE_ADDER(mve_add_8_to_1, ADD_8(ADD_4_TO_1, ADD_CARRIES, "32", "0"))
MVE_ADDER(mve_add_8_to_2, ADD_8(ADD_4_TO_2, ADD_CARRIES, "16", "0"))
MVE_ADDER(mve_add_8_to_4, ADD_8(ADD_4_TO_4, ADD_CARRIES_OF_4, "8", "0"))
MVE_ADDER(mve_add_32_to_1, ADD_32(ADD_4_TO_1, ADD_CARRIES, "32", "0"))
MVE_ADDER(mve_add_32_to_2, ADD_32(ADD_4_TO_2, ADD_CARRIES, "16", "0"))
MVE_ADDER(mve_add_32_to_4, ADD_32(ADD_4_TO_4, ADD_CARRIES_OF_4, "8", "0"))
#undef MVE_ADDER
#undef ADD_32
#undef ADD_16
#undef ADD_8
#undef ADD_CARRIES_OF_4
#undef ADD_CARRIES
#undef ADD_4_TO_4
#undef ADD_4_TO_2
#undef ADD_4_TO_1
#undef ADD_2_TO_2
#undef ADD_2_TO_1
#undef TAKE
#undef KEEP
#undef FULL_ADDER
#undef ADD_RECORDS_OF
#undef ADD_RECORDS
#undef ADD_RECORD

/* ---- Sums ---- */

/* Adds a carry to the planes from number `first` on. */
MVE_INLINE void mve_ripple(mve_sums* s, int32_t first, uint32x4_t carry) {
  mve_plane* plane = s->planes + first;
  for (int32_t left = s->count - first; left > 0; --left, ++plane) {
    const uint32x4_t old = vld1q_u32(*plane);
    vst1q_u32(*plane, veorq_u32(old, carry));
    carry = vandq_u32(old, carry);
  }
}

MVE_INLINE void mve_add_4(mve_sums* s, int32_t groups, const uint16_t* events) {
  mve_ripple(s, 3,
             groups == 4   ? mve_add_4_to_4(s, events)
             : groups == 2 ? mve_add_4_to_2(s, events)
                           : mve_add_4_to_1(s, events));
}

MVE_INLINE void mve_add_8(mve_sums* s, int32_t groups, const uint16_t* events) {
  mve_ripple(s, 4,
             groups == 4   ? mve_add_8_to_4(s, events)
             : groups == 2 ? mve_add_8_to_2(s, events)
                           : mve_add_8_to_1(s, events));
}

MVE_INLINE void mve_add_32(mve_sums* s, int32_t groups,
                           const uint16_t* events) {
  mve_ripple(s, 6,
             groups == 4   ? mve_add_32_to_4(s, events)
             : groups == 2 ? mve_add_32_to_2(s, events)
                           : mve_add_32_to_1(s, events));
}

/* Makes a block of the last events of a list, some eights and a rest; null
 * records follow. */
MVE_INLINE const uint16_t* mve_fill(int32_t block, const uint16_t* events,
                                    int32_t eights, const uint16_t* rest,
                                    uint16_t* filled) {
  const uint16x8_t null_records = vdupq_n_u16(rest[7]);
  int32_t i = 0;
  if (block == 1) return rest;
  for (; i < eights; ++i) vst1q_u16(filled + 8 * i, vld1q_u16(events + 8 * i));
  vst1q_u16(filled + 8 * i, vld1q_u16(rest));
  while (++i < block) vst1q_u16(filled + 8 * i, null_records);
  return filled;
}

/* Adds the events of a sign. What is small has no blocks of four blocks. */
MVE_INLINE void mve_add_list(mve_sums* s, int32_t groups,
                             const gxnor_event_list* events,
                             const uint16_t* rest) {
  const int32_t block = 4 / groups; /* Eights that are eight in each lane. */
  const uint16_t* list = events->events;
  int32_t left = events->eights;
  uint16_t filled[32];
#if !defined(__OPTIMIZE_SIZE__)
  for (; left >= 4 * block; left -= 4 * block, list += 32 * block) {
    mve_add_32(s, groups, list);
  }
#endif
  for (; left >= 0; left -= block, list += 8 * block) {
    if (left < block) {
      if (left == 0 && events->rest == NULL) break;
      list = mve_fill(block, list, left, rest, filled);
      left = 0;
      if (list[4 * block] == rest[7]) {
        mve_add_4(s, groups, list);
        break;
      }
    }
    mve_add_8(s, groups, list);
  }
}

/* Starts the lanes of a group with a part of the start each. */
MVE_INLINE void mve_start(mve_sums* s, int32_t groups, int32_t start) {
  const int32x4_t lane = vreinterpretq_s32_u32(vidupq_n_u32(0, 1));
  int32x4_t bits = vdupq_n_s32(start + 1);
  if (groups == 2) bits = vshrq_n_s32(vaddq_s32(bits, vshrq_n_s32(lane, 1)), 1);
  if (groups == 1) bits = vshrq_n_s32(vaddq_s32(bits, lane), 2);
  bits = vsubq_n_s32(bits, 1);
  bits = vshlq_r_s32(bits, 32 - s->count);
  for (int32_t i = s->count - 1; i >= 3; --i) {
    vst1q_u32(s->planes[i], vreinterpretq_u32_s32(vshrq_n_s32(bits, 31)));
    bits = vshlq_n_s32(bits, 1);
  }
  s->fours = vreinterpretq_u32_s32(vshrq_n_s32(bits, 31));
  bits = vshlq_n_s32(bits, 1);
  s->twos = vreinterpretq_u32_s32(vshrq_n_s32(bits, 31));
  bits = vshlq_n_s32(bits, 1);
  s->ones = vreinterpretq_u32_s32(vshrq_n_s32(bits, 31));
}

/* Sums like gxnor_events_sum, each lane on its own. */
MVE_INLINE void mve_sum_lanes(mve_sums* s, int32_t groups,
                              const gxnor_position_events* events) {
  mve_start(s, groups, events->start);
  for (int32_t sign = 0;; ++sign) {
    mve_add_list(s, groups, &events->lists[sign], events->rests[sign]);
    if (sign == 1) break;
    s->ones = vmvnq_u32(s->ones);
    s->twos = vmvnq_u32(s->twos);
    s->fours = vmvnq_u32(s->fours);
    for (int32_t i = 3; i < s->count; ++i) {
      vst1q_u32(s->planes[i], vmvnq_u32(vld1q_u32(s->planes[i])));
    }
  }
  vst1q_u32(s->planes[0], s->ones);
  vst1q_u32(s->planes[1], s->twos);
  vst1q_u32(s->planes[2], s->fours);
}

/* Sums some groups, whose records are so many bytes apart. Group g is in lane
 * g and those `groups` further, which are still to be added. */
MVE_INLINE void mve_sum_groups(const uint32_t* records, uint32_t group_bytes,
                               int32_t groups,
                               const gxnor_position_events* events,
                               int32_t plane_count, mve_plane* planes) {
  const int32_t eights = events->lists[0].eights + events->lists[1].eights;
  /* What a lane's sum stays below: of either sign the lane may have two events
   * more than its part, which weigh up to 2. */
  const uint32_t most = (uint32_t)(8 * eights + 14) * (uint32_t)groups / 4 + 5;
  const int32_t lane_planes = 33 - __builtin_clz(most);
  const uint32x4_t lane = vidupq_n_u32(0, 1);
  uint32x4_t sign;
  mve_sums s;
  s.records = records;
  s.planes = planes;
  s.count = lane_planes < 6 ? 6 : lane_planes;
  s.plus = lane;
  s.zero = lane;
  if (groups == 4) {
    s.plus = vaddq_n_u32(vmulq_n_u32(lane, group_bytes),
                         (uint32_t)(uintptr_t)records);
    s.zero = vaddq_n_u32(s.plus, 4);
  } else if (groups == 2) {
    s.plus = vmulq_n_u32(vandq_u32(lane, vdupq_n_u32(1)), group_bytes / 4);
  }
  mve_sum_lanes(&s, groups, events);
  sign = vld1q_u32(planes[s.count - 1]);
  for (int32_t i = s.count; i < plane_count; ++i) vst1q_u32(planes[i], sign);
}

MVE_NO_INLINE void mve_sum_1(const uint32_t* records,
                             const gxnor_position_events* events,
                             int32_t plane_count, mve_plane* planes) {
  mve_sum_groups(records, 0, 1, events, plane_count, planes);
}

MVE_NO_INLINE void mve_sum_2(const uint32_t* records, uint32_t group_bytes,
                             const gxnor_position_events* events,
                             int32_t plane_count, mve_plane* planes) {
  mve_sum_groups(records, group_bytes, 2, events, plane_count, planes);
}

MVE_NO_INLINE void mve_sum_4(const uint32_t* records, uint32_t group_bytes,
                             const gxnor_position_events* events,
                             int32_t plane_count, mve_plane* planes) {
  mve_sum_groups(records, group_bytes, 4, events, plane_count, planes);
}

static void mve_sum(const uint32_t* records, uint32_t group_bytes,
                    int32_t groups, const gxnor_position_events* events,
                    int32_t plane_count, mve_plane* planes) {
  if (groups == 4) {
    mve_sum_4(records, group_bytes, events, plane_count, planes);
  } else if (groups == 2) {
    mve_sum_2(records, group_bytes, events, plane_count, planes);
  } else {
    mve_sum_1(records, events, plane_count, planes);
  }
}

/* a + b + carry = 2 * carry + what is returned. */
MVE_INLINE uint32x4_t mve_add(uint32x4_t a, uint32x4_t b, uint32x4_t* carry) {
  const uint32x4_t differ = veorq_u32(a, b);
  const uint32x4_t sum = veorq_u32(differ, *carry);
  *carry = vorrq_u32(vandq_u32(a, b), vandq_u32(differ, *carry));
  return sum;
}

/* Adds to each lane the one so many lanes further. */
static void mve_add_lanes(mve_plane* planes, int32_t count, int32_t distance) {
  uint32_t* low = *planes;
  const uint32_t* high = low + distance;
  uint32x4_t carry = vdupq_n_u32(0);
  for (; count > 0; --count, low += 4, high += 4) {
    vst1q_u32(low, mve_add(vld1q_u32(low), vld1q_u32(high), &carry));
  }
}

/* Turns such sums into planes of each group, planes[g][i]. */
static void mve_take_planes(int32_t groups, int32_t count, mve_plane* lanes,
                            uint32_t (*planes)[GXNOR_MAX_PLANES]) {
  for (int32_t distance = 2; distance >= groups; distance /= 2) {
    mve_add_lanes(lanes, count, distance);
  }
  for (int32_t g = 0; g < groups; ++g) {
    for (int32_t i = 0; i < count; ++i) planes[g][i] = lanes[i][g];
  }
}

/* ---- States ---- */

/* The borrow of sum - threshold - below. */
MVE_INLINE uint32x4_t mve_borrow(uint32x4_t sum, uint32x4_t threshold,
                                 uint32x4_t below) {
  return vorrq_u32(vbicq_u32(vorrq_u32(threshold, below), sum),
                   vandq_u32(threshold, below));
}

/* Takes a plane of sums and of thresholds into the borrows. */
MVE_INLINE void mve_compare_plane(uint32x4_t sum, uint32x4_t* thresholds,
                                  uint32x4_t* below_high,
                                  uint32x4_t* below_low) {
  *below_high =
      mve_borrow(sum, vldrwq_gather_base_u32(*thresholds, 0), *below_high);
  *below_low =
      mve_borrow(sum, vldrwq_gather_base_u32(*thresholds, 4), *below_low);
  *thresholds = vaddq_n_u32(*thresholds, 8);
}

MVE_INLINE void mve_compare_lanes(const uint32_t* thresholds, int32_t groups,
                                  int32_t plane_count, mve_plane* planes,
                                  uint32_t (*states)[4]) {
  /* Lanes without a group must not read beyond the thresholds. */
  const uint32x4_t group =
      vminq_u32(vidupq_n_u32(0, 1), vdupq_n_u32((uint32_t)groups - 1));
  uint32x4_t at = vmlaq_n_u32(vdupq_n_u32((uint32_t)(uintptr_t)thresholds),
                              group, 8 * (uint32_t)plane_count);
  const uint32_t* words = *planes;
  const uint32_t* others = words + groups;
  uint32x4_t below_high = vdupq_n_u32(0);
  uint32x4_t below_low = vdupq_n_u32(0);
  uint32x4_t carry = vdupq_n_u32(0);
  uint32x4_t sum;
  /* Compilers would make one pointer of the two, and add to copies of it. */
  __asm__("" : "+r"(others));
  for (int32_t left = plane_count - 1; left > 0; --left) {
    sum = groups == 4 ? vld1q_u32(words)
                      : mve_add(vld1q_u32(words), vld1q_u32(others), &carry);
    words += 4;
    others += 4;
    mve_compare_plane(sum, &at, &below_high, &below_low);
  }
  /* Thresholds are in offset binary, which differs in the sign bit. */
  sum = groups == 4 ? vld1q_u32(words)
                    : mve_add(vld1q_u32(words), vld1q_u32(others), &carry);
  mve_compare_plane(vmvnq_u32(sum), &at, &below_high, &below_low);
  vst1q_u32(states[0], vmvnq_u32(below_high));
  vst1q_u32(states[1], below_low);
}

/* Compares such sums, which it changes, with thresholds: group g is +1 where
 * states[0][g] is set, -1 where states[1][g] is. */
MVE_NO_INLINE void mve_compare(const uint32_t* thresholds, int32_t groups,
                               int32_t plane_count, mve_plane* planes,
                               uint32_t (*states)[4]) {
  if (groups == 4) {
    mve_compare_lanes(thresholds, 4, plane_count, planes, states);
  } else if (groups == 2) {
    mve_compare_lanes(thresholds, 2, plane_count, planes, states);
  } else {
    mve_add_lanes(planes, plane_count, 2);
    mve_compare_lanes(thresholds, 1, plane_count, planes, states);
  }
}

#endif /* GXNOR_EVENTS_MVE_H_ */
