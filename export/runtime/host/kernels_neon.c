/* SPDX-License-Identifier: Apache-2.0 */
/* NEON, which every 64-bit Arm has. */
#include "kernels.h"

#if defined(__aarch64__)
#include <arm_neon.h>

#include "kernels_plain.h"

#define KERNEL_TARGET
#define VEC uint32x4_t

/* ---- Dense, ternary inputs ---- */

static inline uint32x4_t add_bits(uint32x4_t sum, uint32x4_t bits) {
  return vreinterpretq_u32_u8(vaddq_u8(vreinterpretq_u8_u32(sum),
                                       vcntq_u8(vreinterpretq_u8_u32(bits))));
}

/* Adds up the bytes of each lane. */
static inline uint32x4_t add_bytes(uint32x4_t wide, uint32x4_t sum) {
  return vpadalq_u16(wide, vpaddlq_u8(vreinterpretq_u8_u32(sum)));
}

static inline void store_difference(int32_t* sums, uint32x4_t gates,
                                    uint32x4_t signs) {
  vst1q_s32(sums,
            vreinterpretq_s32_u32(vsubq_u32(gates, vshlq_n_u32(signs, 1))));
}

#define COUNT_VECTORS 2
#define COUNT_TILE 3
#define COUNT_STEPS 31
#define COUNT_ZERO vdupq_n_u32(0)
#define COUNT_LOAD(memory) vld1q_u32(memory)
#define COUNT_SPREAD(word) vdupq_n_u32(word)
#define COUNT_SIGNS(a, b, g) (((a) ^ (b)) & (g))
#define COUNT_ADD(sum, bits) add_bits(sum, bits)
#define COUNT_FLUSH(wide, sum) add_bytes(wide, sum)
#define COUNT_STORE(sums, gates, signs) store_difference(sums, gates, signs)
#include "kernels_count.h"

/* ---- Events ---- */

#define VEC_ONES(flag) vdupq_n_u32((flag) ? 0xFFFFFFFFu : 0)
#define MAJORITY(a, b, c) vbslq_u32((a) ^ (b), c, a)
#include "kernels_depthwise.h"
#define EVENTS(name) events_128_##name
#include "kernels_events.h"

static bool is_supported(void) { return true; }

const gxnor_host_kernels gxnor_host_neon = {
    .name = "neon",
    .is_supported = is_supported,
    .tile = COUNT_TILE,
    .counts_fast = false,
    .blocks = {{4, events_128_states}},
    .t2_sums = count_t2_sums,
    .s8_sums = plain_s8_sums,
    .compare = plain_compare,
    .depthwise_states = depthwise_states,
    .depthwise_sums = depthwise_sums,
};
#endif
