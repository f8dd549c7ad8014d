/* SPDX-License-Identifier: Apache-2.0 */
#include "memory.h"

#include <stdint.h>
#include <string.h>

#include "check.h"
#include "host_conv2d.h"

int main(void) {
  gxnor_memory a = {GXNOR_MEMORY_WEIGHTS, NULL, 0};
  gxnor_memory b = {GXNOR_MEMORY_SCRATCH, NULL, 0};
  CHECK_EQ(gxnor_memory_total(GXNOR_MEMORY_WEIGHTS), 0);
  CHECK(gxnor_memory_resize(&a, 1));
  CHECK(gxnor_memory_resize(&b, 1000));
  CHECK_EQ(a.size, GXNOR_HOST_ALIGNMENT);
  CHECK(b.size >= 1000 && b.size % GXNOR_HOST_ALIGNMENT == 0);
  CHECK_EQ((uintptr_t)b.data % GXNOR_HOST_ALIGNMENT, 0);
  CHECK_EQ(gxnor_memory_total(GXNOR_MEMORY_WEIGHTS), a.size);
  CHECK_EQ(gxnor_memory_total(GXNOR_MEMORY_SCRATCH), b.size);
  memset(a.data, 1, a.size);
  memset(b.data, 1, b.size);
  CHECK(gxnor_memory_resize(&b, 0));
  CHECK(b.data == NULL);
  CHECK_EQ(gxnor_memory_total(GXNOR_MEMORY_SCRATCH), 0);
  /* What there is not leaves nothing. */
  CHECK(!gxnor_memory_resize(&a, SIZE_MAX));
  CHECK(a.data == NULL);
  CHECK_EQ(a.size, 0);
  CHECK_EQ(gxnor_memory_total(GXNOR_MEMORY_WEIGHTS), 0);
  return check_result();
}
