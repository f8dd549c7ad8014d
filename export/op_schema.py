# SPDX-License-Identifier: Apache-2.0
"""The custom ops: their names, options and output shapes, version 1.

`GxnorConv2D`, `GxnorDepthwiseConv2D` and `GxnorFullyConnected` read
`[x, weights]` or `[x, weights, thresholds]` and write one output:

- `x` int8 `[N, H, W, C]`, or int32 words `[N, H, W, 2 * ceil(C / 32)]` of
  packed ternary activations, which a depthwise op needs. A fully connected op
  also reads rank 2; at rank 4 it is the convolution whose kernel covers the
  whole input.
- `weights` int32 records and `thresholds` int32, see `packing.py`.
- With thresholds the output is packed and may be max-pooled; without, it is
  the int32 accumulators.

`GxnorMaxPool2D` reads and writes packed activations `[N, H, W, words]`.

`GxnorPack` and `GxnorUnpack` stand where these meet builtin int8 ops. They
read one tensor of any rank >= 2 and write one:

- `GxnorPack` int8 `[N, ..., C]` of states -1, 0 and +1, zero point 0, to
  int32 words `[N, ..., 2 * ceil(C / 32)]`. Of any other value the sign counts.
- `GxnorUnpack` the other way. A channel set in both `plus` and `minus`, which
  no packed activation has, becomes 0.

Their options are those of `op_options.py`.
"""

import abc
import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

from .op_options import Options
from .packing import MAX_DEPTH, groups_for

