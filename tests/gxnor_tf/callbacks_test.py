# SPDX-License-Identifier: Apache-2.0
import csv
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

import gxnor_tf
from gxnor_tf import metrics
from gxnor_tf.callbacks import TransitionMonitor


def make_model(steps_per_execution=1):
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((8,)),
            gxnor_tf.DiscreteDense(6, name="first"),
            gxnor_tf.DiscreteActivation(name="act"),
            gxnor_tf.DiscreteDense(2, name="second"),
        ]
    )
    model.compile(
        optimizer=gxnor_tf.DiscreteStateTransition(0.1),
        loss="mse",
        steps_per_execution=steps_per_execution,
    )
    return model


def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 8)).astype(np.float32)
    return x, x[:, :2]


def fit(model, *callbacks, epochs=2, **kwargs):
    x, y = data()
    return model.fit(
        x,
        y,
        batch_size=8,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=list(callbacks),
        **kwargs,
    ).history


class Snapshots(keras.callbacks.Callback):
    """Keeps the states after every step, and the batch logs."""

    def on_train_begin(self, logs=None):
        self.states = [self.model.get_weights()]
        self.logs = []

    def on_train_batch_end(self, batch, logs=None):
        self.states.append(self.model.get_weights())
        self.logs.append(dict(logs))

    def rates(self, start, stop):
        """Share of weights moved per step, per tensor, from the states."""
        moved = [
            [np.mean(a != b) for a, b in zip(old, new, strict=True)]
            for old, new in zip(
                self.states[start:stop],
                self.states[start + 1 : stop + 1],
                strict=True,
            )
        ]
        return np.mean(moved, axis=0)


def read_rows(path):
    with path.open(newline="") as file:
        return [
            {key: float(value) for key, value in row.items()}
            for row in csv.DictReader(file)
        ]


def test_rates_are_those_of_the_states(tmp_path):
    model, seen = make_model(), Snapshots()
    monitor = TransitionMonitor(
        per_layer=True, every_steps=4, csv_path=tmp_path / "rates.csv"
    )
    history = fit(model, monitor, seen)
    paths = [layer.kernel.path for layer in (model.layers[0], model.layers[2])]
    for epoch in range(2):
        expected = seen.rates(10 * epoch, 10 * epoch + 10)
        for path, rate in zip(paths, expected, strict=True):
            assert history[f"transition_rate/{path}"][epoch] == pytest.approx(
                rate, rel=1e-5
            )
        assert history["transition_rate"][epoch] == pytest.approx(
            expected.mean(), rel=1e-5
        )
    rows = read_rows(tmp_path / "rates.csv")
    # Windows end at multiples of 4 and begin anew with every epoch.
    windows = [(0, 4), (4, 8), (0, 10), (10, 12), (12, 16), (16, 20), (10, 20)]
    assert [row["step"] for row in rows] == [stop for _, stop in windows]
    assert [row["epoch"] for row in rows] == [1, 1, 1, 2, 2, 2, 2]
    for row, (start, stop) in zip(rows, windows, strict=True):
        for path, rate in zip(paths, seen.rates(start, stop), strict=True):
            assert row[f"transition_rate/{path}"] == pytest.approx(
                rate, rel=1e-4
            )
            state = seen.states[stop][paths.index(path)]
            assert row[f"zero_share/{path}"] == np.mean(state == 0)
    assert [
        i + 1 for i, log in enumerate(seen.logs) if "zero_share" in log
    ] == [
        4,
        8,
        12,
        16,
        20,
    ]


def test_steps_executed_together(tmp_path):
    model = make_model(steps_per_execution=5)
    fit(
        model,
        TransitionMonitor(every_steps=2, csv_path=tmp_path / "rates.csv"),
        epochs=1,
    )
    rows = read_rows(tmp_path / "rates.csv")
    assert [row["step"] for row in rows] == [5, 10, 10]
    assert rows[0]["transition_rate"] > 0
    assert rows[2]["transition_rate"] == pytest.approx(
        (rows[0]["transition_rate"] + rows[1]["transition_rate"]) / 2
    )


def test_gates_go_to_history_and_csv_logger(tmp_path):
    model = make_model()
    x, _ = data()
    history = fit(
        model,
        TransitionMonitor(per_layer=True, samples=x[:16]),
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
        validation_data=data(),
    )
    rates = metrics.gate_open_rates(model, x[:16])
    counts = metrics.gate_counts(model, x[:16])
    assert set(rates) == {"first", "second"}
    for name, rate in rates.items():
        assert history[f"gate_open_rate/{name}"][-1] == rate
    assert history["gate_open_rate"][-1] == sum(
        c.open for c in counts.values()
    ) / sum(c.products for c in counts.values())
    assert (
        history["activation_zero_share/act"][-1]
        == (metrics.activation_zero_shares(model, x[:16])["act"])
    )
    rows = read_rows(tmp_path / "log.csv")
    assert set(rows[0]) == {"epoch", *history}
    for key, values in history.items():
        assert [row[key] for row in rows] == pytest.approx(values)


