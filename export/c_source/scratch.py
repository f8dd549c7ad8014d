# SPDX-License-Identifier: Apache-2.0
"""Bytes of the buffers that make convolutions fast.

They are what `gxnor_conv2d_get_buffer_size` and
`gxnor_conv2d_s8_get_buffer_size` compute; a test compares the two.
"""

from collections.abc import Mapping

from ..op_schema import Conv2DOptions
from ..packing import planes_for

_MOST_EVENTS = 2**16 - 1
_LEAST_PLANES = 6


def sizes(kernel: str, params: Mapping[str, int]) -> list[int]:
    """The sizes that make a difference to a kernel, ascending from 0.

    Any other size does what the next smaller one does.

    Args:
        kernel: The function.
        params: Its `gxnor_conv2d_params`.
    """
    if kernel.startswith("gxnor_conv2d_t2"):
        return [0, *_list_sizes(params)]
    return [0]


def _list_sizes(params: Mapping[str, int]) -> list[int]:
    """Bytes of the lists for 1, 2, ... positions of a row.

    A list has 16 bits for each input that is not 0 in the columns that the
    positions see, and for each column two 16-bit starts.
    """
    rows, taps = params["kernel_height"], params["kernel_width"]
    channels, stride = params["input_channels"], params["stride_width"]
    depth = rows * taps * channels
    if taps > 1 and params["dilation_width"] > 1:
        return []
    if planes_for(depth) < _LEAST_PLANES:
        return []
    found = []
    for further in range(0, conv_width(params) * stride, stride):
        columns = further + taps
        events = columns * rows * channels
        last = depth + further * channels
        if max(events, last) > _MOST_EVENTS:
            break
        found.append(2 * (events + 2 * (columns + 1)))
    return found


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
