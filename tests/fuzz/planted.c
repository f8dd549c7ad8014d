/* SPDX-License-Identifier: Apache-2.0 */
/* A target whose bug driver_test.py wants to be found, unless it is MENDED. */
#include "fuzz_bytes.h"

static volatile uint8_t seen;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz_bytes bytes = {data, size};
  size_t length = take_byte(&bytes);
  uint8_t* const block = take_block(&bytes, &length);
#if !defined(MENDED)
  length += length > 2 && block[0] == 'G' && block[1] == 'X';
#endif
  for (size_t i = 0; i < length; ++i) seen = block[i];
  free(block);
  return 0;
}
