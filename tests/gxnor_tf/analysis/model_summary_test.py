# SPDX-License-Identifier: Apache-2.0
import json

import keras
import numpy as np
import pytest

import gxnor_tf
from export import convert, inspect
from gxnor_tf import (
    DiscreteActivation,
    DiscreteConv2D,
    DiscreteDense,
    DiscreteSpace,
    summary,
)
from tests.export import nets

L = keras.layers


def mnist_net(seed, weights=1, activations=1):
    """The MNIST net of Deng et al., 2018."""
    return nets.randomise(
        keras.Sequential(
            [
                keras.Input((28, 28, 1)),
                DiscreteConv2D(32, 5, weight_space=weights),
                L.MaxPooling2D(),
                L.BatchNormalization(),
                DiscreteActivation(activations),
                DiscreteConv2D(64, 5, weight_space=weights),
                L.MaxPooling2D(),
                L.BatchNormalization(),
                DiscreteActivation(activations),
                L.Flatten(),
                DiscreteDense(512, weight_space=weights),
                L.BatchNormalization(),
                DiscreteActivation(activations),
                DiscreteDense(10, weight_space=weights),
                L.BatchNormalization(),
            ],
            name="mnist_net",
        ),
        seed,
    )


def by_name(cost):
    return {layer.name: layer for layer in cost.layers}


def states(rng, shape):
    return rng.choice([-1.0, 0.0, 1.0], shape).astype(np.float32)


def check_file_size(model, **kwargs):
    """The totals are the files' own; the layers have nearly all of them."""
    cost = summary(model, print_fn=None)
    for ops in ("custom", "builtin"):
        size = getattr(cost, f"{ops}_bytes")
        assert size == len(convert(model, ops=ops, **kwargs))
        parts = [getattr(layer, f"{ops}_bytes") for layer in cost.layers]
        # Names, shapes and operators come to it: a few hundred bytes each.
        operators = len(inspect(convert(model, ops=ops, **kwargs)))
        assert 0 < size - sum(parts) < 1000 + 600 * operators


@pytest.mark.parametrize("net", nets.ALL, ids=lambda net: net.__name__)
def test_file_size_is_that_of_the_file(net):
    check_file_size(net(0))


@pytest.mark.parametrize(
    ("weights", "activations"),
    [(0, 0), (1, 1), (1, 2), (2, 2), (4, 4), (1, None), (None, None)],
)
def test_file_size_of_the_paper_net(weights, activations):
    model = mnist_net(0, weights, activations)
    kwargs = {}
    if None in (weights, activations):
        kwargs["float_layers"] = "float32"
    check_file_size(model, **kwargs)


def test_operations_of_a_gated_xnor_layer():
    rng = np.random.default_rng(0)
    model = keras.Sequential(
        [
            keras.Input((9,)),
            DiscreteActivation(name="act"),
            DiscreteDense(7, name="dense"),
        ]
    )
    x, w = states(rng, (20, 9)), states(rng, (9, 7)).astype(np.int8)
    model.layers[1].kernel.assign(w)
    cost = by_name(summary(model, x, print_fn=None))["dense"]
    gates = (x != 0).astype(int) @ (w != 0).astype(int)
    assert cost.macs == cost.weights == 63
    assert cost.xnors == gates.sum() / 20
    assert cost.bit_counts == np.count_nonzero(gates) / 20
    assert cost.multiplies == cost.accumulates == 0
    assert cost.open_share == pytest.approx(gates.sum() / (20 * 63))
    assert cost.weight_zero_share == np.mean(w == 0)


