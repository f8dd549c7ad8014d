# SPDX-License-Identifier: Apache-2.0
"""Forward values and surrogate derivatives, against the formula."""

import numpy as np
import pytest
import tensorflow as tf

from gxnor_tf import DiscreteSpace
from gxnor_tf.activations import discretize, thresholds

MODES = {
    "eager": lambda f: f,
    "graph": tf.function,
    "xla": lambda f: tf.function(f, jit_compile=True),
}


def value_and_gradient(x, mode="eager", **kwargs):
    def evaluate(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = discretize(x, **kwargs)
        return y, tape.gradient(y, x)

    y, gradient = MODES[mode](evaluate)(tf.constant(x, tf.float32))
    return y.numpy(), gradient.numpy()


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_ternary_rectangular_at_the_edges(mode, training):
    """R = 0.5, a = 0.25: jumps at +-0.5, window edges are inside."""
    below = np.nextafter(np.float32(0.25), np.float32(0))
    above = np.nextafter(np.float32(0.75), np.float32(1))
    over = np.nextafter(np.float32(0.5), np.float32(1))
    x = [0, below, 0.25, 0.5, over, 0.75, above, 2]
    for sign in (1, -1):
        y, gradient = value_and_gradient(
            np.multiply(x, sign),
            mode,
            zero_window=0.5,
            derivative_width=0.25,
            training=training,
        )
        assert y.tolist() == [0, 0, 0, 0, sign, sign, sign, sign]
        assert gradient.tolist() == [0, 0, 2, 2, 2, 2, 0, 0]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("n", "half_range", "window"),
    [
        *[(0, 1.0, 0.0), (2, 1.0, 0.5), (1, 0.5, 0.25), (1, 0.5, 0.5)],
        *[(1, 1.0, window) for window in (0.0, 0.3, 0.5, 1.0)],
    ],
)
def test_training_changes_no_value_and_no_gradient(mode, n, half_range, window):
    space = DiscreteSpace(n, half_range)
    edges = np.concatenate([[0.5, 1.0], thresholds(space, window)])
    near = [np.nextafter(edges, end, dtype=np.float32) for end in (0, 9)]
    x = np.concatenate(
        [edges, *near, np.random.default_rng(0).normal(size=999)]
    )
    x = np.concatenate([x, [0, 1e-45, 1e-38, 2, 1e30, np.inf, np.nan]])
    x = np.concatenate([x, -x])
    found, expected = (
        value_and_gradient(
            x, mode, space=space, zero_window=window, training=training
        )
        for training in (True, False)
    )
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_training_in_other_dtypes(dtype):
    x = tf.constant([-2, -0.5, -0.25, 0.5, 0.625], dtype)
    y = discretize(x, training=True)
    assert y.dtype == x.dtype
    assert tf.cast(y, tf.float32).numpy().tolist() == [-1, 0, 0, 0, 1]


@pytest.mark.parametrize("mode", MODES)
def test_ternary_triangular(mode):
    x = [0, 0.25, 0.375, 0.5, 0.625, 0.75, 1]
    for sign in (1, -1):
        _, gradient = value_and_gradient(
            np.multiply(x, sign),
            mode,
            derivative="triangular",
            derivative_width=0.25,
        )
        assert gradient.tolist() == [0, 0, 2, 4, 2, 0, 0]


@pytest.mark.parametrize("mode", MODES)
def test_binary(mode):
    x = [-2, -1, -0.5, -0.0, 0.0, 0.5, 1, 2]
    y, gradient = value_and_gradient(
        x, mode, space=DiscreteSpace(0), zero_window=0, derivative_width=1
    )
    assert y.tolist() == [-1, -1, -1, 1, 1, 1, 1, 1]
    assert gradient.tolist() == [0, 1, 1, 1, 1, 1, 1, 0]


