# SPDX-License-Identifier: Apache-2.0
"""Initial states."""

import keras
import numpy as np
import pytest

from gxnor_tf import DiscreteDense, DiscreteSpace
from gxnor_tf.initializers import DiscreteUniform


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_every_state_is_equally_likely(n):
    space = DiscreteSpace(n, 2.0)
    values = np.asarray(DiscreteUniform(space, seed=3)((60_000,)))
    found, counts = np.unique(values, return_counts=True)
    np.testing.assert_allclose(found, space.values)
    share = 1 / space.num_states
    deviation = np.sqrt(share * (1 - share) / values.size)
    assert np.abs(counts / values.size - share).max() < 5 * deviation


def test_seed_and_config():
    first = DiscreteUniform(DiscreteSpace(1), seed=5)
    again = keras.initializers.deserialize(keras.initializers.serialize(first))
    assert (np.asarray(first((99,))) == np.asarray(again((99,)))).all()


def test_any_keras_initializer_is_rounded():
    """U(-1, 1) rounded gives 1/4, 1/2, 1/4, as in the reference code."""
    keras.utils.set_random_seed(0)
    layer = DiscreteDense(
        200, kernel_initializer=keras.initializers.RandomUniform(-1, 1)
    )
    layer.build((None, 300))
    shares = [np.mean(layer.kernel.numpy() == s) for s in (-1, 0, 1)]
    np.testing.assert_allclose(shares, [0.25, 0.5, 0.25], atol=0.01)


@pytest.mark.parametrize("space", [None, "float"])
def test_full_precision_is_refused(space):
    with pytest.raises(ValueError, match="full precision has no states"):
        DiscreteUniform(space)
