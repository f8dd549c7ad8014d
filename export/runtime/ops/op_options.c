/* SPDX-License-Identifier: Apache-2.0 */
#include "op_options.h"

#include <string.h>

#include "flexbuffer_map.h"

enum { kVersion = 1 };

/* An option, its place in the parameters and its smallest value. */
typedef struct option {
  const char* name;
  size_t offset;
  int32_t least;
} option;

#define SIZE(name) {#name, offsetof(gxnor_op_params, conv2d.name), 1}
#define PAD(name) {#name, offsetof(gxnor_op_params, conv2d.name), 0}

static const char kVersionName[] = "version";

static const option kFullyConnectedOptions[] = {
    SIZE(input_channels),
    SIZE(output_channels),
};

#define WINDOW_AND_POOL                                                 \
  SIZE(kernel_height), SIZE(kernel_width), SIZE(stride_height),         \
      SIZE(stride_width), SIZE(dilation_height), SIZE(dilation_width),  \
      PAD(pad_top), PAD(pad_bottom), PAD(pad_left), PAD(pad_right),     \
      SIZE(pool_height), SIZE(pool_width), SIZE(pool_stride_height),    \
      SIZE(pool_stride_width), PAD(pool_pad_top), PAD(pool_pad_bottom), \
      PAD(pool_pad_left), PAD(pool_pad_right)

static const option kConv2dOptions[] = {
    SIZE(input_channels),
    SIZE(output_channels),
    WINDOW_AND_POOL,
};

/* The output has the channels of the input. */
static const option kDepthwiseOptions[] = {
    {"channels", offsetof(gxnor_op_params, conv2d.input_channels), 1},
    WINDOW_AND_POOL,
};

#undef WINDOW_AND_POOL
#undef SIZE
#undef PAD
#define SIZE(name) {#name, offsetof(gxnor_op_params, max_pool2d.name), 1}
#define PAD(name) {#name, offsetof(gxnor_op_params, max_pool2d.name), 0}

static const option kMaxPoolOptions[] = {
    SIZE(channels),      SIZE(pool_height),  SIZE(pool_width),
    SIZE(stride_height), SIZE(stride_width), PAD(pad_top),
    PAD(pad_bottom),     PAD(pad_left),      PAD(pad_right),
};

#undef SIZE
#undef PAD
#define SIZE(name) {#name, offsetof(gxnor_op_params, pack.name), 1}

static const option kPackOptions[] = {
    SIZE(channels),
};

#undef SIZE

/* In the order of gxnor_op. */
static const char* const kNames[] = {
    "",
    "GxnorConv2D",
    "GxnorFullyConnected",
    "GxnorDepthwiseConv2D",
    "GxnorMaxPool2D",
    "GxnorPack",
    "GxnorUnpack",
};

gxnor_op gxnor_op_from_name(const char* name) {
  for (int op = GXNOR_OP_CONV_2D; op <= GXNOR_OP_UNPACK; ++op) {
    if (strcmp(name, kNames[op]) == 0) return (gxnor_op)op;
  }
  return GXNOR_OP_UNKNOWN;
}

const char* gxnor_op_name(gxnor_op op) { return kNames[op]; }

