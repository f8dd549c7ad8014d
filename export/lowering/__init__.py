# SPDX-License-Identifier: Apache-2.0
"""Writes an integer program as a `.tflite` file, with custom or builtin ops."""

from typing import Literal, get_args

from ..program import Program
from .builtin import BuiltinLowering
from .custom import CustomLowering

Ops = Literal["custom", "builtin"]


def lower(
    program: Program, ops: Ops, include_activations: bool = False
) -> bytes:
    """Writes a program with custom or builtin ops.

    Args:
        program: The integer program.
        ops: `"custom"`: gated-XNOR ops on packed activations wherever weights
            and activations are ternary or binary, ordinary int8 ops for the
            rest. `"builtin"`: ordinary ops only.
        include_activations: Whether all states that are a Keras layer's
            output are outputs of the file, too, named as those layers.

    Returns:
        The content of the `.tflite` file.

    Raises:
        ValueError: If `ops` is unknown.
    """
    if ops not in get_args(Ops):
        raise ValueError(
            f"`ops` must be one of {get_args(Ops)}. Received: ops={ops!r}"
        )
    kind = CustomLowering if ops == "custom" else BuiltinLowering
    return kind(program).lower(include_activations)
