# SPDX-License-Identifier: Apache-2.0
"""Turns a trained Keras model into an integer program.

Between two discrete layers stand BatchNormalization, a ternary activation and
possibly a max-pool. All of it is a monotone function of the integer sum, so it
is two integer thresholds per channel. They are found by bisection over the
sum with the Keras layers themselves: whatever their float32 arithmetic gives,
the thresholds give.
"""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from gxnor_tf.discrete_variable import DiscreteVariable
from gxnor_tf.layers import DiscreteDense

from .blocks import Block, cut
from .graph import ExportError
from .program import (
    Affine,
    DiscreteOp,
    Int8Array,
    Int32Array,
    Program,
    Thresholds,
    Window,
)

# float32 holds every integer up to here, so Keras' sums are exact.
_MAX_SUM = 2**24


def fuse(model: keras.Model, input_scale: float = 1 / 128) -> Program:
    """Makes the integer program of a model.

    Args:
        model: A built chain of the supported layers, with ternary (or binary)
            weights and ternary activations. Its first layer sees the real
            input, its last one gives the output.
        input_scale: Value of the int8 input 1: a power of two, so that the
            first layer's float32 sums are exact.

    Returns:
        The program. Every activation it gives equals that of the model.

    Raises:
        ExportError: If the model cannot be exported exactly.
    """
    if not (_is_power_of_two(input_scale) and 2**-30 <= input_scale <= 2**30):
        raise ExportError(
            "`input_scale` must be a power of two in 2^-30..2^30, so that the "
            f"first layer is exact. Received: input_scale={input_scale}. For "
            "images use 1/128 with x = (pixel - 128) / 128."
        )
    blocks = cut(model)
    ops: list[DiscreteOp] = []
    tail: tuple[Affine, ...] = ()
    scale, peak = input_scale, 128
    flipped: npt.NDArray[np.bool_] | None = None
    for block in blocks:
        op = _fuse_block(block, scale, peak, flipped)
        ops.append(op)
        flipped = op.flipped
        if block.activation is not None:
            scale, peak = block.activation.space.unit, 1
            if not _is_power_of_two(scale):
                raise ExportError(
                    f"The `half_range` of activation "
                    f"`{block.activation.name}` must be a power of two for an "
                    f"exact export. Received: {block.activation.space}"
                )
        elif block is not blocks[-1]:
            raise ExportError(
                f"Layer `{block.layer.name}` feeds its sums straight into a "
                "discrete layer. Put BatchNormalization and "
                "DiscreteActivation after it."
            )
        else:
            tail = _tail(block, scale)
    if ops[-1].flipped.any():
        raise ExportError(
            f"The model ends in activation `{ops[-1].output_name}`, whose "
            "BatchNormalization has negative scales behind a max-pool. Move "
            "the pooling behind the activation."
        )
    return Program(
        input_name=model.inputs[0].name,
        input_shape=tuple(model.inputs[0].shape[1:]),
        input_scale=float(input_scale),
        ops=tuple(ops),
        tail=tail,
        output_name=blocks[-1].last.name,
    )


def _kernel(layer: Any) -> Int8Array:
    """The kernel's states as int8 `(outputs, height, width, inputs)`."""
    variable: DiscreteVariable = layer.kernel
    states = variable.numpy()
    if not layer.weight_space.contains(states):
        raise ExportError(
            f"`{variable.path}` holds values outside of {layer.weight_space}. "
            "Load weights of a trained model."
        )
    if layer.weight_space.n > 1:
        raise ExportError(
            f"Layer `{layer.name}` has {layer.weight_space}; only binary and "
            "ternary weights, DiscreteSpace(0) and DiscreteSpace(1), can be "
            "exported."
        )
    if layer.bias is not None and not np.isfinite(layer.bias.numpy()).all():
        raise ExportError(f"`{layer.bias.path}` holds NaN or infinite values.")
    if states.ndim == 2:
        states = states[None, None]
    return np.ascontiguousarray(states.transpose(3, 0, 1, 2))


