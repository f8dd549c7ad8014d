# SPDX-License-Identifier: Apache-2.0
"""Discrete ops with gated-XNOR ops, wherever weights and states allow it.

Activations of the states -1, 0 and +1 stay packed from op to op. What the
custom ops cannot do runs on int8 states as in a file with builtin ops; a value
changes its form where a consumer wants the other one.
"""

import numpy as np

from .. import gated_ops, packing
from ..flatbuffer_builder import WRITER
from ..op_options import Options
from ..op_schema import PackOptions, UnpackOptions, packed_size
from ..program import DiscreteOp, Program, SimpleOp, Tensor
from .builtin import BuiltinLowering


class CustomLowering(BuiltinLowering):
    """Writes a program with gated-XNOR ops.

    Args:
        program: The program.
    """

    def __init__(self, program: Program) -> None:
        super().__init__(program, f"{WRITER}, custom ops")

    def write_discrete(self, op: DiscreteOp) -> None:
        """Writes a convolution or fully connected op on states."""
        if not gated_ops.has_gated_form(op):
            super().write_discrete(op)
        elif op.thresholds is None:
            self.set_form(op.output, "float32", self._gated_sums(op))
        elif gated_ops.gives_packed(op):
            self._gated_activation(op)
        else:
            self.float_staircase(op, self._gated_sums(op))

    def int8(self, tensor: Tensor) -> int:
        """States as int8, unpacked if need be."""
        forms = self.forms[tensor.name]
        if "int8" not in forms:
            index = self.new_tensor(
                f"{tensor.name}/int8", tensor.shape, np.int8
            )
            options = UnpackOptions(channels=tensor.shape[-1])
            self._custom_op(options, [forms["packed"]], index)
            self.set_form(tensor, "int8", index)
        return forms["int8"]

    def packed(self, tensor: Tensor) -> int:
        """Ternary states as packed words, packed if need be."""
        forms = self.forms[tensor.name]
        if "packed" not in forms:
            options = PackOptions(channels=tensor.shape[-1])
            index = self._packed_tensor(f"{tensor.name}/packed", tensor.shape)
            self._custom_op(options, [forms["int8"]], index)
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
        words = packed_size(op.output.shape[-1])
        self.dilate(op, self.packed(op.inputs[0]), index, np.int32, words)
        self.set_form(op.output, "packed", index)

    def write_max_pool(self, op: SimpleOp) -> None:
        """A max-pool, of words as well."""
        window = op.window
        if window is None or not self._only_packed(op):
            super().write_max_pool(op)
            return
        options = gated_ops.pool_options(op.output.shape[-1], window)
        index = self._packed_tensor(op.output.name, op.output.shape)
        self._custom_op(options, [self.packed(op.inputs[0])], index)
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
        shape = gated_ops.weight_options(op).output_shape(
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
        thresholds = self.constant(
            f"{op.name}/thresholds", gated_ops.packed_thresholds(op)
        )
        index = self._packed_tensor(f"{op.output.name}/packed", op.output.shape)
        self._gated_op(op, index, [thresholds])
        self.set_form(op.output, "packed", index)

    def _gated_op(
        self, op: DiscreteOp, output: int, thresholds: list[int]
    ) -> None:
        options = gated_ops.weight_options(op)
        x = self.packed(op.input) if op.input.peak == 1 else self.int8(op.input)
        weights = self.constant(
            f"{op.name}/weights", packing.pack_weights(op.kernel)
        )
        self._custom_op(options, [x, weights, *thresholds], output)

    def _custom_op(
        self, options: Options, inputs: list[int], output: int
    ) -> None:
        self.builder.custom(
            options.custom_code, inputs, [output], options.to_bytes()
        )

    def _packed_tensor(self, name: str, shape: tuple[int, ...]) -> int:
        words = packed_size(shape[-1])
        return self.new_tensor(name, (*shape[:-1], words), np.int32)
