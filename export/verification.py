# SPDX-License-Identifier: Apache-2.0
"""Counts where an exported model differs from Keras: nowhere, it must be."""

import dataclasses
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from . import fusion, graph, lowering, packing
from .interpreter import Runner
from .lowering import Ops
from .program import Int8Array, Program, Tensor


@dataclasses.dataclass(frozen=True)
class Comparison:
    """How a `.tflite` file and Keras compare on a set of inputs.

    Attributes:
        samples: Number of inputs.
        exact: Whether the file is meant to equal Keras bit for bit; it is not
            with float layers or a softmax.
        activations: Number of discrete activations compared, by Keras layer.
        differing_activations: How many of them differ, by Keras layer.
        differing_samples: Inputs whose outputs differ in any bit.
        differing_labels: Inputs whose largest outputs differ.
        largest_difference: Of any two outputs.
        outputs: The file's outputs, `(samples, ...)`.
        keras_outputs: Keras' outputs.
    """

    samples: int
    exact: bool
    activations: dict[str, int]
    differing_activations: dict[str, int]
    differing_samples: int
    differing_labels: int
    largest_difference: float
    outputs: npt.NDArray[Any] = dataclasses.field(repr=False)
    keras_outputs: npt.NDArray[Any] = dataclasses.field(repr=False)


def compare(
    model: keras.Model,
    x: Int8Array,
    ops: Ops = "custom",
    *,
    data: bytes | None = None,
    input_scale: float = 1 / 128,
    float_layers: fusion.FloatLayers = "refuse",
    calibration: npt.NDArray[Any] | None = None,
    batch_size: int = 100,
) -> Comparison:
    """Runs a model in Keras and in LiteRT and compares every activation.

    Outputs are those of the file itself; activations those of a second file
    of the same ops, which gives them as additional outputs.

    Args:
        model: A model that `convert` takes.
        x: int8 inputs `(samples, ...)`, `q = x / input_scale`.
        ops: `"custom"` or `"builtin"`.
        data: Content of the file; default `convert(model, ops)`.
        input_scale: Value of the int8 input 1, a power of two.
        float_layers: As for `convert`.
        calibration: As for `convert`.
        batch_size: Inputs that run at once.

    Returns:
        The comparison.

    Raises:
        ExportError: If the model cannot be exported.
        ValueError: If `x` is not int8, has another shape, or is empty.
    """
    program = fusion.fuse(model, input_scale, float_layers, calibration)
    shape = program.input.shape
    if not isinstance(x, np.ndarray):
        raise ValueError(
            "`x` must be an int8 array; the content of a file is given as "
            f"`data`. Received: {type(x).__name__}"
        )
    if x.dtype != np.int8 or x.shape[1:] != shape or not len(x):
        raise ValueError(
            "`x` must be int8 and hold at least one sample of shape "
            f"{shape}. Received: dtype={x.dtype}, shape={x.shape}"
        )
    if data is None:
        data = lowering.lower(program, ops)
    plain = Runner(data)
    detailed = Runner(lowering.lower(program, ops, include_activations=True))
    inner = graph.evaluate(graph.read_graph(model), program.activations)

    # A graph, not XLA: XLA fuses multiply and add into one rounding.
    @tf.function(reduce_retracing=True)
    def evaluate(x: tf.Tensor) -> Any:
        return model(x, training=False), inner(x)

    activations = dict.fromkeys(program.activations, 0)
    differing = dict(activations)
    outputs, keras_outputs = [], []
    for start in range(0, len(x), batch_size):
        batch = x[start : start + batch_size]
        inputs = tf.constant(batch.astype(np.float32) * input_scale)
        keras_output, expected = evaluate(inputs)
        found = detailed(batch)
        for name, tensor in program.activations.items():
            states = decode(found[name], tensor)
            value = in_states(expected[name].numpy(), tensor)
            activations[name] += states.size
            differing[name] += int(
                np.count_nonzero(states != value.reshape(states.shape))
            )
        (output,) = plain(batch).values()
        output = decode(output, program.output)
        keras_output = in_states(_only(keras_output), program.output)
        outputs.append(output.reshape(len(batch), -1))
        keras_outputs.append(keras_output.reshape(len(batch), -1))
    return _comparison(program, activations, differing, outputs, keras_outputs)


def _comparison(
    program: Program,
    activations: dict[str, int],
    differing: dict[str, int],
    outputs: list[npt.NDArray[Any]],
    keras_outputs: list[npt.NDArray[Any]],
) -> Comparison:
    found, expected = np.concatenate(outputs), np.concatenate(keras_outputs)
    difference = np.abs(found.astype(np.float64) - expected)
    return Comparison(
        samples=len(found),
        exact=program.output.exact,
        activations=activations,
        differing_activations=differing,
        differing_samples=int((found != expected).any(axis=1).sum()),
        differing_labels=int(
            np.count_nonzero(found.argmax(1) != expected.argmax(1))
        ),
        largest_difference=float(difference.max()),
        outputs=found,
        keras_outputs=expected,
    )


def decode(output: npt.NDArray[Any], tensor: Tensor) -> npt.NDArray[Any]:
    """What a file gives for a value: Keras' own states, or reals.

    Args:
        output: int8 states, int32 packed words or float32 reals.
        tensor: The value.
    """
    if not tensor.is_states:
        return output
    if output.dtype == np.int32:
        output = packing.unpack_activations(output, tensor.shape[-1])
    if tensor.flipped is not None:
        output = np.where(tensor.flipped, -output, output)
    return output


def _only(output: Any) -> npt.NDArray[Any]:
    """The tensor of an output that may be wrapped in a structure."""
    (tensor,) = keras.tree.flatten(output)
    return np.asarray(tensor)


def in_states(
    value: npt.NDArray[Any], tensor: Tensor
) -> npt.NDArray[np.float32]:
    """Keras' value in the unit in which the program has it."""
    return np.asarray(value, np.float32) / np.float32(tensor.unit or 1.0)
