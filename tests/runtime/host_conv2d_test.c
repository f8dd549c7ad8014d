/* SPDX-License-Identifier: Apache-2.0 */
/* The host's kernels, all that this processor has, against a convolution term
 * by term. Buffers have exactly the size asked for: a sanitizer looks on. */
#include "host_conv2d.h"

#include "check.h"
#include "kernels.h"
#include "problem.h"
#include "thread_pool.h"

typedef struct kind {
  bool s8_input, s32_output;
} kind;

/* Aligned memory filled with rubbish. */
static void* make_buffer(size_t size) {
  const size_t unit = GXNOR_HOST_ALIGNMENT;
  void* const memory = aligned_alloc(unit, (size / unit + 1) * unit);
  if (memory == NULL) abort();
  memset(memory, 0xA5, size);
  return memory;
}

/* A problem's tensors as the kernels want them. */
typedef struct tensors {
  void* input;
  uint32_t* weights;
  void* thresholds;
  void* expected;
  size_t output_bytes;
} tensors;

static tensors make_tensors(problem* p, kind k) {
  const size_t channels = (size_t)p->params.output_channels;
  tensors t;
  size_t words;
  solve(p);
  t.input = NULL;
  if (!k.s8_input) t.input = pack_input(p);
  t.weights = pack_weights(p);
  t.thresholds =
      k.s8_input ? (void*)pair_thresholds(p) : (void*)pack_thresholds(p);
  if (k.s32_output) {
    t.output_bytes = count_sums(p) * sizeof(int32_t);
    t.expected = allocate(count_sums(p), sizeof(int32_t));
    memcpy(t.expected, p->sums, t.output_bytes);
  } else {
    t.expected = pack_states(p->states, count_outputs(p) / channels,
                             (int32_t)channels, &words);
    t.output_bytes = words * sizeof(uint32_t);
  }
  return t;
}

static void free_tensors(tensors* t) {
  free(t->input);
  free(t->weights);
  free(t->thresholds);
  free(t->expected);
}

static void in_pool(void* pool, gxnor_host_task task, void* argument,
                    int32_t count) {
  gxnor_thread_pool_run(pool, 3, task, argument, count);
}

/* How often the widest blocks of events met more than one position. */
static int widest_blocks;

/* Runs one kernel set twice, alone and with a pool of threads. */
static void check_kernels(const problem* p, kind k, const tensors* t,
                          const gxnor_host_kernels* kernels,
                          gxnor_thread_pool* pool) {
  gxnor_host_conv2d plan;
  void *packed, *scratch, *output;
  CHECK_EQ(gxnor_host_conv2d_plan(&p->params, k.s8_input, k.s32_output, kernels,
                                  &plan),
           GXNOR_OK);
  if (plan.block != NULL && plan.positions > 1) {
    if (plan.block == kernels->blocks) ++widest_blocks;
  }
  plan.worth_threads = true;
  packed = make_buffer(plan.packed_bytes);
  scratch = make_buffer(plan.scratch_bytes);
  gxnor_host_conv2d_pack(&plan, t->weights, k.s32_output ? NULL : t->thresholds,
                         packed);
  for (int run = 0; run < 2; ++run) {
    output = make_buffer(t->output_bytes);
    gxnor_host_conv2d_run(&plan, k.s8_input ? (const void*)p->input : t->input,
                          packed, scratch, output, run == 0 ? NULL : in_pool,
                          pool);
    if (memcmp(output, t->expected, t->output_bytes) != 0) {
      printf("%s, s8 %d, s32 %d, run %d, channels %d to %d\n", kernels->name,
             k.s8_input, k.s32_output, run, (int)p->params.input_channels,
             (int)p->params.output_channels);
      CHECK(false);
    }
    free(output);
  }
  free(packed);
  free(scratch);
}

static void check_problem(problem* p, kind k, gxnor_thread_pool* pool) {
  tensors t = make_tensors(p, k);
  const char* name;
  for (size_t i = 0; (name = gxnor_host_kernels_name(i)) != NULL; ++i) {
    check_kernels(p, k, &t, gxnor_host_find_kernels(name), pool);
  }
  CHECK(true);
  free_tensors(&t);
}

