# SPDX-License-Identifier: Apache-2.0
"""Counts where an exported model differs from Keras: nowhere, it must be."""

import dataclasses
import math
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from gxnor_tf.probe import probe

from . import fusion, lowering, packing
from .interpreter import Runner
from .lowering import Ops
from .program import DiscreteOp, Int8Array, Program


@dataclasses.dataclass(frozen=True)
class Comparison:
    """How a `.tflite` file and Keras compare on a set of inputs.

    Attributes:
        samples: Number of inputs.
        activations: Number of ternary activations compared, by Keras layer.
        differing_activations: How many of them differ, by Keras layer.
        differing_samples: Inputs whose outputs differ in any bit.
        outputs: The file's outputs, `(samples, ...)`.
        keras_outputs: Keras' outputs.
    """

    samples: int
    activations: dict[str, int]
    differing_activations: dict[str, int]
    differing_samples: int
    outputs: npt.NDArray[Any]
    keras_outputs: npt.NDArray[Any]


def compare(
    model: keras.Model,
    x: Int8Array,
    ops: Ops = "custom",
    *,
    data: bytes | None = None,
    input_scale: float = 1 / 128,
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
        batch_size: Inputs that run at once.

    Returns:
        The comparison.

    Raises:
        ExportError: If the model cannot be exported.
        ValueError: If `x` is not int8, has another shape, or is empty.
    """
    program = fusion.fuse(model, input_scale)
    if x.dtype != np.int8 or x.shape[1:] != program.input_shape or not len(x):
        raise ValueError(
            "`x` must be int8 and hold at least one sample of shape "
            f"{program.input_shape}. Received: dtype={x.dtype}, "
            f"shape={x.shape}"
        )
    if data is None:
        data = lowering.lower(program, ops)
    plain = Runner(data)
    detailed = Runner(lowering.lower(program, ops, include_activations=True))
    names = lowering.output_names(program)
    # A graph, not XLA: XLA fuses multiply and add into one rounding.
    evaluate = tf.function(probe(model, names), reduce_retracing=True)
    activations = {name: 0 for name in _activation_ops(program)}
    differing = dict(activations)
    differing_samples = 0
    outputs, keras_outputs = [], []
    for start in range(0, len(x), batch_size):
        batch = x[start : start + batch_size]
        expected = {
            name: value.numpy()
            for name, value in evaluate(
                tf.constant(batch.astype(np.float32) * input_scale)
            ).items()
        }
        found = detailed(batch)
        (output,) = plain(batch).values()
        for name, op in _activation_ops(program).items():
            value = np.sign(expected[name])
            states = _states(found[name], op, ops)
            activations[name] += states.size
            differing[name] += int(
                np.count_nonzero(states != value.reshape(states.shape))
            )
            if name == program.output_name:
                output, expected[name] = _states(output, op, ops), value
        output = output.reshape(len(batch), -1)
        keras_output = expected[program.output_name].reshape(len(batch), -1)
        differing_samples += int((output != keras_output).any(axis=1).sum())
        outputs.append(output)
        keras_outputs.append(keras_output)
    return Comparison(
        samples=len(x),
        activations=activations,
        differing_activations=differing,
        differing_samples=differing_samples,
        outputs=np.concatenate(outputs),
        keras_outputs=np.concatenate(keras_outputs),
    )


def _states(
    output: npt.NDArray[Any], op: DiscreteOp, ops: Ops
) -> npt.NDArray[Any]:
    """The states of Keras' activation in the file's output."""
    if ops == "custom":
        output = packing.unpack_activations(output, len(op.kernel))
    return np.where(op.flipped, -output, output)


def _activation_ops(program: Program) -> dict[str, DiscreteOp]:
    return {
        op.output_name: op for op in program.ops if op.thresholds is not None
    }


def format_comparison(comparison: Comparison) -> str:
    """A table of the comparison for a terminal."""
    width = max(len("output"), *map(len, comparison.activations), 8)
    lines = [f"{'layer':<{width}}  {'compared':>12}  {'differing':>9}"]
    for name, count in comparison.activations.items():
        different = comparison.differing_activations[name]
        lines.append(f"{name:<{width}}  {count:>12,}  {different:>9,}")
    size = math.prod(comparison.outputs.shape)
    different = int(
        np.count_nonzero(comparison.outputs != comparison.keras_outputs)
    )
    lines.append(f"{'output':<{width}}  {size:>12,}  {different:>9,}")
    return "\n".join(lines)
