/* SPDX-License-Identifier: Apache-2.0 */
/* The C kernels and the host's kernels, called as a program in C calls them.
 *
 * Input: flags, the parameters, one byte each, and data. What the parameters'
 * checks accept runs on memory of exactly the sizes that follow from them, and
 * right data must give the right result on all kernels, with any buffer. */
#define _POSIX_C_SOURCE 200112L /* posix_memalign */

#include <stdbool.h>

#include "depthwise_problem.h"
#include "fuzz_bytes.h"
#include "gxnor/fully_connected.h"
#include "gxnor/max_pool2d.h"
#include "gxnor/pack.h"
#include "host_conv2d.h"
#include "host_depthwise_conv2d.h"

/* Products and words beyond which a case would take long. */
enum { kMostWork = 1 << 17, kMostWords = 1 << 16 };

/* ---- Parameters ---- */

/* Mostly a small size, sometimes one at an end of a range. */
static int32_t take_size(fuzz_bytes* bytes) {
  static const int32_t kEnds[] = {
      64,      65,        255,           256,       1000,     8191,
      8192,    32767,     65535,         65536,     16777215, 16777216,
      1 << 28, INT32_MAX, INT32_MAX - 1, INT32_MIN, -1,
  };
  const uint8_t byte = take_byte(bytes);
  if (byte < 64) return byte;
  if (byte < 224) return byte % 4;
  return kEnds[byte % (sizeof kEnds / sizeof kEnds[0])];
}

/* The first bytes name the fields in order. */
static void take_sizes(fuzz_bytes* bytes, void* params, size_t size) {
  int32_t* const fields = params;
  for (size_t i = 0; i < size / sizeof *fields; ++i) {
    fields[i] = take_size(bytes);
  }
}

/* Whether a product of sizes >= 0 is at most `most`. */
static bool is_small(const int32_t* sizes, size_t count, int64_t most) {
  int64_t product = 1;
  for (size_t i = 0; i < count; ++i) {
    product *= sizes[i];
    if (product > most) return false;
  }
  return true;
}

static bool is_small_conv2d(const gxnor_conv2d_params* p,
                            const gxnor_conv2d_shape* s) {
  const int32_t work[] = {p->batches,        s->conv_height,   s->conv_width,
                          s->output_groups,  p->kernel_height, p->kernel_width,
                          p->input_channels, GXNOR_LANES};
  const int32_t windows[] = {p->batches,     s->output_height, s->output_width,
                             p->pool_height, p->pool_width,    s->output_groups,
                             GXNOR_LANES};
  const int32_t input[] = {p->batches, p->input_height, p->input_width,
                           s->input_groups, GXNOR_LANES};
  return is_small(work, 8, kMostWork) && is_small(windows, 7, kMostWork) &&
         is_small(input, 5, kMostWords);
}

/* ---- Data ---- */

typedef struct data {
  void* input;
  size_t input_bytes;
  uint32_t* weights;
  size_t weights_bytes;
  void* thresholds;
  size_t thresholds_bytes;
  void* expected;
  size_t output_bytes;
} data;

static void free_data(data* d) {
  free(d->input);
  free(d->weights);
  free(d->thresholds);
}

/* What is wrong in a case's data, if anything. */
typedef enum damage { kNone, kInputOnly, kAll, kDamages } damage;

static void damage_data(data* d, damage kind, const fuzz_bytes* bytes) {
  if (kind != kNone) fill_with(bytes, d->input, d->input_bytes);
  if (kind != kAll) return;
  fill_with(bytes, d->weights, d->weights_bytes);
  fill_with(bytes, d->thresholds, d->thresholds_bytes);
}

static void check_output(const data* d, damage kind, const void* output) {
  if (kind != kNone) return;
  REQUIRE(memcmp(output, d->expected, d->output_bytes) == 0);
}

/* ---- Convolutions ---- */

typedef struct conv2d_case {
  gxnor_conv2d_params params;
  bool s8, s32, depthwise;
  damage kind;
} conv2d_case;

