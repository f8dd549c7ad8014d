/* SPDX-License-Identifier: Apache-2.0 */
#include "flexbuffer_map.h"

#include <stdlib.h>

#include "check.h"
#include "options_writer.h"

/* {"a": 1, "b": -2, "c": 300} as the flatbuffers package writes it. */
static const uint8_t kKnown[] = {
    0x61, 0x00, 0x62, 0x00, 0x63, 0x00, 0x03, 0x07, 0x06, 0x05,
    0x03, 0x00, 0x01, 0x00, 0x03, 0x00, 0x01, 0x00, 0xFE, 0xFF,
    0x2C, 0x01, 0x05, 0x05, 0x05, 0x09, 0x25, 0x01,
};

static void test_known_bytes(void) {
  static const char* const kKeys[] = {"a", "b", "c"};
  static const int64_t kValues[] = {1, -2, 300};
  gxnor_flexbuffer_map map;
  const char* key = NULL;
  int64_t value = 0;
  CHECK(gxnor_flexbuffer_map_open(kKnown, sizeof kKnown, &map));
  CHECK_EQ(map.count, 3);
  for (size_t i = 0; i < 3; ++i) {
    CHECK(gxnor_flexbuffer_map_get(&map, i, &key, &value));
    CHECK(strcmp(key, kKeys[i]) == 0);
    CHECK_EQ(value, kValues[i]);
  }
  CHECK(!gxnor_flexbuffer_map_get(&map, 3, &key, &value));
}

static void test_all_widths(void) {
  static const entry kEntries[] = {{"x", -3}, {"y", 30000}};
  for (size_t width = 2; width <= 8; width *= 2) {
    gxnor_flexbuffer_map map;
    const char* key = NULL;
    int64_t value = 0;
    writer w;
    write_map(&w, kEntries, 2, width);
    CHECK(gxnor_flexbuffer_map_open(w.bytes, w.size, &map));
    for (size_t i = 0; i < 2; ++i) {
      CHECK(gxnor_flexbuffer_map_get(&map, i, &key, &value));
      CHECK(strcmp(key, kEntries[i].key) == 0);
      CHECK_EQ(value, kEntries[i].value);
    }
  }
}

/* The type byte of value 0 decides how its two bytes are read. */
static void test_types(void) {
  static const struct {
    uint8_t type;
    uint16_t bytes;
    int right;
    int64_t value;
  } kCases[] = {
      {1 << 2 | 1, 0xFFFE, 1, -2},            /* INT */
      {2 << 2 | 1, 0xFFFE, 1, 0xFFFE},        /* UINT */
      {6 << 2 | 0, 16, 1, 0x61},              /* INDIRECT_INT, at the key "a" */
      {7 << 2 | 1, 16, 1, 0x61},              /* INDIRECT_UINT */
      {6 << 2 | 3, 2, 1, 0x012CFFFE00020003}, /* eight bytes */
      {6 << 2 | 1, 17, 0, 0},                 /* before the buffer */
      {3 << 2 | 1, 0, 0, 0},                  /* FLOAT */
      {5 << 2 | 1, 0, 0, 0},                  /* STRING */
      {26 << 2 | 1, 1, 0, 0},                 /* BOOL */
      {0 << 2 | 1, 0, 0, 0},                  /* NULL */
  };
  for (size_t i = 0; i < sizeof kCases / sizeof kCases[0]; ++i) {
    uint8_t bytes[sizeof kKnown];
    gxnor_flexbuffer_map map;
    const char* key = NULL;
    int64_t value = 0;
    memcpy(bytes, kKnown, sizeof bytes);
    bytes[16] = (uint8_t)kCases[i].bytes;
    bytes[17] = (uint8_t)(kCases[i].bytes >> 8);
    bytes[22] = kCases[i].type;
    CHECK(gxnor_flexbuffer_map_open(bytes, sizeof bytes, &map));
    CHECK_EQ(gxnor_flexbuffer_map_get(&map, 0, &key, &value), kCases[i].right);
    if (kCases[i].right) CHECK_EQ(value, kCases[i].value);
  }
}

