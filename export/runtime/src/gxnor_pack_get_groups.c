/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "gxnor/pack.h"
#include "gxnor_shape_internal.h"

gxnor_status gxnor_pack_get_groups(const gxnor_pack_params* params,
                                   int32_t* groups) {
  int32_t count, largest;
  if (params == NULL || groups == NULL) return GXNOR_ERR_ARG;
  if (params->positions < 1 || params->channels < 1) return GXNOR_ERR_SHAPE;
  count = gxnor_count_groups(params->channels);
  largest = gxnor_position_size(params->channels, count);
  if (params->positions > INT32_MAX / largest) return GXNOR_ERR_SHAPE;
  *groups = count;
  return GXNOR_OK;
}
