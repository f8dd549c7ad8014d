/* SPDX-License-Identifier: Apache-2.0 */
#include "run.h"

#include "gxnor_conv2d_internal.h"
#include "max_pool.h"

void gxnor_host_run_here(void* runner, gxnor_host_task task, void* argument,
                         int32_t count) {
  (void)runner;
  for (int32_t i = 0; i < count; ++i) task(argument, i);
}

void gxnor_host_conv2d_run(const gxnor_host_conv2d* plan, const void* input,
                           const void* packed, void* scratch, void* output,
                           gxnor_host_run_tasks run_tasks, void* runner) {
  const bool pool = gxnor_conv2d_has_pool(&plan->params);
  uint8_t* const memory = scratch;
  const bool threads = run_tasks != NULL && plan->worth_threads;
  const gxnor_host_call call = {
      .plan = plan,
      .input = input,
      .packed = packed,
      .scratch = scratch,
      .states =
          pool ? (uint32_t*)(void*)(memory + plan->states_offset) : output,
      .sums = output,
      .run_tasks = threads ? run_tasks : gxnor_host_run_here,
      .runner = runner,
  };
  if (plan->blocks > 0) gxnor_host_run_events(&call);
  if (plan->dense_groups > 0) gxnor_host_run_dense(&call);
  if (pool) {
    gxnor_host_max_pool(&plan->params, &plan->shape, call.states, output,
                        call.run_tasks, runner);
  }
}
