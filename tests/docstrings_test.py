# SPDX-License-Identifier: Apache-2.0
"""The examples in the docstrings run, and every public name has a docstring."""

import doctest
import importlib
import inspect
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

ROOT = pathlib.Path(__file__).absolute().parents[1]
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for package in ("gxnor_tf", "export", "train")
    for path in (ROOT / package).rglob("*.py")
    if path.name not in ("__init__.py", "__main__.py")
)
# What a user is told to call must show how.
WITH_EXAMPLE = [
    "gxnor_tf.DiscreteActivation",
    "gxnor_tf.DiscreteConv1D",
    "gxnor_tf.DiscreteConv2D",
    "gxnor_tf.DiscreteConv2DTranspose",
    "gxnor_tf.DiscreteDense",
    "gxnor_tf.DiscreteDepthwiseConv2D",
    "gxnor_tf.DiscreteSeparableConv2D",
    "gxnor_tf.DiscreteSpace",
    "gxnor_tf.DiscreteStateTransition",
    "gxnor_tf.DiscreteVariable",
    "gxnor_tf.RandomJump",
    "gxnor_tf.activations.discretize",
    "gxnor_tf.callbacks.TransitionMonitor",
    "gxnor_tf.get_space",
    "gxnor_tf.initializers.DiscreteUniform",
    "gxnor_tf.metrics.gate_open_rates",
    "gxnor_tf.presets.get",
    "gxnor_tf.save_packed",
    "gxnor_tf.summary",
    "gxnor_tf.transitions.transition",
    "export.conversion.convert",
    "export.conversion.convert_to_c",
]


def examples(name):
    module = importlib.import_module(name)
    return doctest.DocTestFinder(exclude_empty=True).find(module, name)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name, tmp_path):
    keras.utils.set_random_seed(0)
    runner = doctest.DocTestRunner(
        optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    )
    for test in examples(name):
        if not test.examples:
            continue
        test.globs.update(keras=keras, np=np, tf=tf, folder=tmp_path)
        output = []
        runner.run(test, out=output.append)
        assert not runner.failures, "".join(output)


@pytest.mark.parametrize("name", WITH_EXAMPLE)
def test_has_an_example(name):
    module, _, attribute = name.rpartition(".")
    thing = getattr(importlib.import_module(module), attribute)
    assert ">>> " in inspect.getdoc(thing)


@pytest.mark.parametrize("name", MODULES)
def test_public_names_are_documented(name):
    module = importlib.import_module(name)
    assert module.__doc__
    for attribute, thing in vars(module).items():
        if attribute.startswith("_") or not callable(thing):
            continue
        if getattr(thing, "__module__", None) == name and (
            inspect.isclass(thing) or inspect.isfunction(thing)
        ):
            assert thing.__doc__, f"{name}.{attribute}"
