/* SPDX-License-Identifier: Apache-2.0 */
#include "thread_pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

enum { kMaxHelpers = 63 };

/* About 20 microseconds: a net's ops follow each other faster than that. */
enum { kSpins = 2000 };

/* An index that no task has. */
enum { kNoTask = INT32_MAX };

struct gxnor_thread_pool {
  /* Held by the caller whose tasks are run. */
  pthread_mutex_t busy;

  /* The job: its number and the next index of its tasks, 32 bits each. Who
   * raises the index owns that task, and with it the other fields: they do not
   * change before `done` has counted it. */
  _Atomic uint64_t ticket;
  _Atomic int32_t count;
  _Atomic int32_t helpers; /* Threads that may help with the job. */
  _Atomic int32_t done;
  void (*_Atomic task)(void*, int32_t);
  void* _Atomic argument;

  /* Sleeping threads wait for a new job. */
  pthread_mutex_t lock;
  pthread_cond_t wake;
  _Atomic int32_t sleeping;
  atomic_bool stop;

  pid_t process;
  int32_t started;
  pthread_t threads[kMaxHelpers];
};

typedef struct helper {
  gxnor_thread_pool* pool;
  int32_t id;
} helper;

static void pause_briefly(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

static uint32_t job_of(uint64_t ticket) { return (uint32_t)(ticket >> 32); }

/* Takes tasks until there is none, or none for a thread of this number; the
 * caller is number -1. */
static void work(gxnor_thread_pool* pool, int32_t id) {
  uint64_t ticket = atomic_load(&pool->ticket);
  for (;;) {
    const int32_t index = (int32_t)(uint32_t)ticket;
    if (index >= atomic_load(&pool->count)) return;
    if (id >= atomic_load(&pool->helpers)) return;
    /* Fails, too, if meanwhile another job began. */
    if (!atomic_compare_exchange_weak(&pool->ticket, &ticket, ticket + 1)) {
      continue;
    }
    atomic_load (&pool->task)(atomic_load(&pool->argument), index);
    atomic_fetch_add(&pool->done, 1);
    ++ticket;
  }
}

/* Waits for another job than `job`; false if the pool stops. */
static bool wait_for_job(gxnor_thread_pool* pool, uint32_t job) {
  for (int32_t i = 0; i < kSpins; ++i) {
    if (atomic_load(&pool->stop)) return false;
    if (job_of(atomic_load(&pool->ticket)) != job) return true;
    pause_briefly();
  }
  pthread_mutex_lock(&pool->lock);
  atomic_fetch_add(&pool->sleeping, 1);
  while (!atomic_load(&pool->stop) &&
         job_of(atomic_load(&pool->ticket)) == job) {
    pthread_cond_wait(&pool->wake, &pool->lock);
  }
  atomic_fetch_sub(&pool->sleeping, 1);
  pthread_mutex_unlock(&pool->lock);
  return !atomic_load(&pool->stop);
}

static void* help(void* argument) {
  const helper self = *(helper*)argument;
  uint32_t job = 0;
  free(argument);
  while (wait_for_job(self.pool, job)) {
    job = job_of(atomic_load(&self.pool->ticket));
    work(self.pool, self.id);
  }
  return NULL;
}

static void start_helpers(gxnor_thread_pool* pool, int32_t count) {
  while (pool->started < count && pool->started < kMaxHelpers) {
    helper* const self = malloc(sizeof *self);
    if (self == NULL) return;
    self->pool = pool;
    self->id = pool->started;
    if (pthread_create(&pool->threads[pool->started], NULL, help, self) != 0) {
      free(self);
      return;
    }
    ++pool->started;
  }
}

static void wake_helpers(gxnor_thread_pool* pool) {
  if (atomic_load(&pool->sleeping) == 0) return;
  pthread_mutex_lock(&pool->lock);
  pthread_cond_broadcast(&pool->wake);
  pthread_mutex_unlock(&pool->lock);
}

gxnor_thread_pool* gxnor_thread_pool_create(void) {
  gxnor_thread_pool* const pool = calloc(1, sizeof *pool);
  if (pool == NULL) return NULL;
  pthread_mutex_init(&pool->busy, NULL);
  pthread_mutex_init(&pool->lock, NULL);
  pthread_cond_init(&pool->wake, NULL);
  pool->process = getpid();
  return pool;
}

void gxnor_thread_pool_destroy(gxnor_thread_pool* pool) {
  if (pool == NULL) return;
  /* A forked process has copies of the locks, but not the threads. */
  if (pool->process != getpid()) return;
  atomic_store(&pool->stop, true);
  pthread_mutex_lock(&pool->lock);
  pthread_cond_broadcast(&pool->wake);
  pthread_mutex_unlock(&pool->lock);
  for (int32_t i = 0; i < pool->started; ++i) {
    pthread_join(pool->threads[i], NULL);
  }
  pthread_cond_destroy(&pool->wake);
  pthread_mutex_destroy(&pool->lock);
  pthread_mutex_destroy(&pool->busy);
  free(pool);
}

void gxnor_thread_pool_run(gxnor_thread_pool* pool, int32_t threads,
                           void (*task)(void* argument, int32_t index),
                           void* argument, int32_t count) {
  uint64_t ticket;
  if (threads <= 1 || count <= 1 || pool->process != getpid() ||
      pthread_mutex_trylock(&pool->busy) != 0) {
    for (int32_t i = 0; i < count; ++i) task(argument, i);
    return;
  }
  start_helpers(pool, threads - 1);
  /* All tasks of the last job are done. While its number stands beside an
   * index behind the last task, nobody takes one. */
  ticket = atomic_load(&pool->ticket) | kNoTask;
  atomic_store(&pool->ticket, ticket);
  atomic_store(&pool->task, task);
  atomic_store(&pool->argument, argument);
  atomic_store(&pool->helpers, threads - 1);
  atomic_store(&pool->done, 0);
  atomic_store(&pool->count, count);
  atomic_store(&pool->ticket, (uint64_t)(job_of(ticket) + 1) << 32);
  wake_helpers(pool);
  work(pool, -1);
  for (int32_t i = 0; atomic_load(&pool->done) < count; ++i) {
    if (i < kSpins) {
      pause_briefly();
    } else {
      sched_yield();
    }
  }
  pthread_mutex_unlock(&pool->busy);
}