static gxnor_status run_conv2d(const conv2d_case* c, const data* d,
                               void* buffer, size_t buffer_size, void* output) {
  const gxnor_conv2d_params* const p = &c->params;
  if (c->depthwise) {
    return c->s32
               ? gxnor_depthwise_conv2d_t2_s32(p, d->input, d->weights, output)
               : gxnor_depthwise_conv2d_t2_t2(p, d->input, d->weights,
                                              d->thresholds, output);
  }
  if (c->s32) {
    return c->s8 ? gxnor_conv2d_s8_s32(p, d->input, d->weights, buffer,
                                       buffer_size, output)
                 : gxnor_conv2d_t2_s32(p, d->input, d->weights, buffer,
                                       buffer_size, output);
  }
  return c->s8 ? gxnor_conv2d_s8_t2(p, d->input, d->weights, d->thresholds,
                                    buffer, buffer_size, output)
               : gxnor_conv2d_t2_t2(p, d->input, d->weights, d->thresholds,
                                    buffer, buffer_size, output);
}

static gxnor_status best_buffer(const conv2d_case* c, int32_t positions,
                                size_t* size) {
  *size = 0;
  if (c->depthwise) return GXNOR_OK;
  return c->s8 ? gxnor_conv2d_s8_get_buffer_size(&c->params, size)
               : gxnor_conv2d_get_buffer_size(&c->params, positions, size);
}

/* What the kernel of a case must refuse, and touch no memory. */
static void check_refused(const conv2d_case* c) {
  uint32_t* const nothing = new_block(0);
  const data d = {.input = nothing, .weights = nothing, .thresholds = nothing};
  REQUIRE(run_conv2d(c, &d, NULL, 0, nothing) == GXNOR_ERR_SHAPE);
  free(nothing);
}

/* Parameters that no kernel accepts. */
static void check_wrong_shape(const conv2d_case* c) {
  size_t size;
  check_refused(c);
  if (!c->depthwise) REQUIRE(best_buffer(c, 1, &size) == GXNOR_ERR_SHAPE);
}

static void run_with_buffers(const conv2d_case* c, const data* d,
                             fuzz_bytes* bytes) {
  const int32_t positions = take_byte(bytes) % 16 + 1;
  size_t sizes[4] = {0};
  REQUIRE(best_buffer(c, INT32_MAX, &sizes[1]) == GXNOR_OK);
  REQUIRE(best_buffer(c, positions, &sizes[2]) == GXNOR_OK);
  /* Odd sizes, too. */
  sizes[3] = sizes[1] * take_byte(bytes) / 255;
  for (size_t i = 0; i < (c->depthwise ? 1 : 4); ++i) {
    void* const output = new_block(d->output_bytes);
    void* const buffer = new_block(sizes[i]);
    memset(output, 0xA5, d->output_bytes);
    memset(buffer, 0xA5, sizes[i]);
    REQUIRE(run_conv2d(c, d, sizes[i] == 0 ? NULL : buffer, sizes[i], output) ==
            GXNOR_OK);
    check_output(d, c->kind, output);
    free(output);
    free(buffer);
  }
}

static void* new_aligned(size_t size) {
  void* block;
  if (posix_memalign(&block, GXNOR_HOST_ALIGNMENT, size == 0 ? 1 : size) != 0) {
    abort();
  }
  memset(block, 0xA5, size);
  return block;
}

static void run_host_conv2d(const conv2d_case* c, const data* d,
                            const gxnor_host_kernels* kernels, void* output) {
  gxnor_host_conv2d plan;
  void *packed, *scratch;
  if (gxnor_host_conv2d_plan(&c->params, c->s8, c->s32, kernels, &plan) !=
      GXNOR_OK) {
    return;
  }
  packed = new_aligned(plan.packed_bytes);
  scratch = new_aligned(plan.scratch_bytes);
  gxnor_host_conv2d_pack(&plan, d->weights, c->s32 ? NULL : d->thresholds,
                         packed);
  gxnor_host_conv2d_run(&plan, d->input, packed, scratch, output, NULL, NULL);
  check_output(d, c->kind, output);
  free(packed);
  free(scratch);
}

static void run_host_depthwise(const conv2d_case* c, const data* d,
                               const gxnor_host_kernels* kernels,
                               void* output) {
  gxnor_host_depthwise_conv2d plan;
  void* scratch;
  if (gxnor_host_depthwise_conv2d_plan(&c->params, c->s32, kernels, &plan) !=
      GXNOR_OK) {
    return;
  }
  scratch = new_aligned(plan.scratch_bytes);
  gxnor_host_depthwise_conv2d_run(&plan, d->input, d->weights,
                                  c->s32 ? NULL : d->thresholds, scratch,
                                  output, NULL, NULL);
  check_output(d, c->kind, output);
  free(scratch);
}

