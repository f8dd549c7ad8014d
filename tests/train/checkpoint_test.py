# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: complete, exact, and refused when they are not right."""

import os

import keras
import numpy as np
import pytest

import gxnor_tf
from train import checkpoint, config, models
from train.errors import UserError


def compiled(**settings):
    made = config.Config(width=0.05, **settings)
    # So small a net has no gradient for some initial weights.
    keras.utils.set_random_seed(1)
    model = models.build(made, (16, 16, 1), 3)
    model.compile(models.optimizer(made, 2), loss="squared_hinge")
    model.optimizer.build(model.trainable_variables)
    return model


def variables(model):
    return [
        keras.ops.convert_to_numpy(v)
        for v in (*model.variables, *model.optimizer.variables)
    ]


def train(**settings):
    rng = np.random.default_rng(0)
    model = compiled(**settings)
    x = rng.normal(size=(8, 16, 16, 1)).astype("float32")
    y = 2 * np.eye(3, dtype="float32")[np.arange(8) % 3] - 1
    model.fit(x, y, batch_size=4, verbose=0)
    return model


@pytest.fixture(scope="module")
def trained():
    return train()


@pytest.fixture
def progress():
    rows = [{"epoch": 1, "loss": 0.1 + 0.2, "val_accuracy": 1 / 3}]
    return checkpoint.Progress("digest", rows, 1, 1 / 3)


def test_everything_comes_back_exactly(trained, progress, tmp_path):
    path = tmp_path / "checkpoint.npz"
    checkpoint.save(path, trained, progress)
    assert os.listdir(tmp_path) == ["checkpoint.npz"]
    other = compiled()
    assert checkpoint.restore(path, other) == progress
    pairs = list(zip(variables(trained), variables(other), strict=True))
    assert len(pairs) > 20
    for saved, restored in pairs:
        assert saved.dtype == restored.dtype
        np.testing.assert_array_equal(saved, restored)
    assert int(other.optimizer.iterations.numpy()) == 2


@pytest.mark.parametrize("moment_dtype", ["bfloat16", "float32"])
def test_moments_of_every_type_come_back(moment_dtype, progress, tmp_path):
    model = train(moment_dtype=moment_dtype)
    checkpoint.save(tmp_path / "checkpoint.npz", model, progress)
    other = compiled(moment_dtype=moment_dtype)
    checkpoint.restore(tmp_path / "checkpoint.npz", other)
    assert moment_dtype in {v.dtype for v in model.optimizer.variables}
    for saved, restored in zip(variables(model), variables(other), strict=True):
        assert saved.dtype == restored.dtype
        np.testing.assert_array_equal(saved, restored)


def test_moments_in_kernels_come_back(progress, tmp_path):
    path = tmp_path / "checkpoint.npz"
    model, other = (
        make(moment_dtype="in_kernel") for make in (train, compiled)
    )
    checkpoint.save(path, model, progress)
    checkpoint.restore(path, other)
    kernels = [
        (saved.value.numpy(), restored.value.numpy())
        for saved, restored in zip(
            model.trainable_variables, other.trainable_variables, strict=True
        )
        if isinstance(saved, gxnor_tf.DiscreteVariable)
    ]
    for saved, restored in kernels:
        np.testing.assert_array_equal(saved, restored)
    # More than three states.
    assert len(np.unique(kernels[-1][0])) > 3

    arrays = dict(np.load(path))
    (moment,) = (x for x in arrays if x.endswith("dense2_kernel_error-int8"))
    arrays[moment] = np.full_like(arrays[moment], 64)
    np.savez(path, **arrays)
    before = variables(other)
    with pytest.raises(UserError, match="is damaged .*-63 to 63. Received"):
        checkpoint.restore(path, other)
    for old, new in zip(before, variables(other), strict=True):
        np.testing.assert_array_equal(old, new)


def test_moments_are_among_what_is_saved(trained):
    moments = [
        v for v in trained.optimizer.variables if v.shape == (5, 5, 1, 2)
    ]
    assert any(np.any(m.numpy() != 0) for m in moments)


@pytest.mark.parametrize("keep", [0, 10, 1000, -1])
def test_truncated(trained, progress, tmp_path, keep):
    path = tmp_path / "checkpoint.npz"
    checkpoint.save(path, trained, progress)
    path.write_bytes(path.read_bytes()[:keep])
    other = compiled()
    before = variables(other)
    with pytest.raises(UserError, match="checkpoint.npz is damaged.*Delete"):
        checkpoint.restore(path, other)
    for old, new in zip(before, variables(other), strict=True):
        np.testing.assert_array_equal(old, new)


def test_flipped_bit(trained, progress, tmp_path):
    path = tmp_path / "checkpoint.npz"
    checkpoint.save(path, trained, progress)
    content = bytearray(path.read_bytes())
    states = trained.get_layer("dense1").kernel.numpy().tobytes()
    content[content.index(states)] ^= 4
    path.write_bytes(content)
    with pytest.raises(UserError, match="is damaged"):
        checkpoint.restore(path, compiled())


