/* SPDX-License-Identifier: Apache-2.0 */
/* Writes flexbuffer maps of integers, right ones and wrong ones. */
#ifndef GXNOR_TESTS_OPTIONS_WRITER_H_
#define GXNOR_TESTS_OPTIONS_WRITER_H_

#include <stdint.h>
#include <string.h>

enum { kMaxOptions = 24, kMaxOptionBytes = 1024 };

typedef struct entry {
  const char* key;
  int64_t value;
} entry;

typedef struct writer {
  uint8_t bytes[kMaxOptionBytes];
  size_t size;
} writer;

static inline void put(writer* w, uint64_t number, size_t width) {
  for (size_t i = 0; i < width; ++i) {
    w->bytes[w->size++] = (uint8_t)(number >> (8 * i));
  }
}

/* Writes a map whose numbers are all `width` = 2, 4 or 8 bytes wide. */
static inline void write_map(writer* w, const entry* entries, size_t count,
                             size_t width) {
  const uint8_t width_bits = (uint8_t)(width == 2 ? 1 : width == 4 ? 2 : 3);
  size_t strings[kMaxOptions];
  size_t keys, values;
  w->size = 0;
  for (size_t i = 0; i < count; ++i) {
    const size_t length = strlen(entries[i].key) + 1;
    strings[i] = w->size;
    memcpy(w->bytes + w->size, entries[i].key, length);
    w->size += length;
  }
  put(w, count, width);
  keys = w->size;
  for (size_t i = 0; i < count; ++i) put(w, w->size - strings[i], width);
  put(w, w->size - keys, width);
  put(w, width, width);
  put(w, count, width);
  values = w->size;
  for (size_t i = 0; i < count; ++i) {
    put(w, (uint64_t)entries[i].value, width);
  }
  for (size_t i = 0; i < count; ++i) put(w, 1 << 2 | width_bits, 1); /* INT */
  put(w, w->size - values, 2);
  put(w, 9 << 2 | width_bits, 1); /* MAP */
  put(w, 2, 1);                   /* Width of the root's offset. */
}

/* The options of default_params() in problem.h, or of any others. */
static const entry kConv2dEntries[] = {
    {"dilation_height", 1},   {"dilation_width", 1},
    {"input_channels", 3},    {"kernel_height", 3},
    {"kernel_width", 2},      {"output_channels", 33},
    {"pad_bottom", 0},        {"pad_left", 0},
    {"pad_right", 0},         {"pad_top", 0},
    {"pool_height", 1},       {"pool_pad_bottom", 0},
    {"pool_pad_left", 0},     {"pool_pad_right", 0},
    {"pool_pad_top", 0},      {"pool_stride_height", 1},
    {"pool_stride_width", 1}, {"pool_width", 1},
    {"stride_height", 1},     {"stride_width", 1},
    {"version", 1},
};
enum { kConv2dEntryCount = sizeof kConv2dEntries / sizeof kConv2dEntries[0] };

/* Changes one entry. */
static inline void set_entry(entry* entries, size_t count, const char* key,
                             int64_t value) {
  for (size_t i = 0; i < count; ++i) {
    if (strcmp(entries[i].key, key) == 0) entries[i].value = value;
  }
}

#endif /* GXNOR_TESTS_OPTIONS_WRITER_H_ */
