# SPDX-License-Identifier: Apache-2.0
"""The named cases."""

import dataclasses

import pytest

from gxnor_tf import DiscreteSpace, presets

BINARY, TERNARY = DiscreteSpace(0), DiscreteSpace(1)


@pytest.mark.parametrize(
    ("name", "weights", "activations"),
    [
        ("float", None, None),
        ("bwn", BINARY, None),
        ("twn", TERNARY, None),
        ("bnn", BINARY, BINARY),
        ("gxnor", TERNARY, TERNARY),
    ],
)
def test_cases(name, weights, activations):
    preset = presets.get(name)
    assert preset == presets.Preset(weights, activations)


def test_all_are_documented():
    assert set(presets.PRESETS) == {"float", "bwn", "twn", "bnn", "gxnor"}
    for name in presets.PRESETS:
        assert f"- `{name}`: " in presets.__doc__


def test_a_preset_does_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        presets.get("bnn").weight_space = TERNARY


@pytest.mark.parametrize("name", ["GXNOR", "", "xnor", None])
def test_unknown_name(name):
    with pytest.raises(ValueError, match=r"Use one of \['float', 'bwn'.*name="):
        presets.get(name)