static void test_all_cases(gxnor_thread_pool* pool) {
  for (int kinds = 0; kinds < 4; ++kinds) {
    const kind k = {(kinds & 1) != 0, (kinds & 2) != 0};
    gxnor_conv2d_params params;
    for (int32_t i = 0; get_case(i, !k.s32_output, &params); ++i) {
      problem p = make_problem(params, k.s8_input ? 128 : 1, (uint32_t)i);
      check_problem(&p, k, pool);
      free_problem(&p);
    }
  }
}

/* A fully connected op on a flat input. */
static gxnor_conv2d_params flat_params(int32_t batches, int32_t inputs,
                                       int32_t outputs) {
  gxnor_conv2d_params params = default_params(inputs, outputs);
  params.batches = batches;
  params.input_height = params.input_width = 1;
  params.kernel_height = params.kernel_width = 1;
  return params;
}

/* Wide layers on few positions: blocks of events, and what is left of them.
 * Numbers of events around the multiples of 8, deep sums. */
static void test_events(gxnor_thread_pool* pool) {
  static const int32_t kInputs[] = {64, 65, 100, 513, 3000};
  static const int32_t kOutputs[] = {32, 64, 256, 511, 512, 600, 1025};
  for (size_t i = 0; i < 5; ++i) {
    for (size_t o = 0; o < 7; ++o) {
      const kind k = {false, false};
      problem p = make_problem(
          flat_params((int32_t)(o % 3) + 1, kInputs[i], kOutputs[o]), 1,
          (uint32_t)(7 * i + o));
      check_problem(&p, k, pool);
      free_problem(&p);
    }
  }
}

/* Wide layers on many positions: blocks of every width, beside dense groups;
 * strides, padding, pools, images. */
static void test_wide_convolutions(gxnor_thread_pool* pool) {
  static const int32_t kOutputs[] = {97, 130, 260, 600};
  const int before = widest_blocks;
  int kernel_sets = 0;
  for (int i = 0; i < 8; ++i) {
    const kind k = {false, false};
    gxnor_conv2d_params params = default_params(70, kOutputs[i % 4]);
    problem p;
    params.batches = 2;
    params.input_height = 7;
    params.input_width = 9;
    params.kernel_width = 3;
    params.pad_left = 2;
    params.pad_bottom = 1;
    if (i >= 4) {
      params.stride_width = 2;
      params.pool_height = params.pool_width = 2;
      params.pool_stride_height = 2;
      params.pool_pad_right = 1;
    }
    p = make_problem(params, 1, (uint32_t)i);
    check_problem(&p, k, pool);
    free_problem(&p);
  }
  for (size_t i = 0; gxnor_host_kernels_name(i) != NULL; ++i) {
    const gxnor_host_kernels* const kernels =
        gxnor_host_find_kernels(gxnor_host_kernels_name(i));
    if (!kernels->counts_fast) ++kernel_sets;
  }
  CHECK(widest_blocks - before >= 4 * kernel_sets);
}

/* One position, but not of a kernel that covers its input. */
static void test_one_position(gxnor_thread_pool* pool) {
  for (int i = 0; i < 5; ++i) {
    const kind k = {false, false};
    gxnor_conv2d_params params = flat_params(1, 70, 600);
    problem p;
    params.input_height = 3;
    params.input_width = 2;
    params.kernel_height = 3;
    params.kernel_width = 2;
    switch (i) {
      case 1: /* Dilation. */
        params.kernel_height = 2;
        params.dilation_height = 2;
        break;
      case 2: /* Padding above. */
        params.pad_top = 1;
        params.kernel_height = 4;
        break;
      case 3: /* Padding that the stride skips. */
        params.pad_left = params.pad_right = 1;
        params.stride_width = 3;
        break;
      case 4: /* Inputs that the stride skips. */
        params.kernel_height = params.kernel_width = 1;
        params.stride_height = params.stride_width = 3;
        break;
      default:
        break;
    }
    p = make_problem(params, 1, (uint32_t)i);
    check_problem(&p, k, pool);
    free_problem(&p);
  }
}

