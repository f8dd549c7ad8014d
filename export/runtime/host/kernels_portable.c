/* SPDX-License-Identifier: Apache-2.0 */
/* 64-bit words, for every processor. */
#include <string.h>

#include "kernels.h"
#include "kernels_plain.h"

#define KERNEL_TARGET
#define VEC uint64_t

static inline uint64_t load_word(const uint32_t* memory) {
  uint64_t word;
  memcpy(&word, memory, sizeof word);
  return word;
}

/* The bits of each byte: by pairs, by fours, by eights. */
static inline uint64_t count_bits(uint64_t word) {
  word -= word >> 1 & 0x5555555555555555u;
  word = (word & 0x3333333333333333u) + (word >> 2 & 0x3333333333333333u);
  return (word + (word >> 4)) & 0x0F0F0F0F0F0F0F0Fu;
}

#define CARRY_TILE 2
#define CARRY_LOAD(memory) load_word(memory)
#define CARRY_STORE(memory, vector) \
  memcpy(memory, &(uint64_t){vector}, sizeof(uint64_t))
#define CARRY_SPREAD(word) ((word) * (uint64_t)0x0000000100000001u)
#define CARRY_BYTES(vector) count_bits(vector)
#define CARRY_FILL(number) (uint64_t)(number)
#include "kernels_carry.h"

#define VEC_ONES(flag) ((uint64_t)0 - (uint64_t)(flag))
#include "kernels_depthwise.h"
#define EVENTS(name) events_64_##name
#include "kernels_events.h"

static bool is_supported(void) { return true; }

const gxnor_host_kernels gxnor_host_portable = {
    .name = "portable",
    .is_supported = is_supported,
    .tile = GXNOR_HOST_MAX_TILE,
    .counts_fast = false,
    .blocks = {{2, events_64_states}},
    .t2_sums = carry_t2_sums,
    .s8_sums = plain_s8_sums,
    .compare = plain_compare,
    .depthwise_states = depthwise_states,
    .depthwise_sums = depthwise_sums,
};
