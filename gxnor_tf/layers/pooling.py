# SPDX-License-Identifier: Apache-2.0
"""Max-pooling whose gradient is fast under XLA, too."""

import math
from typing import Any

import keras
import tensorflow as tf

from gxnor_tf import _compat

# Of a window; the gradient's code grows with it.
_MOST_ELEMENTS = 16


@keras.saving.register_keras_serializable(package="gxnor_tf")
class MaxPooling2D(keras.layers.MaxPooling2D):
    """Keras' max-pooling, trained faster with `jit_compile=True`.

    Arguments, shapes, values and gradients are those of
    `keras.layers.MaxPooling2D`: of equal elements of a window the first gets
    the gradient, and sums of integers are often equal. XLA on a CPU takes
    longer for that gradient than for a convolution; where windows do not
    overlap, comparisons with the maximum find the first one faster. Elsewhere
    (without XLA; other devices or strides, windows of more than 16 elements,
    margins that are padded, channels first, unknown sizes) this is Keras' layer
    itself.

    Args:
        pool_size: Size of the window, an integer or a pair.
        strides: Strides, an integer or a pair; None for those of the window.
        padding: `"valid"` or `"same"`.
        data_format: `"channels_last"` or `"channels_first"`.
        name: Name of the layer.
        **kwargs: Arguments of every Keras layer.

    Input shape:
        `(batch, height, width, channels)`.

    Output shape:
        `(batch, new_height, new_width, channels)`.

    Raises:
        ValueError: If an argument is out of range.

    Example:

    >>> layer = MaxPooling2D()
    >>> layer(np.arange(16.0).reshape(1, 4, 4, 1)).numpy().ravel().tolist()
    [5.0, 7.0, 13.0, 15.0]
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Applies the layer."""
        # Without XLA the comparisons would be operations of their own, which
        # together are slower than Keras' single one.
        if _compat.inside_xla_on_cpu() and self._is_simple(inputs):
            return max_of_windows(inputs, self.pool_size)
        return super().call(inputs)

    def _is_simple(self, inputs: Any) -> bool:
        """Whether windows do not overlap and nothing is padded."""
        if not tf.is_tensor(inputs) or not inputs.dtype.is_floating:
            return False
        sizes = inputs.shape[1:3]
        rest = [
            None if size is None else size % length
            for size, length in zip(sizes, self.pool_size, strict=True)
        ]
        return (
            self.data_format == "channels_last"
            and tuple(self.strides) == tuple(self.pool_size)
            and math.prod(self.pool_size) <= _MOST_ELEMENTS
            and None not in (*rest, inputs.shape[-1])
            and (self.padding == "valid" or not any(rest))
            and all(s >= n for s, n in zip(sizes, self.pool_size, strict=True))
        )


def max_of_windows(inputs: tf.Tensor, window: tuple[int, int]) -> tf.Tensor:
    """The largest element of each window; windows lie side by side.

    Rows and columns that fill no window are left out. The gradient goes to
    the first of the largest elements, row by row.

    Args:
        inputs: `(batch, height, width, channels)`, sizes but the batch known.
        window: Height and width of the window.

    Returns:
        `(batch, height // window[0], width // window[1], channels)`.

    Example:

    >>> x = tf.constant([1.0, 2.0, 2.0, 0.0])[None, :, None, None]
    >>> max_of_windows(x, (4, 1)).numpy().ravel().tolist()
    [2.0]
    """
    down, right = window
    height, width, channels = inputs.shape[1:]
    rows, columns = height // down, width // right

    def elements(x: tf.Tensor) -> list[tf.Tensor]:
        """The elements of all windows, by their place in the window."""
        x = tf.reshape(x, (-1, rows, down, columns, right, channels))
        return [x[:, :, i, :, j] for i in range(down) for j in range(right)]

    def largest(x: tf.Tensor) -> tf.Tensor:
        first, *others = elements(x)
        for element in others:
            first = tf.maximum(first, element)
        return first

    def backward(x: tf.Tensor, y: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
        winner = tf.fill(tf.shape(y), down * right - 1)
        for number, element in reversed([*enumerate(elements(x))][:-1]):
            winner = tf.where(element == y, number, winner)
        numbers = tf.reshape(tf.range(down * right), (1, 1, down, 1, right, 1))
        chosen = winner[:, :, None, :, None] == numbers
        gradient = tf.where(
            chosen, upstream[:, :, None, :, None], tf.zeros((), x.dtype)
        )
        return tf.reshape(gradient, tf.shape(x))

    @tf.custom_gradient
    def function(x: tf.Tensor) -> Any:
        y = largest(x)
        return y, lambda upstream: backward(x, y, upstream)

    return function(inputs[:, : rows * down, : columns * right])
