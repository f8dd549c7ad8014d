/* SPDX-License-Identifier: Apache-2.0 */
/* Runs all kernels of this processor on a problem from the standard input, and
 * writes their outputs to the standard output, one after the other. A Python
 * test makes the problems and knows the answers, also for processors that are
 * emulated.
 *
 * The problem: int32_t depthwise, s8_input, s32_output; gxnor_conv2d_params;
 * uint32_t bytes of input, weights, thresholds and output; then the first
 * three. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host_depthwise_conv2d.h"

static void read_exactly(void* memory, size_t size) {
  if (fread(memory, 1, size, stdin) != size) exit(2);
}

static void* make_buffer(size_t size) {
  const size_t unit = GXNOR_HOST_ALIGNMENT;
  void* const memory = aligned_alloc(unit, (size / unit + 1) * unit);
  if (memory == NULL) exit(3);
  memset(memory, 0xA5, size);
  return memory;
}

typedef struct problem {
  int32_t depthwise, s8_input, s32_output;
  gxnor_conv2d_params params;
  void* tensors[3]; /* Input, weights, thresholds. */
} problem;

static void run_conv2d(const problem* p, const gxnor_host_kernels* kernels,
                       void* output) {
  gxnor_host_conv2d plan;
  void *packed, *scratch;
  if (gxnor_host_conv2d_plan(&p->params, p->s8_input, p->s32_output, kernels,
                             &plan) != GXNOR_OK) {
    exit(4);
  }
  packed = make_buffer(plan.packed_bytes);
  scratch = make_buffer(plan.scratch_bytes);
  gxnor_host_conv2d_pack(&plan, p->tensors[1], p->tensors[2], packed);
  gxnor_host_conv2d_run(&plan, p->tensors[0], packed, scratch, output, NULL,
                        NULL);
  free(packed);
  free(scratch);
}

static void run_depthwise(const problem* p, const gxnor_host_kernels* kernels,
                          void* output) {
  gxnor_host_depthwise_conv2d plan;
  void* scratch;
  if (gxnor_host_depthwise_conv2d_plan(&p->params, p->s32_output, kernels,
                                       &plan) != GXNOR_OK) {
    exit(4);
  }
  scratch = make_buffer(plan.scratch_bytes);
  gxnor_host_depthwise_conv2d_run(&plan, p->tensors[0], p->tensors[1],
                                  p->tensors[2], scratch, output, NULL, NULL);
  free(scratch);
}

int main(void) {
  problem p;
  uint32_t sizes[4];
  const char* name;
  read_exactly(&p, offsetof(problem, tensors));
  read_exactly(sizes, sizeof sizes);
  for (int i = 0; i < 3; ++i) {
    p.tensors[i] = make_buffer(sizes[i]);
    read_exactly(p.tensors[i], sizes[i]);
  }
  for (size_t i = 0; (name = gxnor_host_kernels_name(i)) != NULL; ++i) {
    void* const output = make_buffer(sizes[3]);
    if (p.depthwise) {
      run_depthwise(&p, gxnor_host_find_kernels(name), output);
    } else {
      run_conv2d(&p, gxnor_host_find_kernels(name), output);
    }
    fwrite(output, 1, sizes[3], stdout);
    free(output);
  }
  for (int i = 0; i < 3; ++i) free(p.tensors[i]);
  return 0;
}
