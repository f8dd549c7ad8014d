# SPDX-License-Identifier: Apache-2.0
"""A plain integer convolution, random problems for it, and models of one op.

The convolution shares no code with the package: it is what kernels, delegate
and reference are compared with.
"""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from export import op_schema, packing
from export.flatbuffer_builder import ModelBuilder, Quantization


def plain_sums(
    x: npt.NDArray[np.int8],
    weights: npt.NDArray[np.int8],
    options: op_schema.Conv2DOptions,
) -> npt.NDArray[np.int32]:
    """The convolution's sums, `(N, H, W, output channels)`, term by term."""
    batch, height, width, _ = x.shape
    conv_height = (
        height
        + options.pad_top
        + options.pad_bottom
        - (options.kernel_height - 1) * options.dilation_height
        - 1
    ) // options.stride_height + 1
    conv_width = (
        width
        + options.pad_left
        + options.pad_right
        - (options.kernel_width - 1) * options.dilation_width
        - 1
    ) // options.stride_width + 1
    sums = np.zeros((batch, conv_height, conv_width, len(weights)), np.int32)
    for y, x_out, ky, kx in np.ndindex(
        conv_height, conv_width, options.kernel_height, options.kernel_width
    ):
        row = y * options.stride_height - options.pad_top
        row += ky * options.dilation_height
        column = x_out * options.stride_width - options.pad_left
        column += kx * options.dilation_width
        if 0 <= row < height and 0 <= column < width:
            taps = x[:, row, column].astype(np.int32)
            sums[:, y, x_out] += taps @ weights[:, ky, kx].astype(np.int32).T
    return sums


def plain_states(
    sums: npt.NDArray[np.int32],
    high: npt.NDArray[np.int32],
    low: npt.NDArray[np.int32],
    options: op_schema.Conv2DOptions,
) -> npt.NDArray[np.int8]:
    """The states `(N, H, W, output channels)` after thresholds and pool."""
    states = np.where(sums >= high, 1, np.where(sums < low, -1, 0))
    batch, height, width, channels = states.shape
    pool_height = (
        height
        + options.pool_pad_top
        + options.pool_pad_bottom
        - options.pool_height
    ) // options.pool_stride_height + 1
    pool_width = (
        width
        + options.pool_pad_left
        + options.pool_pad_right
        - options.pool_width
    ) // options.pool_stride_width + 1
    pooled = np.empty((batch, pool_height, pool_width, channels), np.int8)
    for y, x in np.ndindex(pool_height, pool_width):
        top = y * options.pool_stride_height - options.pool_pad_top
        left = x * options.pool_stride_width - options.pool_pad_left
        window = states[
            :,
            max(top, 0) : top + options.pool_height,
            max(left, 0) : left + options.pool_width,
        ]
        pooled[:, y, x] = window.max((1, 2))
    return pooled


@dataclasses.dataclass(frozen=True)
class Problem:
    """A random op with its data, and what must come out."""

    options: op_schema.Conv2DOptions
    x: npt.NDArray[np.int8]
    weights: npt.NDArray[np.int8]
    high: npt.NDArray[np.int32]
    low: npt.NDArray[np.int32]
    packed: bool  # Ternary input, else int8.

    @property
    def sums(self) -> npt.NDArray[np.int32]:
        """What the op without thresholds must give."""
        return plain_sums(self.x, self.weights, self.options)

    @property
    def states(self) -> npt.NDArray[np.int8]:
        """What the op with thresholds must give, unpacked."""
        return plain_states(self.sums, self.high, self.low, self.options)

    @property
    def input(self) -> npt.NDArray[Any]:
        """The input tensor."""
        return packing.pack_activations(self.x) if self.packed else self.x

    @property
    def thresholds(self) -> npt.NDArray[np.int32]:
        """The thresholds tensor."""
        if self.packed:
            return packing.pack_thresholds(
                self.high, self.low, self.options.depth
            )
        return packing.pair_thresholds(self.high, self.low)


