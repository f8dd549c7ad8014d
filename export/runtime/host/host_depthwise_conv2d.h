/* SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolutions for hosts: the results of gxnor/depthwise_conv2d.h,
 * faster. Weights and thresholds are used as they are in the file. */
#ifndef GXNOR_HOST_DEPTHWISE_CONV2D_H_
#define GXNOR_HOST_DEPTHWISE_CONV2D_H_

#include "host_conv2d.h"

/* Taps of a kernel. */
#define GXNOR_HOST_MAX_TAPS 128

/* A depthwise convolution on a host. Its input is split into the planes plus
 * and minus of 32 channels each, and padded. */
typedef struct gxnor_host_depthwise_conv2d {
  gxnor_conv2d_params params;
  gxnor_conv2d_shape shape;
  const gxnor_host_kernels* kernels;
  bool s32_output; /* Else t2. */

  bool worth_threads; /* Else the calling thread does it alone. */
  int32_t row_chunks; /* Tasks of a group. */

  int32_t padded_height;
  int32_t phase_width; /* Columns of a row that are a stride apart. */
  size_t row_words;    /* All phases of a row. */
  size_t plane_words;
  size_t offsets[GXNOR_HOST_MAX_TAPS]; /* Of taps from their position. */
  size_t states_offset;
  size_t scratch_bytes;
} gxnor_host_depthwise_conv2d;

/* Plans a depthwise convolution.
 *
 * Returns: GXNOR_OK; GXNOR_ERR_SHAPE if gxnor_depthwise_conv2d_get_shape
 *          refuses the parameters, or the padding or the kernel is so large
 *          that gxnor/depthwise_conv2d.h does better. *plan is valid after
 *          GXNOR_OK only. */
gxnor_status gxnor_host_depthwise_conv2d_plan(
    const gxnor_conv2d_params* params, bool s32_output,
    const gxnor_host_kernels* kernels, gxnor_host_depthwise_conv2d* plan);

/* Computes the output from input, weights and thresholds, all of which have
 * the layouts of gxnor/types.h; the rest is as in gxnor_host_conv2d_run. */
void gxnor_host_depthwise_conv2d_run(
    const gxnor_host_depthwise_conv2d* plan, const uint32_t* input,
    const uint32_t* weights, const uint32_t* thresholds, void* scratch,
    void* output, gxnor_host_run_tasks run_tasks, void* runner);

#endif /* GXNOR_HOST_DEPTHWISE_CONV2D_H_ */
