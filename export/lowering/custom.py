# SPDX-License-Identifier: Apache-2.0
"""Discrete ops with gated-XNOR ops, wherever weights and states allow it.

Activations of the states -1, 0 and +1 stay packed from op to op. What the
custom ops cannot do runs on int8 states as in a file with builtin ops; a value
changes its form where a consumer wants the other one.
"""

import numpy as np

from .. import packing
from ..op_schema import (
    Conv2DOptions,
    DepthwiseConv2DOptions,
    FullyConnectedOptions,
    MaxPool2DOptions,
    PackOptions,
    UnpackOptions,
)
from ..program import DiscreteOp, Program, SimpleOp, Tensor, Window
from .builtin import BuiltinLowering


class CustomLowering(BuiltinLowering):
    """Writes a program with gated-XNOR ops.

    Args:
        program: The program.
    """

    def __init__(self, program: Program) -> None:
        super().__init__(program, "gxnor_tf, custom ops")

    def write_discrete(self, op: DiscreteOp) -> None:
        """Writes a convolution or fully connected op on states."""
        if not _has_gated_form(op):
            super().write_discrete(op)
        elif op.thresholds is None:
            self.set_form(op.output, "float32", self._gated_sums(op))
        elif len(op.thresholds.steps) <= 2:
            self._gated_activation(op)
        else:
            self.float_staircase(op, self._gated_sums(op))

    def int8(self, tensor: Tensor) -> int:
        """States as int8, unpacked if need be."""
        forms = self.forms[tensor.name]
        if "int8" not in forms:
            channels = tensor.shape[-1]
            index = self.new_tensor(
                f"{tensor.name}/int8", tensor.shape, np.int8
            )
            options = UnpackOptions(channels=channels)
            self.builder.custom(
                options.custom_code,
                [forms["packed"]],
                [index],
                options.to_bytes(),
            )
            self.set_form(tensor, "int8", index)
        return forms["int8"]

    def packed(self, tensor: Tensor) -> int:
        """Ternary states as packed words, packed if need be."""
        forms = self.forms[tensor.name]
        if "packed" not in forms:
            options = PackOptions(channels=tensor.shape[-1])
            index = self._packed_tensor(f"{tensor.name}/packed", tensor.shape)
            self.builder.custom(
                options.custom_code,
                [forms["int8"]],
                [index],
                options.to_bytes(),
            )
            self.set_form(tensor, "packed", index)
        return forms["packed"]

    def write_pad(self, op: SimpleOp) -> None:
        """Puts zeros around height and width, of words as well."""
        assert op.window is not None
        if not self._only_packed(op):
            super().write_pad(op)
            return
        index = self._packed_tensor(op.output.name, op.output.shape)
        self.pad(self.packed(op.inputs[0]), index, op.window, integer=False)
        self.set_form(op.output, "packed", index)

    def write_dilate(self, op: SimpleOp) -> None:
        """Puts zeros behind each row and each column, of words as well."""
        if not self._only_packed(op):
            super().write_dilate(op)
            return
        index = self._packed_tensor(op.output.name, op.output.shape)
        words = 2 * packing.groups_for(op.output.shape[-1])
        self.dilate(op, self.packed(op.inputs[0]), index, np.int32, words)
        self.set_form(op.output, "packed", index)

    def write_max_pool(self, op: SimpleOp) -> None:
        """A max-pool, of words as well."""
        window = op.window
        if window is None or not self._only_packed(op):
            super().write_max_pool(op)
            return
        options = MaxPool2DOptions(
            channels=op.output.shape[-1],
            pool_height=window.size[0],
            pool_width=window.size[1],
            stride_height=window.strides[0],
            stride_width=window.strides[1],
            pad_top=window.padding[0],
            pad_bottom=window.padding[1],
            pad_left=window.padding[2],
            pad_right=window.padding[3],
        )
        index = self._packed_tensor(op.output.name, op.output.shape)
        self.builder.custom(
            options.custom_code,
            [self.packed(op.inputs[0])],
            [index],
            options.to_bytes(),
        )
        self.set_form(op.output, "packed", index)

    def write_concatenate(self, op: SimpleOp) -> None:
        """Joins channels, of words where their groups are full."""
        full = all(t.shape[-1] % 32 == 0 for t in op.inputs[:-1])
        if not (full and self._only_packed(op)):
            super().write_concatenate(op)
            return
        index = self._packed_tensor(op.output.name, op.output.shape)
        self.builder.builtin(
            "CONCATENATION",
            [self.packed(tensor) for tensor in op.inputs],
            [index],
            axis=len(op.output.shape),
        )
        self.set_form(op.output, "packed", index)

    def _only_packed(self, op: SimpleOp) -> bool:
        return all(
            "packed" in self.forms[tensor.name]
            and "int8" not in self.forms[tensor.name]
            for tensor in op.inputs
        )

    def _gated_sums(self, op: DiscreteOp) -> int:
        """The sums as float32."""
        shape = self._options(op).output_shape(
            (1, *op.input_shape), packed=False
        )[1:]
        sums = self.new_tensor(f"{op.name}/int32_sums", shape, np.int32)
        self._gated_op(op, sums, [])
        return self.float_op(
            "CAST",
            [sums],
            f"{op.name}/sums",
            shape,
            in_data_type="INT32",
            out_data_type="FLOAT32",
        )

    def _gated_activation(self, op: DiscreteOp) -> None:
        """An op that packs its own activations, pooled."""
        assert op.thresholds is not None
        low, high = op.thresholds.pairs[0]
        thresholds = self.constant(
            f"{op.name}/thresholds",
            packing.pack_thresholds(high, low, op.depth)
            if op.input.peak == 1
            else packing.pair_thresholds(high, low),
        )
        index = self._packed_tensor(f"{op.output.name}/packed", op.output.shape)
        self._gated_op(op, index, [thresholds])
        self.set_form(op.output, "packed", index)

    def _gated_op(
        self, op: DiscreteOp, output: int, thresholds: list[int]
    ) -> None:
        options = self._options(op)
        x = self.packed(op.input) if op.input.peak == 1 else self.int8(op.input)
        weights = self.constant(
            f"{op.name}/weights", packing.pack_weights(op.kernel)
        )
        self.builder.custom(
            options.custom_code,
            [x, weights, *thresholds],
            [output],
            options.to_bytes(),
        )

    def _packed_tensor(self, name: str, shape: tuple[int, ...]) -> int:
        words = 2 * packing.groups_for(shape[-1])
        return self.new_tensor(name, (*shape[:-1], words), np.int32)

    def _options(
        self, op: DiscreteOp
    ) -> Conv2DOptions | DepthwiseConv2DOptions | FullyConnectedOptions:
        outputs, channels = op.kernel.shape[0], op.kernel.shape[3]
        if op.fully_connected:
            return FullyConnectedOptions(
                input_channels=channels, output_channels=outputs
            )
        window = op.window
        pool = Window((1, 1))
        if op.pool is not None and op.thresholds is not None:
            pool = op.pool if len(op.thresholds.steps) <= 2 else pool
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


def _has_gated_form(op: DiscreteOp) -> bool:
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
