# SPDX-License-Identifier: Apache-2.0
"""Export to `.tflite`, with gated-XNOR or with builtin int8 ops, and to C.

All of them are exact.

What needs LiteRT is loaded at its first use, and `packing`, `op_schema` and
`reference` load neither it nor TensorFlow.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .c_source import CSource as CSource
    from .conversion import convert as convert
    from .conversion import convert_to_c as convert_to_c
    from .delegate import get_delegate_memory as get_delegate_memory
    from .delegate import get_delegate_path as get_delegate_path
    from .delegate import get_include as get_include
    from .delegate import get_kernels as get_kernels
    from .delegate import load_delegate as load_delegate
    from .graph import ExportError as ExportError
    from .inspection import inspect as inspect
    from .verification import compare as compare

_EXPORTS = {
    "CSource": "c_source",
    "ExportError": "graph",
    "compare": "verification",
    "convert": "conversion",
    "convert_to_c": "conversion",
    "get_delegate_memory": "delegate",
    "get_delegate_path": "delegate",
    "get_include": "delegate",
    "get_kernels": "delegate",
    "inspect": "inspection",
    "load_delegate": "delegate",
}


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f".{_EXPORTS[name]}", __name__)
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted(_EXPORTS)


# For `help()` and `from gxnor_tf.export import *`.
__all__ = [  # noqa: F822 (loaded when asked for)
    "CSource",
    "ExportError",
    "compare",
    "convert",
    "convert_to_c",
    "get_delegate_memory",
    "get_delegate_path",
    "get_include",
    "get_kernels",
    "inspect",
    "load_delegate",
]