def test_states_outside_the_space(trained, progress, tmp_path):
    path = tmp_path / "checkpoint.npz"
    checkpoint.save(path, trained, progress)
    with np.load(path) as archive:
        arrays = dict(archive)
    name = next(n for n in arrays if n.endswith("dense1/kernel"))
    arrays[name][0, 0] = 5
    np.savez(path, **arrays)
    with pytest.raises(UserError, match="dense1/kernel` holds int8 states of"):
        checkpoint.restore(path, compiled())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"step_rule": "sgd"}, "that of another optimizer or step rule"),
        ({"step_rule": "adam"}, "that of another optimizer or step rule"),
        ({"discrete": False}, "damaged"),
        ({"weight_n": 2}, "nothing"),
    ],
)
def test_other_networks(trained, progress, tmp_path, settings, message):
    path = tmp_path / "checkpoint.npz"
    checkpoint.save(path, trained, progress)
    other = compiled(**settings)
    if message == "nothing":  # Every ternary state is one of this space.
        checkpoint.restore(path, other)
        return
    with pytest.raises(UserError, match=message):
        checkpoint.restore(path, other)


def test_other_archives(tmp_path):
    path = tmp_path / "checkpoint.npz"
    np.savez(path, x=np.zeros(3))
    with pytest.raises(UserError, match="progress"):
        checkpoint.restore(path, compiled())
    np.savez(path, progress=np.array('{"speed": 1}'))
    with pytest.raises(UserError, match="speed"):
        checkpoint.restore(path, compiled())
    for text in ("{", "[" * 100_000):
        np.savez(path, progress=np.array(text))
        with pytest.raises(UserError, match="not a checkpoint"):
            checkpoint.restore(path, compiled())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dataset_digest", None),
        ("rows", {}),
        ("rows", [1.0]),
        ("rows", [{"loss": "low"}]),
        ("best_epoch", "1"),
        ("best_epoch", 1.5),
        ("best_epoch", -1),
        ("best_loss", None),
    ],
)
def test_progress_of_other_types(trained, progress, name, value, tmp_path):
    path = tmp_path / "checkpoint.npz"
    setattr(progress, name, value)
    checkpoint.save(path, trained, progress)
    other = compiled()
    before = variables(other)
    with pytest.raises(UserError, match=f"damaged.*progress has {name}="):
        checkpoint.restore(path, other)
    for old, new in zip(before, variables(other), strict=True):
        np.testing.assert_array_equal(old, new)


def test_state_of_a_rule_with_as_many_variables(trained, progress, tmp_path):
    """Accumulators are shaped like moments, and yet not taken for them."""
    path = tmp_path / "checkpoint.npz"
    accumulating = compiled()
    accumulating.compile(
        gxnor_tf.DiscreteStateTransition(0.1, gradient_accumulation_steps=2),
        "squared_hinge",
    )
    accumulating.optimizer.build(accumulating.trainable_variables)
    checkpoint.save(path, accumulating, progress)
    other = compiled()
    other.compile(
        gxnor_tf.DiscreteStateTransition(0.1, "adam"), "squared_hinge"
    )
    other.optimizer.build(other.trainable_variables)
    with pytest.raises(UserError, match="another optimizer or step rule"):
        checkpoint.restore(path, other)


@pytest.mark.parametrize(
    ("rule", "settings"),
    [
        ("error_feedback", {}),
        ("momentum", {}),
        ("adam", {}),
        ("sgd", {}),
        ("momentum", {"gradient_accumulation_steps": 3}),
        (
            "momentum",
            {
                "transition_gain": (
                    keras.optimizers.schedules.PiecewiseConstantDecay(
                        [3], [4.0, 1.0]
                    )
                )
            },
        ),
    ],
)
def test_a_run_continues_bit_for_bit(rule, settings, progress, tmp_path):
    """In the middle of an accumulation, too."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8, 4, 16, 16, 1)).astype("float32")
    y = 2 * np.eye(3, dtype="float32")[np.arange(4) % 3] - 1

    def made():
        model = compiled()
        model.compile(
            gxnor_tf.DiscreteStateTransition(0.1, rule, **settings),
            loss="squared_hinge",
        )
        model.optimizer.build(model.trainable_variables)
        return model

    straight, continued = made(), made()
    for batch in x[:4]:
        straight.train_on_batch(batch, y)
    checkpoint.save(tmp_path / "checkpoint.npz", straight, progress)
    checkpoint.restore(tmp_path / "checkpoint.npz", continued)
    before = straight.get_layer("dense1").kernel.numpy()
    for model in (straight, continued):
        for batch in x[4:]:
            model.train_on_batch(batch, y)
    assert (before != straight.get_layer("dense1").kernel.numpy()).any()
    for a, b in zip(variables(straight), variables(continued), strict=True):
        np.testing.assert_array_equal(a, b)