/* The counts of keys and values must agree and fit the buffer. */
static void test_counts(void) {
  static const struct {
    uint8_t keys, values;
    int right;
  } kCases[] = {{3, 3, 1}, {2, 2, 1}, {0, 0, 1}, {2, 3, 0},
                {3, 2, 0}, {5, 5, 0}, {9, 9, 0}, {255, 255, 0}};
  for (size_t i = 0; i < sizeof kCases / sizeof kCases[0]; ++i) {
    uint8_t bytes[sizeof kKnown];
    gxnor_flexbuffer_map map;
    memcpy(bytes, kKnown, sizeof bytes);
    bytes[6] = kCases[i].keys;
    bytes[14] = kCases[i].values;
    CHECK_EQ(gxnor_flexbuffer_map_open(bytes, sizeof bytes, &map),
             kCases[i].right);
  }
}

/* A key must end inside the buffer, which here has no 0 at all. */
static void test_endless_key(void) {
  static const uint8_t kBytes[] = {1, 1, 1, 1, 1, 5, 1 << 2, 2, 9 << 2, 1};
  gxnor_flexbuffer_map map;
  const char* key;
  int64_t value;
  CHECK(gxnor_flexbuffer_map_open(kBytes, sizeof kBytes, &map));
  CHECK_EQ(map.count, 1);
  CHECK(!gxnor_flexbuffer_map_get(&map, 0, &key, &value));
}

/* Reads everything from a copy of exactly this size. */
static void read_all(const uint8_t* bytes, size_t size) {
  uint8_t* const copy = malloc(size + (size == 0));
  gxnor_flexbuffer_map map;
  if (copy == NULL) abort();
  memcpy(copy, bytes, size);
  if (gxnor_flexbuffer_map_open(copy, size, &map)) {
    CHECK(map.count <= size);
    for (size_t i = 0; i < map.count; ++i) {
      const char* key = NULL;
      int64_t value;
      if (gxnor_flexbuffer_map_get(&map, i, &key, &value)) {
        CHECK(strlen(key) < size);
      }
    }
  }
  free(copy);
}

/* A sanitizer looks on at truncated, changed and random bytes. */
static void test_damaged_bytes(void) {
  writer w;
  uint32_t state = 1;
  for (size_t size = 0; size < sizeof kKnown; ++size) {
    read_all(kKnown, size);
    read_all(kKnown + sizeof kKnown - size, size);
  }
  for (size_t width = 2; width <= 8; width *= 2) {
    write_map(&w, kConv2dEntries, kConv2dEntryCount, width);
    for (size_t i = 0; i < w.size; ++i) {
      const uint8_t byte = w.bytes[i];
      for (int change = 1; change < 256; ++change) {
        w.bytes[i] = (uint8_t)(byte ^ change);
        read_all(w.bytes, w.size);
      }
      w.bytes[i] = byte;
      read_all(w.bytes, i);
      read_all(w.bytes + i, w.size - i);
    }
  }
  for (int round = 0; round < 20000; ++round) {
    uint8_t bytes[40];
    for (size_t i = 0; i < sizeof bytes; ++i) {
      state = state * 1664525u + 1013904223u;
      /* Small numbers make plausible offsets. */
      bytes[i] = (uint8_t)(state >> 24 & (state >> 8 & 1 ? 0xFF : 0x1F));
    }
    bytes[sizeof bytes - 2] = (uint8_t)(9 << 2 | (round & 3)); /* MAP */
    bytes[sizeof bytes - 1] = (uint8_t)(1 << (round >> 2 & 3));
    read_all(bytes, sizeof bytes);
  }
  CHECK(!gxnor_flexbuffer_map_open(NULL, 0, &(gxnor_flexbuffer_map){0}));
}

int main(void) {
  test_known_bytes();
  test_all_widths();
  test_types();
  test_counts();
  test_endless_key();
  test_damaged_bytes();
  return check_result();
}