def make_problem(
    options: op_schema.Conv2DOptions,
    *,
    packed: bool,
    batch: int = 1,
    height: int = 6,
    width: int = 5,
    density: float = 0.6,
    seed: int = 0,
) -> Problem:
    """Draws the data of an op.

    Args:
        options: The op.
        packed: Whether the input is ternary, else int8.
        batch: Batch size.
        height: Height of the input.
        width: Width of the input.
        density: Share of non-zero inputs and weights.
        seed: Of the generator.

    Returns:
        The problem. Its thresholds are near the sums, so that all three
        states occur, and some lie at the ends of their range.
    """
    rng = np.random.default_rng(seed)
    shape = (batch, height, width, options.input_channels)
    x = (
        rng.choice(np.array([-1, 1], np.int8), shape)
        if packed
        else rng.integers(-128, 128, shape).astype(np.int8)
    )
    x = np.where(rng.random(shape) < density, x, 0).astype(np.int8)
    shape = (
        options.output_channels,
        options.kernel_height,
        options.kernel_width,
        options.input_channels,
    )
    weights = rng.choice(np.array([-1, 1], np.int8), shape)
    weights = np.where(rng.random(shape) < density, weights, 0).astype(np.int8)
    spread = max(plain_sums(x, weights, options).std(), 1.0)
    pair = rng.normal(0, spread, (2, options.output_channels)).round()
    peak = 1 if packed else 128
    ends = rng.random(pair.shape) < 0.05
    pair = np.where(ends, np.sign(pair) * 2**20, pair)
    limit = peak * options.depth
    low, high = np.sort(pair.clip(-limit, limit + 1).astype(np.int32), axis=0)
    return Problem(options, x, weights, high, low, packed)


def make_fully_connected(
    options: op_schema.FullyConnectedOptions,
    size: tuple[int, int],
    *,
    packed: bool,
) -> Problem:
    """A problem whose kernel covers its input of this height and width."""
    height, width = size
    return make_problem(
        op_schema.Conv2DOptions(
            **dataclasses.asdict(options),
            kernel_height=height,
            kernel_width=width,
        ),
        packed=packed,
        batch=3,
        height=height,
        width=width,
    )


def max_pool_options(
    options: op_schema.Conv2DOptions,
) -> op_schema.MaxPool2DOptions:
    """The pool of a convolution as an op of its own."""
    return op_schema.MaxPool2DOptions(
        channels=options.output_channels,
        pool_height=options.pool_height,
        pool_width=options.pool_width,
        stride_height=options.pool_stride_height,
        stride_width=options.pool_stride_width,
        pad_top=options.pool_pad_top,
        pad_bottom=options.pool_pad_bottom,
        pad_left=options.pool_pad_left,
        pad_right=options.pool_pad_right,
    )


@dataclasses.dataclass(frozen=True)
class DepthwiseProblem:
    """A depthwise op, and the convolution that computes the same.

    Attributes:
        full: The convolution; weights of other channels are 0.
        weights: int8 `(channels, kernel_height, kernel_width, 1)`.
        thresholds: Its thresholds tensor.
    """

    full: Problem
    weights: npt.NDArray[np.int8]
    thresholds: npt.NDArray[np.int32]

    @property
    def options(self) -> op_schema.DepthwiseConv2DOptions:
        """The options of the op."""
        values = dataclasses.asdict(self.full.options)
        del values["output_channels"]
        return op_schema.DepthwiseConv2DOptions(
            channels=values.pop("input_channels"), **values
        )


def make_depthwise(problem: Problem) -> DepthwiseProblem:
    """Makes a depthwise problem of a packed one: its first channels."""
    channels = min(problem.x.shape[3], len(problem.weights))
    options = dataclasses.replace(
        problem.options, input_channels=channels, output_channels=channels
    )
    own = np.arange(channels)
    weights = np.zeros_like(problem.weights[:channels, :, :, :channels])
    weights[own, :, :, own] = problem.weights[own, :, :, own]
    taps = options.kernel_height * options.kernel_width
    low = problem.low[:channels].clip(-taps, taps + 1)
    high = problem.high[:channels].clip(-taps, taps + 1)
    full = Problem(
        options, problem.x[..., :channels].copy(), weights, high, low, True
    )
    return DepthwiseProblem(
        full,
        weights[own, :, :, own][..., None],
        packing.pack_thresholds(high, low, taps),
    )


