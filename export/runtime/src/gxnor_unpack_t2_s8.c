/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "gxnor/pack.h"

/* Spreads the low four bits over the low bits of the four bytes: no two terms
 * of the product meet. */
static uint32_t spread_bits(uint32_t bits) {
  return ((bits & 0xFu) * 0x00204081u) & 0x01010101u;
}

/* Writes up to four states from the bytes of a word, the lowest one first.
 * Compilers make one store of the four. */
static void store_states(uint32_t bytes, int32_t count, int8_t* states) {
  if (count >= 4) {
    states[0] = (int8_t)(bytes & 0xFFu);
    states[1] = (int8_t)((bytes >> 8) & 0xFFu);
    states[2] = (int8_t)((bytes >> 16) & 0xFFu);
    states[3] = (int8_t)(bytes >> 24);
    return;
  }
  for (int32_t i = 0; i < count; ++i) {
    states[i] = (int8_t)((bytes >> (8 * i)) & 0xFFu);
  }
}

gxnor_status gxnor_unpack_t2_s8(const gxnor_pack_params* params,
                                const uint32_t* input,
                                int8_t* GXNOR_RESTRICT output) {
  int32_t groups;
  gxnor_status status;
  if (params == NULL || input == NULL || output == NULL) return GXNOR_ERR_ARG;
  status = gxnor_pack_get_groups(params, &groups);
  if (status != GXNOR_OK) return status;
  for (int32_t position = 0; position < params->positions; ++position) {
    for (int32_t left = params->channels; left > 0; left -= GXNOR_LANES) {
      const int32_t lanes = left < GXNOR_LANES ? left : GXNOR_LANES;
      const uint32_t plus = input[0] & ~input[1];
      const uint32_t minus = input[1] & ~input[0];
      for (int32_t lane = 0; lane < lanes; lane += 4) {
        /* -1 is a byte with all bits set. */
        const uint32_t bytes =
            spread_bits(plus >> lane) | spread_bits(minus >> lane) * 0xFFu;
        store_states(bytes, lanes - lane, output + lane);
      }
      input += 2;
      output += lanes;
    }
  }
  return GXNOR_OK;
}
