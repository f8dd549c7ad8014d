# SPDX-License-Identifier: Apache-2.0
"""Inputs that fuzzers start from, made of real models.

`python -m tests.fuzz.seeds FOLDER` writes a folder for each target. Models are
small, for a fuzzer changes a few bytes at a time.
"""

import dataclasses
import gzip
import io
import pathlib
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
from flatbuffers import flexbuffers

import gxnor_tf
from export import conversion, op_schema
from export.flatbuffer_builder import load_schema
from tests.export import nets

OPS = (
    *(op_schema.CONV_2D, op_schema.FULLY_CONNECTED),
    *(op_schema.DEPTHWISE_CONV_2D, op_schema.MAX_POOL_2D),
    *(op_schema.PACK, op_schema.UNPACK),
)
"""In the order of delegate_fuzz.c and of `gxnor_op`."""


def models() -> Iterator[keras.Model]:
    """Nets that together have all ops, and as few bytes as may be."""
    layers = keras.layers
    for height, channels, filters in ((6, 2, 5), (4, 3, 34)):
        yield nets.randomise(
            keras.Sequential(
                [
                    keras.Input((height, 5, channels)),
                    gxnor_tf.DiscreteConv2D(filters, 3, padding="same"),
                    layers.MaxPooling2D(),
                    layers.BatchNormalization(),
                    gxnor_tf.DiscreteActivation(),
                    gxnor_tf.DiscreteDepthwiseConv2D(2, padding="same"),
                    layers.BatchNormalization(),
                    gxnor_tf.DiscreteActivation(),
                    gxnor_tf.DiscreteConv2D(3, 1),
                    layers.BatchNormalization(),
                    gxnor_tf.DiscreteActivation(),
                    layers.Flatten(),
                    gxnor_tf.DiscreteDense(3),
                ]
            ),
            seed=height,
        )
    # Its branches need a pool, an addition and a concatenation of their own.
    x = inputs = keras.Input((4, 4, 3))
    x = gxnor_tf.DiscreteActivation()(gxnor_tf.DiscreteConv2D(4, 1)(x))
    pooled = layers.MaxPooling2D(2)(x)
    joined = layers.Concatenate()([layers.Flatten()(y) for y in (x, pooled)])
    yield nets.randomise(
        keras.Model(inputs, gxnor_tf.DiscreteDense(2)(joined)), seed=0
    )


def small_models() -> Iterator[keras.Model]:
    """Nets of a few weights: Keras takes long to make one."""
    layers = keras.layers
    first = keras.Sequential(
        [
            keras.Input((2, 2, 1)),
            gxnor_tf.DiscreteConv2D(2, 1),
            layers.BatchNormalization(),
            gxnor_tf.DiscreteActivation(),
            layers.Flatten(),
            gxnor_tf.DiscreteDense(2),
        ]
    )
    x = inputs = keras.Input((4, 3))
    x = gxnor_tf.DiscreteConv1D(
        2, 2, weight_space=gxnor_tf.DiscreteSpace(0), use_bias=True
    )(x)
    x = layers.MaxPooling1D(2)(gxnor_tf.DiscreteActivation()(x))
    second = keras.Model(inputs, gxnor_tf.DiscreteDense(1)(layers.Flatten()(x)))
    for seed, model in enumerate((first, second)):
        yield nets.randomise(model, seed)


def tflite_files() -> Iterator[bytes]:
    """The models, exported both ways."""
    for model in models():
        yield conversion.convert(model, "custom")
        yield conversion.convert(model, "builtin")


def delegate_inputs() -> Iterator[bytes]:
    """Inputs of delegate_fuzz.c: nodes one by one, and in pairs."""
    for model in models():
        tensors, nodes = _read(conversion.convert(model, "custom"))
        for kernels in range(3):
            for i in range(len(nodes)):
                yield _delegate_input(kernels, tensors, nodes[i : i + 1])
                yield _delegate_input(kernels, tensors, nodes[i : i + 2])
        for node in nodes:
            yield _delegate_input(0, tensors, [node], flexbuffer=True)


def options_inputs() -> Iterator[bytes]:
    """Inputs of options_fuzz.c."""
    for model in models():
        for node in _read(conversion.convert(model, "custom"))[1]:
            yield bytes([OPS.index(node.op)]) + node.options


def kernels_inputs() -> Iterator[bytes]:
    """Inputs of kernels_fuzz.c: families, flags, a seed, and parameters."""
    window = [3, 2, 1, 1, 1, 1, 1, 0, 1, 0]  # Kernel to padding.
    pools = ([1, 1, 1, 1, 0, 0, 0, 0], [2, 3, 2, 2, 1, 0, 0, 1])
    for family in range(8):
        for flags in range(6):
            for channels in ([3, 33], [40, 5]):
                for pool in pools:
                    sizes = [2, 5, 6, *channels, *window, *pool]
                    if family in (1, 7):  # Fully connected.
                        sizes = [2, 2, 1, *channels]
                    elif family == 5:  # Pool.
                        sizes = [2, 5, 6, channels[0], 2, 2, 2, 1, 1, 0, 0, 1]
                    elif family == 6:  # Pack.
                        sizes = channels
                    data = [family, flags, 1, 0, *sizes, 7, 100, 170, 85]
                    if family in (5, 6):  # These have no seed.
                        del data[2:4]
                    yield bytes(data)


