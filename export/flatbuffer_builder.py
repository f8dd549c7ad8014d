# SPDX-License-Identifier: Apache-2.0
"""A writer of `.tflite` files.

The graph that is exported is known and integer throughout, so no converter
stands in between: tensors and operators go into the generated schema objects
and from there into the flatbuffer.
"""

import dataclasses
import importlib
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, Final

import flatbuffers
import numpy as np
import numpy.typing as npt

SCHEMA_VERSION: Final = 3
FILE_IDENTIFIER: Final = b"TFL3"
BUFFER_ALIGNMENT: Final = 64
"""Of constants, in bytes; the schema asks for 16, LiteRT's GPU code for 64."""
WRITER: Final = "gxnor_tf"
"""Begins the description of a file that this library exports."""

DEFAULT_SIGNATURE: Final = "serving_default"
OPTIONAL_TENSOR: Final = -1

# The enum of a builtin option. All others are numbers.
_OPTION_ENUMS: Final = {
    "fused_activation_function": "ActivationFunctionType",
    "in_data_type": "TensorType",
    "out_data_type": "TensorType",
    "padding": "Padding",
}
# Options that are not named after their operator.
_SHARED_OPTIONS: Final = {
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "MEAN": "ReducerOptions",
}


@dataclasses.dataclass(frozen=True)
class Quantization:
    """The quantization of a tensor: `value = scale * (q - zero_point)`.

    Args:
        scale: One scale, or one for each index of `axis`.
        zero_point: The same for all channels.
        axis: The axis of the scales, if there is more than one.

    Raises:
        ValueError: If a scale is not finite and > 0.
    """

    scale: float | Sequence[float] | npt.NDArray[np.float32]
    zero_point: int = 0
    axis: int = 0

    def __post_init__(self) -> None:
        """Checks the scales."""
        scales = self.scales
        if scales.size == 0 or not np.all(np.isfinite(scales) & (scales > 0)):
            raise ValueError(
                "`scale` must be finite and > 0 in float32. "
                f"Received: scale={self.scale}"
            )

    @property
    def scales(self) -> npt.NDArray[np.float32]:
        """The scales as a float32 array of rank 1."""
        return np.atleast_1d(np.asarray(self.scale, np.float32))