@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("half_range", [1.0, 3.0])
@pytest.mark.parametrize("derivative", ["rectangular", "triangular"])
def test_multi_level_against_the_formula(n, half_range, derivative):
    space, r, a = DiscreteSpace(n, half_range), 0.3 * half_range, 0.11
    # A grid that meets no jump and no window edge.
    x = np.linspace(-1.5 * half_range, 1.5 * half_range, 4001) + 1.7e-5
    parts = 2 ** (n - 1)
    jumps = r + (half_range - r) * np.arange(parts) / parts
    distance = np.abs(np.abs(x)[:, None] - jumps)
    level = (np.abs(x)[:, None] > jumps).sum(1)
    step = 2 * half_range / 2**n
    pulse = (
        (distance <= a) / (2 * a)
        if derivative == "rectangular"
        else np.maximum(1 - distance / a, 0) / a
    )
    y, gradient = value_and_gradient(
        x,
        space=space,
        zero_window=r,
        derivative=derivative,
        derivative_width=a,
    )
    np.testing.assert_allclose(y, np.sign(x) * level * step, rtol=1e-6)
    # float32 against float64: a few ulp of the distance, times 1 / a^2.
    np.testing.assert_allclose(
        gradient, step * pulse.sum(1), rtol=1e-5, atol=2e-4
    )
    assert np.isclose(np.abs(y).max(), half_range)


@pytest.mark.parametrize("n", range(8))
def test_pulses_have_the_area_of_the_jumps(n):
    """The integral of the derivative is the rise of the function."""
    space = DiscreteSpace(n)
    r = 0.0 if n == 0 else 0.5
    x = np.linspace(-3, 3, 600_001)
    for derivative in ("rectangular", "triangular"):
        _, gradient = value_and_gradient(
            x,
            space=space,
            zero_window=r,
            derivative=derivative,
            derivative_width=0.25,
        )
        # Every jump of |x| counts on both sides; binary has one jump at 0.
        assert np.sum(gradient, dtype=np.float64) * 1e-5 == pytest.approx(
            2.0, abs=2e-3
        )


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("mode", MODES)
def test_nan_stays_and_infinity_is_the_last_level(mode, n, training):
    x = [np.nan, np.inf, -np.inf] * 5  # More than one vector of a processor.
    y, gradient = value_and_gradient(
        x, mode, space=DiscreteSpace(n), training=training
    )
    np.testing.assert_array_equal(y, [np.nan, 1, -1] * 5)
    assert not gradient.any()


@pytest.mark.parametrize("n", [0, 1, 2])
def test_converter_of_tensorflow_lite_knows_the_operations(n):
    """Models are converted with it, too, and not only with `export`."""
    x = np.linspace(-1.5, 1.5, 32, dtype=np.float32)
    function = tf.function(
        lambda x: discretize(x, DiscreteSpace(n)),
        input_signature=[tf.TensorSpec(x.shape, tf.float32)],
    ).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    interpreter = tf.lite.Interpreter(model_content=converter.convert())
    interpreter.allocate_tensors()
    [given], [output] = (
        interpreter.get_input_details(),
        interpreter.get_output_details(),
    )
    interpreter.set_tensor(given["index"], x)
    interpreter.invoke()
    y = interpreter.get_tensor(output["index"])
    assert y.tolist() == function(tf.constant(x)).numpy().tolist()


def test_thresholds_do_not_depend_on_dtype():
    x = tf.constant([0.25, 0.5, 0.75, 1.0], tf.bfloat16)
    y = discretize(x, DiscreteSpace(2), 0.5)
    assert y.dtype == tf.bfloat16
    assert y.numpy().tolist() == [0, 0, 0.5, 1]
    assert [float(t) for t in thresholds(DiscreteSpace(3), 0.0)] == [
        0,
        0.25,
        0.5,
        0.75,
    ]


@pytest.mark.parametrize(
    ("kwargs", "text"),
    [
        ({"zero_window": -0.1}, "`zero_window` must be .* >= 0"),
        ({"zero_window": np.nan}, "zero_window=nan"),
        ({"derivative_width": 0.0}, "`derivative_width` must be .* > 0"),
        ({"derivative_width": -1.0}, "derivative_width=-1.0"),
        ({"derivative_width": np.inf}, "derivative_width=inf"),
        ({"derivative": "gauss"}, "derivative='gauss'"),
        (
            {"space": DiscreteSpace(0), "zero_window": 0.5},
            "binary activation has no zero",
        ),
        (
            {"space": DiscreteSpace(2), "zero_window": 1.0},
            "must be < `half_range`",
        ),
    ],
)
def test_bad_arguments(kwargs, text):
    with pytest.raises(ValueError, match=text):
        discretize(tf.zeros(3), **kwargs)


def test_space_must_be_a_space():
    with pytest.raises(TypeError, match="must be a DiscreteSpace"):
        discretize(tf.zeros(3), space=1)