/* All inputs and weights +1 or -1: the largest sums, and the counts of bits
 * in parts of a lane at their most. */
static void test_extremes(gxnor_thread_pool* pool) {
  for (int kinds = 0; kinds < 4; ++kinds) {
    for (int signs = 0; signs < 4; ++signs) {
      const kind k = {(kinds & 1) != 0, (kinds & 2) != 0};
      problem p = make_problem(flat_params(5, 4099, 33), 1, 1);
      for (size_t i = 0; i < count_inputs(&p); ++i) {
        p.input[i] = (int8_t)((signs & 1) != 0 ? 1 : -1);
        if (k.s8_input) p.input[i] = (int8_t)((signs & 1) != 0 ? 127 : -128);
      }
      for (size_t i = 0; i < (size_t)33 * 4099; ++i) {
        p.weights[i] = (int8_t)((signs & 2) != 0 ? 1 : -1);
      }
      check_problem(&p, k, pool);
      free_problem(&p);
    }
  }
}

/* More positions than a task has, and an image of several tasks. */
static void test_many_positions(gxnor_thread_pool* pool) {
  for (int kinds = 0; kinds < 4; ++kinds) {
    const kind k = {(kinds & 1) != 0, (kinds & 2) != 0};
    gxnor_conv2d_params params = default_params(33, 40);
    problem p;
    params.input_height = 23;
    params.input_width = 21;
    params.batches = 2;
    params.pad_left = 1;
    if (!k.s32_output) params.pool_height = params.pool_stride_height = 2;
    p = make_problem(params, k.s8_input ? 128 : 1, 1);
    check_problem(&p, k, pool);
    free_problem(&p);
  }
}

/* A channel set in both planes and tail bits: no matter what, memory outside
 * is left alone, and such a channel counts as 0. */
static void test_damaged_input(gxnor_thread_pool* pool) {
  const char* name;
  for (int32_t batches = 1; batches <= 4; batches += 3) {
    problem p = make_problem(flat_params(batches, 70, 1100), 1, 3);
    const kind k = {false, false};
    tensors t;
    memset(p.input, 0, count_inputs(&p));
    t = make_tensors(&p, k);
    memset(t.input, 0xFF, (size_t)batches * 6 * sizeof(uint32_t));
    for (size_t i = 0; (name = gxnor_host_kernels_name(i)) != NULL; ++i) {
      check_kernels(&p, k, &t, gxnor_host_find_kernels(name), pool);
    }
    free_tensors(&t);
    free_problem(&p);
  }
}

static void test_names(void) {
  const gxnor_host_kernels* const best = gxnor_host_find_kernels("auto");
  const char *name, *last = NULL;
  CHECK(best != NULL);
  CHECK(strcmp(best->name, gxnor_host_kernels_name(0)) == 0);
  for (size_t i = 0; (name = gxnor_host_kernels_name(i)) != NULL; ++i) {
    CHECK(strcmp(gxnor_host_find_kernels(name)->name, name) == 0);
    last = name;
  }
  CHECK(strcmp(last, "portable") == 0);
  CHECK(gxnor_host_find_kernels("avx1024") == NULL);
  CHECK(gxnor_host_find_kernels("") == NULL);
}

/* What would take much more memory than the input is refused. */
static void test_refusals(void) {
  const gxnor_host_kernels* const kernels = gxnor_host_find_kernels("auto");
  gxnor_conv2d_params params = default_params(3, 33);
  gxnor_host_conv2d plan;
  params.batches = 0;
  CHECK_EQ(gxnor_host_conv2d_plan(&params, false, false, kernels, &plan),
           GXNOR_ERR_SHAPE);
  params = default_params(3, 33);
  params.pad_left = 1 << 30;
  params.stride_width = 1 << 29;
  CHECK_EQ(gxnor_host_conv2d_plan(&params, false, false, kernels, &plan),
           GXNOR_ERR_SHAPE);
  params = default_params(3, 33);
  params.pad_left = params.pad_top = 1 << 20;
  params.pool_stride_height = params.pool_stride_width = 1 << 18;
  CHECK_EQ(gxnor_host_conv2d_plan(&params, false, false, kernels, &plan),
           GXNOR_ERR_SHAPE);
  /* States that a pool makes nothing of. */
  params = flat_params(1, 1, 3520000);
  params.input_height = params.input_width = 1000;
  params.pool_height = params.pool_width = 1000;
  CHECK_EQ(gxnor_host_conv2d_plan(&params, true, false, kernels, &plan),
           GXNOR_ERR_SHAPE);
}

