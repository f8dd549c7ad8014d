/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "gxnor/pack.h"

gxnor_status gxnor_pack_s8_t2(const gxnor_pack_params* params,
                              const int8_t* input,
                              uint32_t* GXNOR_RESTRICT output) {
  int32_t groups;
  gxnor_status status;
  if (params == NULL || input == NULL || output == NULL) return GXNOR_ERR_ARG;
  status = gxnor_pack_get_groups(params, &groups);
  if (status != GXNOR_OK) return status;
  for (int32_t position = 0; position < params->positions; ++position) {
    for (int32_t left = params->channels; left > 0; left -= GXNOR_LANES) {
      const int32_t lanes = left < GXNOR_LANES ? left : GXNOR_LANES;
      uint32_t plus = 0;
      uint32_t minus = 0;
      for (int32_t lane = 0; lane < lanes; ++lane) {
        plus |= (uint32_t)(input[lane] > 0) << lane;
        minus |= (uint32_t)(input[lane] < 0) << lane;
      }
      output[0] = plus;
      output[1] = minus;
      input += lanes;
      output += 2;
    }
  }
  return GXNOR_OK;
}
