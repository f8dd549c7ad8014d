/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "kernels.h"

/* Best first. */
static const gxnor_host_kernels* const kAll[] = {
#if defined(__x86_64__)
    &gxnor_host_avx512,
    &gxnor_host_avx2,
#elif defined(__aarch64__)
    &gxnor_host_neon,
#endif
    &gxnor_host_portable,
};

static const gxnor_host_kernels* supported(size_t index) {
  for (size_t i = 0; i < sizeof kAll / sizeof kAll[0]; ++i) {
    if (!kAll[i]->is_supported()) continue;
    if (index == 0) return kAll[i];
    --index;
  }
  return NULL;
}

const char* gxnor_host_kernels_name(size_t index) {
  const gxnor_host_kernels* const kernels = supported(index);
  return kernels == NULL ? NULL : kernels->name;
}

const gxnor_host_kernels* gxnor_host_find_kernels(const char* name) {
  const gxnor_host_kernels* kernels;
  if (strcmp(name, "auto") == 0) return supported(0);
  for (size_t i = 0; (kernels = supported(i)) != NULL; ++i) {
    if (strcmp(kernels->name, name) == 0) return kernels;
  }
  return NULL;
}
