/* SPDX-License-Identifier: Apache-2.0 */
/* What C99 has no words for, where the compiler has. */
#ifndef GXNOR_COMPILER_INTERNAL_H_
#define GXNOR_COMPILER_INTERNAL_H_

#if defined(__GNUC__)
#define GXNOR_ALWAYS_INLINE inline __attribute__((always_inline))
/* For loops that would lack registers within another function. */
#define GXNOR_NO_INLINE __attribute__((noinline))
#else
#define GXNOR_ALWAYS_INLINE inline
#define GXNOR_NO_INLINE
#endif

#endif /* GXNOR_COMPILER_INTERNAL_H_ */
