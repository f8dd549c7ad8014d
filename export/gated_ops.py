# SPDX-License-Identifier: Apache-2.0
"""Which ops of a program a gated-XNOR op can compute, and with what.

The `.tflite` with custom ops and the C source have them in common.
"""

import numpy as np

from . import packing
from .op_schema import (
    Conv2DOptions,
    DepthwiseConv2DOptions,
    FullyConnectedOptions,
    MaxPool2DOptions,
)
from .program import DiscreteOp, Int32Array, Window

WeightOptions = Conv2DOptions | DepthwiseConv2DOptions | FullyConnectedOptions


def has_gated_form(op: DiscreteOp) -> bool:
    """Whether a gated-XNOR op can compute it."""
    # One output of each channel of an image, of states that can be packed.
    depthwise = (
        op.depthwise
        and not op.fully_connected
        and len(op.kernel) == op.groups
        and op.input.peak == 1
    )
    return (
        (op.groups == 1 or depthwise)
        and int(np.abs(op.kernel.astype(np.int64)).max()) <= 1
        and op.depth <= packing.MAX_DEPTH
        and (op.thresholds is not None or not op.output.is_states)
    )


def gives_packed(op: DiscreteOp) -> bool:
    """Whether an op that has a gated form packs its states, and pools them."""
    return op.thresholds is not None and len(op.thresholds.steps) <= 2


def weight_options(op: DiscreteOp) -> WeightOptions:
    """The options of an op that has a gated form."""
    outputs, channels = op.kernel.shape[0], op.kernel.shape[3]
    if op.fully_connected:
        return FullyConnectedOptions(
            input_channels=channels, output_channels=outputs
        )
    window = op.window
    pool = Window((1, 1))
    if op.pool is not None and gives_packed(op):
        pool = op.pool
    shape = {
        "kernel_height": window.size[0],
        "kernel_width": window.size[1],
        "stride_height": window.strides[0],
        "stride_width": window.strides[1],
        "dilation_height": window.dilation[0],
        "dilation_width": window.dilation[1],
        "pad_top": window.padding[0],
        "pad_bottom": window.padding[1],
        "pad_left": window.padding[2],
        "pad_right": window.padding[3],
        "pool_height": pool.size[0],
        "pool_width": pool.size[1],
        "pool_stride_height": pool.strides[0],
        "pool_stride_width": pool.strides[1],
        "pool_pad_top": pool.padding[0],
        "pool_pad_bottom": pool.padding[1],
        "pool_pad_left": pool.padding[2],
        "pool_pad_right": pool.padding[3],
    }
    if op.depthwise:
        return DepthwiseConv2DOptions(channels=outputs, **shape)
    return Conv2DOptions(
        input_channels=channels, output_channels=outputs, **shape
    )


def pool_options(channels: int, window: Window) -> MaxPool2DOptions:
    """The options of a max-pool of packed states."""
    return MaxPool2DOptions(
        channels=channels,
        pool_height=window.size[0],
        pool_width=window.size[1],
        stride_height=window.strides[0],
        stride_width=window.strides[1],
        pad_top=window.padding[0],
        pad_bottom=window.padding[1],
        pad_left=window.padding[2],
        pad_right=window.padding[3],
    )


def packed_thresholds(op: DiscreteOp) -> Int32Array:
    """The thresholds of an op that packs its states, as kernels read them."""
    assert op.thresholds is not None
    low, high = op.thresholds.pairs[0]
    if op.input.peak == 1:
        return packing.pack_thresholds(high, low, op.depth)
    return packing.pair_thresholds(high, low)
