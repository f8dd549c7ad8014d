/* SPDX-License-Identifier: Apache-2.0 */
/* The custom ops' names and options; export/op_schema.py has the same. */
#ifndef GXNOR_OP_OPTIONS_H_
#define GXNOR_OP_OPTIONS_H_

#include <stdbool.h>
#include <stddef.h>

#include "gxnor/max_pool2d.h"
#include "gxnor/pack.h"
#include "gxnor/types.h"
#include "op_report.h"

#if defined(__cplusplus)
extern "C" {
#endif

typedef enum gxnor_op {
  GXNOR_OP_UNKNOWN,
  GXNOR_OP_CONV_2D,
  GXNOR_OP_FULLY_CONNECTED,
  GXNOR_OP_DEPTHWISE_CONV_2D,
  GXNOR_OP_MAX_POOL_2D,
  GXNOR_OP_PACK,
  GXNOR_OP_UNPACK,
} gxnor_op;

/* The parameters of the kernel of an op. */
typedef union gxnor_op_params {
  gxnor_conv2d_params conv2d; /* Of all ops with weights. */
  gxnor_max_pool2d_params max_pool2d;
  gxnor_pack_params pack; /* Of both directions. */
} gxnor_op_params;

/* Finds an op by the name in the model. */
gxnor_op gxnor_op_from_name(const char* name);

/* The name of an op that is not unknown. */
const char* gxnor_op_name(gxnor_op op);

/* Reads the options of an op into the member of *params that is its own:
 * channels, and of a convolution the kernel and the pool; all else is 0. The
 * bytes may be anything.
 *
 * Returns false if the version is unknown, an option is missing, unknown or
 * out of range, or the bytes are no options at all; the report then says so. */
bool gxnor_op_read_options(gxnor_op op, const void* options, size_t size,
                           gxnor_op_params* params,
                           const gxnor_op_report* report);

/* Copies a text from a model, cut and with `?` for what cannot be printed. */
void gxnor_copy_printable(const char* text, char* copy, size_t copy_size);

#if defined(__cplusplus)
}
#endif

#endif /* GXNOR_OP_OPTIONS_H_ */
