# SPDX-License-Identifier: Apache-2.0
import hashlib
import json
import zipfile

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gxnor_tf
from gxnor_tf import DiscreteSpace, load_packed, save_packed
from tests.export import nets


def trained(step_rule="momentum"):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6,), name="x")
    branches = [
        gxnor_tf.DiscreteDense(5, weight_space=DiscreteSpace(n, 0.7))(inputs)
        for n in (0, 1, 2, 5)
    ]
    x = keras.layers.Add()(branches)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Dropout(0.2)(gxnor_tf.DiscreteActivation()(x))
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    model.compile(
        optimizer=gxnor_tf.DiscreteStateTransition(0.1, step_rule=step_rule),
        loss="mse",
        metrics=["mae"],
    )
    fit(model)
    return model


def fit(model):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(32, 6)), rng.normal(size=(32, 2))
    return model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)


def assert_same_bits(variables, others):
    assert len(variables) == len(others)
    for a, b in zip(variables, others, strict=True):
        assert (a.name, a.dtype, a.shape) == (b.name, b.dtype, b.shape)
        assert a.numpy().tobytes() == b.numpy().tobytes()


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    model = trained()
    path = tmp_path_factory.mktemp("packed") / "model.packed"
    save_packed(model, path)
    return model, path


@pytest.mark.parametrize("step_rule", ["momentum", "adam", "sgd"])
def test_round_trip_is_exact_and_training_goes_on(step_rule, tmp_path):
    model = trained(step_rule)
    model.layers[-1].set_weights(
        [np.full((5, 2), -0.0), np.array([np.nan, np.inf])]
    )
    save_packed(model, tmp_path / "a")
    loaded = load_packed(tmp_path / "a")
    assert_same_bits(model.variables, loaded.variables)
    assert_same_bits(model.optimizer.variables, loaded.optimizer.variables)
    model.layers[-1].set_weights([np.ones((5, 2)), np.zeros(2)])
    loaded.layers[-1].set_weights([np.ones((5, 2)), np.zeros(2)])
    assert fit(model).history == fit(loaded).history
    assert_same_bits(model.variables, loaded.variables)


@pytest.mark.parametrize("net", nets.ALL, ids=lambda net: net.__name__)
def test_nets(net, tmp_path):
    model = net(4)
    save_packed(model, tmp_path / "a")
    loaded = load_packed(tmp_path / "a")
    assert_same_bits(model.variables, loaded.variables)
    x = nets.images(model, 3, 0).astype(np.float32)
    # A net may give a dict of outputs.
    keras.tree.map_structure(np.testing.assert_array_equal, model(x), loaded(x))
    assert not loaded.compiled