CONV_2D = "GxnorConv2D"
FULLY_CONNECTED = "GxnorFullyConnected"
DEPTHWISE_CONV_2D = "GxnorDepthwiseConv2D"
MAX_POOL_2D = "GxnorMaxPool2D"
PACK = "GxnorPack"
UNPACK = "GxnorUnpack"
CUSTOM_CODES = (
    CONV_2D,
    FULLY_CONNECTED,
    DEPTHWISE_CONV_2D,
    MAX_POOL_2D,
    PACK,
    UNPACK,
)
"""All custom ops."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _WeightOptions(Options):
    """What the options of the ops with weights have in common."""

    input_channels: int
    output_channels: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class FullyConnectedOptions(_WeightOptions):
    """Options of `GxnorFullyConnected`.

    Args:
        input_channels: Channels of each input position. A fully connected op
            after a `(height, width, channels)` tensor has `channels` here.
        output_channels: Units.

    Raises:
        TypeError: If a value is not an int.
        ValueError: If a value is out of range.

    Example:
    >>> options = FullyConnectedOptions(input_channels=40, output_channels=10)
    >>> options.output_shape((1, 40), packed=True)
    (1, 2)
    >>> options == FullyConnectedOptions.from_bytes(options.to_bytes())
    True
    """

    custom_code: ClassVar[str] = FULLY_CONNECTED

    def output_shape(
        self, input_shape: Sequence[int], *, packed: bool
    ) -> tuple[int, ...]:
        """Computes the shape of the output tensor.

        Args:
            input_shape: `(batch, ...)`, unpacked or packed.
            packed: Whether the op has thresholds and packs its output.

        Returns:
            `(batch, output words)` if packed, else `(batch, units)`.
        """
        return (input_shape[0], _last_size(self.output_channels, packed))


@dataclasses.dataclass(frozen=True, kw_only=True)
class _WindowOptions(Options, abc.ABC):
    """What the options of the convolutions have in common.

    The padding of the convolution contributes zeros, that of the pool
    nothing at all.
    """

    kernel_height: int
    kernel_width: int
    stride_height: int = 1
    stride_width: int = 1
    dilation_height: int = 1
    dilation_width: int = 1
    pad_top: int = 0
    pad_bottom: int = 0
    pad_left: int = 0
    pad_right: int = 0
    pool_height: int = 1
    pool_width: int = 1
    pool_stride_height: int = 1
    pool_stride_width: int = 1
    pool_pad_top: int = 0
    pool_pad_bottom: int = 0
    pool_pad_left: int = 0
    pool_pad_right: int = 0

    def __post_init__(self) -> None:
        """Checks the depth and the pool."""
        super().__post_init__()
        if self.depth > MAX_DEPTH:
            raise ValueError(
                f"{self.custom_code}: `kernel_height * kernel_width * "
                f"input_channels` must be <= {MAX_DEPTH}. Received: "
                f"{self.kernel_height} * {self.kernel_width} * "
                f"{self.tap_channels} = {self.depth}"
            )
        _check_pool_padding(self, "pool_pad_")

    @property
    @abc.abstractmethod
    def tap_channels(self) -> int:
        """Input channels that one output channel sees."""

    @property
    @abc.abstractmethod
    def result_channels(self) -> int:
        """Channels of the output, unpacked."""

    @property
    def depth(self) -> int:
        """Products of one sum."""
        return self.kernel_height * self.kernel_width * self.tap_channels

    def conv_size(self, height: int, width: int) -> tuple[int, int]:
        """Computes the height and width of the convolution, before the pool.

        Args:
            height: Height of the input.
            width: Width of the input.

        Returns:
            `(height, width)`.

        Raises:
            ValueError: If the kernel does not fit the padded input.
        """
        return _positions(
            f"{self.custom_code}: the kernel",
            (
                height + self.pad_top + self.pad_bottom,
                width + self.pad_left + self.pad_right,
            ),
            (
                (self.kernel_height - 1) * self.dilation_height + 1,
                (self.kernel_width - 1) * self.dilation_width + 1,
            ),
            (self.stride_height, self.stride_width),
        )

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Computes the height and width of the output, after the pool.

        Args:
            height: Height of the input.
            width: Width of the input.

        Returns:
            `(height, width)`.

        Raises:
            ValueError: If the kernel or the pool does not fit.
        """
        conv_height, conv_width = self.conv_size(height, width)
        return _positions(
            f"{self.custom_code}: the pool window",
            (
                conv_height + self.pool_pad_top + self.pool_pad_bottom,
                conv_width + self.pool_pad_left + self.pool_pad_right,
            ),
            (self.pool_height, self.pool_width),
            (self.pool_stride_height, self.pool_stride_width),
        )

    def output_shape(
        self, input_shape: Sequence[int], *, packed: bool
    ) -> tuple[int, ...]:
        """Computes the shape of the output tensor.

        Args:
            input_shape: `(batch, height, width, ...)`, unpacked or packed.
            packed: Whether the op has thresholds and packs its output.

        Returns:
            `(batch, height, width, words)` if packed, else with channels.

        Raises:
            ValueError: If the kernel or the pool does not fit.
        """
        batch, height, width = input_shape[:3]
        return (
            batch,
            *self.output_size(height, width),
            _last_size(self.result_channels, packed),
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Conv2DOptions(_WindowOptions, _WeightOptions):
    """Options of `GxnorConv2D`: a convolution and the max-pool after it.

    The padding of the convolution contributes zeros, that of the pool
    nothing at all. The defaults of the pool mean no pool.

    Args:
        input_channels: Channels of the input, unpacked.
        output_channels: Channels of the output, unpacked.
        kernel_height: Height of the kernel.
        kernel_width: Width of the kernel.
        stride_height: Rows from one output to the next.
        stride_width: Columns from one output to the next.
        dilation_height: Rows from one tap to the next.
        dilation_width: Columns from one tap to the next.
        pad_top: Rows of zeros above the input.
        pad_bottom: Rows of zeros below the input.
        pad_left: Columns of zeros left of the input.
        pad_right: Columns of zeros right of the input.
        pool_height: Height of the pool window.
        pool_width: Width of the pool window.
        pool_stride_height: Rows from one pool window to the next.
        pool_stride_width: Columns from one pool window to the next.
        pool_pad_top: Rows that the first windows may lie above the input,
            < `pool_height`; likewise below, left and right.
        pool_pad_bottom: See `pool_pad_top`.
        pool_pad_left: See `pool_pad_top`.
        pool_pad_right: See `pool_pad_top`.

    Raises:
        TypeError: If a value is not an int.
        ValueError: If a value is out of range.

    Example:
    >>> options = Conv2DOptions(
    ...     input_channels=1,
    ...     output_channels=40,
    ...     kernel_height=5,
    ...     kernel_width=5,
    ...     pool_height=2,
    ...     pool_width=2,
    ...     pool_stride_height=2,
    ...     pool_stride_width=2,
    ... )
    >>> options.depth
    25
    >>> options.output_shape((1, 28, 28, 1), packed=True)
    (1, 12, 12, 4)
    >>> options == Conv2DOptions.from_bytes(options.to_bytes())
    True
    """

    custom_code: ClassVar[str] = CONV_2D

    @property
    def tap_channels(self) -> int:
        """Input channels that one output channel sees: all."""
        return self.input_channels

    @property
    def result_channels(self) -> int:
        """Channels of the output, unpacked."""
        return self.output_channels


@dataclasses.dataclass(frozen=True, kw_only=True)
class DepthwiseConv2DOptions(_WindowOptions):
    """Options of `GxnorDepthwiseConv2D` and the max-pool after it.

    Output channel c sees input channel c only.

    Args:
        channels: Channels of input and output, unpacked.

    All others are those of `Conv2DOptions`.

    Raises:
        TypeError: If a value is not an int.
        ValueError: If a value is out of range.

    Example:
    >>> options = DepthwiseConv2DOptions(
    ...     channels=40, kernel_height=3, kernel_width=3
    ... )
    >>> options.depth
    9
    >>> options.output_shape((1, 28, 28, 4), packed=True)
    (1, 26, 26, 4)
    >>> options == DepthwiseConv2DOptions.from_bytes(options.to_bytes())
    True
    """

    custom_code: ClassVar[str] = DEPTHWISE_CONV_2D

    channels: int

    @property
    def tap_channels(self) -> int:
        """Input channels that one output channel sees."""
        return 1

    @property
    def result_channels(self) -> int:
        """Channels of the output, unpacked."""
        return self.channels


@dataclasses.dataclass(frozen=True, kw_only=True)
class MaxPool2DOptions(Options):
    """Options of `GxnorMaxPool2D`. Its padding contributes nothing at all.

    Args:
        channels: Channels of input and output, unpacked.
        pool_height: Height of the window.
        pool_width: Width of the window.
        stride_height: Rows from one window to the next.
        stride_width: Columns from one window to the next.
        pad_top: Rows that the first windows may lie above the input,
            < `pool_height`; likewise below, left and right.
        pad_bottom: See `pad_top`.
        pad_left: See `pad_top`.
        pad_right: See `pad_top`.

    Raises:
        TypeError: If a value is not an int.
        ValueError: If a value is out of range.

    Example:
    >>> options = MaxPool2DOptions(
    ...     channels=40,
    ...     pool_height=2,
    ...     pool_width=2,
    ...     stride_height=2,
    ...     stride_width=2,
    ... )
    >>> options.output_shape((1, 28, 28, 4))
    (1, 14, 14, 4)
    >>> options == MaxPool2DOptions.from_bytes(options.to_bytes())
    True
    """

    custom_code: ClassVar[str] = MAX_POOL_2D

    channels: int
    pool_height: int
    pool_width: int
    stride_height: int
    stride_width: int
    pad_top: int = 0
    pad_bottom: int = 0
    pad_left: int = 0
    pad_right: int = 0

    def __post_init__(self) -> None:
        """Checks the padding."""
        super().__post_init__()
        _check_pool_padding(self, "pad_")

    def output_shape(self, input_shape: Sequence[int]) -> tuple[int, ...]:
        """Computes the shape of the output tensor.

        Args:
            input_shape: `(batch, height, width, words)`.

        Returns:
            The same with the height and width of the output.

        Raises:
            ValueError: If the pool does not fit.
        """
        batch, height, width, words = input_shape
        size = _positions(
            f"{self.custom_code}: the pool window",
            (
                height + self.pad_top + self.pad_bottom,
                width + self.pad_left + self.pad_right,
            ),
            (self.pool_height, self.pool_width),
            (self.stride_height, self.stride_width),
        )
        return (batch, *size, words)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PackOptions(Options):
    """Options of `GxnorPack`.

    Args:
        channels: Channels of the int8 input, its last axis.

    Raises:
        TypeError: If `channels` is not an int.
        ValueError: If `channels` is out of range.

    Example:
    >>> options = PackOptions(channels=40)
    >>> options.output_shape((1, 7, 7, 40))
    (1, 7, 7, 4)
    >>> options == PackOptions.from_bytes(options.to_bytes())
    True
    """

    custom_code: ClassVar[str] = PACK

    channels: int

    def output_shape(self, input_shape: Sequence[int]) -> tuple[int, ...]:
        """Computes the shape of the output tensor.

        Args:
            input_shape: `(batch, ..., channels)`.

        Returns:
            `(batch, ..., words)`.

        Raises:
            ValueError: If the rank is < 2 or the last axis is another.
        """
        words = packed_size(self.channels)
        return _with_last_size(self, input_shape, self.channels, words)


@dataclasses.dataclass(frozen=True, kw_only=True)
class UnpackOptions(Options):
    """Options of `GxnorUnpack`.

    Args:
        channels: Channels of the int8 output, its last axis.

    Raises:
        TypeError: If `channels` is not an int.
        ValueError: If `channels` is out of range.

    Example:
    >>> options = UnpackOptions(channels=40)
    >>> options.output_shape((1, 7, 7, 4))
    (1, 7, 7, 40)
    >>> options == UnpackOptions.from_bytes(options.to_bytes())
    True
    """

    custom_code: ClassVar[str] = UNPACK

    channels: int

    def output_shape(self, input_shape: Sequence[int]) -> tuple[int, ...]:
        """Computes the shape of the output tensor.

        Args:
            input_shape: `(batch, ..., words)`.

        Returns:
            `(batch, ..., channels)`.

        Raises:
            ValueError: If the rank is < 2 or the last axis is another.
        """
        words = packed_size(self.channels)
        return _with_last_size(self, input_shape, words, self.channels)


def packed_size(channels: int) -> int:
    """Words of one position of a packed activation: `{plus, minus}` pairs.

    Args:
        channels: Number of channels, >= 1.

    Returns:
        `2 * ceil(channels / 32)`.

    Example:
    >>> packed_size(32), packed_size(33)
    (2, 4)
    """
    return 2 * groups_for(channels)


def _last_size(channels: int, packed: bool) -> int:
    """Size of the last axis of an output."""
    return packed_size(channels) if packed else channels


def _with_last_size(
    options: PackOptions | UnpackOptions,
    shape: Sequence[int],
    before: int,
    after: int,
) -> tuple[int, ...]:
    """The shape with its last axis changed from `before` to `after`."""
    if len(shape) < 2 or shape[-1] != before:
        raise ValueError(
            f"{options.custom_code}: `input_shape` must be (batch, ..., "
            f"{before}) for channels={options.channels}. Received: "
            f"input_shape={tuple(shape)}"
        )
    return (*shape[:-1], after)


def _check_pool_padding(options: Any, prefix: str) -> None:
    """Checks that every window of a pool sees the input."""
    for side, window in (
        ("top", "height"),
        ("bottom", "height"),
        ("left", "width"),
        ("right", "width"),
    ):
        pad = getattr(options, f"{prefix}{side}")
        size = getattr(options, f"pool_{window}")
        if pad >= size:
            raise ValueError(
                f"{options.custom_code}: `{prefix}{side}` must be < "
                f"`pool_{window}`, or a window would lie outside the input. "
                f"Received: {prefix}{side}={pad}, pool_{window}={size}"
            )


def _positions(
    what: str,
    size: tuple[int, int],
    extent: tuple[int, int],
    stride: tuple[int, int],
) -> tuple[int, int]:
    """How many windows, `stride` apart, fit in height and width."""
    for length, window in zip(size, extent, strict=True):
        if window > length:
            raise ValueError(
                f"{what} must fit its padded input. Received: a window of "
                f"{window} over {length}"
            )
    return (
        (size[0] - extent[0]) // stride[0] + 1,
        (size[1] - extent[1]) // stride[1] + 1,
    )
