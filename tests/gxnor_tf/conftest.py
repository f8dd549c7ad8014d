# SPDX-License-Identifier: Apache-2.0
"""Settings of the library's tests."""

import keras
import pytest


@pytest.fixture(autouse=True)
def same_initial_weights() -> None:
    """Whichever tests ran before in the process.

    Of a few weights, now and then none can follow its gradient: all are at the
    border of the space already.
    """
    keras.utils.set_random_seed(0)
