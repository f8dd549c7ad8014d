/* SPDX-License-Identifier: Apache-2.0 */
#include "flexbuffer_map.h"

#include <string.h>

/* flexbuffers::Type. The low two bits of a type byte are the width's log2. */
enum {
  kTypeInt = 1,
  kTypeUint = 2,
  kTypeIndirectInt = 6,
  kTypeIndirectUint = 7,
  kTypeMap = 9,
};

static bool is_width(uint64_t width) {
  return width == 1 || width == 2 || width == 4 || width == 8;
}

/* Reads a little-endian number of `width` bytes. */
static bool read_unsigned(const uint8_t* buffer, size_t size, size_t position,
                          size_t width, uint64_t* number) {
  uint64_t result = 0;
  if (position > size || width > size - position) return false;
  for (size_t i = width; i-- > 0;) result = result << 8 | buffer[position + i];
  *number = result;
  return true;
}

/* Follows the offset at `position`, which points backwards. */
static bool follow(const uint8_t* buffer, size_t size, size_t position,
                   size_t width, size_t* target) {
  uint64_t offset;
  if (!read_unsigned(buffer, size, position, width, &offset)) return false;
  if (offset > position) return false;
  *target = position - (size_t)offset;
  return true;
}

bool gxnor_flexbuffer_map_open(const void* buffer, size_t size,
                               gxnor_flexbuffer_map* map) {
  const uint8_t* const bytes = buffer;
  size_t root_width, width, values, keys;
  uint64_t count, key_count, key_width;
  uint8_t type;
  if (bytes == NULL || size < 3) return false;

  /* The end: root value, its type, its width. */
  root_width = bytes[size - 1];
  type = bytes[size - 2];
  if (!is_width(root_width) || size - 2 < root_width) return false;
  if (type >> 2 != kTypeMap) return false;
  if (!follow(bytes, size, size - 2 - root_width, root_width, &values)) {
    return false;
  }

  /* A map: offset of the keys, their width, count; values, type bytes. */
  width = (size_t)1 << (type & 3);
  if (values < 3 * width) return false;
  if (!follow(bytes, size, values - 3 * width, width, &keys) ||
      !read_unsigned(bytes, size, values - 2 * width, width, &key_width) ||
      !read_unsigned(bytes, size, values - width, width, &count)) {
    return false;
  }
  if (count > (size - values) / (width + 1)) return false;

  /* The keys: count, offsets of strings. */
  if (!is_width(key_width) || keys < key_width) return false;
  if (!read_unsigned(bytes, size, keys - (size_t)key_width, (size_t)key_width,
                     &key_count)) {
    return false;
  }
  if (key_count != count || count > (size - keys) / key_width) return false;

  map->buffer = bytes;
  map->buffer_size = size;
  map->count = (size_t)count;
  map->keys = keys;
  map->key_width = (size_t)key_width;
  map->values = values;
  map->value_width = width;
  return true;
}

/* Extends the sign of a number of `width` bytes. */
static int64_t sign_extend(uint64_t number, size_t width) {
  const uint64_t sign = (uint64_t)1 << (8 * width - 1);
  return (int64_t)((number ^ sign) - sign);
}

bool gxnor_flexbuffer_map_get(const gxnor_flexbuffer_map* map, size_t index,
                              const char** key, int64_t* value) {
  const uint8_t* const bytes = map->buffer;
  const size_t size = map->buffer_size;
  size_t position, width = map->value_width;
  uint64_t number;
  uint8_t type;
  if (index >= map->count) return false;

  if (!follow(bytes, size, map->keys + index * map->key_width, map->key_width,
              &position) ||
      memchr(bytes + position, 0, size - position) == NULL) {
    return false;
  }
  *key = (const char*)(bytes + position);

  position = map->values + index * width;
  type = bytes[map->values + map->count * width + index];
  if (type >> 2 == kTypeIndirectInt || type >> 2 == kTypeIndirectUint) {
    if (!follow(bytes, size, position, width, &position)) return false;
    width = (size_t)1 << (type & 3);
  }
  if (!read_unsigned(bytes, size, position, width, &number)) return false;
  switch (type >> 2) {
    case kTypeInt:
    case kTypeIndirectInt:
      *value = sign_extend(number, width);
      return true;
    case kTypeUint:
    case kTypeIndirectUint:
      *value = (int64_t)number;
      return number <= INT64_MAX;
    default:
      return false;
  }
}
