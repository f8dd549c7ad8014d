# SPDX-License-Identifier: Apache-2.0
"""The inputs that a model is called with to be measured."""

from typing import Any

import keras
import numpy as np


def as_inputs(model: keras.Model, x: Any, name: str = "x") -> tuple[Any, int]:
    """Inputs as arrays, and how many samples they hold.

    Args:
        model: A Keras model.
        x: An array, or a list or dict of arrays for several inputs.
        name: What to call it in an error.

    Raises:
        TypeError: If an input is no array.
        ValueError: If there is no sample, or not as many in all inputs.
    """
    several = len(getattr(model, "inputs", None) or ()) > 1
    if isinstance(x, dict):
        arrays: Any = {key: np.asarray(value) for key, value in x.items()}
    elif several and isinstance(x, (list, tuple)):
        arrays = [np.asarray(value) for value in x]
    else:
        arrays = np.asarray(x)
    parts = keras.tree.flatten(arrays)
    if any(part.ndim == 0 for part in parts):
        raise TypeError(
            f"`{name}` must be an array (samples, ...), or for several inputs "
            f"a list or dict of them. Received: {type(x).__name__}"
        )
    sizes = {len(part) for part in parts}
    if len(sizes) != 1 or 0 in sizes:
        raise ValueError(
            f"`{name}` must hold at least one sample, and as many for every "
            f"input. Received: {sorted(sizes) or 'no input'} samples"
        )
    return arrays, sizes.pop()


def as_tensors(model: keras.Model, arrays: Any) -> Any:
    """Inputs as the tensors that the first layers will receive.

    With any other dtype Keras would convert them, and they would not be
    recognised as the model's inputs.

    Args:
        model: A Keras model.
        arrays: What `as_inputs` or `zero_inputs` gave.
    """
    known = getattr(model, "inputs", None) or []
    if isinstance(arrays, dict):
        dtypes = {tensor.name: tensor.dtype for tensor in known}
        return {
            key: keras.ops.convert_to_tensor(
                array, dtypes.get(key, keras.config.floatx())
            )
            for key, array in arrays.items()
        }
    if isinstance(arrays, list):
        return [
            keras.ops.convert_to_tensor(array, tensor.dtype)
            for array, tensor in zip(arrays, known, strict=True)
        ]
    return keras.ops.convert_to_tensor(
        arrays, known[0].dtype if known else keras.config.floatx()
    )


def zero_inputs(model: keras.Model) -> Any:
    """One sample of zeros in the structure of a model's inputs.

    Args:
        model: A Keras model.

    Raises:
        ValueError: If the inputs have no known shape.
    """
    shapes = getattr(model, "input_shape", None)
    known = getattr(model, "inputs", None)
    if not known or any(None in tensor.shape[1:] for tensor in known):
        raise ValueError(
            f"The inputs of model `{model.name}` have no known shape. Give "
            f"some as `inputs`. Received: input_shape={shapes}"
        )
    arrays = [np.zeros((1, *tensor.shape[1:]), np.float32) for tensor in known]
    if isinstance(model, keras.Sequential):
        return arrays[0]
    return keras.tree.pack_sequence_as(model.input, arrays)
