/* SPDX-License-Identifier: Apache-2.0 */
/* The two schemes of gxnor_host_conv2d_run. */
#ifndef GXNOR_HOST_RUN_H_
#define GXNOR_HOST_RUN_H_

#include "kernels.h"

/* A convolution that runs. */
typedef struct gxnor_host_call {
  const gxnor_host_conv2d* plan;
  const uint8_t* input;
  const uint8_t* packed;
  uint8_t* scratch;
  uint32_t* states; /* Of the convolution: in scratch, or the output. */
  int32_t* sums;    /* The output, if it is sums. */
  gxnor_host_run_tasks run_tasks;
  void* runner;
} gxnor_host_call;

/* Computes the channels of the dense groups. */
void gxnor_host_run_dense(const gxnor_host_call* call);

/* Computes the channels of the blocks of events. */
void gxnor_host_run_events(const gxnor_host_call* call);

#endif /* GXNOR_HOST_RUN_H_ */
