# SPDX-License-Identifier: Apache-2.0
"""A `.tflite` file as a C array, for TensorFlow Lite Micro."""

from ..files import MARK
from . import check_name

_BYTES_A_LINE = 12


def array_files(data: bytes, name: str = "model_tflite") -> dict[str, str]:
    """The text of the header and the source of an array, by their names.

    Args:
        data: Content of the file.
        name: Names the files and the array: a C identifier.

    Raises:
        ExportError: If the name is none.

    Example:
    >>> files = array_files(b"TFL3")
    >>> files["model_tflite.c"].splitlines()[-2]
    '    0x54, 0x46, 0x4c, 0x33,'
    """
    check_name(name)
    header = f"""\
/* {MARK}; the next export replaces this file. */
#ifndef {name.upper()}_H_
#define {name.upper()}_H_

#include <stddef.h>

#if defined(__cplusplus)
extern "C" {{
#endif

/* A .tflite file, 16-byte aligned: an argument of tflite::GetModel(). */
extern const unsigned char {name}[];
extern const size_t {name}_bytes;

#if defined(__cplusplus)
}}
#endif

#endif /* {name.upper()}_H_ */
"""
    lines = "\n".join(
        "    "
        + " ".join(f"0x{byte:02x}," for byte in data[at:][:_BYTES_A_LINE])
        for at in range(0, len(data), _BYTES_A_LINE)
    )
    source = f"""\
/* {MARK}; the next export replaces this file. */
#include "{name}.h"

#if defined(__GNUC__)
#define ALIGNED __attribute__((aligned(16)))
#elif defined(__cplusplus)
#define ALIGNED alignas(16)
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define ALIGNED _Alignas(16)
#else
#error "Name this compiler's way to align an array here."
#endif

const size_t {name}_bytes = {len(data)};

ALIGNED const unsigned char {name}[{len(data)}] = {{
{lines}
}};
"""
    return {f"{name}.h": header, f"{name}.c": source}
