/* SPDX-License-Identifier: Apache-2.0 */
/* Convolutions for hosts: the results of gxnor/conv2d.h, faster.
 *
 * A host repacks the weights once, keeps a scratch buffer, and has an
 * instruction set that is known at run time only. The caller owns all memory
 * and brings its threads. Data is trusted here: whoever calls checks it. */
#ifndef GXNOR_HOST_CONV2D_H_
#define GXNOR_HOST_CONV2D_H_

#include <stdbool.h>
#include <stddef.h>

#include "gxnor/types.h"

/* Alignment of packed weights and scratch buffers, in bytes. */
#define GXNOR_HOST_ALIGNMENT 64

/* The kernels of one instruction set, and one of them for blocks of events. */
typedef struct gxnor_host_kernels gxnor_host_kernels;
typedef struct gxnor_host_block gxnor_host_block;

/* Finds kernels by name: "avx512", "avx2", "neon", "portable", or "auto" for
 * the first of these that this processor can run.
 *
 * Returns NULL if there are none of that name, or the processor cannot run
 * them. */
const gxnor_host_kernels* gxnor_host_find_kernels(const char* name);

/* The names that gxnor_host_find_kernels takes on this processor: the one of
 * index `index`, best first; NULL after the last one. */
const char* gxnor_host_kernels_name(size_t index);

/* Runs task(argument, i) for all i < count, in any order on any thread, and
 * returns when all have ended. */
typedef void (*gxnor_host_task)(void* argument, int32_t index);
typedef void (*gxnor_host_run_tasks)(void* runner, gxnor_host_task task,
                                     void* argument, int32_t count);

/* A convolution on a host: what follows from its parameters. Sums are found in
 * one of two ways.
 *
 * Events: only weights of non-zero inputs are read, all lanes of a block at a
 * time; best where reading the weights or counting is what takes the time.
 * Dense: every product is computed, 32 channels of a lane at a time; best where
 * bits are counted fast and weights are used for many positions, and for what
 * no block of events is left. */
typedef struct gxnor_host_conv2d {
  gxnor_conv2d_params params;
  gxnor_conv2d_shape shape;
  const gxnor_host_kernels* kernels;
  bool s8_input;                 /* Else t2. */
  bool s32_output;               /* Else t2. */
  const gxnor_host_block* block; /* NULL if all groups are dense. */

  /* The input with its padding, in which no tap is out of bounds. */
  int32_t padded_height;
  int32_t padded_width;
  size_t pixel_bytes;
  size_t row_bytes;
  size_t image_bytes;

  /* Taps that lie side by side in memory are a segment. */
  int32_t segment_columns; /* Segments in a row of the kernel. */
  int32_t segment_words;   /* 32-bit words, of one bit plane if t2. */

  /* Packed weights: blocks of the events scheme, then dense groups. */
  int32_t blocks;
  size_t block_bytes;
  int32_t first_dense;
  int32_t dense_groups;
  size_t group_bytes;
  size_t packed_bytes;

  /* Tasks: some positions of a dense group; some rows for all blocks. */
  int32_t positions;
  int32_t dense_chunks;
  int32_t event_chunks; /* Each has its own lists. */
  bool worth_threads;   /* Else the calling thread does it alone. */

  /* Scratch: padded input, states before the pool, lists of events. */
  size_t states_offset;
  size_t events_offset;
  size_t events_bytes; /* Of a chunk. */
  size_t scratch_bytes;
} gxnor_host_conv2d;

/* Plans a convolution.
 *
 * Returns: GXNOR_OK; GXNOR_ERR_SHAPE if gxnor_conv2d_get_shape refuses the
 *          parameters, or the padding is so large that gxnor/conv2d.h does
 *          better, which needs no padded copy. *plan is valid after GXNOR_OK
 *          only. */
gxnor_status gxnor_host_conv2d_plan(const gxnor_conv2d_params* params,
                                    bool s8_input, bool s32_output,
                                    const gxnor_host_kernels* kernels,
                                    gxnor_host_conv2d* plan);

/* Whether weights packed for one plan serve another one. */
bool gxnor_host_conv2d_same_packing(const gxnor_host_conv2d* a,
                                    const gxnor_host_conv2d* b);

/* Packs weights and thresholds, which have the layouts of gxnor/types.h, into
 * plan->packed_bytes. `thresholds` is NULL if the plan has sums as output. */
void gxnor_host_conv2d_pack(const gxnor_host_conv2d* plan,
                            const uint32_t* weights, const void* thresholds,
                            void* packed);

/* Computes the output from the input; both have the layouts of gxnor/types.h.
 *
 * packed    from gxnor_host_conv2d_pack
 * scratch   plan->scratch_bytes
 * run_tasks NULL to use the calling thread alone; the output is the same
 * runner    its first argument */
void gxnor_host_conv2d_run(const gxnor_host_conv2d* plan, const void* input,
                           const void* packed, void* scratch, void* output,
                           gxnor_host_run_tasks run_tasks, void* runner);

#endif /* GXNOR_HOST_CONV2D_H_ */