def keras_files() -> Iterator[bytes]:
    """The small models as `.keras` files."""
    for model in small_models():
        yield _saved(model, "seed.keras", keras.saving.save_model)


def packed_files() -> Iterator[bytes]:
    """The small models as `save_packed` writes them, with an optimizer, too."""
    for model in small_models():
        model.compile(gxnor_tf.DiscreteStateTransition(), "mse")
        yield _saved(model, "seed.packed", gxnor_tf.save_packed)


def array_files() -> Iterator[bytes]:
    """Inputs of arrays_fuzz.py: a format, and a file of it."""
    for shape in ((2, 3, 3), (2,), (0, 4, 4)):
        values = np.zeros(shape, np.uint8)
        header = bytes([0, 0, 8, len(shape)]) + struct.pack(
            f">{len(shape)}I", *shape
        )
        yield b"i" + header + values.tobytes()
        yield b"g" + gzip.compress(header + values.tobytes())
        for save in (np.savez, np.savez_compressed):
            stream = io.BytesIO()
            save(stream, x=values, y=np.float32(1))
            yield b"z" + stream.getvalue()
        stream = io.BytesIO()
        np.save(stream, values)
        yield b"n" + stream.getvalue()


SEEDS = {
    "options": options_inputs,
    "kernels": kernels_inputs,
    "delegate": delegate_inputs,
    "tflite": tflite_files,
    "packed": packed_files,
    "keras": keras_files,
    "arrays": array_files,
}
"""What makes the inputs of each target."""


def write(folder: pathlib.Path) -> None:
    """Writes the inputs of every target into a folder of its name."""
    for target, make in SEEDS.items():
        (folder / target).mkdir(parents=True, exist_ok=True)
        for number, data in enumerate(make()):
            (folder / target / f"{number:03}").write_bytes(data)


def _saved(model: keras.Model, name: str, save: Callable[..., Any]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / name
        save(model, path)
        return path.read_bytes()


@dataclasses.dataclass(frozen=True)
class _Tensor:
    """A tensor as the delegate sees it; `data` is that of a constant."""

    kind: int
    shape: tuple[int, ...]
    data: bytes | None

    def to_bytes(self) -> bytes:
        """As `take_tensor` of delegate_fuzz.c reads it."""
        flags = 0 if self.data is None else 4
        written = bytes([self.kind, flags, 0, len(self.shape)])
        written += b"".join(map(_coded, self.shape))
        if self.data is None:
            return written
        return written + struct.pack("<HB", len(self.data), 0) + self.data


@dataclasses.dataclass(frozen=True)
class _Node:
    """A node of a custom op; -1 is an absent tensor."""

    op: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: bytes

    def to_bytes(self, places: list[int], flexbuffer: bool) -> bytes:
        """As `take_node` of delegate_fuzz.c reads it.

        Args:
            places: The tensors of the file in their new order.
            flexbuffer: Whether to write the options as they are, or in the
                short form, which more changes leave in order.
        """

        def indices(tensors: tuple[int, ...]) -> bytes:
            new = [-1 if t < 0 else places.index(t) for t in tensors]
            return struct.pack(f"<B{len(new)}b", len(new), *new)

        values = flexbuffers.Loads(self.options)
        options = b"\0" + b"".join(_coded(values[k]) for k in sorted(values))
        if flexbuffer:
            options = struct.pack("<BH", 1, len(self.options)) + self.options
        return (
            bytes([OPS.index(self.op)])
            + indices(self.inputs)
            + indices(self.outputs)
            + options
        )


def _coded(number: int) -> bytes:
    """As `take_coded` of fuzz_bytes.h reads it."""
    if 0 <= number < 251:
        return bytes([number])
    return b"\xff" + struct.pack("<I", number & 0xFFFFFFFF)


def _read(data: bytes) -> tuple[list[_Tensor], list[_Node]]:
    """The tensors of a file, and its nodes of custom ops."""
    schema = load_schema()
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(data, 0))
    graph = model.subgraphs[0]
    # The delegate knows the numbers of TfLiteType.
    kinds = {schema.TensorType.INT8: 9, schema.TensorType.INT32: 2}
    tensors = []
    for tensor in graph.tensors:
        constant = model.buffers[tensor.buffer].data
        tensors.append(
            _Tensor(
                kinds.get(tensor.type, 1),
                tuple(int(size) for size in tensor.shape),
                None if constant is None else bytes(bytearray(constant)),
            )
        )
    nodes = []
    for op in graph.operators:
        name = model.operatorCodes[op.opcodeIndex].customCode
        if name is not None:
            nodes.append(
                _Node(
                    name.decode(),
                    tuple(int(i) for i in op.inputs),
                    tuple(int(i) for i in op.outputs),
                    bytes(bytearray(op.customOptions)),
                )
            )
    return tensors, nodes


def _delegate_input(
    kernels: int,
    tensors: list[_Tensor],
    nodes: list[_Node],
    flexbuffer: bool = False,
) -> bytes:
    """A model of some nodes as delegate_fuzz.c reads it."""
    used = [t for n in nodes for t in (*n.inputs, *n.outputs) if t >= 0]
    places = list(dict.fromkeys(used))
    return (
        bytes([kernels, 1, 2, len(places), len(nodes)])
        + b"".join(tensors[place].to_bytes() for place in places)
        + b"".join(node.to_bytes(places, flexbuffer) for node in nodes)
        + b"\x01\x80\x00\xff"
    )


if __name__ == "__main__":
    write(pathlib.Path(sys.argv[1]))