/* Scratch memory is a small multiple of the tensors, however small the images
 * and many the batches. */
static void test_memory_of_small_images(void) {
  const gxnor_host_kernels* const kernels = gxnor_host_find_kernels("auto");
  gxnor_conv2d_params params = default_params(1, 1);
  gxnor_host_conv2d plan;
  params.batches = 1000;
  params.input_height = params.input_width = 1;
  params.kernel_height = params.kernel_width = 1;
  CHECK_EQ(gxnor_host_conv2d_plan(&params, false, false, kernels, &plan),
           GXNOR_OK);
  CHECK(plan.scratch_bytes <= 8 * 1000 + 64);
  /* 7 positions, 9 apart; only one of them sees the input. */
  params.pad_left = params.pad_right = params.pad_top = params.pad_bottom = 27;
  params.stride_height = params.stride_width = 9;
  CHECK_EQ(gxnor_host_conv2d_plan(&params, false, false, kernels, &plan),
           GXNOR_ERR_SHAPE);
  /* States of which a pool keeps one in 49. */
  params.stride_height = params.stride_width = 1;
  params.pad_left = params.pad_right = params.pad_top = params.pad_bottom = 3;
  params.pool_height = params.pool_width = 7;
  CHECK_EQ(gxnor_host_conv2d_plan(&params, false, false, kernels, &plan),
           GXNOR_OK);
  CHECK(plan.scratch_bytes <= 2 * 49 * (8 * 1000 + 64));
}

/* A kernel far higher than its input lists no more than the input. */
static void test_memory_of_high_kernels(void) {
  const gxnor_host_kernels* const kernels = gxnor_host_find_kernels("portable");
  gxnor_conv2d_params params = default_params(1, 600);
  gxnor_host_conv2d plan;
  params.input_height = 1;
  params.input_width = 3;
  params.kernel_height = 200;
  params.kernel_width = 1;
  params.pad_top = 199;
  params.stride_height = 1000;
  CHECK_EQ(gxnor_host_conv2d_plan(&params, false, false, kernels, &plan),
           GXNOR_OK);
  CHECK(plan.block != NULL);
  CHECK(plan.events_bytes <= 4 * (200 + 16 + 3 + 2 * 4) + 64);
}

/* A plan for another size of input keeps the packed weights, unless the sums
 * are found in another way. */
static void test_same_packing(void) {
  const gxnor_host_kernels* const kernels = gxnor_host_find_kernels("auto");
  gxnor_conv2d_params params = flat_params(1, 64, 1024);
  gxnor_host_conv2d one, two, many, dense;
  gxnor_host_conv2d_plan(&params, false, false, kernels, &one);
  params.batches = 2;
  gxnor_host_conv2d_plan(&params, false, false, kernels, &two);
  params.batches = 50;
  gxnor_host_conv2d_plan(&params, false, false, kernels, &many);
  gxnor_host_conv2d_plan(&params, false, true, kernels, &dense);
  CHECK(one.block != NULL);
  CHECK(gxnor_host_conv2d_same_packing(&one, &two));
  CHECK_EQ(gxnor_host_conv2d_same_packing(&one, &many), !kernels->counts_fast);
  CHECK(dense.block == NULL);
  CHECK(!gxnor_host_conv2d_same_packing(&one, &dense));
}

int main(void) {
  gxnor_thread_pool* const pool = gxnor_thread_pool_create();
  test_all_cases(pool);
  test_events(pool);
  test_wide_convolutions(pool);
  test_one_position(pool);
  test_extremes(pool);
  test_many_positions(pool);
  test_damaged_input(pool);
  test_names();
  test_refusals();
  test_memory_of_small_images();
  test_memory_of_high_kernels();
  test_same_packing();
  gxnor_thread_pool_destroy(pool);
  return check_result();
}
