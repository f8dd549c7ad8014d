/* SPDX-License-Identifier: Apache-2.0 */
#include "gxnor_shape_internal.h"

#include "gxnor/types.h"

int gxnor_all_at_least(int32_t least, const int32_t* values, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    if (values[i] < least) return 0;
  }
  return 1;
}

int32_t gxnor_count_windows(int32_t size, int32_t pad_before, int32_t pad_after,
                            int32_t window, int32_t dilation, int32_t stride) {
  const int64_t padded = (int64_t)size + pad_before + pad_after;
  const int64_t extent = (int64_t)(window - 1) * dilation + 1;
  if (padded > INT32_MAX || extent > padded) return 0;
  /* 32 bits wide, for a Cortex-M divides these in hardware. */
  return (int32_t)(padded - extent) / stride + 1;
}

int32_t gxnor_bounded_product(int32_t a, int32_t b, int32_t c, int32_t d,
                              int32_t limit) {
  const int32_t factors[] = {b, c, d};
  int64_t product = a;
  for (size_t i = 0; i < sizeof factors / sizeof factors[0]; ++i) {
    product *= factors[i];
    if (product > limit) return 0;
  }
  return (int32_t)product;
}

int32_t gxnor_count_groups(int32_t channels) {
  return (channels - 1) / GXNOR_LANES + 1;
}

int32_t gxnor_position_size(int32_t channels, int32_t groups) {
  return channels > 2 * groups ? channels : 2 * groups;
}

void gxnor_clip_window(int32_t index, int32_t stride, int32_t pad,
                       int32_t window, int32_t size, int32_t* begin,
                       int32_t* end) {
  const int32_t start = index * stride - pad;
  *begin = start > 0 ? start : 0;
  *end = window < size - start ? start + window : size;
}
