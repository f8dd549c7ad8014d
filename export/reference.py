# SPDX-License-Identifier: Apache-2.0
"""The oracle: an integer program evaluated in NumPy, plainly.

Every runtime must give these very integers.
"""

import dataclasses

import numpy as np

from .program import (
    Float32Array,
    Int8Array,
    Int32Array,
    Program,
    Thresholds,
    Window,
)


@dataclasses.dataclass(frozen=True)
class Result:
    """What a program computes for a batch.

    Attributes:
        activations: int8 states `(batch, height, width, channels)` of every
            op with thresholds, by `output_name`; channels that the program
            flips are flipped.
        sums: int32 `(batch, height, width, channels)` of the last op, None if
            it has thresholds.
        output: The output as the exported file gives it: float32 logits, or
            int8 states if the last op has thresholds.
    """

    activations: dict[str, Int8Array]
    sums: Int32Array | None
    output: Float32Array | Int8Array


def conv2d(x: Int8Array, kernel: Int8Array, window: Window) -> Int32Array:
    """Integer convolution, padded with zeros.

    Args:
        x: int8 `(batch, height, width, inputs)`.
        kernel: int8 `(outputs, kernel_height, kernel_width, inputs)`.
        window: How the kernel slides.

    Returns:
        int32 sums `(batch, new_height, new_width, outputs)`.
    """
    top, bottom, left, right = window.padding
    height, width = window.output_size(x.shape[1], x.shape[2])
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    # float64 holds these integers exactly and has a fast matrix product.
    sums = np.zeros((len(x), height, width, len(kernel)), np.float64)
    for ky in range(window.size[0]):
        for kx in range(window.size[1]):
            tap = padded[
                :,
                ky * window.dilation[0] :: window.strides[0],
                kx * window.dilation[1] :: window.strides[1],
            ][:, :height, :width]
            sums += tap.astype(np.float64) @ kernel[:, ky, kx].T.astype(
                np.float64
            )
    return sums.astype(np.int32)


def activate(sums: Int32Array, thresholds: Thresholds) -> Int8Array:
    """Ternary activation of integer sums."""
    plus = (sums >= thresholds.high).astype(np.int8)
    minus = (sums < thresholds.low).astype(np.int8)
    return plus - minus


def max_pool(x: Int8Array, window: Window) -> Int8Array:
    """Max-pool of states; the window is clipped at the borders."""
    top, bottom, left, right = window.padding
    height, width = window.output_size(x.shape[1], x.shape[2])
    padded = np.pad(
        x,
        ((0, 0), (top, bottom), (left, right), (0, 0)),
        constant_values=-128,
    )
    taps = [
        padded[:, ky :: window.strides[0], kx :: window.strides[1]]
        for ky in range(window.size[0])
        for kx in range(window.size[1])
    ]
    pooled: Int8Array = np.max([t[:, :height, :width] for t in taps], axis=0)
    return pooled


def run(program: Program, x: Int8Array) -> Result:
    """Evaluates a program.

    Args:
        program: The integer program.
        x: int8 inputs `(batch, *program.input_shape)`.

    Returns:
        The activations, sums and output of the batch.

    Raises:
        ValueError: If the dtype or shape of `x` is another one.
    """
    if x.dtype != np.int8 or x.shape[1:] != program.input_shape:
        raise ValueError(
            f"`x` must be int8 of shape (batch, *{program.input_shape}). "
            f"Received: dtype={x.dtype}, shape={x.shape}"
        )
    activations: dict[str, Int8Array] = {}
    sums: Int32Array | None = None
    for op in program.ops:
        x = x.reshape(len(x), *op.input_shape)
        sums = conv2d(x, op.kernel, op.window)
        if op.thresholds is not None:
            x = activate(sums, op.thresholds)
            x = x if op.pool is None else max_pool(x, op.pool)
            activations[op.output_name] = x
            sums = None
    last = program.ops[-1]
    shape = (-1, last.output_shape[2]) if last.fully_connected else x.shape
    if sums is None:
        return Result(activations, None, x.reshape(shape))
    output = sums.astype(np.float32)
    for step in program.tail:
        output = (
            output * step.operand
            if step.kind == "multiply"
            else output + step.operand
        )
    if last.fully_connected:
        output = output.reshape(shape)
    return Result(activations, sums, output)
