# SPDX-License-Identifier: Apache-2.0
"""What has no form in C is an error that names the layer and the cure."""

from collections.abc import Callable
from typing import Any

import keras
import pytest

import gxnor_tf
from export import ExportError, conversion, fusion
from export.c_source import calls
from tests.export import nets

Layer = Callable[[Any], Any]


def conv(name: str | None = None, filters: int = 8, **kwargs: Any) -> Layer:
    return gxnor_tf.DiscreteConv2D(filters, 3, name=name, **kwargs)


def act(space: int = 1, **kwargs: Any) -> Layer:
    return gxnor_tf.DiscreteActivation(space, **kwargs)


def chain(*layers: Layer) -> keras.Model:
    x = inputs = keras.Input((8, 8, 2))
    for layer in layers:
        x = layer(x)
    return keras.Model(inputs, x)


def add(x: Any) -> Any:
    return keras.layers.Add(name="sum")([x, x])


L = keras.layers
DEPTHWISE = gxnor_tf.DiscreteDepthwiseConv2D


@pytest.mark.parametrize(
    ("layers", "text"),
    [
        (
            [conv("a", weight_space=2)],
            "`a` has weights of more levels.*DiscreteSpace",
        ),
        (
            [conv("a"), act(3), conv()],
            "`a` is followed by an activation of 9 levels. Use DiscreteSpace",
        ),
        (
            [conv(), act(), conv("b", groups=2), act()],
            "`b` is a grouped convolution.*Use a DiscreteConv2D",
        ),
        (
            [DEPTHWISE(3, name="first"), act()],
            "`first` is .*depthwise one of the model's input",
        ),
        (
            [conv(), act(), DEPTHWISE(3, depth_multiplier=2, name="d"), act()],
            "`d` is .*depth_multiplier",
        ),
        (
            [conv(), act(), add, act(), conv()],
            "`sum` .*Join the branches with a Concatenate",
        ),
        (
            [conv(), L.GlobalAveragePooling2D(name="mean")],
            r"`mean` \(mean\) has no form in C.* Use a Flatten",
        ),
        (
            [conv(), L.AveragePooling2D(2, name="p"), act()],
            r"`p` \(average pool\) has no form in C",
        ),
        (
            [
                conv(),
                act(),
                L.Flatten(),
                gxnor_tf.DiscreteDense(3),
                L.Softmax(name="s"),
            ],
            r"`.*s.*` .*Leave it out: the largest score stays the largest",
        ),
        (
            [conv(), act(), L.Flatten(), L.Dense(3, name="real")],
            "`real` computes with reals.*Use a discrete layer",
        ),
        ([L.Flatten(name="f")], "its own input: there is nothing to compute"),
        (
            [L.MaxPooling2D(2, name="pool"), conv()],
            r"`pool` \(max pool\) works on the int8 input",
        ),
        (
            [conv(filters=33), act(), L.Reshape((36, 1, 33))]
            + [L.Reshape((12, 1, 99)), conv("wide", padding="same")],
            "`wide` reads 33 channels that were reshaped to 99",
        ),
        (
            [conv(), act(), conv(), L.MaxPooling2D(2, name="last")],
            r"`last` \(max pool of real numbers\) has no form in C",
        ),
    ],
)
def test_no_form(layers: list[Layer], text: str) -> None:
    model = nets.randomise(chain(*layers), 0)
    with pytest.raises(ExportError, match=text) as error:
        conversion.convert_to_c(model)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "make", [make for make in nets.ALL if make not in nets.PACKED]
)
def test_every_other_net_is_refused(make: Callable[[int], keras.Model]) -> None:
    with pytest.raises(ExportError, match="`.+` .+ Use|Join|Put"):
        conversion.convert_to_c(make(0))


@pytest.mark.parametrize("make", nets.PACKED)
def test_values_are_written_before_they_are_read(
    make: Callable[[int], keras.Model],
) -> None:
    made = calls.make_calls(fusion.fuse(make(0)))
    written = {calls.INPUT}
    for call in made.calls:
        assert written.issuperset(call.inputs)
        assert call.output not in written
        written.add(call.output)
    assert written == {calls.INPUT, calls.OUTPUT, *made.held}
