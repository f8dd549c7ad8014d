# SPDX-License-Identifier: Apache-2.0
"""Discrete activations with a surrogate derivative."""

from typing import Any, Literal, get_args

import numpy as np
import tensorflow as tf

from gxnor_tf._arguments import check_number
from gxnor_tf.discrete_space import TERNARY, DiscreteSpace

Derivative = Literal["rectangular", "triangular"]


def thresholds(
    space: DiscreteSpace, zero_window: float
) -> tuple[np.float32, ...]:
    """The |x| at which the activation jumps by one `step`, ascending.

    The zero interval is `[-r, r]`; `[r, H]` is cut into `2^(n-1)` equal parts
    (Deng et al., 2018, section 2.3). Binary jumps at 0 only.

    >>> [float(t) for t in thresholds(DiscreteSpace(2), 0.5)]
    [0.5, 0.75]
    """
    if space.n == 0:
        return (np.float32(0.0),)
    part = (space.half_range - zero_window) / space.max_state
    return tuple(
        np.float32(zero_window + k * part) for k in range(space.max_state)
    )


def default_zero_window(space: DiscreteSpace) -> float:
    """Half of `half_range`; 0 for a binary space, which has no zero.

    >>> default_zero_window(DiscreteSpace(2, half_range=0.5))
    0.25
    """
    return 0.0 if space.n == 0 else space.half_range / 2


def validate(
    space: DiscreteSpace,
    zero_window: float,
    derivative: str,
    derivative_width: float,
) -> None:
    """Raises an error if these arguments do not define an activation.

    Raises:
        TypeError: If one has the wrong type.
        ValueError: If one is out of range.
    """
    if not isinstance(space, DiscreteSpace):
        raise TypeError(
            f"`space` must be a DiscreteSpace. Received: space={space!r}"
        )
    check_number(zero_window, "zero_window")
    check_number(derivative_width, "derivative_width")
    if not (np.isfinite(zero_window) and zero_window >= 0):
        raise ValueError(
            "`zero_window` must be a finite number >= 0. "
            f"Received: zero_window={zero_window}"
        )
    if space.n == 0 and zero_window != 0:
        raise ValueError(
            "A binary activation has no zero: use `zero_window=0` with n=0, "
            f"or n >= 1. Received: zero_window={zero_window}"
        )
    if space.n >= 2 and not zero_window < space.half_range:
        raise ValueError(
            "`zero_window` must be < `half_range` for n >= 2, where the "
            "levels divide what the window leaves of the range. Received: "
            f"zero_window={zero_window}, half_range={space.half_range}"
        )
    if derivative not in get_args(Derivative):
        raise ValueError(
            f"`derivative` must be one of {get_args(Derivative)}. "
            f"Received: derivative={derivative!r}"
        )
    if not (np.isfinite(derivative_width) and derivative_width > 0):
        raise ValueError(
            "`derivative_width` must be a finite number > 0. "
            f"Received: derivative_width={derivative_width}"
        )


