/* SPDX-License-Identifier: Apache-2.0 */
#include "gxnor_transpose_internal.h"

void gxnor_transpose(uint32_t words[32]) {
  uint32_t mask = 0x0000FFFFu;
  /* Swaps the off-diagonal quarters of all blocks of 2 * size, then of half
   * that size. */
  for (int32_t size = 16; size > 0; size /= 2) {
    for (int32_t block = 0; block < 32; block += 2 * size) {
      uint32_t* const end = words + block + size;
      for (uint32_t* word = words + block; word < end; ++word) {
        const uint32_t swapped = (*word >> size ^ word[size]) & mask;
        *word ^= swapped << size;
        word[size] ^= swapped;
      }
    }
    mask ^= mask << size / 2;
  }
}
