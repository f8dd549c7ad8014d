# SPDX-License-Identifier: Apache-2.0
"""The way from a Keras model to a file, in one call."""

from typing import Any

import keras
import numpy.typing as npt

from . import c_source, fusion, lowering
from .c_source import CSource
from .fusion import FloatLayers
from .lowering import Ops


def convert(
    model: keras.Model,
    ops: Ops = "custom",
    *,
    input_scale: float = 1 / 128,
    float_layers: FloatLayers = "refuse",
    calibration: npt.NDArray[Any] | None = None,
    include_activations: bool = False,
) -> bytes:
    """Converts a trained Keras model to `.tflite`, exactly.

    The file takes int8 input, `q = x / input_scale`, and gives float32
    logits. All between is integer and equals the Keras model, activation for
    activation (Keras without `jit_compile`, whose fused multiply-adds may
    round the last bit of a BatchNormalization differently). A model that ends
    in an activation gives its states: int8, or with custom ops and ternary or
    binary states packed words (`packing.unpack_activations`).

    What can be exported is listed in `docs/support_matrix.md`. A softmax at
    the end is float32 and equals Keras' up to rounding.

    Args:
        model: A built Sequential or functional model with one input and one
            output.
        ops: `"custom"`: gated-XNOR ops, 2 bits per weight, for the delegate
            (`load_delegate()`) and microcontrollers; what they cannot do runs
            on builtin ops. `"builtin"`: ordinary ops only, for runtimes
            without them.
        input_scale: Value of the int8 input 1, a power of two.
        float_layers: What becomes of layers with real weights or inputs,
            whose sums depend on their order. `"refuse"`: an error.
            `"float32"`: they stay as they are, equal to Keras up to rounding.
            `"int8"`: their weights and real-valued inputs are rounded to
            int8; runtimes agree, Keras differs by that rounding.
        calibration: For `"int8"`, model inputs `(samples, ...)` as Keras takes
            them, which show the ranges of real-valued inputs of layers.
        include_activations: Whether the activations are outputs of the file,
            too; for debugging.

    Returns:
        The content of the `.tflite` file.

    Raises:
        ExportError: If the model cannot be exported so; the text names the
            layer and the cure.
        ValueError: If `ops` is unknown.

    Example:

    >>> import gxnor_tf
    >>> model = keras.Sequential([
    ...     keras.Input((8,)),
    ...     gxnor_tf.DiscreteDense(4),
    ...     keras.layers.BatchNormalization(),
    ...     gxnor_tf.DiscreteActivation(),
    ...     gxnor_tf.DiscreteDense(2),
    ... ])
    >>> convert(model)[4:8]
    b'TFL3'
    """
    program = fusion.fuse(model, input_scale, float_layers, calibration)
    return lowering.lower(program, ops, include_activations)


def convert_to_c(
    model: keras.Model,
    *,
    name: str = "model",
    input_scale: float = 1 / 128,
    arena_limit: int | None = None,
) -> CSource:
    """Converts a trained Keras model to C source, exactly.

    The source is C99 for microcontrollers: the weights as constants that are
    read in place, the kernels that the model needs, and a plan of its memory.
    `model_invoke` takes int8 input, `q = x / input_scale`, and gives the sums
    of the last layer, int32; `model_scores` makes Keras' float32 output of
    them, bit for bit. A model that ends in an activation gives its states.

    All weights and activations must be ternary or binary, and everything
    behind the last discrete layer must be a BatchNormalization or a ReLU.

    Args:
        model: A built Sequential or functional model with one input and one
            output.
        name: Names the files and begins every public name in them.
        input_scale: Value of the int8 input 1, a power of two.
        arena_limit: Most bytes of memory that the model may use. Less than it
            takes by itself makes it slower, not different.

    Returns:
        The source; `write(folder)` writes its files.

    Raises:
        ExportError: If the model has no such form, or needs more memory; the
            text names the layer and the cure.

    Example:

    >>> import gxnor_tf
    >>> model = keras.Sequential([
    ...     keras.Input((8,)),
    ...     gxnor_tf.DiscreteDense(4),
    ...     keras.layers.BatchNormalization(),
    ...     gxnor_tf.DiscreteActivation(),
    ...     gxnor_tf.DiscreteDense(2),
    ... ])
    >>> source = convert_to_c(model, name="tiny")
    >>> "int tiny_invoke(" in source.files["tiny.h"], source.arena_bytes
    (True, 8)
    """
    # What is left in float32 has no form in C: its error has the cure for C.
    program = fusion.fuse(model, input_scale, "float32")
    return c_source.generate(program, name, arena_limit)
