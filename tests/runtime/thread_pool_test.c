/* SPDX-License-Identifier: Apache-2.0 */
/* For fork and nanosleep. */
#define _POSIX_C_SOURCE 200809L

#include "thread_pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

enum { kTasks = 1000 };

/* How often each task ran. */
typedef struct counts {
  _Atomic int32_t task[kTasks];
} counts;

static void count(void* argument, int32_t index) {
  counts* const c = argument;
  atomic_fetch_add(&c->task[index], 1);
}

/* Runs jobs of many sizes, each task of which must run once; returns how many
 * did not. */
static int32_t run_jobs(gxnor_thread_pool* pool, int32_t threads,
                        int32_t jobs) {
  counts* const c = calloc(1, sizeof *c);
  int32_t wrong = 0;
  for (int32_t job = 0; job < jobs; ++job) {
    const int32_t size = job * 37 % kTasks;
    for (int32_t i = 0; i < kTasks; ++i) atomic_store(&c->task[i], 0);
    gxnor_thread_pool_run(pool, threads, count, c, size);
    for (int32_t i = 0; i < kTasks; ++i) {
      wrong += atomic_load(&c->task[i]) != (i < size);
    }
  }
  free(c);
  return wrong;
}

static void test_each_task_runs_once(void) {
  gxnor_thread_pool* const pool = gxnor_thread_pool_create();
  const int32_t threads[] = {-1, 0, 1, 2, 5, 2, 100, 3};
  for (int32_t i = 0; i < 8; ++i) {
    CHECK_EQ(run_jobs(pool, threads[i], 200), 0);
  }
  gxnor_thread_pool_destroy(pool);
}

/* Threads that slept are woken. */
static void test_pauses(void) {
  const struct timespec pause = {0, 2000000};
  gxnor_thread_pool* const pool = gxnor_thread_pool_create();
  for (int32_t i = 0; i < 20; ++i) {
    CHECK_EQ(run_jobs(pool, 3, 3), 0);
    nanosleep(&pause, NULL);
  }
  gxnor_thread_pool_destroy(pool);
}

typedef struct caller {
  gxnor_thread_pool* pool;
  pthread_t thread;
  int32_t wrong;
} caller;

static void* run_many(void* argument) {
  caller* const self = argument;
  self->wrong = run_jobs(self->pool, 3, 300);
  return NULL;
}

/* One caller has the threads, the others do without. */
static void test_several_callers(void) {
  gxnor_thread_pool* const pool = gxnor_thread_pool_create();
  caller callers[3];
  for (int i = 0; i < 3; ++i) {
    callers[i].pool = pool;
    CHECK_EQ(pthread_create(&callers[i].thread, NULL, run_many, &callers[i]),
             0);
  }
  for (int i = 0; i < 3; ++i) {
    pthread_join(callers[i].thread, NULL);
    CHECK_EQ(callers[i].wrong, 0);
  }
  gxnor_thread_pool_destroy(pool);
}

/* Threads that are in a task at the same time, and the most of them. */
typedef struct crowd {
  _Atomic int32_t now, most;
} crowd;

static void enter(void* argument, int32_t index) {
  crowd* const c = argument;
  const int32_t now = atomic_fetch_add(&c->now, 1) + 1;
  int32_t most = atomic_load(&c->most);
  (void)index;
  while (now > most && !atomic_compare_exchange_weak(&c->most, &most, now)) {
  }
  for (int i = 0; i < 50; ++i) atomic_load(&c->most);
  atomic_fetch_sub(&c->now, 1);
}

/* No more threads help than were asked for, though there are more. */
static void test_limit(void) {
  gxnor_thread_pool* const pool = gxnor_thread_pool_create();
  int32_t most = 0;
  for (int32_t i = 0; i < 2000; ++i) {
    crowd wide = {0, 0}, narrow = {0, 0};
    gxnor_thread_pool_run(pool, 8, enter, &wide, 40);
    gxnor_thread_pool_run(pool, 2, enter, &narrow, 40);
    if (atomic_load(&narrow.most) > most) most = atomic_load(&narrow.most);
  }
  CHECK(most <= 2);
  gxnor_thread_pool_destroy(pool);
}

/* A forked process has no threads of the pool, and needs none. */
static void test_fork(void) {
  gxnor_thread_pool* const pool = gxnor_thread_pool_create();
  pid_t child;
  int status = -1;
  CHECK_EQ(run_jobs(pool, 3, 10), 0);
  child = fork();
  if (child == 0) {
    alarm(20);
    status = run_jobs(pool, 3, 10);
    gxnor_thread_pool_destroy(pool);
    _exit(status != 0);
  }
  CHECK_EQ(waitpid(child, &status, 0), child);
  CHECK_EQ(status, 0);
  gxnor_thread_pool_destroy(pool);
}

int main(void) {
  test_each_task_runs_once();
  test_pauses();
  test_several_callers();
  test_limit();
  test_fork();
  gxnor_thread_pool_destroy(NULL);
  return check_result();
}
