/* SPDX-License-Identifier: Apache-2.0 */
/* Ternary states in bytes <-> in two bit planes; layouts are in gxnor/types.h.
 *
 * A tensor is a list of positions with `channels` states each: NHWC has
 * batches * height * width positions. Both functions are pure: they allocate
 * nothing, keep no state and may be called from any thread or interrupt. They
 * check pointers and parameters, not data; no data, however wrong, makes them
 * access other memory than the tensors. Input and output must not overlap. */
#ifndef GXNOR_PACK_H_
#define GXNOR_PACK_H_

#include "gxnor/types.h"

#if defined(__cplusplus)
extern "C" {
#endif

/* The size of a tensor, packed or not. */
typedef struct gxnor_pack_params {
  int32_t positions; /* >= 1 */
  int32_t channels;  /* >= 1, unpacked */
} gxnor_pack_params;

/* Checks the parameters and computes the groups of one position, of 32
 * channels or two words each.
 *
 * Every tensor has at most 2^31 - 1 elements, packed or not.
 * Returns: GXNOR_OK; GXNOR_ERR_ARG; GXNOR_ERR_SHAPE if a parameter is out of
 *          range or a tensor would be too large. *groups is valid after
 *          GXNOR_OK only. */
gxnor_status gxnor_pack_get_groups(const gxnor_pack_params* params,
                                   int32_t* groups);

/* Packs states.
 *
 * input   int8_t [positions][channels], -1, 0 or +1; of any other value only
 *         the sign counts
 * output  t2 [positions][groups][2]; tail bits are set to 0
 * Returns: GXNOR_OK, GXNOR_ERR_ARG, GXNOR_ERR_SHAPE. */
gxnor_status gxnor_pack_s8_t2(const gxnor_pack_params* params,
                              const int8_t* input,
                              uint32_t* GXNOR_RESTRICT output);

/* Unpacks states, plus - minus.
 *
 * input   t2 [positions][groups][2]; tail bits are ignored, a channel that is
 *         set in both planes counts as 0
 * output  int8_t [positions][channels], -1, 0 or +1
 * Returns: GXNOR_OK, GXNOR_ERR_ARG, GXNOR_ERR_SHAPE. */
gxnor_status gxnor_unpack_t2_s8(const gxnor_pack_params* params,
                                const uint32_t* input,
                                int8_t* GXNOR_RESTRICT output);

#if defined(__cplusplus)
}
#endif

#endif /* GXNOR_PACK_H_ */
