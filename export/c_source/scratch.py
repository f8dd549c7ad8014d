# SPDX-License-Identifier: Apache-2.0
"""Bytes of the buffers that make convolutions fast.

They are what `gxnor_conv2d_get_buffer_size` and
`gxnor_conv2d_s8_get_buffer_size` compute; a test compares the two.
"""

from collections.abc import Mapping

from ..op_schema import Conv2DOptions
from ..packing import planes_for

_MOST = 2**16 - 1
"""What 16 bits can number."""

# Of the lists of packed inputs.
_LEAST_PLANES = 6

# Of the lists of taps for int8 inputs.
_MOST_TAPS = 255
_LEAST_WIDTH = 4
_BLOCK = 8
_LANES = 32
_LANE_BYTES = 12

# Of the lists of digits of int8 inputs: 16 lists, each filled up to eights.
_LEAST_DEPTH = 16
_LEAST_PART = 32
_DIGITS = 4
_FILLING = 16 * 7
_HEAD_BYTES = 88


def sizes(kernel: str, params: Mapping[str, int]) -> list[int]:
    """Sizes that serve a kernel, from none to the one that is fastest.

    Args:
        kernel: The function.
        params: Its `gxnor_conv2d_params`.
    """
    if kernel.startswith("gxnor_conv2d_t2"):
        return [0, *_list_sizes(params)]
    if kernel.startswith("gxnor_conv2d_s8"):
        by_taps = _tap_sizes(params)
        # Lists of digits are what a buffer too small for those of taps takes.
        by_digits = [
            size
            for size in _digit_sizes(params)
            if not by_taps or size < by_taps[0]
        ]
        return [0, *by_digits, *by_taps]
    return [0]


def _list_sizes(params: Mapping[str, int]) -> list[int]:
    """Bytes of the lists for 1, 2, ... positions of a row.

    A list has 16 bits for each input that is not 0 in the columns that the
    positions see, and for each column two 16-bit starts.
    """
    rows, taps = params["kernel_height"], params["kernel_width"]
    channels, stride = params["input_channels"], params["stride_width"]
    depth = _depth(params)
    if taps > 1 and params["dilation_width"] > 1:
        return []
    if planes_for(depth) < _LEAST_PLANES:
        return []
    found = []
    for further in range(0, conv_width(params) * stride, stride):
        columns = further + taps
        events = columns * rows * channels
        last = depth + further * channels
        if max(events, last) > _MOST:
            break
        found.append(2 * (events + 2 * (columns + 1)))
    return found


def _tap_sizes(params: Mapping[str, int]) -> list[int]:
    """Bytes of the lists of taps for 1, 2, 4, ... channels and of inputs.

    A list has 16 bits for each weight. Beside them lie as many rows of the
    input as the kernel covers, for 8, 16, ... positions, 16 bits an input; and
    for the odd columns of the kernel once more.
    """
    depth = _depth(params)
    width, stride = conv_width(params), params["stride_width"]
    across = (params["kernel_width"] - 1) * params["dilation_width"]
    down = (params["kernel_height"] - 1) * params["dilation_height"]
    if depth > _MOST_TAPS or width < _LEAST_WIDTH or max(across, down) > _MOST:
        return []
    reach = across // stride
    column = 2 * params["input_channels"] * min(stride, across + 1)
    column *= (down + 1) * (2 if reach > 0 else 1)
    found = set()
    for positions in range(_BLOCK, width + _BLOCK, _BLOCK):
        inputs = (positions + reach // 2 * 2) * column
        if inputs > _MOST:
            break
        lanes = _LANES
        while lanes:
            listed = min(lanes, params["output_channels"])
            lists = listed * _LANE_BYTES + 2 * (listed + 1) * depth
            found.add(lists + inputs)
            lanes //= 2
    return sorted(found)


def _digit_sizes(params: Mapping[str, int]) -> list[int]:
    """Bytes of the lists of the digits of all inputs of a sum, or of a part.

    A list has 16 bits for each digit that is not 0, 4 of an input at most.
    """
    depth = _depth(params)
    if not _LEAST_DEPTH <= depth <= _MOST:
        return []
    found = set()
    for parts in range(1, max(depth // _LEAST_PART, 1) + 1):
        listed = min(-(-depth // parts), (_MOST - _FILLING) // _DIGITS)
        found.add(_HEAD_BYTES + 2 * (_FILLING + _DIGITS * listed))
    return sorted(found)


def _depth(params: Mapping[str, int]) -> int:
    """Products of one sum."""
    taps = params["kernel_height"] * params["kernel_width"]
    return taps * params["input_channels"]


def conv_width(params: Mapping[str, int]) -> int:
    """Columns of a convolution, before the pool."""
    options = Conv2DOptions(
        **{
            name: value
            for name, value in params.items()
            if name not in ("batches", "input_height", "input_width")
        }
    )
    height, width = params["input_height"], params["input_width"]
    return options.conv_size(height, width)[1]
