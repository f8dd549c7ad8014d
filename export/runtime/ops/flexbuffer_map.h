/* SPDX-License-Identifier: Apache-2.0 */
/* A reader of flexbuffer maps of integers, the form of custom options.
 *
 * The bytes may be anything: every access is checked against the buffer. */
#ifndef GXNOR_FLEXBUFFER_MAP_H_
#define GXNOR_FLEXBUFFER_MAP_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct gxnor_flexbuffer_map {
  const uint8_t* buffer;
  size_t buffer_size;
  size_t count;       /* Entries. */
  size_t keys;        /* Position of the key vector's elements. */
  size_t key_width;   /* Bytes of one element of the key vector. */
  size_t values;      /* Position of the values. */
  size_t value_width; /* Bytes of one value. */
} gxnor_flexbuffer_map;

/* Opens the map at the root of a buffer, which must stay in place. Returns
 * false if there is none. */
bool gxnor_flexbuffer_map_open(const void* buffer, size_t size,
                               gxnor_flexbuffer_map* map);

/* Reads entry `index` < map->count. *key points to a string in the buffer.
 * Returns false if the entry is damaged or its value is no integer. */
bool gxnor_flexbuffer_map_get(const gxnor_flexbuffer_map* map, size_t index,
                              const char** key, int64_t* value);

#endif /* GXNOR_FLEXBUFFER_MAP_H_ */
