# SPDX-License-Identifier: Apache-2.0
"""The way from a Keras model to a file, in one call."""

import keras

from . import fusion, lowering
from .lowering import Ops


def convert(
    model: keras.Model,
    ops: Ops = "custom",
    *,
    input_scale: float = 1 / 128,
    include_activations: bool = False,
) -> bytes:
    """Converts a trained Keras model to `.tflite`, exactly.

    The file takes int8 input, `q = x / input_scale`, and gives float32
    logits. All between is integer and equals the Keras model, activation for
    activation (Keras without `jit_compile`, whose fused multiply-adds may
    round the last bit of a BatchNormalization differently). A model that ends
    in an activation gives its states: int8 with builtin ops, packed words
    (`packing.unpack_activations`) with custom ops.

    Args:
        model: A built chain of DiscreteConv2D, DiscreteDense,
            BatchNormalization, DiscreteActivation, MaxPooling2D, Flatten and
            Dropout, with ternary weights and activations.
        ops: `"custom"`: gated-XNOR ops, 2 bits per weight, for the delegate
            (`load_delegate()`) and microcontrollers. `"builtin"`: ordinary
            int8 ops, for runtimes without them.
        input_scale: Value of the int8 input 1, a power of two.
        include_activations: Whether the activations are outputs of the file,
            too; for debugging.

    Returns:
        The content of the `.tflite` file.

    Raises:
        ExportError: If the model cannot be exported exactly; the text names
            the layer and the cure.
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
    return lowering.lower(
        fusion.fuse(model, input_scale), ops, include_activations
    )