/* Weights and thresholds that a host packs were checked before; those that it
 * reads in place may have changed since. */
static void run_on_host(const conv2d_case* c, const data* d) {
  const char* name;
  if (c->kind == kAll && !c->depthwise) return;
  for (size_t i = 0; (name = gxnor_host_kernels_name(i)) != NULL; ++i) {
    void* const output = new_block(d->output_bytes);
    (c->depthwise ? run_host_depthwise : run_host_conv2d)(
        c, d, gxnor_host_find_kernels(name), output);
    free(output);
  }
}

/* Packs a problem whose sums and states are known; `weights` is the same, or
 * for a depthwise convolution the one with a single input channel. */
static void run_problem(const conv2d_case* c, const problem* p,
                        const problem* weights, fuzz_bytes* bytes) {
  const size_t channels = (size_t)p->params.output_channels;
  size_t words = count_sums(p);
  uint32_t* const states = pack_states(p->states, count_outputs(p) / channels,
                                       (int32_t)channels, &words);
  data d = {
      .weights = pack_weights(weights),
      .weights_bytes = (size_t)weights->shape.output_groups *
                       ((size_t)weights->shape.depth + 1) * 8,
      .expected = c->s32 ? (void*)p->sums : (void*)states,
      .output_bytes = 4 * (c->s32 ? count_sums(p) : words),
  };
  if (c->s8) {
    d.input_bytes = count_inputs(p);
    d.input = new_block(d.input_bytes);
    memcpy(d.input, p->input, d.input_bytes);
    d.thresholds = pair_thresholds(p);
    d.thresholds_bytes = 8 * channels;
  } else {
    d.input = pack_input(p);
    d.input_bytes = count_inputs(p) / (size_t)p->params.input_channels *
                    (size_t)p->shape.input_groups * 8;
    d.thresholds = pack_thresholds(weights);
    d.thresholds_bytes = (size_t)weights->shape.output_groups *
                         (size_t)weights->shape.planes * 8;
  }
  damage_data(&d, c->kind, bytes);
  run_with_buffers(c, &d, bytes);
  run_on_host(c, &d);
  free_data(&d);
  free(states);
}

static void fuzz_conv2d(conv2d_case* c, fuzz_bytes* bytes) {
  gxnor_conv2d_params* const p = &c->params;
  const uint32_t seed = take_number(bytes, 2);
  gxnor_conv2d_shape shape, full;
  gxnor_status status;
  take_sizes(bytes, p, sizeof *p);
  if (c->depthwise) p->output_channels = p->input_channels;
  status = c->depthwise ? gxnor_depthwise_conv2d_get_shape(p, &shape)
                        : gxnor_conv2d_get_shape(p, &shape);
  if (status != GXNOR_OK) {
    check_wrong_shape(c);
    return;
  }
  if (c->s32 && (p->pool_height != 1 || p->pool_width != 1 ||
                 p->pool_stride_height != 1 || p->pool_stride_width != 1)) {
    check_refused(c); /* Sums have no pool. */
    return;
  }
  if (!is_small_conv2d(p, &shape)) return;
  if (c->depthwise) {
    depthwise_problem d;
    if (gxnor_conv2d_get_shape(p, &full) != GXNOR_OK) return;
    d = make_depthwise_problem(*p, seed);
    run_problem(c, &d.full, &d.narrow, bytes);
    free_depthwise_problem(&d);
  } else {
    problem q = make_problem(*p, c->s8 ? 128 : 1, seed);
    solve(&q);
    run_problem(c, &q, &q, bytes);
    free_problem(&q);
  }
}

/* ---- Other kernels ---- */

static void fuzz_fully_connected(conv2d_case* c, fuzz_bytes* bytes) {
  int32_t sizes[5];
  gxnor_conv2d_params* const p = &c->params;
  const uint32_t seed = take_number(bytes, 2);
  gxnor_conv2d_shape shape;
  problem q;
  c->depthwise = false;
  take_sizes(bytes, sizes, sizeof sizes);
  REQUIRE(gxnor_fully_connected_get_params(sizes[0], sizes[1], sizes[2],
                                           sizes[3], sizes[4], p) == GXNOR_OK);
  if (gxnor_conv2d_get_shape(p, &shape) != GXNOR_OK) {
    check_wrong_shape(c);
    return;
  }
  REQUIRE(shape.output_height == 1 && shape.output_width == 1);
  if (!is_small_conv2d(p, &shape)) return;
  q = make_problem(*p, c->s8 ? 128 : 1, seed);
  solve(&q);
  run_problem(c, &q, &q, bytes);
  free_problem(&q);
}

