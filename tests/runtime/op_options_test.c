/* SPDX-License-Identifier: Apache-2.0 */
#include "op_options.h"

#include "check.h"
#include "options_writer.h"
#include "problem.h"

static const entry kFullyConnectedEntries[] = {
    {"input_channels", 40}, {"output_channels", 10}, {"version", 1}};

enum { kMessageSize = 256 };

static void print(void* where, const char* format, va_list arguments) {
  vsnprintf(where, kMessageSize, format, arguments);
}

static bool read_bytes(gxnor_op op, const void* bytes, size_t size,
                       gxnor_op_params* params, char message[kMessageSize]) {
  const gxnor_op_report report = {print, message};
  return gxnor_op_read_options(op, bytes, size, params, &report);
}

static bool read(gxnor_op op, const entry* entries, size_t count,
                 gxnor_op_params* params, char message[kMessageSize]) {
  writer w;
  write_map(&w, entries, count, 4);
  return read_bytes(op, w.bytes, w.size, params, message);
}

static void test_names(void) {
  CHECK_EQ(gxnor_op_from_name("GxnorConv2D"), GXNOR_OP_CONV_2D);
  CHECK_EQ(gxnor_op_from_name("GxnorFullyConnected"), GXNOR_OP_FULLY_CONNECTED);
  CHECK_EQ(gxnor_op_from_name("GxnorDepthwiseConv2D"),
           GXNOR_OP_DEPTHWISE_CONV_2D);
  CHECK_EQ(gxnor_op_from_name("GxnorMaxPool2D"), GXNOR_OP_MAX_POOL_2D);
  CHECK_EQ(gxnor_op_from_name("GxnorPack"), GXNOR_OP_PACK);
  CHECK_EQ(gxnor_op_from_name("GxnorUnpack"), GXNOR_OP_UNPACK);
  for (int op = GXNOR_OP_CONV_2D; op <= GXNOR_OP_UNPACK; ++op) {
    CHECK_EQ(gxnor_op_from_name(gxnor_op_name((gxnor_op)op)), op);
  }
  CHECK_EQ(gxnor_op_from_name("GxnorConv2"), GXNOR_OP_UNKNOWN);
  CHECK_EQ(gxnor_op_from_name(""), GXNOR_OP_UNKNOWN);
}

static void test_fully_connected(void) {
  gxnor_op_params params;
  char message[kMessageSize];
  CHECK(read(GXNOR_OP_FULLY_CONNECTED, kFullyConnectedEntries, 3, &params,
             message));
  CHECK_EQ(params.conv2d.input_channels, 40);
  CHECK_EQ(params.conv2d.output_channels, 10);
  CHECK_EQ(params.conv2d.kernel_height, 0);
}

static void test_pack(void) {
  static const entry kEntries[] = {
      {"channels", 33}, {"version", 1}, {"input_channels", 33}};
  static const gxnor_op kOps[] = {GXNOR_OP_PACK, GXNOR_OP_UNPACK};
  for (int i = 0; i < 2; ++i) {
    gxnor_op_params params;
    char message[kMessageSize] = "";
    CHECK(read(kOps[i], kEntries, 2, &params, message));
    CHECK_EQ(params.pack.channels, 33);
    CHECK_EQ(params.pack.positions, 0);
    CHECK(!read(kOps[i], kEntries, 1, &params, message));
    CHECK(strstr(message, "`version` is missing") != NULL);
    CHECK(!read(kOps[i], kEntries + 1, 1, &params, message));
    CHECK(strstr(message, "`channels` is missing") != NULL);
    CHECK(!read(kOps[i], kEntries, 3, &params, message));
    CHECK(strstr(message, "`input_channels` is unknown") != NULL);
  }
}

/* Every option goes to the member of its name: each has its own value. */
static void test_conv2d(void) {
  entry entries[kConv2dEntryCount];
  gxnor_op_params params;
  const gxnor_conv2d_params* const p = &params.conv2d;
  char message[kMessageSize];
  memcpy(entries, kConv2dEntries, sizeof entries);
  for (int i = 0; i + 1 < kConv2dEntryCount; ++i) entries[i].value = 10 + i;
  CHECK(read(GXNOR_OP_CONV_2D, entries, kConv2dEntryCount, &params, message));
  CHECK_EQ(p->dilation_height, 10);
  CHECK_EQ(p->dilation_width, 11);
  CHECK_EQ(p->input_channels, 12);
  CHECK_EQ(p->kernel_height, 13);
  CHECK_EQ(p->kernel_width, 14);
  CHECK_EQ(p->output_channels, 15);
  CHECK_EQ(p->pad_bottom, 16);
  CHECK_EQ(p->pad_left, 17);
  CHECK_EQ(p->pad_right, 18);
  CHECK_EQ(p->pad_top, 19);
  CHECK_EQ(p->pool_height, 20);
  CHECK_EQ(p->pool_pad_bottom, 21);
  CHECK_EQ(p->pool_pad_left, 22);
  CHECK_EQ(p->pool_pad_right, 23);
  CHECK_EQ(p->pool_pad_top, 24);
  CHECK_EQ(p->pool_stride_height, 25);
  CHECK_EQ(p->pool_stride_width, 26);
  CHECK_EQ(p->pool_width, 27);
  CHECK_EQ(p->stride_height, 28);
  CHECK_EQ(p->stride_width, 29);
}

