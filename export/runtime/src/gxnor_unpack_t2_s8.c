/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "gxnor/pack.h"

gxnor_status gxnor_unpack_t2_s8(const gxnor_pack_params* params,
                                const uint32_t* input,
                                int8_t* GXNOR_RESTRICT output) {
  int32_t groups;
  gxnor_status status;
  if (params == NULL || input == NULL || output == NULL) return GXNOR_ERR_ARG;
  status = gxnor_pack_get_groups(params, &groups);
  if (status != GXNOR_OK) return status;
  for (int32_t position = 0; position < params->positions; ++position) {
    for (int32_t left = params->channels; left > 0; left -= GXNOR_LANES) {
      const int32_t lanes = left < GXNOR_LANES ? left : GXNOR_LANES;
      const uint32_t plus = input[0];
      const uint32_t minus = input[1];
      for (int32_t lane = 0; lane < lanes; ++lane) {
        const int state =
            (int)((plus >> lane) & 1u) - (int)((minus >> lane) & 1u);
        output[lane] = (int8_t)state;
      }
      input += 2;
      output += lanes;
    }
  }
  return GXNOR_OK;
}
