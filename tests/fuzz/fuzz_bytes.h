/* SPDX-License-Identifier: Apache-2.0 */
/* Takes values from the bytes of a fuzzer; behind their end all are 0. */
#ifndef GXNOR_TESTS_FUZZ_BYTES_H_
#define GXNOR_TESTS_FUZZ_BYTES_H_

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The entry that libFuzzer calls. */
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

/* Ends the process with a message, which the fuzzer counts as a crash. */
#define REQUIRE(condition)                                         \
  do {                                                             \
    if (!(condition)) {                                            \
      fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, \
              #condition);                                         \
      abort();                                                     \
    }                                                              \
  } while (0)

typedef struct fuzz_bytes {
  const uint8_t* next;
  size_t left;
} fuzz_bytes;

/* Takes a little-endian number of `width` bytes. */
static inline uint32_t take_number(fuzz_bytes* bytes, size_t width) {
  uint32_t number = 0;
  for (size_t i = 0; i < width && bytes->left > 0; ++i, --bytes->left) {
    number |= (uint32_t)*bytes->next++ << (8 * i);
  }
  return number;
}

static inline uint8_t take_byte(fuzz_bytes* bytes) {
  return (uint8_t)take_number(bytes, 1);
}

/* Takes a number that is mostly small: one byte, or after 251 four more. */
static inline int32_t take_coded(fuzz_bytes* bytes) {
  const uint8_t byte = take_byte(bytes);
  return byte < 251 ? byte : (int32_t)take_number(bytes, 4);
}

/* Memory of exactly so many bytes, so that a sanitizer sees each access
 * beyond; of one byte for none, which nobody may touch either. */
static inline void* new_block(size_t size) {
  void* const block = malloc(size == 0 ? 1 : size);
  if (block == NULL) abort();
  return block;
}

/* Takes up to `size` bytes into a block of their own; *size says how many. */
static inline uint8_t* take_block(fuzz_bytes* bytes, size_t* size) {
  uint8_t* block;
  if (*size > bytes->left) *size = bytes->left;
  block = new_block(*size);
  memcpy(block, bytes->next, *size);
  bytes->next += *size;
  bytes->left -= *size;
  return block;
}

/* Fills memory with the bytes that are left, again and again. */
static inline void fill_with(const fuzz_bytes* bytes, void* memory,
                             size_t size) {
  uint8_t* const to = memory;
  for (size_t i = 0; i < size; ++i) {
    to[i] = bytes->left == 0 ? 0x5A : bytes->next[i % bytes->left];
  }
}

#endif /* GXNOR_TESTS_FUZZ_BYTES_H_ */