@pytest.mark.parametrize("derivative", ["rectangular", "triangular"])
def test_pulses_that_reach_over_zero_are_cut(derivative):
    """R = 0.25, a = 0.5: a function of |x|, so each side keeps its part."""
    x = np.linspace(-3, 3, 600_001)
    _, gradient = value_and_gradient(
        x, zero_window=0.25, derivative=derivative, derivative_width=0.5
    )
    part = 0.75 if derivative == "rectangular" else 1 - 0.5**2 / 2
    assert np.sum(gradient, dtype=np.float64) * 1e-5 == pytest.approx(
        2 * part, abs=2e-3
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("half_range", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_rectangular_windows_at_their_edges(n, half_range, mode):
    """All numbers are exact in float32, so that edges can be met exactly."""
    space = DiscreteSpace(n, half_range)
    r = 0.0 if n == 0 else half_range / 2
    a = half_range / 2 if n == 0 else half_range / 64
    jumps = np.array([0.0 if n == 0 else r], np.float32)
    if n >= 2:
        jumps = r + (half_range - r) * np.arange(2 ** (n - 1)) / 2 ** (n - 1)
    jumps = jumps.astype(np.float32)
    inside = np.concatenate([jumps - a, jumps, jumps + a]).astype(np.float32)
    outside = np.concatenate(
        [
            np.nextafter(jumps + np.float32(a), np.float32(np.inf)),
            np.nextafter(np.abs(jumps - np.float32(a)), np.float32(np.inf))
            if n == 0
            else np.nextafter(jumps - np.float32(a), np.float32(0)),
        ]
    )
    # A pulse is as high as its area, the jump, over its width.
    height = space.step / (2 * a)
    assert space.step == (
        2 * half_range if n == 0 else half_range / 2 ** (n - 1)
    )
    for sign in (1, -1):
        for x, expected in ((inside, height), (outside, 0.0)):
            y, gradient = value_and_gradient(
                sign * x, mode, space=space, zero_window=r, derivative_width=a
            )
            assert gradient.tolist() == [expected] * len(x)
            assert np.isin(y, space.values).all()
    # At the jump itself the value is the lower one (binary: the upper one).
    y, _ = value_and_gradient(jumps, mode, space=space, zero_window=r)
    lower = space.step * np.arange(len(jumps))
    assert y.tolist() == ([half_range] if n == 0 else lower.tolist())


@pytest.mark.parametrize("derivative", ["rectangular", "triangular"])
@pytest.mark.parametrize("width", [0.25, 0.5])
def test_gradients_of_gradients(derivative, width):
    """A gradient penalty: the derivative of (u f'(x))^2 by u is 2 u f'(x)^2."""
    x = tf.constant([-0.6, 0.1, 0.3, 0.7, 2.0])
    u = tf.Variable([1.0, 2.0, 3.0, 4.0, 5.0])
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = discretize(x, derivative=derivative, derivative_width=width) * u
        first = inner.gradient(y, x)
        penalty = tf.reduce_sum(first**2)
    slope = first / u
    assert 2 <= np.count_nonzero(slope) < 5
    np.testing.assert_allclose(
        outer.gradient(penalty, u), 2 * u * slope**2, rtol=1e-6
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
@pytest.mark.parametrize("width", [0.25, 0.5])
def test_derivative_in_other_precisions(dtype, width):
    """All numbers are exact in each of them, the edges included."""
    x = np.arange(-1.5, 1.5, 0.125)
    _, expected = value_and_gradient(x, derivative_width=width)
    cast = tf.constant(x, dtype)
    with tf.GradientTape() as tape:
        tape.watch(cast)
        y = discretize(cast, derivative_width=width)
    gradient = tape.gradient(y, cast)
    assert gradient.dtype == dtype
    assert gradient.numpy().astype("float32").tolist() == expected.tolist()


@pytest.mark.parametrize("half_range", [0.5, 2.0])
def test_binary_pulse_has_the_area_of_its_jump(half_range):
    """The sign jumps by 2H, so a window |x| <= H has the derivative 1."""
    _, gradient = value_and_gradient(
        [0.0, half_range, -half_range, half_range * 1.01],
        space=DiscreteSpace(0, half_range),
        zero_window=0.0,
        derivative_width=half_range,
    )
    assert gradient.tolist() == [1, 1, 1, 0]
