/* SPDX-License-Identifier: Apache-2.0 */
/* The options of a custom op, and the flexbuffer reader below.
 *
 * Input: one byte that names the op, then the options. */
#include "flexbuffer_map.h"
#include "fuzz_bytes.h"
#include "op_options.h"

/* The text of a refusal must be there and printable in full. */
static void print_text(void* where, const char* format, va_list arguments) {
  char text[512];
  const int length = vsnprintf(text, sizeof text, format, arguments);
  REQUIRE(length > 0 && (size_t)length < sizeof text);
  for (int i = 0; i < length; ++i) REQUIRE(text[i] >= ' ' && text[i] <= '~');
  *(int*)where += 1;
}

/* Accepted options are in the range that the kernels' headers say. */
static void check_conv2d(const gxnor_conv2d_params* p) {
  const int32_t sizes[] = {
      p->input_channels,  p->output_channels,    p->kernel_height,
      p->kernel_width,    p->stride_height,      p->stride_width,
      p->dilation_height, p->dilation_width,     p->pool_height,
      p->pool_width,      p->pool_stride_height, p->pool_stride_width,
  };
  const int32_t pads[] = {
      p->pad_top,      p->pad_bottom,      p->pad_left,      p->pad_right,
      p->pool_pad_top, p->pool_pad_bottom, p->pool_pad_left, p->pool_pad_right,
  };
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; ++i) {
    REQUIRE(sizes[i] >= 1);
  }
  for (size_t i = 0; i < sizeof pads / sizeof pads[0]; ++i) {
    REQUIRE(pads[i] >= 0);
  }
}

static void check_params(gxnor_op op, const gxnor_op_params* params) {
  switch (op) {
    case GXNOR_OP_CONV_2D:
    case GXNOR_OP_DEPTHWISE_CONV_2D:
      check_conv2d(&params->conv2d);
      break;
    case GXNOR_OP_FULLY_CONNECTED:
      REQUIRE(params->conv2d.input_channels >= 1);
      REQUIRE(params->conv2d.output_channels >= 1);
      break;
    case GXNOR_OP_MAX_POOL_2D:
      REQUIRE(params->max_pool2d.channels >= 1);
      REQUIRE(params->max_pool2d.pool_height >= 1);
      REQUIRE(params->max_pool2d.stride_width >= 1);
      break;
    default:
      REQUIRE(params->pack.channels >= 1);
      break;
  }
}

static void read_all_entries(const uint8_t* options, size_t size) {
  gxnor_flexbuffer_map map;
  if (!gxnor_flexbuffer_map_open(options, size, &map)) return;
  REQUIRE(map.count <= size);
  for (size_t i = 0; i <= map.count; ++i) {
    const char* key;
    int64_t value;
    if (!gxnor_flexbuffer_map_get(&map, i, &key, &value)) continue;
    REQUIRE(i < map.count && strlen(key) < size);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz_bytes bytes = {data, size};
  const gxnor_op op = (gxnor_op)(take_byte(&bytes) % GXNOR_OP_UNPACK + 1);
  size_t options_size = bytes.left;
  uint8_t* const options = take_block(&bytes, &options_size);
  int texts = 0;
  const gxnor_op_report report = {print_text, &texts};
  gxnor_op_params params;
  read_all_entries(options, options_size);
  if (gxnor_op_read_options(op, options, options_size, &params, &report)) {
    REQUIRE(texts == 0);
    check_params(op, &params);
  } else {
    REQUIRE(texts == 1);
  }
  free(options);
  return 0;
}