def _fuse_block(
    block: Block,
    scale: float,
    peak: int,
    flipped_inputs: npt.NDArray[np.bool_] | None,
) -> DiscreteOp:
    layer = block.layer
    kernel = _kernel(layer)
    is_dense = isinstance(layer, DiscreteDense)
    fully_connected = not block.positions
    shape = block.input_shape
    height, width, channels = shape if len(shape) == 3 else (1, 1, shape[-1])
    if is_dense:
        size = (height, width) if fully_connected else (1, 1)
        kernel = kernel.reshape(len(kernel), *size, channels)
        window = Window(size)
    else:
        window = Window.from_keras(
            layer.kernel_size,
            layer.strides,
            layer.padding,
            (height, width),
            layer.dilation_rate,
        )
    bound = int(np.prod(kernel.shape[1:])) * peak
    if bound >= _MAX_SUM:
        raise ExportError(
            f"The sums of `{layer.name}` can reach {bound}, beyond the "
            f"{_MAX_SUM} up to which Keras' float32 sums are exact. Use fewer "
            "inputs."
        )
    if flipped_inputs is not None and flipped_inputs.any():
        kernel = np.where(flipped_inputs, -kernel, kernel)
    thresholds: Thresholds | None = None
    flipped = np.zeros(len(kernel), bool)
    pool: Window | None = None
    if block.activation is not None:
        thresholds, falling = _thresholds(block, scale, bound)
        if block.pool is not None and not block.pool_after_norm:
            # max-pool stands before the falling function: t(max s) is the
            # minimum of t(s), so the negated activation commutes with it.
            flipped = falling
        else:
            kernel = np.where(
                falling[:, None, None, None], -kernel, kernel
            ).astype(np.int8)
            # With -s for s the function rises.
        if block.pool is not None:
            pool = Window.from_keras(
                tuple(block.pool.pool_size),
                tuple(block.pool.strides),
                block.pool.padding,
                window.output_size(height, width),
            )
    elif block.pool is not None:
        raise ExportError(
            f"Pooling `{block.pool.name}` without an activation at the end of "
            "the model cannot be exported. Put BatchNormalization and "
            "DiscreteActivation after it, or remove it."
        )
    return DiscreteOp(
        name=layer.name,
        kernel=kernel,
        window=window,
        input_shape=(height, width, channels),
        fully_connected=fully_connected,
        thresholds=thresholds,
        pool=pool,
        output_name=block.last.name,
        flipped=flipped,
    )


def _evaluate(block: Block, scale: float) -> Callable[[Int32Array], Int32Array]:
    """The states that Keras gives for integer sums `(points, channels)`."""
    unit = block.activation.space.unit

    def states(sums: Int32Array) -> Int32Array:
        x = tf.constant(sums, tf.float32)[:, None, None, :]
        if not block.positions:
            x = x[:, 0, 0, :]
        # The first sum is exact, and so is its product with a power of two.
        x = block.layer.finish(x * scale)
        for layer in block.pointwise:
            x = layer(x, training=False)
        result = np.asarray(x, np.float32).reshape(sums.shape) / unit
        return np.asarray(np.rint(result), np.int32)

    return states


def _thresholds(
    block: Block, scale: float, bound: int
) -> tuple[Thresholds, npt.NDArray[np.bool_]]:
    """Finds the thresholds of every channel by bisection.

    Returns:
        The thresholds of the rising function, and where the function falls:
        there they hold for the negated activation or the negated sums, which
        is the same, since the activation is odd.
    """
    states = _evaluate(block, scale)
    channels = block.layer.kernel.shape[-1]
    ends = states(np.array([[-bound] * channels, [bound] * channels], np.int32))
    falling = ends[1] < ends[0]
    sign = np.where(falling, -1, 1).astype(np.int32)
    negate_sum = block.pool is None or block.pool_after_norm

    def rising(sums: Int32Array) -> Int32Array:
        return states(sums * sign) if negate_sum else states(sums) * sign

    def first(level: int) -> Int32Array:
        """The smallest sum at which the activation reaches `level`."""
        below = np.full(channels, -bound - 1, np.int64)
        reached = np.full(channels, bound + 1, np.int64)
        while (reached - below > 1).any():
            middle = (below + reached) // 2
            probe = np.clip(middle, -bound, bound).astype(np.int32)
            high_enough = rising(probe[None])[0] >= level
            open_ = reached - below > 1
            reached = np.where(open_ & high_enough, middle, reached)
            below = np.where(open_ & ~high_enough, middle, below)
        return reached.astype(np.int32)

    return Thresholds(high=first(1), low=first(0)), falling


def _tail(block: Block, scale: float) -> tuple[Affine, ...]:
    """The float32 steps behind the last sums, as Keras computes them."""
    channels = block.layer.kernel.shape[-1]
    steps: list[Affine] = []

    def add(kind: str, operand: Any) -> None:
        operand = np.broadcast_to(np.asarray(operand, np.float32), (channels,))
        steps.append(Affine(kind, np.ascontiguousarray(operand)))

    if scale != 1:
        add("multiply", scale)
    if block.layer.weight_space.unit != 1:
        add("multiply", block.layer.weight_space.unit)
    if block.layer.bias is not None:
        add("add", block.layer.bias)
    for layer in block.pointwise:
        factor = tf.math.rsqrt(layer.moving_variance + layer.epsilon)
        if layer.scale:
            factor = factor * layer.gamma
        shift = -layer.moving_mean * factor
        if layer.center:
            shift = layer.beta + shift
        add("multiply", factor)
        add("add", shift)
    return tuple(steps)


def _is_power_of_two(x: float) -> bool:
    return math.isfinite(x) and x > 0 and math.frexp(x)[0] == 0.5