void gxnor_copy_printable(const char* text, char* copy, size_t copy_size) {
  size_t i = 0;
  for (; i + 1 < copy_size && text[i] != '\0'; ++i) {
    copy[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
  }
  copy[i] = '\0';
}

/* Finds the table of an op's options. */
static const option* options_of(gxnor_op op, size_t* count) {
  switch (op) {
    case GXNOR_OP_CONV_2D:
      *count = sizeof kConv2dOptions / sizeof kConv2dOptions[0];
      return kConv2dOptions;
    case GXNOR_OP_FULLY_CONNECTED:
      *count = sizeof kFullyConnectedOptions / sizeof kFullyConnectedOptions[0];
      return kFullyConnectedOptions;
    case GXNOR_OP_DEPTHWISE_CONV_2D:
      *count = sizeof kDepthwiseOptions / sizeof kDepthwiseOptions[0];
      return kDepthwiseOptions;
    case GXNOR_OP_MAX_POOL_2D:
      *count = sizeof kMaxPoolOptions / sizeof kMaxPoolOptions[0];
      return kMaxPoolOptions;
    case GXNOR_OP_PACK:
    case GXNOR_OP_UNPACK:
      *count = sizeof kPackOptions / sizeof kPackOptions[0];
      return kPackOptions;
    default:
      *count = 0;
      return NULL;
  }
}

/* Checks that the map has our version, and that all its entries are numbers.
 * Other versions may have other options, so this comes first. */
static bool check_version(const gxnor_flexbuffer_map* map,
                          const gxnor_op_report* report) {
  bool found = false;
  int64_t version = 0;
  for (size_t i = 0; i < map->count; ++i) {
    const char* key;
    int64_t value;
    if (!gxnor_flexbuffer_map_get(map, i, &key, &value)) {
      return gxnor_op_fail(
          report,
          "entry %d of its options is no integer; the file is damaged, export "
          "the model again",
          (int)i);
    }
    if (strcmp(key, kVersionName) == 0) {
      found = true;
      version = value;
    }
  }
  if (!found) {
    return gxnor_op_fail(report,
                         "option `version` is missing; export the model again");
  }
  if (version != kVersion) {
    char text[kGxnorNumberTextSize];
    return gxnor_op_fail(
        report,
        "option `version` is %s, but this build of gxnor_tf knows version %d; "
        "update it, or export the model again",
        gxnor_number_text(version, text), kVersion);
  }
  return true;
}

/* Stores one entry of the map; `seen` has one flag for each option. */
static bool store(const char* key, int64_t value, const option* options,
                  size_t count, bool* seen, gxnor_op_params* params,
                  const gxnor_op_report* report) {
  char name[48];
  for (size_t i = 0; i < count; ++i) {
    const option* const o = &options[i];
    if (strcmp(key, o->name) != 0) continue;
    if (seen[i] || value < o->least || value > INT32_MAX) {
      char text[kGxnorNumberTextSize];
      return gxnor_op_fail(
          report, "option `%s` is %s%s, %s; export the model again", o->name,
          seen[i] ? "there twice, the second time as " : "",
          gxnor_number_text(value, text),
          seen[i] ? "but may be there once" : "out of range");
    }
    seen[i] = true;
    *(int32_t*)(void*)((char*)params + o->offset) = (int32_t)value;
    return true;
  }
  gxnor_copy_printable(key, name, sizeof name);
  return gxnor_op_fail(
      report,
      "option `%s` is unknown in version %d; update gxnor_tf, or export the "
      "model again",
      name, kVersion);
}

bool gxnor_op_read_options(gxnor_op op, const void* buffer, size_t size,
                           gxnor_op_params* params,
                           const gxnor_op_report* report) {
  size_t count;
  const option* const options = options_of(op, &count);
  bool seen[sizeof kConv2dOptions / sizeof kConv2dOptions[0]] = {false};
  gxnor_flexbuffer_map map;

  memset(params, 0, sizeof *params);
  /* The bound on the entries keeps damaged files from taking long. */
  if (!gxnor_flexbuffer_map_open(buffer, size, &map) || map.count > 64) {
    char text[kGxnorNumberTextSize];
    return gxnor_op_fail(
        report,
        "its options, %s bytes, are no flexbuffer map of integers; the file "
        "is damaged, export the model again",
        gxnor_number_text((int64_t)size, text));
  }
  if (!check_version(&map, report)) return false;
  for (size_t i = 0; i < map.count; ++i) {
    const char* key;
    int64_t value;
    gxnor_flexbuffer_map_get(&map, i, &key, &value);
    if (strcmp(key, kVersionName) != 0 &&
        !store(key, value, options, count, seen, params, report)) {
      return false;
    }
  }
  for (size_t i = 0; i < count; ++i) {
    if (!seen[i]) {
      return gxnor_op_fail(report,
                           "option `%s` is missing; export the model again",
                           options[i].name);
    }
  }
  if (op == GXNOR_OP_DEPTHWISE_CONV_2D) {
    params->conv2d.output_channels = params->conv2d.input_channels;
  }
  return true;
}
