# SPDX-License-Identifier: Apache-2.0
import keras
import numpy as np

from gxnor_tf import DiscreteActivation, DiscreteConv2D, DiscreteSpace
from gxnor_tf.analysis.dataflow import Signal, follow
from gxnor_tf.analysis.layer_calls import record_calls

L = keras.layers
TERNARY = DiscreteSpace(1)


def outputs_of(model, shape):
    x = keras.ops.convert_to_tensor(np.zeros((1, *shape), np.float32))
    flow = follow(record_calls(model, x), x)
    return {step.call.name: step.output for step in flow.steps}, flow


def test_a_chain():
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            L.ZeroPadding2D(name="pad"),
            DiscreteConv2D(3, 3, name="conv"),
            L.MaxPooling2D(name="pool"),
            L.BatchNormalization(name="norm"),
            DiscreteActivation(name="act"),
            L.Dropout(0.5, name="drop"),
            L.Flatten(name="flat"),
            L.Dense(2, name="dense"),
            L.ReLU(name="relu"),
        ]
    )
    found, flow = outputs_of(model, (6, 6, 2))
    assert found == {
        "pad": Signal(is_input=True),
        "conv": Signal(source="conv"),
        "pool": Signal(source="conv"),
        "norm": Signal(source="conv"),
        "act": Signal(space=TERNARY),
        "drop": Signal(space=TERNARY),
        "flat": Signal(space=TERNARY),
        "dense": Signal(source="dense"),
        "relu": Signal(),
    }
    assert list(flow.activations) == ["conv"]
    assert flow.activations["conv"].call.name == "act"


def test_branches():
    inputs = keras.Input((4,))
    a = DiscreteActivation(name="a")(inputs)
    b = DiscreteActivation(DiscreteSpace(2), name="b")(inputs)
    c = DiscreteActivation(name="c")(inputs)
    outputs = [
        L.Concatenate(name="same")([a, c]),
        L.Concatenate(name="mixed")([a, b]),
        L.Add(name="sum")([a, c]),
        L.Subtract(name="zero")([a, a]),
    ]
    found, flow = outputs_of(keras.Model(inputs, outputs), (4,))
    assert found["b"].space == DiscreteSpace(2)
    assert found["same"] == Signal(space=TERNARY)
    for name in ("mixed", "sum", "zero"):
        assert found[name] == Signal()
    assert flow.activations == {}