@st.composite
def problems(
    draw: st.DrawFn, *, packed: bool | None = None, pool: bool = True
) -> Problem:
    """Random problems: odd sizes, strides, padding, dilation, pools."""

    def size(least: int, most: int) -> int:
        return draw(st.integers(least, most))

    channels = st.one_of(
        st.integers(1, 5), st.integers(30, 34), st.integers(62, 66)
    )
    # Blocks of 64, 128, 256 and 512 outputs, and a little more than them.
    wide = st.sampled_from([97, 130, 225, 260, 481, 520])
    values: dict[str, int] = {
        "input_channels": draw(channels),
        "output_channels": draw(st.one_of(channels, channels, wide)),
    }
    sizes: dict[str, int] = {}
    for axis, before, after in (
        ("height", "top", "bottom"),
        ("width", "left", "right"),
    ):
        kernel, dilation = size(1, 3), size(1, 2)
        pad_before, pad_after = size(0, 3), size(0, 3)
        extent = (kernel - 1) * dilation + 1
        least = max(extent - pad_before - pad_after, 1)
        sizes[axis] = size(least, least + 5)
        values[f"kernel_{axis}"] = kernel
        values[f"dilation_{axis}"] = dilation
        values[f"stride_{axis}"] = stride = size(1, 3)
        values[f"pad_{before}"] = pad_before
        values[f"pad_{after}"] = pad_after
        if pool:
            conv = sizes[axis] + pad_before + pad_after - extent
            conv = conv // stride + 1
            window = size(1, 3)
            pool_before = size(0, window - 1)
            least = max(window - conv - pool_before, 0)
            if least > window - 1:
                window, pool_before, least = 1, 0, 0
            values[f"pool_{axis}"] = window
            values[f"pool_stride_{axis}"] = size(1, 3)
            values[f"pool_pad_{before}"] = pool_before
            values[f"pool_pad_{after}"] = size(least, window - 1)
    return make_problem(
        op_schema.Conv2DOptions(**values),
        packed=draw(st.booleans()) if packed is None else packed,
        batch=size(1, 2),
        density=draw(st.sampled_from([0.0, 0.1, 0.6, 1.0])),
        seed=size(0, 2**32 - 1),
        **sizes,
    )


def one_op_model(
    problem: Problem, *, ternary: bool = True, **changes: Any
) -> bytes:
    """A `.tflite` model of one op.

    Args:
        problem: The op and its data.
        ternary: Whether the op has thresholds.
        **changes: What to write instead of the right thing: `custom_code`,
            `options` (bytes), `weights`, `thresholds` (arrays),
            `input_shape`, `input_dtype`, `output_dtype`, `zero_point`,
            `weights_as_input` (bool).

    Returns:
        The file's content; its input is `x`, its output `y`.
    """
    options = problem.options
    return custom_op_model(
        custom_code=changes.pop("custom_code", options.custom_code),
        options=changes.pop("options", options.to_bytes()),
        input_shape=changes.pop(
            "input_shape", (None, *problem.input.shape[1:])
        ),
        output_shape=(
            None,
            *options.output_shape(problem.x.shape, packed=ternary)[1:],
        ),
        weights=changes.pop("weights", packing.pack_weights(problem.weights)),
        thresholds=changes.pop(
            "thresholds", problem.thresholds if ternary else None
        ),
        input_dtype=changes.pop("input_dtype", problem.input.dtype),
        **changes,
    )


def custom_op_model(
    *,
    custom_code: str,
    options: bytes,
    input_shape: tuple[int | None, ...],
    output_shape: tuple[int | None, ...],
    weights: npt.NDArray[Any],
    thresholds: npt.NDArray[Any] | None,
    input_dtype: npt.DTypeLike,
    output_dtype: npt.DTypeLike = np.int32,
    zero_point: int = 0,
    weights_as_input: bool = False,
) -> bytes:
    """A `.tflite` model of one custom op, right or wrong."""
    builder = ModelBuilder()
    inputs = {
        "x": builder.tensor(
            "x",
            input_shape,
            input_dtype,
            quantization=Quantization(1 / 128, zero_point)
            if np.dtype(input_dtype) == np.int8
            else None,
        )
    }
    if weights_as_input:
        inputs["w"] = builder.tensor("w", weights.shape, weights.dtype)
    operands = [
        inputs["x"],
        inputs["w"]
        if weights_as_input
        else builder.constant("weights", weights),
    ]
    if thresholds is not None:
        operands.append(builder.constant("thresholds", thresholds))
    y = builder.tensor("y", output_shape, output_dtype)
    builder.custom(custom_code, operands, [y], options)
    return builder.finish(inputs, {"y": y})
