# SPDX-License-Identifier: Apache-2.0
"""What Keras keeps of the models that a fuzzer makes."""

import itertools

import keras

_EVERY = 64
_calls = itertools.count(1)


def forget_models() -> None:
    """Clears it now and then, which takes longer than making a model."""
    if next(_calls) % _EVERY == 0:
        keras.backend.clear_session()
