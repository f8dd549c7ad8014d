/* SPDX-License-Identifier: Apache-2.0 */
#include "op_constants.h"

#include "../src/gxnor_conv2d_internal.h"

bool gxnor_op_check_alignment(const char* what, const gxnor_op_tensor* tensor,
                              const gxnor_op_report* report) {
  if (tensor->constant && (uintptr_t)tensor->data % sizeof(int32_t) != 0) {
    return gxnor_op_fail(
        report,
        "the data of the %s must be 4-byte aligned in the file, and the file "
        "16-byte aligned in memory; export the model again",
        what);
  }
  return true;
}

/* Checks that a tensor is an int32 constant of the given shape. */
static bool check_constant(const char* what, const gxnor_op_tensor* tensor,
                           const int* sizes, int rank,
                           const gxnor_op_report* report) {
  uint64_t bytes = sizeof(int32_t);
  bool fits = tensor->rank == rank;
  char wanted[kGxnorShapeTextSize];
  char received[kGxnorShapeTextSize];
  for (int i = 0; i < rank; ++i) {
    fits = fits && tensor->sizes[i] == sizes[i];
    bytes *= (uint64_t)sizes[i];
  }
  if (!fits) {
    return gxnor_op_fail(
        report, "the %s must have the shape (%s); received (%s)", what,
        gxnor_shape_text(sizes, rank, wanted),
        gxnor_shape_text(tensor->sizes, tensor->rank, received));
  }
  if (!tensor->constant || tensor->data == NULL || tensor->bytes != bytes) {
    return gxnor_op_fail(
        report, "the %s must be a constant of %s bytes; received %s bytes, %s",
        what, gxnor_number_text((int64_t)bytes, wanted),
        gxnor_number_text((int64_t)tensor->bytes, received),
        tensor->constant ? "constant" : "not constant");
  }
  return gxnor_op_check_alignment(what, tensor, report);
}

bool gxnor_op_check_weights(const gxnor_op_tensor* weights,
                            int32_t output_channels,
                            const gxnor_conv2d_shape* shape,
                            const gxnor_op_report* report) {
  const int sizes[] = {(int)shape->output_groups, (int)shape->depth + 1, 2};
  const int32_t used = (output_channels - 1) % GXNOR_LANES + 1;
  const uint32_t unused_lanes = used == GXNOR_LANES ? 0 : ~(uint32_t)0 << used;
  const uint32_t* record;
  if (!check_constant("weights", weights, sizes, 3, report)) return false;
  record = weights->data;
  for (int32_t group = 0; group < shape->output_groups; ++group) {
    const bool last = group == shape->output_groups - 1;
    for (int32_t i = 0; i < shape->depth; ++i, record += 2) {
      if ((record[0] & record[1]) != 0 ||
          (last && (~record[1] & unused_lanes) != 0)) {
        return gxnor_op_fail(
            report,
            "record %d of weight group %d is {0x%08x, 0x%08x}, which "
            "no packed weights have; the file is damaged",
            (int)i, (int)group, (unsigned)record[0], (unsigned)record[1]);
      }
    }
    if (record[0] != 0 || record[1] != 0) {
      return gxnor_op_fail(
          report,
          "weight group %d does not end with the null record; the "
          "file is damaged",
          (int)group);
    }
    record += 2;
  }
  return true;
}

bool gxnor_op_check_sliced_thresholds(const gxnor_op_tensor* thresholds,
                                      int32_t output_channels,
                                      const gxnor_conv2d_shape* shape,
                                      const gxnor_op_report* report) {
  const int sizes[] = {(int)shape->output_groups, (int)shape->planes, 2};
  const uint32_t* words;
  if (!check_constant("thresholds", thresholds, sizes, 3, report)) return false;
  words = thresholds->data;
  for (int32_t group = 0; group < shape->output_groups; ++group) {
    for (int32_t lane = 0; lane < GXNOR_LANES; ++lane) {
      const bool used = output_channels - GXNOR_LANES * group > lane;
      const int32_t high =
          gxnor_conv2d_read_threshold(words, shape->planes, lane);
      const int32_t low =
          gxnor_conv2d_read_threshold(words + 1, shape->planes, lane);
      const bool right =
          used ? -shape->depth <= low && low <= high && high <= shape->depth + 1
               : low == -shape->depth && high == shape->depth + 1;
      if (!right) {
        return gxnor_op_fail(
            report,
            "lane %d of threshold group %d has high %d and low %d; "
            "%d <= low <= high <= %d must hold, with equality at "
            "both ends beyond the last channel; the file is damaged",
            (int)lane, (int)group, (int)high, (int)low, (int)-shape->depth,
            (int)shape->depth + 1);
      }
    }
    words += 2 * shape->planes;
  }
  return true;
}

bool gxnor_op_check_plain_thresholds(const gxnor_op_tensor* thresholds,
                                     int32_t output_channels,
                                     const gxnor_op_report* report) {
  const int sizes[] = {(int)output_channels, 2};
  const int32_t* pairs;
  if (!check_constant("thresholds", thresholds, sizes, 2, report)) return false;
  pairs = thresholds->data;
  for (int32_t i = 0; i < output_channels; ++i, pairs += 2) {
    if (pairs[1] > pairs[0]) {
      return gxnor_op_fail(
          report,
          "channel %d has high threshold %d and low threshold %d; "
          "low <= high must hold; the file is damaged",
          (int)i, (int)pairs[0], (int)pairs[1]);
    }
  }
  return true;
}
