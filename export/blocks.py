# SPDX-License-Identifier: Apache-2.0
"""Cuts a chain of Keras layers into blocks that become one op each.

Here is decided which layers can be exported, and in which order.
"""

import dataclasses
from typing import Any

import keras
import numpy as np

from gxnor_tf.layers import (
    DiscreteActivation,
    DiscreteConv2D,
    DiscreteDense,
)

from .graph import ExportError, read_chain

# Flatten is not one of them: height and width stay known to the next layer.
_RESHAPING = (DiscreteConv2D, DiscreteDense, keras.layers.MaxPooling2D)

_SUPPORTED = (
    "DiscreteConv2D, DiscreteDense, BatchNormalization, DiscreteActivation, "
    "MaxPooling2D, Flatten and Dropout"
)


@dataclasses.dataclass
class Block:
    """A discrete layer and what follows it up to the next one.

    Attributes:
        layer: The DiscreteConv2D or DiscreteDense.
        input_shape: Shape of its input without the batch; one in front of a
            Flatten, which is left out, stays as it is.
        positions: Whether its output has height and width.
        pointwise: BatchNormalization and activation, in order.
        activation: The DiscreteActivation, or None at the end of a model.
        pool: The MaxPooling2D, or None.
        pool_after_norm: Whether it stands behind one of `pointwise`.
        last: The last layer of the block, Dropout and Flatten aside.
    """

    layer: Any
    input_shape: tuple[int, ...]
    positions: bool
    pointwise: list[Any] = dataclasses.field(default_factory=list)
    activation: Any = None
    pool: Any = None
    pool_after_norm: bool = False
    last: Any = None


def cut(model: keras.Model) -> list[Block]:
    """Cuts a model into blocks.

    Args:
        model: A built chain of layers.

    Returns:
        A block per discrete layer.

    Raises:
        ExportError: If a layer, or the order of layers, cannot be exported.
    """
    chain = read_chain(model)
    if not any(type(x) in (DiscreteConv2D, DiscreteDense) for x in chain):
        raise ExportError(
            f"Model `{model.name}` holds no discrete layer: its weights are "
            "not ternary. Train one with DiscreteConv2D and DiscreteDense."
        )
    blocks: list[Block] = []
    # Carried along here: a layer's own `output` is that of its first call,
    # which may have been in another model.
    shape = tuple(model.inputs[0].shape[1:])
    flattened = len(shape) == 1
    for layer in chain:
        kind = type(layer)
        if layer.compute_dtype != "float32":
            raise ExportError(
                f"Layer `{layer.name}` computes in {layer.compute_dtype}, "
                "where sums are rounded. Rebuild the model with "
                'dtype="float32" and copy the weights.'
            )
        if kind is keras.layers.Dropout:
            pass  # the identity at inference
        elif kind in (DiscreteConv2D, DiscreteDense):
            _check_input_shape(layer, shape)
            positions = len(shape) == 3 and not (
                kind is DiscreteDense and flattened
            )
            blocks.append(Block(layer, shape, positions, last=layer))
            flattened = not positions
        elif kind is keras.layers.Flatten:
            _check_flatten(layer, blocks)
            flattened = True
        elif not blocks:
            raise ExportError(
                f"`{layer.name}` ({kind.__name__}) stands before the first "
                "discrete layer, where only Flatten and Dropout can be "
                "exported. Do such preprocessing outside of the model."
            )
        else:
            _extend(blocks[-1], layer)
        if kind in _RESHAPING:
            shape = _output_shape(layer, shape, flattened)
    if type(chain[-1]) is keras.layers.Flatten:
        raise ExportError(
            f"The model ends in `{chain[-1].name}`, which an exported file "
            "cannot do. Remove it; flatten the output instead."
        )
    return blocks


def _check_input_shape(layer: Any, shape: tuple[int, ...]) -> None:
    if None in shape:
        raise ExportError(
            f"The input of `{layer.name}` must have a known size. "
            f"Received: {shape}. Set it in `keras.Input`."
        )
    if len(shape) not in (1, 3):
        raise ExportError(
            f"The input of `{layer.name}` must have the shape (depth,) or "
            f"(height, width, channels). Received: {shape}. Put a Flatten "
            "before it, or give it a height of 1."
        )


def _check_flatten(layer: Any, blocks: list[Block]) -> None:
    if _channels_first(layer):
        raise ExportError(
            f"`{layer.name}`: only channels_last can be exported."
        )
    if blocks and blocks[-1].activation is None:
        raise ExportError(
            f"`{layer.name}` follows the sums of "
            f"`{blocks[-1].layer.name}`. Put BatchNormalization and "
            "DiscreteActivation between them."
        )


def _output_shape(
    layer: Any, shape: tuple[int, ...], flattened: bool
) -> tuple[int, ...]:
    if flattened:
        return (layer.units,)
    return tuple(layer.compute_output_shape((None, *shape))[1:])


def _extend(block: Block, layer: keras.layers.Layer) -> None:
    """Adds a layer behind a discrete layer to its block."""
    kind = type(layer)
    if kind is keras.layers.BatchNormalization:
        if block.activation is not None:
            raise ExportError(
                f"BatchNormalization `{layer.name}` follows the activation "
                f"`{block.activation.name}`. Put it before the activation."
            )
        _check_batch_normalization(layer, block)
        block.pointwise.append(layer)
    elif kind is DiscreteActivation:
        if block.activation is not None:
            raise ExportError(
                f"Two activations follow `{block.layer.name}`: "
                f"`{block.activation.name}` and `{layer.name}`. Remove one."
            )
        if layer.space.n != 1:
            raise ExportError(
                f"Activation `{layer.name}` has {layer.space}; only ternary "
                "activations, DiscreteSpace(1), can be exported."
            )
        block.activation = layer
        block.pointwise.append(layer)
    elif kind is keras.layers.MaxPooling2D:
        if block.pool is not None:
            raise ExportError(
                f"Two poolings follow `{block.layer.name}`: "
                f"`{block.pool.name}` and `{layer.name}`. Use one."
            )
        if _channels_first(layer):
            raise ExportError(
                f"`{layer.name}`: only channels_last can be exported."
            )
        block.pool = layer
        block.pool_after_norm = bool(block.pointwise)
    else:
        raise ExportError(
            f"Layer `{layer.name}` ({kind.__name__}) cannot be exported. "
            f"Supported are {_SUPPORTED}."
        )
    block.last = layer


def _channels_first(layer: keras.layers.Layer) -> bool:
    return getattr(layer, "data_format", None) == "channels_first"


def _check_batch_normalization(layer: keras.layers.Layer, block: Block) -> None:
    if layer.axis not in (-1, 3 if block.positions else 1):
        raise ExportError(
            f"`{layer.name}` must normalise the last axis. "
            f"Received: axis={layer.axis}"
        )
    for variable in layer.variables:
        if not np.isfinite(variable.numpy()).all():
            raise ExportError(
                f"`{variable.path}` holds NaN or infinite values; the model "
                "has diverged. Train it again with a smaller learning rate."
            )
    if (layer.moving_variance.numpy() + layer.epsilon <= 0).any():
        raise ExportError(
            f"`{layer.moving_variance.path}` holds negative variances. "
            "Load weights of a trained model."
        )
