# SPDX-License-Identifier: Apache-2.0
"""The ops that need few words, as builtin ops on int8 and float32 tensors.

Inside of a file every int8 tensor has the scale 1, so that it holds states as
they are; only the model's input has its own scale.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..flatbuffer_builder import ModelBuilder, Quantization
from ..names import free_name
from ..program import Op, Program, SimpleOp, Tensor, Window


class GraphWriter:
    """Writes the tensors of a program and the ops between them.

    A value of the program can be there in several forms: `int8` states,
    `float32` reals, and in files with custom ops `packed` words.

    Args:
        program: The program.
        description: Free text in the file.
    """

    def __init__(self, program: Program, description: str) -> None:
        self.program = program
        self.builder = ModelBuilder(description)
        self.forms: dict[str, dict[str, int]] = {}
        self._scales: dict[str, float] = {}
        self._names: set[str] = set()

    def lower(self, include_activations: bool) -> bytes:
        """Writes the file."""
        program = self.program
        source = program.input
        index = self.new_tensor(
            source.name, source.shape, np.int8, scale=source.unit
        )
        self.set_form(source, "int8", index)
        self._scales[source.name] = source.unit or 1.0
        for op in program.ops:
            self.write(op)
        outputs = {}
        for name, tensor in program.named_outputs.items():
            outputs[name] = self.output_form(tensor.name)
            if not include_activations:
                break
        return self.builder.finish({source.name: index}, outputs)

    def write(self, op: Op) -> None:
        """Writes an op."""
        assert isinstance(op, SimpleOp)
        getattr(self, f"write_{op.kind}")(op)

    # Tensors.

    def new_tensor(
        self,
        name: str,
        shape: Sequence[int],
        dtype: npt.DTypeLike,
        scale: float | None = None,
    ) -> int:
        """A tensor for one batch; int8 ones have the scale 1 by default."""
        quantization = None
        if np.dtype(dtype) == np.int8:
            quantization = Quantization(1.0 if scale is None else scale)
        return self.builder.tensor(
            self.free_name(name),
            (None, *shape),
            dtype,
            quantization=quantization,
        )

    def constant(
        self,
        name: str,
        value: npt.NDArray[Any],
        quantization: Quantization | None = None,
    ) -> int:
        """A constant under a name like the given one."""
        return self.builder.constant(
            self.free_name(name), value, quantization=quantization
        )

    def free_name(self, name: str) -> str:
        """The name, with a number behind where it is taken."""
        free = free_name(name, self._names)
        self._names.add(free)
        return free

    def set_form(self, tensor: Tensor, form: str, index: int) -> None:
        """Says which tensor of the file holds a value in a form."""
        self.forms.setdefault(tensor.name, {})[form] = index

    def form(self, tensor: Tensor) -> int:
        """A value in its own form, int8 or float32."""
        return self.int8(tensor) if tensor.is_states else self.reals(tensor)

    def int8(self, tensor: Tensor) -> int:
        """States as int8."""
        return self.forms[tensor.name]["int8"]

    def reals(self, tensor: Tensor) -> int:
        """Reals as float32."""
        return self.forms[tensor.name]["float32"]

    def output_form(self, name: str) -> int:
        """The tensor that holds an output."""
        forms = self.forms[name]
        for form in ("packed", "int8", "float32"):
            if form in forms:
                return forms[form]
        raise AssertionError(f"{name} is written by no op")

    def scale(self, tensor: Tensor) -> float:
        """The scale of a value's int8 tensor."""
        return self._scales.get(tensor.name, 1.0)

    def add_output(self, op: SimpleOp) -> int:
        """The output tensor of an op, in its own form."""
        output, name = op.output, op.output.name
        if not output.is_states:
            index = self.new_tensor(name, output.shape, np.float32)
            self.set_form(output, "float32", index)
            return index
        scale = 1.0
        if op.inputs[0].is_states:  # reshaped inputs keep their scale
            scale = self.scale(op.inputs[0])
        self._scales[output.name] = scale
        index = self.new_tensor(name, output.shape, np.int8, scale)
        self.set_form(output, "int8", index)
        return index

    def float_op(
        self,
        operator: str,
        inputs: Sequence[int],
        name: str,
        shape: Sequence[int],
        **options: Any,
    ) -> int:
        """A builtin op with a float32 result."""
        index = self.new_tensor(name, shape, np.float32)
        self.builder.builtin(operator, inputs, [index], **options)
        return index

    def number(self, value: float) -> int:
        """A float32 constant that broadcasts."""
        return self.constant("number", np.array(value, np.float32))

    def dequantized(self, tensor: Tensor) -> int:
        """States as float32 numbers, not yet multiplied by their unit."""
        name = f"{tensor.name}/float32"
        numbers = self.float_op(
            "DEQUANTIZE", [self.int8(tensor)], name, tensor.shape, version=2
        )
        if self.scale(tensor) != 1:
            inverse = self.number(1 / self.scale(tensor))
            numbers = self.float_op(
                "MUL", [numbers, inverse], f"{name}/states", tensor.shape
            )
        return numbers

    def quantized(self, tensor: Tensor, numbers: int) -> int:
        """Whole float32 numbers as the int8 form of states."""
        index = self.new_tensor(tensor.name, tensor.shape, np.int8)
        self.builder.builtin("QUANTIZE", [numbers], [index])
        self.set_form(tensor, "int8", index)
        return index

    def unscaled(self, tensor: Tensor) -> int:
        """States as int8 with the scale 1."""
        if self.scale(tensor) == 1:
            return self.int8(tensor)
        index = self.new_tensor(f"{tensor.name}/states", tensor.shape, np.int8)
        self.builder.builtin("QUANTIZE", [self.dequantized(tensor)], [index])
        return index

    # Ops.

    def write_add(self, op: SimpleOp) -> None:
        """Sums two or more values."""
        states = op.output.is_states
        first, *rest = (
            self.unscaled(t) if states else self.reals(t) for t in op.inputs
        )
        for number, other in enumerate(rest):
            last = number == len(rest) - 1
            name = op.output.name if last else f"{op.output.name}/{number}"
            dtype = np.int8 if states else np.float32
            total = self.new_tensor(name, op.output.shape, dtype)
            self.builder.builtin(
                "ADD", [first, other], [total], version=2 if states else 1
            )
            first = total
        self.set_form(op.output, "int8" if states else "float32", first)

    def write_concatenate(self, op: SimpleOp) -> None:
        """Joins channels."""
        states = op.output.is_states
        inputs = [
            self.unscaled(t) if states else self.reals(t) for t in op.inputs
        ]
        dtype = np.int8 if states else np.float32
        index = self.new_tensor(op.output.name, op.output.shape, dtype)
        self.set_form(op.output, "int8" if states else "float32", index)
        self.builder.builtin(
            "CONCATENATION",
            inputs,
            [index],
            version=2 if states else 1,
            axis=len(op.output.shape),
        )

    def write_pad(self, op: SimpleOp) -> None:
        """Puts zeros around height and width."""
        assert op.window is not None
        source = self.form(op.inputs[0])
        index = self.add_output(op)
        self.pad(source, index, op.window, op.output.is_states)

    def pad(
        self, source: int, index: int, window: Window, integer: bool
    ) -> None:
        """A PAD by the padding of a window."""
        top, bottom, left, right = window.padding
        paddings = np.array(
            [[0, 0], [top, bottom], [left, right], [0, 0]], np.int32
        )
        amounts = self.constant("paddings", paddings)
        self.builder.builtin(
            "PAD", [source, amounts], [index], version=2 if integer else 1
        )

    def write_dilate(self, op: SimpleOp) -> None:
        """Puts zeros behind each row and each column."""
        source = self.form(op.inputs[0])
        index = self.add_output(op)
        dtype = np.int8 if op.output.is_states else np.float32
        self.dilate(op, source, index, dtype, op.output.shape[-1])

    def dilate(
        self,
        op: SimpleOp,
        source: int,
        index: int,
        dtype: npt.DTypeLike,
        depth: int,
    ) -> None:
        """Pads rows and columns that stand on an axis of their own.

        Args:
            op: The op.
            source: Its input, `depth` elements per position.
            index: Its output.
            dtype: Their type.
            depth: Elements per position.
        """
        assert op.window is not None
        height, width = op.inputs[0].shape[:2]
        down, right = op.window.strides
        scale = self.scale(op.inputs[0])

        def spaced(source: int, count: int, size: int, stride: int) -> int:
            apart = self.new_tensor(
                f"{op.output.name}/apart", (count, 1, size), dtype, scale
            )
            self.reshape(source, apart, (count, 1, size))
            padded = self.new_tensor(
                f"{op.output.name}/padded", (count, stride, size), dtype, scale
            )
            behind = Window((1, 1), padding=(0, 0, 0, stride - 1))
            self.pad(apart, padded, behind, np.dtype(dtype) == np.int8)
            return padded

        columns = spaced(source, height * width, depth, right)
        rows = spaced(columns, height, width * right * depth, down)
        self.reshape(rows, index, (height * down, width * right, depth))

    def write_reshape(self, op: SimpleOp) -> None:
        """Changes the shape."""
        source = self.form(op.inputs[0])
        index = self.add_output(op)
        self.reshape(source, index, op.output.shape)

    def reshape(self, source: int, index: int, shape: Sequence[int]) -> None:
        """A RESHAPE to `(batch, *shape)`."""
        new_shape = self.constant("shape", np.array([-1, *shape], np.int32))
        self.builder.builtin(
            "RESHAPE",
            [source, new_shape],
            [index],
            new_shape=np.array([-1, *shape], np.int32),
        )

    def write_max_pool(self, op: SimpleOp) -> None:
        """Takes the maximum in each window."""
        assert op.window is not None
        source = self.form(op.inputs[0])
        index = self.add_output(op)
        self.pool("MAX_POOL_2D", source, index, op.window, op.output.is_states)

    def write_average_pool(self, op: SimpleOp) -> None:
        """Takes the mean in each window, in float32."""
        assert op.window is not None
        source = self.reals(op.inputs[0])
        index = self.add_output(op)
        self.pool("AVERAGE_POOL_2D", source, index, op.window, False)

    def pool(
        self,
        operator: str,
        source: int,
        index: int,
        window: Window,
        integer: bool,
    ) -> None:
        """A pooling op; its padding is that of Keras, "valid" or "same"."""
        self.builder.builtin(
            operator,
            [source],
            [index],
            version=2 if integer else 1,
            # "same" that happens to pad nothing is "valid".
            padding="SAME" if any(window.padding) else "VALID",
            stride_h=window.strides[0],
            stride_w=window.strides[1],
            filter_height=window.size[0],
            filter_width=window.size[1],
        )

    def write_mean(self, op: SimpleOp) -> None:
        """Takes the mean over height and width, in float32."""
        axes = self.constant("axes", np.array([1, 2], np.int32))
        self.builder.builtin(
            "MEAN",
            [self.reals(op.inputs[0]), axes],
            [self.add_output(op)],
            keep_dims=len(op.output.shape) > 1,
        )

    def write_dequantize(self, op: SimpleOp) -> None:
        """States to reals."""
        tensor = op.inputs[0]
        numbers = self.dequantized(tensor)
        if tensor.unit != 1:
            numbers = self.float_op(
                "MUL",
                [numbers, self.number(tensor.unit or 1.0)],
                op.output.name,
                tensor.shape,
            )
        self.set_form(op.output, "float32", numbers)

    def write_quantize(self, op: SimpleOp) -> None:
        """Reals to states, rounded and clipped."""
        tensor = op.inputs[0]
        scaled = self.float_op(
            "DIV",
            [self.reals(tensor), self.number(op.output.unit or 1.0)],
            f"{op.output.name}/scaled",
            tensor.shape,
        )
        # Written out, because runtimes round halves in different directions.
        raised = self.float_op(
            "ADD",
            [scaled, self.number(0.5)],
            f"{op.output.name}/raised",
            tensor.shape,
        )
        whole = self.float_op(
            "FLOOR", [raised], f"{op.output.name}/whole", tensor.shape
        )
        self.quantized(op.output, whole)

    def write_discretize(self, op: SimpleOp) -> None:
        """Reals to states, by comparison with every jump of the activation."""
        assert op.steps is not None
        tensor, name = op.inputs[0], op.output.name
        x = self.reals(tensor)

        def compared(operator: str, value: float) -> int:
            truth = self.new_tensor(f"{name}/is", tensor.shape, np.bool_)
            self.builder.builtin(operator, [x, self.number(value)], [truth])
            return self.float_op(
                "CAST",
                [truth],
                f"{name}/count",
                tensor.shape,
                in_data_type="BOOL",
                out_data_type="FLOAT32",
            )

        def combined(operator: str, a: int, b: int) -> int:
            return self.float_op(operator, [a, b], f"{name}/sum", tensor.shape)

        if not len(op.steps):
            positive = compared("GREATER_EQUAL", 0.0)
            doubled = combined("MUL", positive, self.number(2.0))
            states = combined("ADD", doubled, self.number(-1.0))
            self.quantized(op.output, states)
            return
        first, *rest = (
            combined("SUB", compared("GREATER", step), compared("LESS", -step))
            for step in op.steps.tolist()
        )
        for one in rest:
            first = combined("ADD", first, one)
        self.quantized(op.output, first)

    def write_affine(self, op: SimpleOp) -> None:
        """One float32 step per channel."""
        assert op.affine is not None
        operator = {"multiply": "MUL", "add": "ADD", "divide": "DIV"}
        operand = op.affine.operand
        if (operand == operand[0]).all():
            operand = operand[0]
        self.builder.builtin(
            operator[op.affine.kind],
            [
                self.reals(op.inputs[0]),
                self.constant(f"{op.output.name}/operand", operand),
            ],
            [self.add_output(op)],
        )

    def write_relu(self, op: SimpleOp) -> None:
        """`max(x, 0)`."""
        source = self.reals(op.inputs[0])
        self.builder.builtin("RELU", [source], [self.add_output(op)])

    def write_softmax(self, op: SimpleOp) -> None:
        """Softmax over the channels."""
        source = self.reals(op.inputs[0])
        self.builder.builtin(
            "SOFTMAX", [source], [self.add_output(op)], beta=1.0
        )