class ModelBuilder:
    """Builds a `.tflite` model with one subgraph and one signature.

    Tensors are named by the index that `tensor` and `constant` return.
    Constants with the same bytes share one buffer.

    Args:
        description: Free text in the file.

    Example:
    >>> builder = ModelBuilder("doubles a number")
    >>> x = builder.tensor("x", (None, 4), np.float32)
    >>> y = builder.tensor("y", (None, 4), np.float32)
    >>> two = builder.constant("two", np.array(2, np.float32))
    >>> builder.builtin("MUL", [x, two], [y])
    >>> builder.finish({"x": x}, {"y": y})[4:8]
    b'TFL3'
    """

    def __init__(self, description: str = "") -> None:
        """Starts an empty model."""
        self._schema = load_schema()
        self._tensors: list[Any] = []
        self._operators: list[Any] = []
        self._operator_codes: list[Any] = []
        self._opcode_indices: dict[tuple[int, str | None, int], int] = {}
        self._description = description
        # Buffer 0 is empty by definition: tensors without data refer to it.
        self._buffers = [_AlignedBuffer(self._schema, b"")]
        self._buffer_indices: dict[bytes, int] = {}

    def tensor(
        self,
        name: str,
        shape: Sequence[int | None],
        dtype: npt.DTypeLike,
        *,
        quantization: Quantization | None = None,
    ) -> int:
        """Adds a tensor that is an input or the output of an operator.

        Args:
            name: Its name, unique in the model.
            shape: Its shape. `None` is a size that the user may change; the
                file has 1 there until then.
            dtype: A NumPy type.
            quantization: Its quantization, or None.

        Returns:
            The tensor's index.

        Raises:
            ValueError: If the name is taken or a size is < 1, the type has
                no counterpart in TFLite, or the quantization does not fit.
        """
        sizes = [1 if size is None else int(size) for size in shape]
        if any(size < 1 for size in sizes):
            raise ValueError(
                f"The sizes of tensor {name!r} must be >= 1, or None if they "
                f"may change. Received: shape={tuple(shape)}"
            )
        signature = (
            [-1 if size is None else int(size) for size in shape]
            if None in shape
            else None
        )
        return self._add_tensor(
            name, sizes, np.dtype(dtype), 0, quantization, signature
        )

    def constant(
        self,
        name: str,
        value: npt.NDArray[Any],
        *,
        quantization: Quantization | None = None,
    ) -> int:
        """Adds a tensor whose value is in the file.

        Args:
            name: Its name, unique in the model.
            value: Its value.
            quantization: Its quantization, or None.

        Returns:
            The tensor's index.

        Raises:
            ValueError: As for `tensor`, and if `value` has no element.
        """
        value = np.asarray(value)
        if value.size == 0:
            raise ValueError(
                f"The constant {name!r} must have elements. "
                f"Received: shape={value.shape}"
            )
        little_endian = value.astype(value.dtype.newbyteorder("<"), copy=False)
        data = little_endian.tobytes()
        index = self._buffer_indices.get(data, len(self._buffers))
        tensor = self._add_tensor(
            name, list(value.shape), value.dtype, index, quantization, None
        )
        if index == len(self._buffers):
            self._buffer_indices[data] = index
            self._buffers.append(_AlignedBuffer(self._schema, data))
        return tensor

    def builtin(
        self,
        operator: str,
        inputs: Sequence[int | None],
        outputs: Sequence[int],
        *,
        version: int = 1,
        **options: Any,
    ) -> None:
        """Adds a builtin operator.

        Args:
            operator: Its name in the schema, such as `"CONV_2D"`.
            inputs: Indices of tensors; None leaves an optional one out.
            outputs: Indices of tensors.
            version: The operator's version.
            **options: Its options, named as in the schema, such as
                `stride_h=1`. An enum is given by the name of its value, such
                as `padding="VALID"`.

        Raises:
            ValueError: If the operator, an option or an enum value is
                unknown, or an index is.
        """
        schema = self._schema
        code = _enum_value(schema, "BuiltinOperator", operator, "operator")
        op = self._operator((code, None, version), inputs, outputs)
        camel = "".join(part.title() for part in operator.split("_"))
        options_name = _SHARED_OPTIONS.get(operator, f"{camel}Options")
        if hasattr(schema, f"{options_name}T"):
            op.builtinOptionsType = getattr(schema.BuiltinOptions, options_name)
            op.builtinOptions = getattr(schema, f"{options_name}T")()
        for key, value in options.items():
            first, *rest = key.split("_")
            attribute = first + "".join(part.title() for part in rest)
            if not hasattr(op.builtinOptions, attribute):
                raise ValueError(f"{operator} has no option {key!r}.")
            if key in _OPTION_ENUMS:
                value = _enum_value(schema, _OPTION_ENUMS[key], value, key)
            setattr(op.builtinOptions, attribute, value)
        self._operators.append(op)

    def custom(
        self,
        custom_code: str,
        inputs: Sequence[int | None],
        outputs: Sequence[int],
        options: bytes,
        *,
        version: int = 1,
    ) -> None:
        """Adds a custom operator.

        Args:
            custom_code: Its name.
            inputs: Indices of tensors; None leaves an optional one out.
            outputs: Indices of tensors.
            options: Its options as a flexbuffer.
            version: The operator's version.

        Raises:
            ValueError: If an index is unknown.
        """
        schema = self._schema
        code = schema.BuiltinOperator.CUSTOM
        op = self._operator((code, custom_code, version), inputs, outputs)
        op.customOptions = np.frombuffer(options, np.uint8)
        op.customOptionsFormat = schema.CustomOptionsFormat.FLEXBUFFERS
        self._operators.append(op)

    def finish(
        self,
        inputs: Mapping[str, int],
        outputs: Mapping[str, int],
        *,
        signature_key: str = DEFAULT_SIGNATURE,
    ) -> bytes:
        """Writes the model.

        Args:
            inputs: The model's inputs by their names in the signature.
            outputs: The model's outputs by their names in the signature.
            signature_key: The name of the signature.

        Returns:
            The file's content.

        Raises:
            ValueError: If there is no output, or a tensor is read that is
                neither a constant, nor an input, nor written before.
        """
        if not outputs:
            raise ValueError("A model must have an output. Received: none")
        self._check_order(inputs, outputs)
        schema = self._schema
        subgraph = schema.SubGraphT()
        subgraph.name = "main"
        subgraph.tensors = self._tensors
        subgraph.operators = self._operators
        subgraph.inputs = _indices(inputs.values())
        subgraph.outputs = _indices(outputs.values())
        signature = schema.SignatureDefT()
        signature.signatureKey = signature_key
        signature.inputs = self._signature_tensors(inputs)
        signature.outputs = self._signature_tensors(outputs)
        model = schema.ModelT()
        model.version = SCHEMA_VERSION
        model.description = self._description
        model.operatorCodes = self._operator_codes
        model.subgraphs = [subgraph]
        model.buffers = self._buffers
        model.signatureDefs = [signature]
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(model.Pack(builder), file_identifier=FILE_IDENTIFIER)
        return bytes(builder.Output())

    def _add_tensor(
        self,
        name: str,
        sizes: list[int],
        dtype: np.dtype[Any],
        buffer: int,
        quantization: Quantization | None,
        signature: list[int] | None,
    ) -> int:
        """Appends a tensor and returns its index."""
        schema = self._schema
        if any(name == other.name for other in self._tensors):
            raise ValueError(
                f"The names of tensors must be unique. Received twice: {name!r}"
            )
        tensor = schema.TensorT()
        tensor.name = name
        tensor.type = _enum_value(
            schema, "TensorType", dtype.name.upper(), "dtype"
        )
        tensor.shape = _indices(sizes)
        tensor.buffer = buffer
        tensor.hasRank = True
        if signature is not None:
            tensor.shapeSignature = _indices(signature)
        if quantization is not None:
            scales = quantization.scales
            axis = quantization.axis
            if scales.size > 1 and (
                not 0 <= axis < len(sizes) or sizes[axis] != scales.size
            ):
                raise ValueError(
                    f"Tensor {name!r} must have one scale for each index of "
                    f"its axis {axis}. Received: {scales.size} scales, "
                    f"shape={tuple(sizes)}"
                )
            parameters = schema.QuantizationParametersT()
            parameters.scale = scales
            parameters.zeroPoint = np.full(
                scales.size, quantization.zero_point, np.int64
            )
            parameters.quantizedDimension = axis
            tensor.quantization = parameters
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def _operator(
        self,
        opcode: tuple[int, str | None, int],
        inputs: Sequence[int | None],
        outputs: Sequence[int],
    ) -> Any:
        """Makes an operator; `opcode` is (builtin, custom code, version)."""
        for index in (*inputs, *outputs):
            if index is not None and not 0 <= index < len(self._tensors):
                raise ValueError(
                    "The tensors of an operator must have been added before: "
                    f"there are {len(self._tensors)}. Received: index {index}"
                )
        if opcode not in self._opcode_indices:
            builtin, custom_code, version = opcode
            code = self._schema.OperatorCodeT()
            code.builtinCode = builtin
            # Old readers know this field only; 127 means "see the new one".
            code.deprecatedBuiltinCode = min(builtin, 127)
            code.customCode = custom_code
            code.version = version
            self._opcode_indices[opcode] = len(self._operator_codes)
            self._operator_codes.append(code)
        op = self._schema.OperatorT()
        op.opcodeIndex = self._opcode_indices[opcode]
        op.inputs = _indices(
            OPTIONAL_TENSOR if index is None else index for index in inputs
        )
        op.outputs = _indices(outputs)
        return op

    def _signature_tensors(self, tensors: Mapping[str, int]) -> list[Any]:
        """Makes the signature's map of names to tensors."""
        maps = []
        for name, index in tensors.items():
            entry = self._schema.TensorMapT()
            entry.name = name
            entry.tensorIndex = index
            maps.append(entry)
        return maps

    def _check_order(
        self, inputs: Mapping[str, int], outputs: Mapping[str, int]
    ) -> None:
        """Checks that every tensor has its value before it is read."""
        names = [tensor.name for tensor in self._tensors]
        for index in (*inputs.values(), *outputs.values()):
            if not 0 <= index < len(names):
                raise ValueError(
                    "The inputs and outputs of a model must be its tensors: "
                    f"there are {len(names)}. Received: index {index}"
                )
        known = {i for i, tensor in enumerate(self._tensors) if tensor.buffer}
        known.add(OPTIONAL_TENSOR)
        known.update(inputs.values())
        for op in self._operators:
            for index in op.inputs.tolist():
                if index not in known:
                    raise ValueError(
                        f"Tensor {names[index]!r} is read before it is "
                        "written: add the operator that writes it first, or "
                        "make it an input."
                    )
            for index in op.outputs.tolist():
                if index in known:
                    raise ValueError(
                        f"Tensor {names[index]!r} is written although it is "
                        "a constant, an input or written before."
                    )
                known.add(index)
        for index in outputs.values():
            if index not in known:
                raise ValueError(
                    f"The output {names[index]!r} is written by no operator."
                )