/* The same options, but one number of channels. */
static void test_depthwise(void) {
  entry entries[kConv2dEntryCount];
  gxnor_op_params params, expected;
  char message[kMessageSize] = "";
  size_t count = 0;
  for (size_t i = 0; i < kConv2dEntryCount; ++i) {
    const char* const key = kConv2dEntries[i].key;
    if (strcmp(key, "output_channels") == 0) continue;
    entries[count] = kConv2dEntries[i];
    if (strcmp(key, "input_channels") == 0) entries[count].key = "channels";
    ++count;
  }
  CHECK(read(GXNOR_OP_DEPTHWISE_CONV_2D, entries, count, &params, message));
  CHECK(read(GXNOR_OP_CONV_2D, kConv2dEntries, kConv2dEntryCount, &expected,
             message));
  expected.conv2d.output_channels = expected.conv2d.input_channels;
  CHECK(memcmp(&params, &expected, sizeof params) == 0);
  CHECK(!read(GXNOR_OP_DEPTHWISE_CONV_2D, kConv2dEntries, kConv2dEntryCount,
              &params, message));
  CHECK(strstr(message, "`input_channels` is unknown") != NULL);
}

static void test_max_pool(void) {
  static const entry kEntries[] = {
      {"channels", 40},  {"pad_bottom", 5},    {"pad_left", 6},
      {"pad_right", 7},  {"pad_top", 4},       {"pool_height", 8},
      {"pool_width", 9}, {"stride_height", 2}, {"stride_width", 3},
      {"version", 1},
  };
  enum { kCount = sizeof kEntries / sizeof kEntries[0] };
  const gxnor_max_pool2d_params expected = {0, 0, 0, 40, 8, 9,
                                            2, 3, 4, 5,  6, 7};
  gxnor_op_params params;
  char message[kMessageSize] = "";
  CHECK(read(GXNOR_OP_MAX_POOL_2D, kEntries, kCount, &params, message));
  CHECK(memcmp(&params.max_pool2d, &expected, sizeof expected) == 0);
  CHECK(
      !read(GXNOR_OP_MAX_POOL_2D, kEntries + 1, kCount - 1, &params, message));
  CHECK(strstr(message, "`channels` is missing") != NULL);
}

/* Checks that options are refused with a message that has the given text. */
static void check_refused(const entry* entries, size_t count,
                          const char* text) {
  gxnor_op_params params;
  char message[kMessageSize] = "";
  CHECK(!read(GXNOR_OP_CONV_2D, entries, count, &params, message));
  CHECK(strstr(message, text) != NULL);
}

static void test_missing(void) {
  for (size_t skip = 0; skip < kConv2dEntryCount; ++skip) {
    entry entries[kConv2dEntryCount];
    char text[64];
    size_t count = 0;
    for (size_t i = 0; i < kConv2dEntryCount; ++i) {
      if (i != skip) entries[count++] = kConv2dEntries[i];
    }
    snprintf(text, sizeof text, "`%s` is missing", kConv2dEntries[skip].key);
    check_refused(entries, count, text);
  }
}

static void test_range(void) {
  static const int64_t kWrong[] = {-1, INT64_C(-9000000000), INT64_C(1) << 31,
                                   INT64_MAX};
  for (size_t i = 0; i + 1 < kConv2dEntryCount; ++i) {
    entry entries[kConv2dEntryCount];
    char text[64];
    memcpy(entries, kConv2dEntries, sizeof entries);
    for (size_t j = 0; j < sizeof kWrong / sizeof kWrong[0]; ++j) {
      gxnor_op_params params;
      char message[kMessageSize] = "";
      writer w;
      entries[i].value = kWrong[j];
      write_map(&w, entries, kConv2dEntryCount, 8);
      snprintf(text, sizeof text, "`%s` is %" PRId64, entries[i].key,
               kWrong[j]);
      CHECK(!read_bytes(GXNOR_OP_CONV_2D, w.bytes, w.size, &params, message));
      CHECK(strstr(message, text) != NULL);
    }
    if (kConv2dEntries[i].value == 1) { /* Not a padding. */
      entries[i].value = 0;
      check_refused(entries, kConv2dEntryCount, "is 0, out of range");
    }
  }
}

static void test_other_maps(void) {
  entry entries[kConv2dEntryCount + 1];
  memcpy(entries, kConv2dEntries, sizeof kConv2dEntries);
  entries[kConv2dEntryCount].key = "groups\n";
  entries[kConv2dEntryCount].value = 2;
  check_refused(entries, kConv2dEntryCount + 1, "`groups?` is unknown");
  entries[kConv2dEntryCount].key = "pad_top";
  check_refused(entries, kConv2dEntryCount + 1, "`pad_top` is there twice");
  /* Another version may have other options, so it is refused first. */
  entries[kConv2dEntryCount].key = "groups";
  set_entry(entries, kConv2dEntryCount, "version", 2);
  check_refused(entries, kConv2dEntryCount + 1, "`version` is 2");
  check_refused(entries, 0, "`version` is missing");
}

static void test_no_map(void) {
  gxnor_op_params params;
  char message[kMessageSize] = "";
  writer w;
  CHECK(!read_bytes(GXNOR_OP_CONV_2D, NULL, 0, &params, message));
  CHECK(strstr(message, "0 bytes, are no flexbuffer map") != NULL);
  write_map(&w, kConv2dEntries, kConv2dEntryCount, 4);
  w.bytes[w.size - 4 - kConv2dEntryCount] = 3 << 2 | 2; /* First is FLOAT. */
  CHECK(!read_bytes(GXNOR_OP_CONV_2D, w.bytes, w.size, &params, message));
  CHECK(strstr(message, "entry 0 of its options is no integer") != NULL);
}

int main(void) {
  test_names();
  test_fully_connected();
  test_pack();
  test_conv2d();
  test_depthwise();
  test_max_pool();
  test_missing();
  test_range();
  test_other_maps();
  test_no_map();
  return check_result();
}
