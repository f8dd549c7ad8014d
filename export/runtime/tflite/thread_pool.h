/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that help a caller with its tasks.
 *
 * The caller never waits for a thread to wake up: it takes tasks as they do,
 * and needs nobody. So a pool that is busy with another caller's tasks, a
 * machine without free processors and a process that was forked only cost
 * time. */
#ifndef GXNOR_THREAD_POOL_H_
#define GXNOR_THREAD_POOL_H_

#include <stdint.h>

typedef struct gxnor_thread_pool gxnor_thread_pool;

/* Makes a pool without threads; NULL if memory is short. */
gxnor_thread_pool* gxnor_thread_pool_create(void);

/* Stops the threads. No caller may be in gxnor_thread_pool_run. */
void gxnor_thread_pool_destroy(gxnor_thread_pool* pool);

/* Runs task(argument, i) for all i < count on at most `threads` threads, one
 * of which is the caller, and returns when all have ended. The first call with
 * a larger number starts threads, which stay. */
void gxnor_thread_pool_run(gxnor_thread_pool* pool, int32_t threads,
                           void (*task)(void* argument, int32_t index),
                           void* argument, int32_t count);

#endif /* GXNOR_THREAD_POOL_H_ */
