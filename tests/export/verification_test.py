# SPDX-License-Identifier: Apache-2.0
"""The comparison counts what differs, and sees a difference."""

import numpy as np
import pytest

from export import conversion, packing, terminal_tables, verification
from tests.export import nets


@pytest.mark.parametrize("ops", ["custom", "builtin"])
@pytest.mark.parametrize("make", nets.ALL)
def test_nothing_differs(make, ops):
    model = make(2)
    x = nets.images(model, 30, 2)
    result = verification.compare(model, x, ops, batch_size=16)
    assert result.samples == 30
    assert result.differing_samples == 0
    assert set(result.differing_activations.values()) == {0}
    assert all(n % 30 == 0 and n > 0 for n in result.activations.values())
    assert (result.outputs == result.keras_outputs).all()
    table = terminal_tables.format_comparison(result)
    assert len(table.splitlines()) == len(result.activations) + 2


def test_a_wrong_sign_is_seen(monkeypatch):
    """The counts are not zero by construction."""
    pack = packing.pack_weights
    monkeypatch.setattr(packing, "pack_weights", lambda w: pack(-w))
    model = nets.paper_like(0)
    x = nets.images(model, 40, 0)
    result = verification.compare(model, x, "custom")
    assert sum(result.differing_activations.values()) > 0
    assert result.differing_samples > 0


@pytest.mark.parametrize(
    "x",
    [
        np.zeros((2, 45), np.uint8),
        np.zeros((2, 44), np.int8),
        np.zeros((0, 45), np.int8),
    ],
)
def test_wrong_inputs(x):
    with pytest.raises(ValueError, match="int8 and hold at least one"):
        verification.compare(nets.dense_only(0), x)


def test_content_of_a_file_is_no_input():
    model = nets.dense_only(0)
    with pytest.raises(ValueError, match="is given as `data`. Received: bytes"):
        verification.compare(model, conversion.convert(model))


def test_it_is_the_given_file_that_runs():
    """Outputs come from the file, not from one that was made anew."""
    model, other = nets.dense_only(0), nets.dense_only(1)
    x = nets.images(model, 40, 0)
    data = conversion.convert(other)
    result = verification.compare(model, x, "custom", data=data)
    assert result.differing_samples > 0
    assert set(result.differing_activations.values()) == {0}


def test_unknown_ops():
    x = np.zeros((1, 45), np.int8)
    with pytest.raises(ValueError, match="ops='Custom'"):
        verification.compare(nets.dense_only(0), x, "Custom")
