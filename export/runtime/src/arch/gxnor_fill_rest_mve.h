/* SPDX-License-Identifier: Apache-2.0 */
/* Helium, the vectors of Cortex-M55 and M85. */
#ifndef GXNOR_FILL_REST_MVE_H_
#define GXNOR_FILL_REST_MVE_H_

#include <arm_mve.h>
#include <stdint.h>

/* Copies up to seven events, and null records to make them eight. */
static inline void gxnor_fill_rest_mve(const uint16_t* events, int32_t count,
                                       uint16_t null_record, uint16_t rest[8]) {
  const mve_pred16_t there = vctp16q((uint32_t)count);
  vst1q_u16(rest, vpselq_u16(vldrhq_z_u16(events, there),
                             vdupq_n_u16(null_record), there));
}

#endif /* GXNOR_FILL_REST_MVE_H_ */
