/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GXNOR_TRANSPOSE_INTERNAL_H_
#define GXNOR_TRANSPOSE_INTERNAL_H_

#include <stdint.h>

/* Transposes 32 x 32 bits in place: bit j of word i becomes bit i of word j. */
void gxnor_transpose(uint32_t words[32]);

#endif /* GXNOR_TRANSPOSE_INTERNAL_H_ */
