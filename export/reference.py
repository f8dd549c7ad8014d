# SPDX-License-Identifier: Apache-2.0
"""The oracle: an integer program evaluated in NumPy, plainly.

Every runtime must give these very integers, and these very reals where they
are marked exact.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .program import (
    DiscreteOp,
    Float32Array,
    FloatOp,
    Int8Array,
    Int32Array,
    Program,
    SimpleOp,
    Thresholds,
    Window,
)

Array: TypeAlias = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Result:
    """What a program computes for a batch.

    Attributes:
        values: Every value by its tensor's name: states as int8, reals as
            float32, `(batch, *shape)`.
        output: The output: float32, or int8 states if the model ends in them.
    """

    values: dict[str, Array]
    output: Array


def convolve(
    x: Array, kernel: Array, window: Window, groups: int = 1
) -> npt.NDArray[np.float64]:
    """Convolution padded with zeros, exact for integers.

    Args:
        x: `(batch, height, width, inputs)`.
        kernel: `(outputs, kernel_height, kernel_width, inputs / groups)`.
        window: How the kernel slides.
        groups: How many groups of channels see only themselves.

    Returns:
        float64 sums `(batch, new_height, new_width, outputs)`.
    """
    batch, channels = len(x), x.shape[3] // groups
    height, width = window.output_size(x.shape[1], x.shape[2])
    # float64 holds these integers exactly and has a fast matrix product.
    by_group = kernel.astype(np.float64).reshape(
        groups, len(kernel) // groups, -1, channels
    )
    sums = np.zeros((groups, batch * height * width, by_group.shape[1]))
    for number, tap in enumerate(_taps(x, window, 0)):
        seen = tap.astype(np.float64).reshape(-1, groups, channels)
        sums += seen.swapaxes(0, 1) @ by_group[:, :, number].swapaxes(1, 2)
    return sums.swapaxes(0, 1).reshape(batch, height, width, -1)


def conv2d(
    x: Int8Array, kernel: Int8Array, window: Window, groups: int = 1
) -> Int32Array:
    """Integer convolution; see `convolve`."""
    return convolve(x, kernel, window, groups).astype(np.int32)


def activate(sums: Int32Array, thresholds: Thresholds) -> Int8Array:
    """Discrete activation of integer sums `(..., channels)`."""
    count = np.zeros(sums.shape, np.int32)
    for step in thresholds.steps:
        count += sums >= step
    return (thresholds.lowest + thresholds.stride * count).astype(np.int8)


def max_pool(x: Array, window: Window) -> Array:
    """Max-pool; the window is clipped at the borders."""
    lowest = -np.inf if x.dtype.kind == "f" else -128
    pooled: Array = np.max(_taps(x, window, lowest), axis=0)
    return pooled


def average_pool(x: Float32Array, window: Window) -> Float32Array:
    """Average pool; the window is clipped at the borders."""
    sums = np.sum(_taps(x, window, 0), axis=0, dtype=np.float32)
    counts = np.sum(_taps(np.ones_like(x), window, 0), axis=0)
    means: Float32Array = (sums / counts).astype(np.float32)
    return means


def run(program: Program, x: Int8Array) -> Result:
    """Evaluates a program.

    Args:
        program: The integer program.
        x: int8 inputs `(batch, *program.input.shape)`.

    Returns:
        All values of the batch.

    Raises:
        ValueError: If the dtype or shape of `x` is another one.
    """
    if x.dtype != np.int8 or x.shape[1:] != program.input.shape:
        raise ValueError(
            f"`x` must be int8 of shape (batch, *{program.input.shape}). "
            f"Received: dtype={x.dtype}, shape={x.shape}"
        )
    values: dict[str, Array] = {program.input.name: x}
    for op in program.ops:
        inputs = [values[tensor.name] for tensor in op.inputs]
        if isinstance(op, DiscreteOp):
            value = _discrete(op, inputs[0])
        elif isinstance(op, FloatOp):
            value = _float(op, inputs[0])
        else:
            value = _SIMPLE[op.kind](op, *inputs)
        values[op.output.name] = value.reshape(len(x), *op.output.shape)
    return Result(values, values[program.output.name])


def _discrete(op: DiscreteOp, x: Int8Array) -> Array:
    x = x.reshape(len(x), *op.input_shape)
    sums = conv2d(x, op.kernel, op.window, op.groups)
    if op.thresholds is None:
        return sums.astype(np.int8 if op.output.is_states else np.float32)
    states = activate(sums, op.thresholds)
    return states if op.pool is None else max_pool(states, op.pool)


def _float(op: FloatOp, x: Float32Array) -> Float32Array:
    if op.fully_connected:
        x = x.reshape(len(x), *op.kernel.shape[1:])
    return convolve(x, op.kernel, op.window, op.groups).astype(np.float32)


def _affine(op: SimpleOp, x: Float32Array) -> Float32Array:
    assert op.affine is not None
    operand = op.affine.operand
    if op.affine.kind == "multiply":
        return x * operand
    return x / operand if op.affine.kind == "divide" else x + operand


def _discretize(op: SimpleOp, x: Float32Array) -> Int8Array:
    assert op.steps is not None
    if not len(op.steps):
        return np.asarray(np.where(x >= 0, 1, -1), np.int8)
    states = np.zeros(x.shape, np.int8)
    for step in op.steps:
        states += (x > step).astype(np.int8) - (x < -step).astype(np.int8)
    return states


def _quantize(op: SimpleOp, x: Float32Array) -> Int8Array:
    # A half is rounded up.
    whole = np.floor(x / np.float32(op.output.unit) + np.float32(0.5))
    return np.asarray(np.clip(whole, -128, 127), np.int8)


def _dilate(op: SimpleOp, x: Array) -> Array:
    down, right = _window(op).strides
    dilated = np.zeros((len(x), *op.output.shape), x.dtype)
    dilated[:, ::down, ::right] = x
    return dilated


def _pad(op: SimpleOp, x: Array) -> Array:
    top, bottom, left, right = _window(op).padding
    return np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))


def _softmax(op: SimpleOp, x: Float32Array) -> Float32Array:
    powers = np.exp(x - x.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True), np.float32)


def _window(op: SimpleOp) -> Window:
    assert op.window is not None
    return op.window


def _taps(x: Array, window: Window, fill: float) -> list[Array]:
    """What each tap of a window sees, `(batch, new_height, new_width, C)`."""
    top, bottom, left, right = window.padding
    height, width = window.output_size(x.shape[1], x.shape[2])
    padded = np.pad(
        x,
        ((0, 0), (top, bottom), (left, right), (0, 0)),
        constant_values=fill,
    )
    return [
        padded[
            :,
            ky * window.dilation[0] :: window.strides[0],
            kx * window.dilation[1] :: window.strides[1],
        ][:, :height, :width]
        for ky in range(window.size[0])
        for kx in range(window.size[1])
    ]


_SIMPLE: dict[str, Callable[..., Array]] = {
    "add": lambda op, first, *rest: sum(rest, first),
    "affine": _affine,
    "average_pool": lambda op, x: average_pool(x, _window(op)),
    "concatenate": lambda op, *inputs: np.concatenate(inputs, -1),
    "dequantize": lambda op, x: (
        x.astype(np.float32) * np.float32(op.inputs[0].unit)
    ),
    "dilate": _dilate,
    "discretize": _discretize,
    "max_pool": lambda op, x: max_pool(x, _window(op)),
    "mean": lambda op, x: x.mean((1, 2), dtype=np.float32),
    "pad": _pad,
    "quantize": _quantize,
    "relu": lambda op, x: np.maximum(x, np.float32(0)),
    "reshape": lambda op, x: x,
    "softmax": _softmax,
}
