/* SPDX-License-Identifier: Apache-2.0 */
/* Armv6-M and Armv8-M Baseline, whose instructions reach eight registers:
 * compilers spill what this keeps in the other ones. 117 instructions. */
#ifndef GXNOR_ADD_EIGHT_ARMV6M_H_
#define GXNOR_ADD_EIGHT_ARMV6M_H_

#include <stdint.h>

/* For GCC, which must have r7 and r9 to give: define GXNOR_NO_ASSEMBLY where
 * options reserve registers. */
#if defined(__GNUC__) && !defined(__clang__) && defined(__OPTIMIZE__) &&      \
    defined(__thumb__) && !defined(__PIC__) && !defined(GXNOR_NO_ASSEMBLY) && \
    (defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__))
#define GXNOR_ADD_EIGHT_ARMV6M 1

/* r4 = carry of ones and the record of an event. */
#define GXNOR_FIRST_(offset) \
  "ldrh r4, [r0, #" #offset  \
  "]\n"                      \
  "adds r4, r4, r1\n"        \
  "ldmia r4!, {r5, r6}\n"    \
  "movs r4, r2\n"            \
  "ands r4, r6\n"            \
  "orrs r4, r5\n"            \
  "eors r2, r6\n"

/* The same in r5 for the next event; then r4 = carry of twos, r4 and r5. */
#define GXNOR_SECOND_(offset) \
  "ldrh r5, [r0, #" #offset   \
  "]\n"                       \
  "adds r5, r5, r1\n"         \
  "ldmia r5!, {r6, r7}\n"     \
  "movs r5, r2\n"             \
  "ands r5, r7\n"             \
  "orrs r5, r6\n"             \
  "eors r2, r7\n"             \
  "movs r6, r3\n"             \
  "eors r6, r4\n"             \
  "ands r4, r3\n"             \
  "movs r3, r6\n"             \
  "eors r3, r5\n"             \
  "ands r6, r5\n"             \
  "orrs r4, r6\n"

/* r4 = carry of r5, r4 and r6; r5 = their sum. */
#define GXNOR_FULL_ADDER_ \
  "movs r7, r5\n"         \
  "eors r7, r4\n"         \
  "ands r4, r5\n"         \
  "movs r5, r7\n"         \
  "eors r5, r6\n"         \
  "ands r7, r6\n"         \
  "orrs r4, r7\n"

/* Adds the records at eight byte offsets to the planes of the weights 1, 2, 4
 * and 8; returns the carry, of weight 16. */
static inline __attribute__((always_inline)) uint32_t gxnor_add_eight_armv6m(
    const void* records, const uint16_t* events, uint32_t* ones, uint32_t* twos,
    uint32_t* fours, uint32_t* eights) {
  register const uint16_t* list __asm__("r0") = events;
  register const void* base __asm__("r1") = records;
  register uint32_t one __asm__("r2") = *ones;
  register uint32_t two __asm__("r3") = *twos;
  register uint32_t carry __asm__("r4");
  register uint32_t four __asm__("r11") = *fours;
  register uint32_t eight __asm__("r12") = *eights;
  __asm__(
      ".syntax unified\n"
      GXNOR_FIRST_(0) GXNOR_SECOND_(2)
      "mov r8, r4\n"
      GXNOR_FIRST_(4) GXNOR_SECOND_(6)
      "mov r9, r4\n"
      GXNOR_FIRST_(8) GXNOR_SECOND_(10)
      "mov r10, r4\n"
      GXNOR_FIRST_(12) GXNOR_SECOND_(14)
      "mov r5, r11\n"
      "mov r6, r10\n"
      GXNOR_FULL_ADDER_ /* Fours: carry 2 of eights. */
      "mov r10, r4\n"
      "mov r4, r8\n"
      "mov r6, r9\n"
      GXNOR_FULL_ADDER_ /* Fours: carry 1 of eights. */
      "mov r11, r5\n"
      "mov r6, r10\n"
      "mov r5, r12\n"
      GXNOR_FULL_ADDER_ /* Eights. */
      "mov r12, r5\n"
      : "=r"(carry), "+r"(one), "+r"(two), "+r"(four), "+r"(eight)
      : "r"(list), "r"(base)
      : "r5", "r6", "r7", "r8", "r9", "r10", "cc", "memory");
  *ones = one;
  *twos = two;
  *fours = four;
  *eights = eight;
  return carry;
}

#undef GXNOR_FIRST_
#undef GXNOR_SECOND_
#undef GXNOR_FULL_ADDER_
#endif

#endif /* GXNOR_ADD_EIGHT_ARMV6M_H_ */