def test_the_same_model_gives_the_same_bytes(saved, tmp_path):
    model, path = saved
    save_packed(model, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_without_optimizer(saved, tmp_path):
    model, path = saved
    save_packed(model, tmp_path / "a", include_optimizer=False)
    loaded = load_packed(tmp_path / "a")
    assert_same_bits(model.variables, loaded.variables)
    assert not loaded.compiled
    assert (tmp_path / "a").stat().st_size < path.stat().st_size


def test_loading_without_the_optimizer(saved):
    model, path = saved
    loaded = load_packed(path, include_optimizer=False)
    assert_same_bits(model.variables, loaded.variables)
    assert not loaded.compiled


@pytest.mark.parametrize("scaled", [False, True])
def test_optimizer_of_other_variables_is_left_out(scaled, tmp_path):
    model = trained()
    if scaled:
        model.compile(
            keras.optimizers.LossScaleOptimizer(
                gxnor_tf.DiscreteStateTransition(0.1)
            ),
            loss="mse",
        )
        fit(model)
    model.layers[1].trainable = False
    with pytest.warns(UserWarning, match="is not saved: it trains 8 .* the 7"):
        save_packed(model, tmp_path / "a")
    loaded = load_packed(tmp_path / "a")
    assert_same_bits(model.variables, loaded.variables)
    assert int(loaded.optimizer.iterations) == 0
    model.compile(gxnor_tf.DiscreteStateTransition(0.1), loss="mse")
    model.optimizer.build(model.trainable_variables)
    save_packed(model, tmp_path / "b")
    assert load_packed(tmp_path / "b").optimizer.built
    save_packed(model, tmp_path / "c", include_optimizer=False)
    assert not load_packed(tmp_path / "c").compiled


def test_optimizer_that_does_not_fit_says_how_to_load(saved, tmp_path):
    """As written by a version that did not look at it."""
    _, path = saved

    def freeze(members):
        config = json.loads(members["config.json"])
        config["config"]["layers"][1]["config"]["trainable"] = False
        members["config.json"] = json.dumps(config).encode()
        edit(members, lambda metadata: None)

    rewrite(path, tmp_path / "a", freeze)
    with pytest.raises(ValueError, match="own optimizer.*include_optimizer=Fa"):
        load_packed(tmp_path / "a")
    load_packed(tmp_path / "a", include_optimizer=False)


def test_optimizer_that_has_not_run(tmp_path):
    model = keras.Sequential([keras.Input((6,)), gxnor_tf.DiscreteDense(2)])
    model.compile(optimizer=gxnor_tf.DiscreteStateTransition(), loss="mse")
    save_packed(model, tmp_path / "a")
    loaded = load_packed(tmp_path / "a")
    assert_same_bits(model.variables, loaded.variables)
    assert fit(loaded).history["loss"] == fit(model).history["loss"]


def test_paths_may_differ_after_loading(tmp_path):
    """Keras names a variable after where its layer was built."""
    model = keras.Sequential(
        [gxnor_tf.DiscreteDense(3), keras.layers.Dense(2)], name="outer"
    )
    model.compile(optimizer=gxnor_tf.DiscreteStateTransition(), loss="mse")
    fit(model)
    save_packed(model, tmp_path / "a")
    loaded = load_packed(tmp_path / "a")
    assert_same_bits(model.variables, loaded.variables)
    for a, b in zip(
        model.optimizer.variables, loaded.optimizer.variables, strict=True
    ):
        assert a.numpy().tobytes() == b.numpy().tobytes()
    assert fit(model).history == fit(loaded).history


def test_mixed_precision_and_odd_dtypes(tmp_path):
    model = keras.Sequential(
        [
            keras.Input((6,)),
            gxnor_tf.DiscreteDense(4, dtype="mixed_bfloat16"),
            keras.layers.Dense(2, dtype="bfloat16"),
            keras.layers.Dropout(0.5, seed=3),
        ]
    )
    save_packed(model, tmp_path / "a")
    loaded = load_packed(tmp_path / "a")
    assert_same_bits(model.variables, loaded.variables)
    assert "bfloat16" in {v.dtype for v in loaded.variables}


def test_adapted_normalization_works_after_loading(tmp_path):
    norm = keras.layers.Normalization()
    norm.adapt(np.random.default_rng(0).normal(3, 2, (100, 4)))
    model = keras.Sequential(
        [keras.Input((4,)), norm, gxnor_tf.DiscreteDense(3)]
    )
    save_packed(model, tmp_path / "a")
    loaded = load_packed(tmp_path / "a")
    assert_same_bits(model.variables, loaded.variables)
    x = np.ones((2, 4), np.float32)
    np.testing.assert_array_equal(model(x), loaded(x))


@keras.saving.register_keras_serializable(package="packed_model_test")
class Holder(keras.layers.Layer):
    """A layer that holds another one."""

    def __init__(self, inner, **kwargs):
        super().__init__(**kwargs)
        if isinstance(inner, dict):
            inner = keras.saving.deserialize_keras_object(inner)
        self.inner = inner

    def build(self, shape):
        if not self.inner.built:
            self.inner.build(shape)

    def call(self, x):
        return self.inner(x)

    def get_config(self):
        inner = keras.saving.serialize_keras_object(self.inner)
        return super().get_config() | {"inner": inner}


def test_adapted_layers_within_layers(tmp_path):
    norm = keras.layers.Normalization()
    norm.adapt(np.random.default_rng(0).normal(3, 2, (100, 4)))
    model = keras.Sequential([keras.Input((4,)), Holder(Holder(norm))])
    save_packed(model, tmp_path / "a")
    loaded = load_packed(tmp_path / "a")
    x = np.ones((2, 4), np.float32)
    np.testing.assert_array_equal(model(x), loaded(x))
    lookup = keras.layers.IntegerLookup(name="lookup")
    lookup.adapt(np.arange(9))
    inputs = keras.Input((4,), dtype="int64")
    model = keras.Sequential([inputs, Holder(lookup, name="holder")])
    with pytest.raises(ValueError, match="`holder/lookup`.*would be lost"):
        save_packed(model, tmp_path / "b")


def test_size_of_ternary_weights(tmp_path):
    model = keras.Sequential([keras.Input((784,)), gxnor_tf.DiscreteDense(512)])
    save_packed(model, tmp_path / "a")
    assert 0 < (tmp_path / "a").stat().st_size - 784 * 512 / 4 < 3000


def test_what_cannot_be_saved(tmp_path):
    path = tmp_path / "a"
    with pytest.raises(ValueError, match="must be a built Keras model"):
        save_packed(keras.Sequential([gxnor_tf.DiscreteDense(2)]), path)
    with pytest.raises(ValueError, match="must be a built Keras model"):
        save_packed("model", path)
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Lambda(lambda x: x + 1)]
    )
    with pytest.raises(ValueError, match="holds a Python lambda"):
        save_packed(model, path)
    buckets = keras.layers.Discretization(num_bins=3, name="buckets")
    buckets.adapt(np.arange(9.0))
    model = keras.Sequential([keras.Input((2,)), buckets])
    with pytest.raises(ValueError, match="`buckets`.*would be lost"):
        save_packed(model, path)
    model = keras.Sequential([keras.Input((2,)), gxnor_tf.DiscreteDense(2)])
    model.layers[0].kernel.value.assign(np.full((2, 2), 3, np.int8))
    with pytest.raises(ValueError, match="must be states of"):
        save_packed(model, path)
    assert list(tmp_path.iterdir()) == []


