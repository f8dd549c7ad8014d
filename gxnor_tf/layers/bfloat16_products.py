# SPDX-License-Identifier: Apache-2.0
"""Products of ternary numbers in bfloat16, on processors that are fast in it.

bfloat16 has 8 significant bits. Binary and ternary numbers need one, and a sum
of their products none that bfloat16 lacks while it is below 256: processors
add in float32 and round the sum alone. So the sums of a forward pass are those
of float32, bit for bit; a batch with a larger one is computed again in
float32. Backward, gradients are rounded to 8 bits, as many as the moments of
discrete weights have.
"""

import math
import os
import pathlib
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from gxnor_tf import _compat
from gxnor_tf.discrete_space import DiscreteSpace

# Maps inputs `(..., channels)` and a kernel `(..., channels, outputs)` to sums
# over the channels.
Multiply = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]

# Smaller whole numbers have 8 significant bits; 256 may be 257, rounded.
_LIMIT = 256
# Products of one sum. In trained nets those of 800 reached 243, and those of
# 1152 reached 309: so that few batches are multiplied twice.
_MOST_PRODUCTS = 640
# Smaller ones gain less than the casts take.
_FEWEST_PRODUCTS = 128
_FEWEST_OUTPUTS = 32

_FLAGS = {"avx512_bf16", "amx_bf16"}
_SPACE = "_gxnor_tf_space"

_enabled = False


def enable_bfloat16_products(enabled: bool = True) -> bool:
    """Lets layers multiply ternary inputs and weights in bfloat16 in training.

    It holds for layers that are made, or loaded, afterwards. Forward nothing
    changes; backward, the gradients that go into and out of a product are
    rounded to bfloat16. A layer does so where

    - it is called with `training=True`, as `fit` does, outside of XLA;
    - its weights, and the activations that it gets directly from a
      `DiscreteActivation`, are binary or ternary, with a power of two as
      `half_range`;
    - it is a `DiscreteDense`, or a `DiscreteConv1D` or `DiscreteConv2D` with
      the channels last and neither groups nor causal padding, that is not too
      small and computes in float32;
    - TensorFlow computes by oneDNN on x86 processors with AVX512_BF16 or AMX,
      and sees no GPU.

    Elsewhere it multiplies in float32, as without this. Forward-mode
    differentiation (`tf.autodiff.ForwardAccumulator`) does not go through
    products in bfloat16.

    Args:
        enabled: False for the default, float32 everywhere.

    Returns:
        Whether layers will do so: `enabled`, and whether the processor can.

    Raises:
        TypeError: If `enabled` is no bool.

    Example:

    >>> enable_bfloat16_products(False)
    False
    """
    global _enabled
    if not isinstance(enabled, bool):
        raise TypeError(
            f"`enabled` must be True or False. Received: enabled={enabled!r}"
        )
    _enabled = enabled and _is_fast()
    return _enabled


def are_enabled() -> bool:
    """Whether layers that are made now multiply in bfloat16."""
    return _enabled


def mark(values: tf.Tensor, space: DiscreteSpace) -> None:
    """Notes on a tensor, as Keras does with masks, of what space it is.

    Operations make new tensors, without the note, so that what lies between
    two layers need not know of it. (TensorFlow's raw in-place operations do
    not, and are used by nothing in Keras.)

    Args:
        values: Values of the space.
        space: The space.
    """
    setattr(values, _SPACE, space)


def space_of(inputs: Any) -> DiscreteSpace | None:
    """The space that `mark()` has noted, None without a note."""
    space: DiscreteSpace | None = getattr(inputs, _SPACE, None)
    return space


def applies(
    dtype: Any,
    space: DiscreteSpace,
    kernel_shape: tuple[int, ...],
    weight_space: DiscreteSpace,
) -> bool:
    """Whether `exact_sums()` is for such inputs and weights, and faster.

    Args:
        dtype: Of the inputs.
        space: Space of the inputs.
        kernel_shape: `(..., channels, outputs)`, all channels of the inputs.
        weight_space: Space of the kernel.
    """
    return (
        dtype == tf.float32
        and max(space.n, weight_space.n) <= 1
        and math.frexp(space.unit)[0] == 0.5
        and math.prod(kernel_shape[:-1]) >= _FEWEST_PRODUCTS
        and kernel_shape[-1] >= _FEWEST_OUTPUTS
        and not _compat.inside_xla()
    )


def exact_sums(
    multiply: Multiply, inputs: tf.Tensor, kernel: tf.Tensor, unit: float
) -> tf.Tensor:
    """Sums of products, made in bfloat16 and equal to those in float32.

    Args:
        multiply: What makes sums in the dtype of its arguments.
        inputs: float32, multiples of `unit`, for which `applies()`.
        kernel: float32 states.
        unit: A power of two.

    Returns:
        float32 sums. The gradients of inputs and kernel are float32 numbers
        that bfloat16 has.
    """
    channels = kernel.shape[-2]
    parts = min(channels, -(-math.prod(kernel.shape[:-1]) // _MOST_PRODUCTS))
    limit = _LIMIT * unit

    @tf.custom_gradient
    def function(x: tf.Tensor, kernel: tf.Tensor) -> Any:
        x16 = tf.cast(x, tf.bfloat16)
        kernel16 = tf.cast(kernel, tf.bfloat16)
        made = [
            tf.cast(multiply(*part), tf.float32)
            for part in zip(
                _split(x16, parts, -1), _split(kernel16, parts, -2), strict=True
            )
        ]
        exact = tf.reduce_all(
            [
                (tf.reduce_max(part) < limit) & (tf.reduce_min(part) > -limit)
                for part in made
            ]
        )
        y = tf.cond(exact, lambda: tf.add_n(made), lambda: multiply(x, kernel))

        def backward(upstream: tf.Tensor) -> list[tf.Tensor]:
            # Only gradients are taken of these sums. A graph leaves them out,
            # eager execution makes them twice.
            with tf.GradientTape() as tape:
                tape.watch([x16, kernel16])
                again = multiply(x16, kernel16)
            gradients = tape.gradient(
                again, [x16, kernel16], tf.cast(upstream, tf.bfloat16)
            )
            return [tf.cast(gradient, tf.float32) for gradient in gradients]

        return y, backward

    return function(inputs, kernel)


def _split(x: tf.Tensor, parts: int, axis: int) -> list[tf.Tensor]:
    """Slices of about the same size."""
    size = x.shape[axis]
    sizes = [
        size * (part + 1) // parts - size * part // parts
        for part in range(parts)
    ]
    return tf.split(x, sizes, axis) if parts > 1 else [x]


def _is_fast() -> bool:
    """Whether TensorFlow's bfloat16 is faster than its float32 here.

    And adds in float32, which its own kernels beside oneDNN do not.
    """
    onednn = os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1").lower()
    if onednn in ("0", "false"):
        return False
    # Limited to other instructions, oneDNN may have no bfloat16.
    if any(f"{x}_MAX_CPU_ISA" in os.environ for x in ("ONEDNN", "DNNL")):
        return False
    if tf.config.get_visible_devices("GPU"):
        return False
    return not _FLAGS.isdisjoint(_processor_flags())


def _processor_flags() -> list[str]:
    """The words with which Linux describes the processors."""
    try:
        return pathlib.Path("/proc/cpuinfo").read_text("utf-8").split()
    except OSError:
        return []
