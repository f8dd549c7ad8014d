/* SPDX-License-Identifier: Apache-2.0 */
/* A handwritten digit, drawn for this example: 28 rows of 28 pixels. The
 * letters stand for brightness 0, 85, 170 and 255. */
#ifndef DIGIT_H_
#define DIGIT_H_

#define DIGIT_ROWS 28
#define DIGIT_COLUMNS 28

/* clang-format off */
static const char kDigit[DIGIT_ROWS * DIGIT_COLUMNS + 1] =
    "                            "
    "                            "
    "                            "
    "                            "
    "           .....            "
    "         .+#####+.          "
    "        .#########.         "
    "       .###++.++###.        "
    "       .##+     +##+        "
    "        ..       ##+        "
    "                 ##+        "
    "                +##+        "
    "            ..++###.        "
    "            +#####.         "
    "            +#####+         "
    "            ..++###.        "
    "                .##+        "
    "                 +##.       "
    "                 .##.       "
    "       .+.       +##.       "
    "       +##.     .##+        "
    "       .###++.++###.        "
    "        +#########+         "
    "         .+#####+.          "
    "           .....            "
    "                            "
    "                            "
    "                            ";
/* clang-format on */

#endif /* DIGIT_H_ */