def load_schema() -> ModuleType:
    """Loads the generated classes of the `.tflite` schema.

    Returns:
        The schema module of ai-edge-litert, or that of TensorFlow.

    Raises:
        ImportError: If neither package is installed.
    """
    for name in (
        "ai_edge_litert.schema_py_generated",
        "tensorflow.lite.python.schema_py_generated",
    ):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise ImportError(
        "A `.tflite` file cannot be written without its schema. Install one "
        "of the packages ai-edge-litert and tensorflow."
    )


@dataclasses.dataclass(frozen=True)
class _AlignedBuffer:
    """A buffer whose data is aligned, unlike that of the schema's own class.

    The generated `BufferT.Pack` does not know the schema's `force_align`.
    """

    schema: ModuleType
    data: bytes

    def Pack(self, builder: flatbuffers.Builder) -> int:
        """Writes the buffer, in the place of `BufferT.Pack`."""
        if self.data:
            builder.Prep(BUFFER_ALIGNMENT, len(self.data))
            offset = builder.CreateByteVector(self.data)
        self.schema.BufferStart(builder)
        if self.data:
            self.schema.BufferAddData(builder, offset)
        return int(self.schema.BufferEnd(builder))


def _indices(values: Any) -> npt.NDArray[np.int32]:
    """An int32 array, which the schema objects write fastest."""
    return np.array(list(values), np.int32)


def _enum_value(schema: ModuleType, enum: str, name: Any, what: str) -> int:
    """The number of an enum's value."""
    value = getattr(getattr(schema, enum), str(name), None)
    if str(name).startswith("_") or not isinstance(value, int):
        raise ValueError(
            f"`{what}` must be a name in the schema's enum {enum}. "
            f"Received: {name!r}"
        )
    return value