@pytest.mark.parametrize(
    ("weights", "activations", "kind"),
    [
        (None, None, "multiplies"),
        (0, None, "accumulates"),
        (1, None, "accumulates"),
        (0, 0, "xnors"),
        (1, 1, "xnors"),
        (None, 1, "accumulates"),
        (2, 1, "accumulates"),
        (2, 2, "multiplies"),
    ],
)
def test_the_operation_table_of_the_paper(weights, activations, kind):
    """FP: M mult + M acc; BWN, TWN: acc; BNN, GXNOR: XNOR + bit count."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(6, 30)).astype(np.float32)
    x[:, ::4] = 0  # A float zero is multiplied like any other.
    layers = [keras.Input((30,))]
    if activations is not None:
        layers.append(DiscreteActivation(DiscreteSpace(activations)))
    dense = (
        L.Dense(20, use_bias=False)
        if weights is None
        else DiscreteDense(20, weight_space=DiscreteSpace(weights))
    )
    model = keras.Sequential([*layers, dense])
    cost = summary(model, x, print_fn=None)
    x_open = np.ones(x.shape)
    if activations is not None:
        x_open = model.layers[0](x).numpy() != 0
    w_open = dense.kernel.numpy() != 0
    gates = x_open.astype(int) @ w_open.astype(int)
    counts = {
        "multiplies": cost.multiplies,
        "accumulates": cost.accumulates,
        "xnors": cost.xnors,
    }
    count = gates.sum() / 6
    assert counts.pop(kind) == count
    if kind == "multiplies":
        assert counts.pop("accumulates") == count
    assert set(counts.values()) == {0}
    assert cost.bit_counts == (
        np.count_nonzero(gates) / 6 if kind == "xnors" else 0
    )
    if (weights or 0) == (activations or 0) == 0:
        assert count == 600  # Nothing rests.


def test_expected_counts_are_those_of_uniform_activations():
    rng = np.random.default_rng(2)
    model = keras.Sequential(
        [keras.Input((40,)), DiscreteActivation(), DiscreteDense(30)]
    )
    expected = summary(model, print_fn=None)
    assert not expected.measured and "NOT MEASURED" in str(expected)
    w = model.layers[1].kernel.numpy() != 0
    assert expected.xnors == pytest.approx(w.sum() * 2 / 3)
    measured = summary(model, states(rng, (20_000, 40)), print_fn=None)
    assert measured.measured and "NOT MEASURED" not in str(measured)
    assert measured.xnors == pytest.approx(expected.xnors, rel=0.01)
    assert measured.bit_counts == pytest.approx(expected.bit_counts, rel=1e-3)
    # One input: the chance of an open gate is that of a non-zero state.
    model = keras.Sequential(
        [
            keras.Input((1,)),
            DiscreteActivation(),
            DiscreteDense(6, weight_space=DiscreteSpace(0)),
        ]
    )
    cost = summary(model, print_fn=None)
    assert cost.xnors == cost.bit_counts == pytest.approx(4)


@pytest.mark.parametrize(
    ("layer", "shape", "macs"),
    [
        (L.Dense(5), (3, 4), 3 * 4 * 5),
        (L.Conv1D(5, 3, strides=2, padding="same"), (8, 4), 4 * 3 * 4 * 5),
        (L.Conv2D(6, 3, groups=2), (5, 6, 4), 12 * 9 * 2 * 6),
        (L.DepthwiseConv2D(3, depth_multiplier=2), (5, 5, 4), 9 * 9 * 4 * 2),
        (L.SeparableConv2D(6, 3), (5, 5, 4), 9 * (9 * 4 + 4 * 6)),
        (L.Conv2DTranspose(6, 3, strides=2), (5, 5, 4), 25 * 9 * 4 * 6),
        (L.Conv3D(2, 2), (3, 3, 3, 2), 8 * 8 * 2 * 2),
        (DiscreteConv2D(6, 3, padding="same"), (5, 5, 4), 25 * 9 * 4 * 6),
        (DiscreteDense(6), (2, 3, 4), 2 * 3 * 4 * 6),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_macs(layer, shape, macs):
    model = keras.Sequential([keras.Input(shape), layer])
    x = np.ones((2, *shape), np.float32)
    cost = summary(model, x, print_fn=None)
    assert cost.macs == macs
    if isinstance(layer, (DiscreteConv2D, DiscreteDense)):
        assert cost.multiplies == 0 < cost.accumulates < macs
    else:
        # Without padding every product is there; groups do not mix.
        padded = getattr(layer, "padding", "valid") == "same"
        assert cost.multiplies == cost.accumulates
        assert cost.multiplies < macs if padded else cost.multiplies == macs


@pytest.mark.parametrize(
    ("base", "kwargs"),
    [
        (DiscreteConv2D, {"filters": 3, "kernel_size": 2}),
        (gxnor_tf.DiscreteConv2DTranspose, {"filters": 3, "kernel_size": 2}),
        (gxnor_tf.DiscreteDepthwiseConv2D, {"kernel_size": 2}),
        (L.Conv2DTranspose, {"filters": 3, "kernel_size": 2}),
        (L.DepthwiseConv2D, {"kernel_size": 2}),
    ],
)
@pytest.mark.parametrize("name", ["Mine", "DepthwiseTransposeLike"])
def test_a_class_counts_whatever_its_name(base, kwargs, name):
    def macs(layer_class):
        layer = layer_class(**kwargs)
        model = keras.Sequential([keras.Input((6, 6, 4)), layer])
        return summary(model, print_fn=None).macs

    assert macs(type(name, (base,), {})) == macs(base)


def test_float_layers_normalisation_and_training_bytes():
    model = keras.Sequential(
        [
            keras.Input((4,)),
            L.Dense(3, name="float"),
            L.BatchNormalization(name="norm"),
            DiscreteActivation(name="act"),
            DiscreteDense(2, use_bias=True, name="dense"),
        ]
    )
    cost = summary(model, print_fn=None)
    layers = by_name(cost)
    assert [layers[n].bits_per_weight for n in layers] == [32, None, None, 2]
    assert cost.weights == 18 and cost.other_parameters == 3 + 12 + 2
    assert cost.bits_per_weight == pytest.approx((12 * 32 + 6 * 2) / 18)
    assert cost.training_bytes == 4 * 12 + 6 + 4 * 17
    assert "1 byte per discrete weight" in str(cost)
    for rule, size in (("sgd", 1), ("momentum", 2), ("adam", 5)):
        model.compile(
            optimizer=gxnor_tf.DiscreteStateTransition(step_rule=rule),
            loss="mse",
        )
        cost = summary(model, print_fn=None)
        assert by_name(cost)["dense"].training_bytes == 6 * size + 4 * 2
        assert f"{size} bytes per discrete weight" in str(cost)


def test_branches_nested_and_shared_layers():
    inner = keras.Sequential(
        [
            keras.Input((6,)),
            DiscreteDense(6, name="dense"),
            L.BatchNormalization(name="norm"),
            DiscreteActivation(name="act"),
        ],
        name="inner",
    )
    inputs = keras.Input((6,))
    once = inner(inputs)
    twice = inner(once)
    both = L.Concatenate(name="both")([once, twice])
    added = L.Add(name="added")([once, twice])
    outputs = [
        DiscreteDense(2, name="of_both")(both),
        DiscreteDense(3, name="of_sum")(added),
    ]
    model = keras.Model(inputs, outputs)
    x = np.random.default_rng(0).normal(size=(8, 6)).astype(np.float32)
    cost = by_name(summary(model, x, print_fn=None))
    shared = cost["inner/dense"]
    assert (shared.calls, shared.weights, shared.macs) == (2, 36, 72)
    # First on floats, then on its own ternary outputs.
    assert shared.accumulates == np.count_nonzero(inner.layers[0].kernel)
    assert 0 < shared.xnors < 36
    assert cost["of_both"].xnors > 0 == cost["of_both"].accumulates
    assert cost["of_sum"].accumulates > 0 == cost["of_sum"].xnors


def test_subclassed_models_and_several_inputs():
    @keras.saving.register_keras_serializable()
    class Pair(keras.Model):
        def __init__(self):
            super().__init__()
            self.a, self.b = DiscreteDense(3), DiscreteDense(2)

        def call(self, inputs):
            return self.b(self.a(inputs["x"]) + inputs["y"])

    model = Pair()
    x = {"x": np.ones((4, 5)), "y": np.ones((4, 3))}
    with pytest.raises(ValueError, match="is not built"):
        summary(model, x, print_fn=None)
    model({key: value.astype(np.float32) for key, value in x.items()})
    assert summary(model, x, print_fn=None).macs == 15 + 6
    with pytest.raises(ValueError, match="no known shape"):
        summary(model, print_fn=None)
    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    dense = DiscreteDense(2)(L.Concatenate()([a, b]))
    for inputs in ([a, b], {"a": a, "b": b}):
        assert summary(keras.Model(inputs, dense), print_fn=None).macs == 10


def test_inputs_keep_their_own_dtypes():
    tokens = keras.Input((4,), dtype="int32", name="tokens")
    values = keras.Input((3,), name="values")
    x = L.Concatenate()([L.Flatten()(L.Embedding(9, 2)(tokens)), values])
    outputs = DiscreteDense(2)(DiscreteActivation(zero_window=0.4)(x))
    model = keras.Model({"tokens": tokens, "values": values}, outputs)
    inputs = {"tokens": np.ones((5, 4)), "values": np.full((5, 3), 0.45)}
    model.layers[-1].kernel.assign(np.ones((11, 2), np.int8))
    small = (
        8 - np.count_nonzero(np.abs(model.layers[1].embeddings[1]) > 0.4) * 4
    )
    assert summary(model, inputs, print_fn=None).xnors == 2 * (11 - small)
    assert summary(model, print_fn=None).macs == 22


def test_unknown_sizes_need_inputs():
    model = keras.Sequential(
        [keras.Input((None, None, 2)), DiscreteConv2D(3, 2)]
    )
    with pytest.raises(ValueError, match="Give some as `inputs`"):
        summary(model, print_fn=None)
    x = np.ones((1, 5, 4, 2), np.float32)
    assert summary(model, x, print_fn=None).macs == 12 * 4 * 2 * 3
    with pytest.raises(ValueError, match="`inputs` must hold at least one"):
        summary(model, x[:0], print_fn=None)


def test_what_is_not_counted_is_said():
    model = keras.Sequential(
        [keras.Input((5,)), L.Embedding(10, 4, name="table"), L.Flatten()]
    )
    cost = summary(model, print_fn=None)
    assert cost.macs == 0 and cost.other_parameters == 40
    assert "Operations not counted in: table." in cost.notes


def test_what_export_refuses_is_said():
    @keras.saving.register_keras_serializable()
    class Own(L.ReLU):
        """May compute anything."""

    inputs = keras.Input((4,))
    cost = summary(
        keras.Model(inputs, Own(name="own")(DiscreteDense(3)(inputs))),
        print_fn=None,
    )
    assert cost.custom_bytes is None and cost.builtin_bytes is None
    assert cost.layers[0].custom_bytes is None
    assert any("No file: Layer `own` (Own)" in note for note in cost.notes)
    json.loads(cost.to_json())
    assert "-" in str(cost)
    real = keras.Sequential([keras.Input((4,)), L.Dense(3, name="real")])
    [note] = [n for n in _notes(real) if "float32" in n]
    assert "`real` (Dense) has real weights" in note
    assert len(_notes(nets.paper_like(0))) == 1


def test_inputs_of_unknown_origin_are_said():
    inputs = keras.Input((4, 3))
    y = DiscreteActivation()(inputs)
    y = DiscreteDense(2, name="known")(y)
    y = keras.ops.reshape(DiscreteActivation()(y), (-1, 8))
    outputs = DiscreteDense(3, name="after")(L.Dropout(0.5)(y))
    lost = [n for n in _notes(keras.Model(inputs, outputs)) if "real num" in n]
    assert len(lost) == 1 and "in: after. An operation" in lost[0]
    cast = DiscreteDense(2, dtype="mixed_bfloat16", name="cast")
    model = keras.Sequential([keras.Input((4,)), DiscreteActivation(), cast])
    assert any("numbers in: cast." in note for note in _notes(model))
    beside = L.Concatenate()([DiscreteActivation()(inputs), inputs + 1])
    model = keras.Model(inputs, DiscreteDense(1, name="dense")(beside))
    assert any("numbers in: dense." in note for note in _notes(model))


def test_the_activation_of_a_float_layer_is_seen():
    model = keras.Sequential(
        [
            keras.Input((4,)),
            L.Dense(3, activation=DiscreteActivation(), name="real"),
            DiscreteDense(2, name="discrete"),
        ]
    )
    cost = by_name(summary(model, np.ones((1, 4)), print_fn=None))
    assert cost["real"].multiplies == 12
    assert cost["discrete"].accumulates == 0


def test_packed_memory_is_that_of_a_file():
    model = keras.Sequential(
        [
            keras.Input((2, 5, 5)),
            DiscreteActivation(),
            DiscreteConv2D(40, 3, data_format="channels_first"),
            DiscreteActivation(),
        ]
    )
    cost = summary(model, print_fn=None)
    assert any("only channels_last can be" in note for note in cost.notes)
    assert cost.packed_activation_bytes is None
    assert {layer.packed_activation_bytes for layer in cost.layers} == {None}
    assert "bytes in float32.\n" in str(cost)


def _notes(model):
    return summary(model, print_fn=None).notes


def test_activation_memory():
    cost = summary(mnist_net(0), print_fn=None)
    # Pooling reads 24x24x32 and writes 12x12x32.
    assert cost.activation_bytes == 4 * (24 * 24 + 12 * 12) * 32
    # The image in int8, and 12x12 groups of two words.
    assert cost.packed_activation_bytes == 28 * 28 + 12 * 12 * 8
    layers = by_name(cost)
    packed = [layer.packed_activation_bytes for layer in layers.values()]
    assert sorted(packed, reverse=True)[1] == 12 * 12 * 8 + 4 * 4 * 2 * 8


def test_paper_net_in_numbers():
    cost = summary(mnist_net(0), print_fn=None)
    assert cost.weights == 581_408
    assert cost.macs == 4_267_008
    assert cost.bits_per_weight == 2


def test_table_and_json():
    model = mnist_net(0)
    printed = []
    cost = summary(model, nets.images(model, 4, 0), print_fn=printed.append)
    assert printed == [str(cost)]
    lines = printed[0].splitlines()
    assert max(map(len, lines)) <= 80
    for text in ("mean of 4 samples", "581,408", "4.267M", "XNOR", "bitcnt"):
        assert text in printed[0]
    content = json.loads(cost.to_json())
    assert content == json.loads(json.dumps(cost.to_dict()))
    assert content["measured"] is True and content["samples"] == 4
    assert content["layers"][0]["macs"] == 24 * 24 * 25 * 32
    for name in ("macs", "xnors", "training_bytes", "weights"):
        assert content[name] == pytest.approx(
            sum(layer[name] for layer in content["layers"])
        )


def test_the_model_is_left_as_it_was(capsys):
    model = nets.paper_like(0)
    before = model.get_weights()
    summary(model)
    assert "Operations per sample" in capsys.readouterr().out
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
