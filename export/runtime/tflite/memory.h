/* SPDX-License-Identifier: Apache-2.0 */
/* Aligned memory, counted. */
#ifndef GXNOR_MEMORY_H_
#define GXNOR_MEMORY_H_

#include <stdbool.h>
#include <stddef.h>

typedef enum gxnor_memory_kind {
  GXNOR_MEMORY_WEIGHTS, /* Packed. */
  GXNOR_MEMORY_SCRATCH,
  GXNOR_MEMORY_KINDS,
} gxnor_memory_kind;

typedef struct gxnor_memory {
  gxnor_memory_kind kind;
  void* data; /* NULL if size is 0. */
  size_t size;
} gxnor_memory;

/* Gives memory another size, a multiple of GXNOR_HOST_ALIGNMENT at least as
 * large as asked for; its content is lost. Returns false, and leaves none, if
 * there is not as much. Memory starts as {kind, NULL, 0} and ends with size
 * 0. */
bool gxnor_memory_resize(gxnor_memory* memory, size_t size);

/* The bytes of all memory of a kind in this process. */
size_t gxnor_memory_total(gxnor_memory_kind kind);

#endif /* GXNOR_MEMORY_H_ */