def rewrite(path, target, change):
    """Copies a file, with `change` applied to its members' bytes."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def edit(members, change):
    """Changes the metadata, and gives the configuration its checksum."""
    metadata = json.loads(members["metadata.json"])
    change(metadata)
    metadata["config_sha256"] = hashlib.sha256(
        members["config.json"]
    ).hexdigest()
    members["metadata.json"] = json.dumps(metadata).encode()


def version_2(members):
    edit(members, lambda m: m.update(version=2))


def other_format(members):
    edit(members, lambda m: m.update(format="zip"))


def wrong_checksum(members):
    members["variables/00000"] = bytes(len(members["variables/00000"]))


def missing_array(members):
    del members["variables/00001"]


def additional_member(members):
    members["../evil"] = b"x"


def short_array(members):
    members["variables/00000"] = members["variables/00000"][:-1]


def huge_array(members):
    edit(members, lambda m: m["variables"][0].update(shape=[2**40, 2**20]))


def negative_shape(members):
    edit(members, lambda m: m["variables"][0].update(shape=[-6, -5]))


def unknown_dtype(members):
    edit(members, lambda m: m["variables"][-1].update(dtype="float31"))


def object_dtype(members):
    edit(members, lambda m: m["variables"][-1].update(dtype="object"))


def impossible_space(members):
    edit(
        members,
        lambda m: m["variables"][0].update(space={"n": 9, "half_range": 1}),
    )


def empty_space(members):
    edit(members, lambda m: m["variables"][0].update(space={}))


def space_of_numbers(members):
    edit(members, lambda m: m["variables"][0].update(space=[0]))


def no_list(members):
    edit(members, lambda m: m.update(variables=7))


def no_json(members):
    members["metadata.json"] = b"[" * 100_000


def state_outside(members):
    data = bytearray(members["variables/00001"])  # ternary
    data[0] = 0xFF
    members["variables/00001"] = bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    edit(members, lambda m: m["variables"][1].update(sha256=digest))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (version_2, "version 2 of the format"),
        (other_format, "another kind of zip archive"),
        (wrong_checksum, "the checksum of `kernel` is wrong"),
        (missing_array, "members are not those that it lists"),
        (additional_member, "members are not those that it lists"),
        (short_array, "`variables/00000` has 3 bytes instead of 4"),
        (huge_array, "bytes instead of"),
        (negative_shape, "shape="),
        (unknown_dtype, "float31"),
        (object_dtype, "no intact packed model"),
        (impossible_space, "`n` must be in"),
        (empty_space, "no intact packed model"),
        (space_of_numbers, "no intact packed model"),
        (no_list, "no intact packed model"),
        (no_json, "no intact packed model"),
        (state_outside, "has 3 states. Received: state number 3"),
    ],
)
def test_wrong_content(saved, tmp_path, change, text):
    _, path = saved
    rewrite(path, tmp_path / "bad", change)
    with pytest.raises(ValueError, match=text):
        load_packed(tmp_path / "bad")


def with_config(saved, target, other):
    """The arrays of one model with the configuration of another."""
    config = json.dumps(keras.saving.serialize_keras_object(other)).encode()

    def change(members):
        members["config.json"] = config
        edit(members, lambda m: None)

    rewrite(saved[1], target, change)


def test_config_of_another_model(saved, tmp_path):
    def swap(members):
        members["config.json"] = b"{}"

    rewrite(saved[1], tmp_path / "a", swap)
    with pytest.raises(ValueError, match="checksum of `config.json`"):
        load_packed(tmp_path / "a")
    with_config(saved, tmp_path / "a", nets.dense_only(0))
    with pytest.raises(ValueError, match="does not fit its own model"):
        load_packed(tmp_path / "a")
    other = keras.models.clone_model(saved[0])
    other.layers[1].weight_space = DiscreteSpace(1, 0.7)
    other = keras.models.clone_model(other)
    with_config(saved, tmp_path / "a", other)
    with pytest.raises(ValueError, match=r"of DiscreteSpace\(n=1.*n=0"):
        load_packed(tmp_path / "a")
    with_config(saved, tmp_path / "a", keras.layers.Dense(3))
    with pytest.raises(ValueError, match="holds no Keras model"):
        load_packed(tmp_path / "a")


def test_lambda_in_a_file_is_refused(saved, tmp_path):
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Lambda(lambda x: x + 1)]
    )
    with_config(saved, tmp_path / "a", model)
    with pytest.raises(ValueError, match="cannot be made by Keras"):
        load_packed(tmp_path / "a")


def test_custom_objects(tmp_path):
    class Doubling(keras.layers.Layer):
        def call(self, inputs):
            return 2 * inputs

    model = keras.Sequential(
        [keras.Input((2,)), gxnor_tf.DiscreteDense(2), Doubling()]
    )
    save_packed(model, tmp_path / "a")
    with pytest.raises(ValueError, match="pass them as `custom_objects`"):
        load_packed(tmp_path / "a")
    loaded = load_packed(tmp_path / "a", {"Doubling": Doubling})
    assert_same_bits(model.variables, loaded.variables)


def test_other_files(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_packed(tmp_path / "missing")
    with pytest.raises(IsADirectoryError):
        load_packed(tmp_path)
    model = keras.Sequential([keras.Input((2,)), gxnor_tf.DiscreteDense(2)])
    model.save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match="no intact packed model"):
        load_packed(tmp_path / "model.keras")
    for content in (b"", b"PK\x05\x06", b"text\n" * 1000):
        (tmp_path / "a").write_bytes(content)
        with pytest.raises(ValueError, match="no intact packed model"):
            load_packed(tmp_path / "a")
    with zipfile.ZipFile(
        tmp_path / "a", "w", compression=zipfile.ZIP_DEFLATED
    ) as archive:
        archive.writestr("metadata.json", bytes(1 << 20))
    with pytest.raises(ValueError, match="is compressed"):
        load_packed(tmp_path / "a")


def load_or_refuse(model, content, path):
    """Damage gives an error, or did not touch what counts."""
    path.write_bytes(content)
    try:
        loaded = load_packed(path)
    except ValueError as error:
        assert str(path) in str(error)
        return False
    assert_same_bits(model.variables, loaded.variables)
    return True


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    model = nets.dense_only(0)
    path = tmp_path_factory.mktemp("small") / "model.packed"
    save_packed(model, path)
    return model, path


@settings(max_examples=100)
@given(data=st.data())
def test_flipped_bytes(small, data):
    model, path = small
    content = bytearray(path.read_bytes())
    places = st.integers(0, len(content) - 1)
    for place in data.draw(st.lists(places, min_size=1, max_size=3)):
        content[place] ^= data.draw(st.integers(1, 255))
    load_or_refuse(model, bytes(content), path.with_name("damaged"))


def test_cut_files(small):
    model, path = small
    content = path.read_bytes()
    for size in {
        *range(0, len(content), 97),
        *range(len(content) - 30, len(content)),
    }:
        assert not load_or_refuse(model, content[:size], path.with_name("cut"))


def test_a_failed_save_keeps_the_old_file(saved, tmp_path, monkeypatch):
    path = tmp_path / "a"
    save_packed(nets.dense_only(0), path)
    before = path.read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", fail)
    with pytest.raises(OSError, match="disk full"):
        save_packed(saved[0], path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
