# SPDX-License-Identifier: Apache-2.0
"""Moments in few bits: near the truth, and the truth on average."""

import numpy as np
import pytest
import tensorflow as tf

from gxnor_tf import moment_formats, random_bits, step_rules

# By name and the largest moment, where that is known.
FORMATS = [
    *(("float32", None), ("bfloat16", None)),
    *(("int8", None), ("int6", None), ("int4", None)),
    *(("int8", 0.1), ("int6", 0.1), ("int4", 0.1)),
]
formats = pytest.mark.parametrize(("name", "largest"), FORMATS)


def some_moment():
    """Heavy tails, as gradients have; a zero, and both signs."""
    rng = np.random.default_rng(0)
    moment = rng.standard_t(3, (40, 50)).astype(np.float32) * 1e-3
    moment[0, 0] = 0
    return moment


def bits(shape, number=0):
    key = random_bits.make_key(1, 2, number)
    return random_bits.random_bits(shape, key, 0)


def through(name, largest, moment, number=0):
    """Encodes and decodes, as a stored moment is."""
    made = moment_formats.get(name, largest)
    stored = made.encode(tf.constant(moment), bits(moment.shape, number))
    for tensor, (_, shape, dtype) in zip(
        stored, made.parts(moment.shape), strict=True
    ):
        assert tensor.shape == shape and tensor.dtype.name == dtype
    return made.decode(stored).numpy()


def unit(name, largest, moment):
    """Distance of the representable numbers around each value."""
    assert largest is None or np.abs(moment).max() < largest
    if name == "float32":
        return np.zeros_like(moment)
    if name == "bfloat16":
        return 2.0 ** (np.floor(np.log2(np.abs(moment) + 1e-30)) - 7)
    levels = moment_formats.get(name, largest).levels
    if largest is not None:
        return np.full_like(moment, largest / levels)
    peak = max(np.abs(moment).max(), np.float32(1e-30))
    below = np.floor(np.sqrt(np.abs(moment) / peak) * levels)
    return (2 * below + 1) * peak / levels**2


@formats
def test_error_is_below_one_unit(name, largest):
    moment = some_moment()
    error = np.abs(through(name, largest, moment) - moment)
    # Beside it, float32 rounding of the code's square and its scale.
    most = unit(name, largest, moment) * 1.0001 + 1e-6 * np.abs(moment)
    assert (error <= most).all()


@formats
def test_is_right_on_average(name, largest):
    moment = some_moment()
    draws = 400
    all_draws = [through(name, largest, moment, i) for i in range(draws)]
    mean = np.mean(all_draws, axis=0, dtype=np.float64)
    # A variable of two values one unit apart deviates by half a unit at most.
    deviation = 0.5 * unit(name, largest, moment) / np.sqrt(draws)
    error = np.abs(mean - moment)
    assert (error <= 5 * deviation + 1e-6 * np.abs(moment)).all()


@pytest.mark.parametrize(
    ("name", "largest"),
    [(name, known and 1.0) for name, known in FORMATS],
)
def test_a_small_change_adds_up(name, largest):
    """A thousandth of the largest moment, a hundred times."""
    moment = np.ones((200, 200), np.float32)
    moment[:, 1:] = 0.5
    for number in range(100):
        moment[:, 1:] += 1e-3
        moment = through(name, largest, moment, number)
        moment[:, 0] = 1
    assert moment[:, 1:].mean() == pytest.approx(0.6, abs=2e-3)


@formats
@pytest.mark.parametrize("scale", [0.0, 1e-20, 1e15])
def test_scale_does_not_matter(name, largest, scale):
    """Also where squares would under- or overflow; zeros stay zeros."""
    moment = some_moment() * np.float32(scale)
    largest = largest and largest * max(scale, 1e-20)
    found = through(name, largest, moment)
    assert np.isfinite(found).all()
    error = np.abs(found - moment)
    most = unit(name, largest, moment) * 1.001 + 1e-5 * np.abs(moment)
    assert (error <= most).all()
    assert found[0, 0] == 0


@pytest.mark.parametrize("name", ["int8", "int6", "int4"])
@pytest.mark.parametrize("known", [False, True])
def test_the_largest_moment_is_kept(name, known):
    moment = some_moment()
    most = float(np.abs(moment).max())
    found = through(name, most if known else None, moment)
    place = np.unravel_index(np.abs(moment).argmax(), moment.shape)
    assert found[place] == pytest.approx(moment[place], rel=1e-6)


def test_what_is_larger_than_the_largest_is_cut_off():
    """By rounding, a moment can be beyond by a hair; codes must not wrap."""
    found = through("int8", 0.5, np.array([0.5001, -0.5001, 9.0], np.float32))
    np.testing.assert_allclose(found, [0.5, -0.5, 0.5], rtol=1e-6)


def test_bytes():
    sizes = [moment_formats.get(*known).bytes_per_value for known in FORMATS]
    assert sizes == [4, 2, 1, 1, 1, 1, 1, 1]


@pytest.mark.parametrize("name", ["float16", "", None, 8])
def test_unknown_format_is_named(name):
    with pytest.raises(ValueError, match="`moment_dtype` must be one of"):
        moment_formats.get(name)


@pytest.mark.parametrize(("name", "most"), [("int8", 0.25), ("bfloat16", 0.05)])
def test_noise_of_the_longest_memory(name, most):
    """What rounding adds in each of its steps, beside the moment itself."""
    rule = step_rules.get("momentum", memory_growth=1e9)
    made = moment_formats.get(name)
    shape = (100, 100)

    @tf.function(jit_compile=True)
    def step(gradient, stored, exact, number):
        new = [
            rule.moment(gradient, (moment,), number)
            for moment in (made.decode(stored), exact)
        ]
        key = random_bits.make_key(1, 2, number)
        return made.encode(new[0], random_bits.random_bits(shape, key, 0)), new[
            1
        ]

    rng = np.random.default_rng(0)
    exact = tf.zeros(shape)
    stored = made.encode(exact, bits(shape))
    for number in range(1, 1501):
        gradient = tf.constant(rng.standard_t(4, shape), tf.float32)
        number = tf.constant(number, tf.int64)
        stored, exact = step(gradient, stored, exact, number)
    noise = made.decode(stored).numpy() - exact.numpy()
    assert np.std(noise) < most * np.std(exact.numpy())
