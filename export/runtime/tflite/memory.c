/* SPDX-License-Identifier: Apache-2.0 */
#include "memory.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "host_conv2d.h"
#include "sizes.h"

static _Atomic size_t totals[GXNOR_MEMORY_KINDS];

bool gxnor_memory_resize(gxnor_memory* memory, size_t size) {
  const size_t unit = GXNOR_HOST_ALIGNMENT;
  const bool too_large = size > PTRDIFF_MAX - unit;
  size = too_large ? 0 : gxnor_host_round_up(size, unit);
  if (size != memory->size) {
    free(memory->data);
    atomic_fetch_sub(&totals[memory->kind], memory->size);
    memory->data = size == 0 ? NULL : aligned_alloc(unit, size);
    memory->size = memory->data == NULL ? 0 : size;
    atomic_fetch_add(&totals[memory->kind], memory->size);
  }
  return memory->size == size && !too_large;
}

size_t gxnor_memory_total(gxnor_memory_kind kind) {
  return atomic_load(&totals[kind]);
}