def test_watching_does_not_change_training():
    x, _ = data()
    weights = []
    for monitor in (
        TransitionMonitor(),
        TransitionMonitor(per_layer=True, samples=x[:4], every_steps=3),
    ):
        model = make_model()
        fit(model, monitor)
        weights.append(model.get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_tensorboard(tmp_path):
    model = make_model()
    monitor = TransitionMonitor(every_steps=5, log_dir=tmp_path)
    history = fit(model, monitor)

    def scalars(kind):
        [path] = (tmp_path / kind).iterdir()
        found = {}
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                assert value.metadata.plugin_data.plugin_name == "scalars"
                found.setdefault(value.tag, {})[event.step] = float(
                    tf.make_ndarray(value.tensor)
                )
        return found

    epochs = scalars("epochs")
    assert set(epochs) == {"zero_share", "transition_rate"}
    for key, values in epochs.items():
        assert list(values) == [10, 20]
        assert list(values.values()) == pytest.approx(history[key])
    assert list(scalars("steps")["zero_share"]) == [5, 10, 15, 20]


def test_frozen_weights_have_a_rate_of_zero():
    model = make_model()
    model.layers[0].trainable = False
    model.compile(optimizer=gxnor_tf.DiscreteStateTransition(0.1), loss="mse")
    history = fit(model, TransitionMonitor(per_layer=True), epochs=1)
    first, _, second = model.layers
    assert history[f"transition_rate/{first.kernel.path}"] == [0.0]
    assert history[f"transition_rate/{second.kernel.path}"][0] > 0
    assert history["transition_rate"] == [
        history[f"transition_rate/{second.kernel.path}"][0]
    ]


class TwoOfOnePath(keras.Model):
    """Keras lets a class do this."""

    def __init__(self):
        super().__init__(name="two")
        self.a = gxnor_tf.DiscreteDense(6, name="dense")
        self.b = gxnor_tf.DiscreteDense(2, name="dense")

    def call(self, x):
        return self.b(self.a(x))


@pytest.mark.parametrize("frozen", [False, True])
def test_rates_of_tensors_that_share_a_path(frozen):
    keras.utils.set_random_seed(1)
    model = TwoOfOnePath()
    model(data()[0])
    model.a.trainable = not frozen
    model.compile(optimizer=gxnor_tf.DiscreteStateTransition(0.1), loss="mse")
    snapshots = Snapshots()
    history = fit(model, TransitionMonitor(per_layer=True), snapshots, epochs=1)
    moved = [
        [np.mean(one != other) for one, other in zip(*pair, strict=True)]
        for pair in itertools.pairwise(snapshots.states)
    ]
    a, b = np.mean(moved, axis=0)
    path = model.a.kernel.path
    assert history[f"transition_rate/{path}"] == pytest.approx([a])
    assert history[f"transition_rate/{path}#2"] == pytest.approx([b])
    trained = [b] if frozen else [a, b]
    assert min(trained) > 0
    assert history["transition_rate"] == pytest.approx([np.mean(trained)])
    rates = list(model.optimizer.transition_rates().values())
    assert rates == pytest.approx(trained)


def test_append(tmp_path):
    path = tmp_path / "rates.csv"
    model = make_model()
    fit(model, TransitionMonitor(csv_path=path), epochs=1)
    first = path.read_text()
    fit(
        model,
        TransitionMonitor(csv_path=path, append=True),
        initial_epoch=1,
        epochs=2,
    )
    assert path.read_text().startswith(first)
    assert [row["step"] for row in read_rows(path)] == [10, 20]
    other = TransitionMonitor(csv_path=path, append=True, per_layer=True)
    with pytest.raises(ValueError, match="other columns"):
        fit(model, other)
    fit(model, TransitionMonitor(csv_path=path), epochs=1)
    assert [row["step"] for row in read_rows(path)] == [30]


@pytest.mark.parametrize("cut", [1, 10, -1, -3])
def test_append_after_a_cut_line(cut, tmp_path):
    """Of the header, in the rows, or of the last row."""
    path = tmp_path / "rates.csv"
    model = make_model()
    fit(model, TransitionMonitor(csv_path=path))
    text = path.read_text()
    path.write_text(text[:cut])
    fit(model, TransitionMonitor(csv_path=path, append=True), epochs=1)
    kept = [10] if cut < 0 else []
    assert [row["step"] for row in read_rows(path)] == [*kept, 30]
    assert path.read_text().startswith(text[: text[:cut].rfind("\n") + 1])
    path.write_text("something else")
    with pytest.raises(ValueError, match="other columns.*something else"):
        fit(model, TransitionMonitor(csv_path=path, append=True), epochs=1)
    assert path.read_text() == "something else"


@pytest.mark.parametrize("every_steps", [None, 5])
def test_model_that_is_built_by_its_first_batch(every_steps, tmp_path):
    path = tmp_path / "rates.csv"
    model = keras.Sequential([gxnor_tf.DiscreteDense(2, name="only")])
    model.compile(gxnor_tf.DiscreteStateTransition(0.1), loss="mse")
    monitor = TransitionMonitor(
        per_layer=True, csv_path=path, every_steps=every_steps
    )
    history = fit(model, monitor)
    rows = read_rows(path)
    assert set(rows[0]) == {"epoch", "step", *history} - {"loss"}
    assert [r["step"] for r in rows][-1] == 20
    assert len(rows) == (2 if every_steps is None else 6)


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "1", True])
def test_every_steps_is_a_positive_integer(wrong):
    with pytest.raises(ValueError, match=f"every_steps={wrong!r}"):
        TransitionMonitor(every_steps=wrong)


def test_monitor_needs_the_optimizer():
    model = make_model()
    model.compile(optimizer="sgd", loss="mse")
    with pytest.raises(ValueError, match="optimizer=SGD"):
        TransitionMonitor.on_train_begin(_attached(model))


def _attached(model):
    monitor = TransitionMonitor()
    monitor.set_model(model)
    return monitor
