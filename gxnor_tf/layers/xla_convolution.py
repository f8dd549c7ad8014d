# SPDX-License-Identifier: Apache-2.0
"""Two convolutions that XLA makes slow on a CPU, in forms that it makes fast.

- One of few products, such as that of a grey image, is a sum of shifted images.
  XLA's own gathers the pixels under the kernel for each output first.
- The gradient of the inputs of an unpadded convolution is a padded one. XLA
  multiplies the zeros of the padding, too: for a kernel of 5x5 on 12x12 that
  is 1.3 of 2.3 products. With the rows of the kernel as channels of their own,
  what is padded is the width alone; the rows are added afterwards.
"""

import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

# Products of an output, and outputs of a place, up to which a convolution is a
# sum of shifted images.
_FEW_PRODUCTS = 32
_FEW_FILTERS = 64
# Rows with padding by rows without, from which on the gradient goes by rows.
_MUCH_PADDING = 1.25


def applies(inputs: Any, kernel_shape: Sequence[int]) -> bool:
    """Whether `convolve_valid()` is for such inputs, and not as any other.

    Both forms add in the dtype of the inputs, which must have the digits.

    Args:
        inputs: `(batch, height, width, channels)`.
        kernel_shape: `(kernel_height, kernel_width, channels, filters)`.
    """
    return (
        tf.is_tensor(inputs)
        and inputs.dtype == tf.float32
        and inputs.shape.rank == 4
        and inputs.shape[1:].is_fully_defined()
        and (
            _few_products(kernel_shape)
            or _much_padding(inputs.shape[1], kernel_shape[0])
        )
    )


def convolve_valid(inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """A convolution without padding, strides and dilation.

    Args:
        inputs: `(batch, height, width, channels)`, sizes but the batch known.
        kernel: `(kernel_height, kernel_width, channels, filters)`.

    Returns:
        `(batch, height - kernel_height + 1, width - kernel_width + 1,
        filters)`.

    >>> convolve_valid(tf.ones((1, 4, 4, 1)), tf.ones((3, 3, 1, 2))).shape
    TensorShape([1, 2, 2, 2])
    """

    def forward(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        if not _few_products(kernel.shape):
            return tf.nn.conv2d(x, kernel, 1, "VALID")
        shifted = _shifted(x, kernel)
        # A branch, one of two equal ones: XLA then writes its result down,
        # where it would otherwise compute the sum anew for each use of it.
        return tf.cond(
            tf.math.is_finite(kernel[0, 0, 0, 0]),
            lambda: shifted,
            lambda: tf.nn.conv2d(x, kernel, 1, "VALID"),
        )

    def of_inputs(x: tf.Tensor, kernel: tf.Tensor, up: tf.Tensor) -> tf.Tensor:
        if _much_padding(x.shape[1], kernel.shape[0]):
            return _by_rows(kernel, up)
        return tf.raw_ops.Conv2DBackpropInput(
            input_sizes=tf.shape(x),
            filter=kernel,
            out_backprop=up,
            strides=[1] * 4,
            padding="VALID",
        )

    @tf.custom_gradient
    def function(x: tf.Tensor, kernel: tf.Tensor) -> Any:
        def backward(up: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            of_kernel = tf.raw_ops.Conv2DBackpropFilter(
                input=x,
                filter_sizes=kernel.shape,
                out_backprop=up,
                strides=[1] * 4,
                padding="VALID",
            )
            return of_inputs(x, kernel, up), of_kernel

        return forward(x, kernel), backward

    return function(inputs, kernel)


def _few_products(kernel_shape: Sequence[int]) -> bool:
    *window, channels, filters = kernel_shape
    # Under a kernel of 1x1 there is nothing to gather.
    return (
        1 < math.prod(window) <= _FEW_PRODUCTS / channels
        and filters <= _FEW_FILTERS
    )


def _much_padding(height: int, kernel_height: int) -> bool:
    return height >= _MUCH_PADDING * (height - kernel_height + 1)


def _shifted(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """The convolution as a sum over places of the kernel and channels."""
    down, right, channels, _ = kernel.shape
    height, width = x.shape[1] - down + 1, x.shape[2] - right + 1
    return tf.add_n(
        [
            x[:, i : i + height, j : j + width, c : c + 1] * kernel[i, j, c]
            for i in range(down)
            for j in range(right)
            for c in range(channels)
        ]
    )


def _by_rows(kernel: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
    """The gradient of the inputs, row by row of the kernel."""
    down, right, channels, filters = kernel.shape
    # (right, filters, down, channels), mirrored.
    rows = tf.transpose(tf.reverse(kernel, [1]), (1, 3, 0, 2))
    rows = tf.reshape(rows, (1, right, filters, down * channels))
    margin = right - 1
    wide = tf.pad(upstream, [(0, 0), (0, 0), (margin, margin), (0, 0)])
    parts = tf.split(tf.nn.conv2d(wide, rows, 1, "VALID"), down, axis=-1)
    return tf.add_n(
        [
            tf.pad(part, [(0, 0), (i, down - 1 - i), (0, 0), (0, 0)])
            for i, part in enumerate(parts)
        ]
    )
