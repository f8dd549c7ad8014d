/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "gxnor/pack.h"

/* Reads up to four states into the bytes of a word, the first one lowest.
 * Compilers make one load of the four. */
static uint32_t load_states(const int8_t* states, int32_t count) {
  uint32_t word = 0;
  if (count >= 4) {
    return (uint32_t)(uint8_t)states[0] | (uint32_t)(uint8_t)states[1] << 8 |
           (uint32_t)(uint8_t)states[2] << 16 |
           (uint32_t)(uint8_t)states[3] << 24;
  }
  for (int32_t i = 0; i < count; ++i) {
    word |= (uint32_t)(uint8_t)states[i] << (8 * i);
  }
  return word;
}

/* Gathers the top bits of the four bytes: the product has them side by side
 * at its top, and no two of its terms meet. */
static uint32_t gather_tops(uint32_t bytes) {
  return (((bytes & 0x80808080u) >> 7) * 0x10204080u) >> 28;
}

gxnor_status gxnor_pack_s8_t2(const gxnor_pack_params* params,
                              const int8_t* input,
                              uint32_t* GXNOR_RESTRICT output) {
  int32_t groups;
  gxnor_status status;
  if (params == NULL || input == NULL || output == NULL) return GXNOR_ERR_ARG;
  status = gxnor_pack_get_groups(params, &groups);
  if (status != GXNOR_OK) return status;
  for (int32_t position = 0; position < params->positions; ++position) {
    for (int32_t left = params->channels; left > 0; left -= GXNOR_LANES) {
      const int32_t lanes = left < GXNOR_LANES ? left : GXNOR_LANES;
      uint32_t plus = 0;
      uint32_t minus = 0;
      for (int32_t lane = 0; lane < lanes; lane += 4) {
        const uint32_t bytes = load_states(input + lane, lanes - lane);
        /* A byte of the sum has its top bit set where the lower seven bits of
         * the state are not all 0. No carry leaves a byte. */
        const uint32_t others = (bytes & 0x7F7F7F7Fu) + 0x7F7F7F7Fu;
        plus |= gather_tops(others & ~bytes) << lane;
        minus |= gather_tops(bytes) << lane;
      }
      output[0] = plus;
      output[1] = minus;
      input += lanes;
      output += 2;
    }
  }
  return GXNOR_OK;
}