def discretize(
    x: tf.Tensor,
    space: DiscreteSpace = TERNARY,
    zero_window: float | None = None,
    derivative: Derivative = "rectangular",
    derivative_width: float = 0.5,
    *,
    training: bool = False,
) -> tf.Tensor:
    """Rounds `x` to the values of a discrete space, with a pseudo-gradient.

    Forward, with jumps at `t_k = r + k (H - r) / 2^(n-1)`, k = 0..2^(n-1)-1::

        y = sign(x) * step * #{k : |x| > t_k}        (n >= 1)
        y = H if x >= 0 else -H                      (n = 0, binary)

    For ternary this is +1 above `zero_window`, -1 below `-zero_window` and 0
    between (and for |x| = `zero_window`).

    Backward, every jump becomes a pulse of half-width a = `derivative_width`
    whose area is the height of the jump, in d_k = | |x| - t_k |. As it is a
    function of |x|, a pulse that reaches over 0 (a > t_0) is cut off there::

        rectangular   dy/dx = sum_k  step / (2 a)           where d_k <= a
        triangular    dy/dx = sum_k  step / a * (1 - d_k/a) where d_k <= a

    Args:
        x: Floating tensor of any shape.
        space: Space of the result; default ternary.
        zero_window: r >= 0, half-width of the zero interval. 0 for binary;
            below `half_range` for n >= 2. Default `half_range / 2`, for
            binary 0.
        derivative: `"rectangular"` or `"triangular"`.
        derivative_width: a > 0, half-width of the pulse around each jump.
        training: Whether this is part of a training step. The result is
            equal, and may come from an operation that is faster and that
            converters to TensorFlow Lite take for something else.

    Returns:
        Tensor like `x`. NaN stays NaN (binary: -H).

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.

    Example:

    >>> discretize(tf.constant([-0.7, 0.2, 0.5, 0.6])).numpy().tolist()
    [-1.0, 0.0, 0.0, 1.0]

    References:

    - [Deng et al., 2018](https://arxiv.org/abs/1705.09283), section 2.3.
    """
    if zero_window is None and isinstance(space, DiscreteSpace):
        zero_window = default_zero_window(space)
    validate(space, zero_window, derivative, derivative_width)
    jumps = thresholds(space, zero_window)
    step, width = space.step, derivative_width

    def level(x: tf.Tensor) -> tf.Tensor:
        if space.n == 0:
            half = tf.constant(space.half_range, x.dtype)
            return tf.where(x >= 0, half, -half)
        if training and _rounds(space, zero_window, x.dtype):
            return _nearest_ternary(x)
        return _times(tf.add_n([_beyond(x, t) for t in jumps]), step)

    def rectangular(upstream: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        pulses = [_around(t, np.float32(width), upstream, x) for t in jumps]
        return _times(tf.add_n(pulses), step / (2 * width))

    def triangular(upstream: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        magnitude = tf.abs(x)
        heights = [
            tf.nn.relu(1 - tf.abs(magnitude - tf.constant(t, x.dtype)) / width)
            for t in jumps
        ]
        return upstream * _times(tf.add_n(heights), step / width)

    slope = rectangular if derivative == "rectangular" else triangular

    @tf.custom_gradient
    def function(x: tf.Tensor) -> Any:
        return level(x), lambda upstream: slope(upstream, x)

    return function(x)


# What follows is written for TensorFlow's kernels on a CPU: each operation is a
# pass over memory, and those with boolean results have no vector instructions.


def _rounds(space: DiscreteSpace, zero_window: float, dtype: tf.DType) -> bool:
    """Whether `_nearest_ternary()` is the activation."""
    return (
        (space, zero_window) == (TERNARY, 0.5)
        and dtype == tf.float32
        # That of a GPU makes 1 of NaN.
        and not tf.config.get_visible_devices("GPU")
    )


def _nearest_ternary(x: tf.Tensor) -> tf.Tensor:
    """The nearest of -1, 0 and 1, of a tie 0; of float32, in one pass.

    A quantiser to these levels, with factors of 1, rounds so. A zero has the
    sign of x.
    """
    return tf.raw_ops.QuantizeAndDequantizeV2(
        input=x,
        input_min=-1.0,
        input_max=1.0,
        num_bits=2,
        narrow_range=True,
        range_given=True,
        round_mode="HALF_TO_EVEN",
    )


def _beyond(x: tf.Tensor, t: np.float32) -> tf.Tensor:
    """The sign of `x` where `|x| > t`, else 0; NaN where `x` is.

    The difference from what is clipped is 0 or has the sign of x, however it is
    rounded, so every execution mode (eager, graph, XLA) gives the same.
    TensorFlow Lite has these operations, too.
    """
    edge = tf.constant(t, x.dtype)
    return tf.sign(x - tf.clip_by_value(x, -edge, edge))


def _around(
    t: np.float32, width: np.float32, upstream: tf.Tensor, x: tf.Tensor
) -> tf.Tensor:
    """`upstream` where `|x|` is in `[t - width, t + width]`, else 0."""
    # Compared with the edges, so that nothing is rounded.
    first, last = t - width, t + width
    if x.dtype != tf.float32:
        magnitude = tf.abs(x)
        inside = (magnitude >= first) & (magnitude <= last)
        return upstream * tf.cast(inside, x.dtype)
    inside = _up_to(last, upstream, x)
    if first > 0:
        inside -= _up_to(np.nextafter(first, np.float32(0)), upstream, x)
    return inside


def _up_to(edge: np.float32, upstream: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """`upstream` where `|x| <= edge`, else 0; of float32.

    In one pass: the straight-through estimator of a quantiser to the levels
    `-edge`, 0 and `edge`, a range that it needs not adjust.
    """

    @tf.custom_gradient
    def function(upstream: tf.Tensor) -> Any:
        kept = tf.raw_ops.FakeQuantWithMinMaxArgsGradient(
            gradients=upstream,
            inputs=x,
            min=-edge,
            max=edge,
            num_bits=2,
            narrow_range=True,
        )
        # TensorFlow has no gradient of this gradient.
        return kept, lambda second: _up_to(edge, second, x)

    return function(upstream)


def _times(x: tf.Tensor, factor: float) -> tf.Tensor:
    """`x * factor`, without a pass over x for 1."""
    return x if factor == 1 else x * factor