static void fuzz_max_pool2d(fuzz_bytes* bytes) {
  gxnor_max_pool2d_params p;
  gxnor_max_pool2d_shape s;
  take_sizes(bytes, &p, sizeof p);
  if (gxnor_max_pool2d_get_shape(&p, &s) != GXNOR_OK) {
    uint32_t* const nothing = new_block(0);
    REQUIRE(gxnor_max_pool2d_t2(&p, nothing, nothing) == GXNOR_ERR_SHAPE);
    free(nothing);
    return;
  }
  const int32_t input[] = {p.batches, p.input_height, p.input_width, s.groups};
  const int32_t output[] = {p.batches, s.output_height, s.output_width,
                            s.groups};
  const int32_t windows[] = {p.batches,     s.output_height, s.output_width,
                             p.pool_height, p.pool_width,    s.groups};
  if (is_small(input, 4, kMostWords) && is_small(output, 4, kMostWords) &&
      is_small(windows, 6, 1 << 22)) {
    const size_t input_bytes = (size_t)p.batches * (size_t)p.input_height *
                               (size_t)p.input_width * (size_t)s.groups * 8;
    const size_t output_bytes = (size_t)p.batches * (size_t)s.output_height *
                                (size_t)s.output_width * (size_t)s.groups * 8;
    uint32_t* const from = new_block(input_bytes);
    uint32_t* const to = new_block(output_bytes);
    fill_with(bytes, from, input_bytes);
    REQUIRE(gxnor_max_pool2d_t2(&p, from, to) == GXNOR_OK);
    for (size_t i = 0; i < output_bytes / 8; ++i) {
      REQUIRE((to[2 * i] & to[2 * i + 1]) == 0);
    }
    free(from);
    free(to);
  }
}

static void fuzz_pack(fuzz_bytes* bytes) {
  gxnor_pack_params p;
  int32_t groups;
  take_sizes(bytes, &p, sizeof p);
  if (gxnor_pack_get_groups(&p, &groups) != GXNOR_OK) {
    uint32_t* const nothing = new_block(0);
    int8_t* const none = new_block(0);
    REQUIRE(gxnor_pack_s8_t2(&p, none, nothing) == GXNOR_ERR_SHAPE);
    REQUIRE(gxnor_unpack_t2_s8(&p, nothing, none) == GXNOR_ERR_SHAPE);
    free(nothing);
    free(none);
    return;
  }
  const int32_t sizes[] = {p.positions, groups, GXNOR_LANES};
  if (is_small(sizes, 3, kMostWords)) {
    const size_t count = (size_t)p.positions * (size_t)p.channels;
    const size_t packed_bytes = (size_t)p.positions * (size_t)groups * 8;
    int8_t* const states = new_block(count);
    int8_t* const again = new_block(count);
    uint32_t* const packed = new_block(packed_bytes);
    fill_with(bytes, packed, packed_bytes);
    REQUIRE(gxnor_unpack_t2_s8(&p, packed, again) == GXNOR_OK);
    fill_with(bytes, states, count);
    REQUIRE(gxnor_pack_s8_t2(&p, states, packed) == GXNOR_OK);
    REQUIRE(gxnor_unpack_t2_s8(&p, packed, again) == GXNOR_OK);
    for (size_t i = 0; i < count; ++i) {
      REQUIRE(again[i] == (states[i] > 0) - (states[i] < 0));
    }
    free(states);
    free(again);
    free(packed);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  fuzz_bytes left = {bytes, size};
  const uint8_t family = take_byte(&left) % 8;
  const uint8_t flags = take_byte(&left);
  conv2d_case c = {
      .s32 = (flags & 1) != 0,
      .s8 = family < 2,
      .depthwise = family == 4,
      .kind = (damage)((flags >> 1) % kDamages),
  };
  switch (family) {
    case 5:
      fuzz_max_pool2d(&left);
      break;
    case 6:
      fuzz_pack(&left);
      break;
    case 1:
    case 7:
      fuzz_fully_connected(&c, &left);
      break;
    default:
      fuzz_conv2d(&c, &left);
      break;
  }
  return 0;
}
