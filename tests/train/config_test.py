# SPDX-License-Identifier: Apache-2.0
"""Settings, recipes and flags."""

import dataclasses
import json
import math

import pytest
from absl import flags

from gxnor_tf import presets
from train import config
from train.errors import UserError


def parse(*arguments: str) -> config.Config:
    values = flags.FlagValues()
    config.define_flags("mnist", values)
    values(["train.mnist", "--output_dir=out", *arguments])
    return config.from_flags("mnist", values)


def test_no_flag_gives_the_default_recipe():
    assert parse() == config.from_recipe("mnist", "default")
    assert parse().net == "mnist"


def test_every_setting_has_a_flag_and_help():
    values = flags.FlagValues()
    config.define_flags("mnist", values)
    wanted = {
        *("output_dir", "epochs", "batch_size", "learning_rate", "seed"),
        *("weight_n", "activation_n", "zero_window", "derivative"),
        *("derivative_width", "transition_gain", "step_rule", "discrete"),
        *("jit_compile", "steps_per_execution", "distribute", "resume"),
        *("dataset", "data_dir", "width", "recipe", "final_learning_rate"),
        *("momentum", "initial_weights", "preset"),
    }
    assert set(values) == wanted
    assert all(values[name].help for name in wanted)


def test_flags_override_the_recipe():
    paper = parse("--recipe=paper")
    assert paper.recipe == "paper"
    assert paper.batch_size == 10_000
    assert paper.epochs == 4000
    assert paper.step_rule == "adam"
    assert (paper.learning_rate, paper.final_learning_rate) == (0.1, 1e-7)
    assert paper.zero_window == 1.0
    changed = parse("--recipe=paper", "--epochs=3", "--zero_window=0.5")
    assert changed == dataclasses.replace(paper, epochs=3, zero_window=0.5)


def test_a_flag_equal_to_the_class_default_still_overrides_the_recipe():
    assert parse("--recipe=paper", "--batch_size=100").batch_size == 100


@pytest.mark.parametrize(
    ("argument", "name", "value"),
    [
        ("--discrete=false", "discrete", False),
        ("--nodiscrete", "discrete", False),
        ("--jit_compile", "jit_compile", True),
        ("--weight_n=0", "weight_n", 0),
        ("--weight_n=float", "weight_n", "float"),
        ("--activation_n=float", "activation_n", "float"),
        ("--activation_n=3", "activation_n", 3),
        ("--learning_rate=1", "learning_rate", 1.0),
        ("--distribute=mirrored", "distribute", "mirrored"),
        ("--derivative=triangular", "derivative", "triangular"),
    ],
)
def test_flag_values(argument, name, value):
    parsed = getattr(parse(argument), name)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    "argument",
    ["--step_rule=rmsprop", "--recipe=best", "--epochs=2.5", "--distribute=x"]
    + ["--weight_n=ternary", "--activation_n=0.5", "--preset=xnor"],
)
def test_wrong_flag_values_are_refused_by_the_parser(argument):
    with pytest.raises(flags.IllegalFlagValueError):
        parse(argument)


def test_output_dir_is_required():
    values = flags.FlagValues()
    config.define_flags("mnist", values)
    with pytest.raises(flags.IllegalFlagValueError, match="output_dir"):
        values(["train.mnist"])


def test_dependent_defaults():
    made = config.Config()
    assert made.final_learning_rate == pytest.approx(1e-3 * 0.01)
    assert made.momentum == 0.99
    assert made.zero_window == 0.5
    assert config.Config(step_rule="adam").momentum == 0.9
    assert config.Config(step_rule="sgd").momentum is None
    assert config.Config(activation_n=0).zero_window == 0.0


def test_another_step_rule_or_activation_fits_any_recipe():
    assert parse("--recipe=paper", "--step_rule=sgd").momentum is None
    assert parse("--recipe=paper", "--step_rule=momentum").momentum == 0.99
    assert parse("--recipe=paper", "--activation_n=0").zero_window == 0
    assert parse("--recipe=paper", "--preset=bnn").zero_window == 0
    assert parse("--recipe=paper", "--preset=twn").zero_window is None
    assert parse("--recipe=paper", "--discrete=false").zero_window is None
    assert parse("--recipe=paper", "--preset=gxnor").zero_window == 1.0
    assert parse("--recipe=paper", "--activation_n=1").zero_window == 1.0


def test_a_small_learning_rate_drops_the_recipe_s_last_one():
    made = parse("--recipe=paper", "--learning_rate=1e-8")
    assert made.final_learning_rate == pytest.approx(1e-11)
    kept = parse("--recipe=paper", "--learning_rate=0.01")
    assert kept.final_learning_rate == 1e-7
    with pytest.raises(UserError, match="`final_learning_rate` must be"):
        parse("--learning_rate=1e-8", "--final_learning_rate=1e-7")


@pytest.mark.parametrize(
    ("flag", "floats"),
    [
        ("--momentum=0.9", "--weight_n=float"),
        ("--step_rule=momentum", "--preset=float"),
        ("--transition_gain=3", "--discrete=false"),
        ("--initial_weights=uniform", "--preset=float"),
        ("--derivative=rectangular", "--activation_n=float"),
        ("--derivative_width=0.5", "--preset=twn"),
    ],
)
def test_what_would_have_no_effect_is_refused(flag, floats):
    """Even the default, if it is asked for; the recipe's is not."""
    name = flag.lstrip("-").partition("=")[0]
    with pytest.raises(UserError, match=f"`{name}` must be left out"):
        parse(flag, floats)
    parse("--recipe=paper", floats)
    parse(flag)


def test_every_preset_of_the_library_has_its_flag_value():
    (field,) = [
        field
        for field in dataclasses.fields(config.Config)
        if field.name == "preset"
    ]
    assert field.metadata["choices"] == tuple(presets.PRESETS)


CASES = {
    "float": ("float", "float", None),
    "bwn": (0, "float", None),
    "twn": (1, "float", None),
    "bnn": (0, 0, 0.0),
    "gxnor": (1, 1, 0.5),
}


@pytest.mark.parametrize("preset", CASES)
def test_presets(preset):
    made = parse(f"--preset={preset}")
    found = (made.weight_n, made.activation_n, made.zero_window)
    assert found == CASES[preset]
    wanted = presets.get(preset)
    assert made.weight_space == wanted.weight_space
    assert made.activation_space == wanted.activation_space
    # The same settings in other words are the same run.
    weight_n, activation_n, _ = CASES[preset]
    assert made == parse(
        f"--weight_n={weight_n}", f"--activation_n={activation_n}"
    )
    assert config.Config.from_json(made.to_json()) == made


def test_explicit_spaces_beat_the_preset():
    made = parse("--preset=bnn", "--activation_n=2")
    assert (made.weight_n, made.activation_n) == (0, 2)
    assert made.zero_window == 0.5
    made = parse("--preset=float", "--weight_n=3")
    assert (made.weight_n, made.activation_n) == (3, "float")


def test_without_discrete_all_is_float():
    made = parse("--discrete=false")
    assert (made.weight_n, made.activation_n) == ("float", "float")
    # Plain Keras layers are not the library's layers in full precision.
    assert made.differences(parse("--preset=float")) == ["discrete"]
    assert parse("--discrete=false", "--preset=float") == made
    with pytest.raises(UserError, match="`preset` must be float.*='gxnor'"):
        parse("--discrete=false", "--preset=gxnor")
    with pytest.raises(UserError, match="`weight_n` must be float.*weight_n=1"):
        parse("--discrete=false", "--weight_n=1")
    with pytest.raises(UserError, match="`activation_n` must be float.*=2"):
        parse("--discrete=false", "--activation_n=2")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weight_n": 8}, r"`weight_n` must be in 0\.\.7.*weight_n=8"),
        ({"weight_n": -1}, "`weight_n`.*weight_n=-1"),
        ({"activation_n": 9}, r"`activation_n` must be in 0\.\.7"),
        ({"weight_n": "ternary"}, "`weight_n` must be of type int"),
        ({"weight_n": True}, "`weight_n` must be of type int"),
        ({"preset": "xnor"}, "`preset` must be one of float, bwn"),
        (
            {"activation_n": "float", "zero_window": 0.5},
            "`zero_window` must be left out.*ReLU",
        ),
        ({"zero_window": -0.1}, "`zero_window` must be >= 0.*-0.1"),
        ({"zero_window": math.nan}, "`zero_window` must be a finite"),
        ({"activation_n": 0, "zero_window": 0.5}, "`zero_window` must be 0"),
        ({"activation_n": 2, "zero_window": 1.0}, "`zero_window` must be < 1"),
        ({"derivative_width": 0.0}, "`derivative_width` must be a finite"),
        ({"derivative_width": -1.0}, "`derivative_width`"),
        ({"derivative": "gaussian"}, "`derivative` must be one of rectang"),
        ({"transition_gain": 0.0}, "`transition_gain`"),
        ({"step_rule": "rmsprop"}, "`step_rule` must be one of adam"),
        ({"distribute": "tpu"}, "`distribute` must be one of none, mirrored"),
        ({"epochs": 0}, "`epochs` must be >= 1"),
        ({"epochs": 2.0}, "`epochs` must be of type int"),
        ({"epochs": True}, "`epochs` must be of type int"),
        ({"discrete": 1}, "`discrete` must be of type bool"),
        ({"dataset": None}, "`dataset` must be of type str"),
        ({"batch_size": -5}, "`batch_size` must be >= 1.*batch_size=-5"),
        ({"steps_per_execution": 0}, "`steps_per_execution`"),
        ({"learning_rate": 0.0}, "`learning_rate`"),
        ({"learning_rate": math.inf}, "`learning_rate` must be a finite"),
        ({"final_learning_rate": 0.5}, "`final_learning_rate`.*=0.01"),
        ({"final_learning_rate": 0.0}, "`final_learning_rate`"),
        ({"momentum": 1.0}, r"`momentum` must be in \[0, 1\)"),
        ({"momentum": 0.5, "step_rule": "sgd"}, "`momentum` must be left out"),
        ({"seed": -1}, "`seed`"),
        ({"width": 0.0}, "`width`"),
        ({"width": 64.5}, "`width` must be <= 64. Received: width=64.5"),
        (
            {"discrete": False, "preset": "gxnor"},
            "`preset` must be float, or left out.*preset='gxnor'",
        ),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(UserError, match=message):
        config.Config(**settings)


def test_unknown_recipe_is_named():
    with pytest.raises(UserError, match="`recipe`.*default, paper.*'best'"):
        config.from_recipe("mnist", "best")


@pytest.mark.parametrize("recipe", ["default", "paper"])
def test_json_round_trip(recipe):
    made = config.from_recipe("mnist", recipe, seed=3)
    assert config.Config.from_json(made.to_json()) == made


def test_damaged_json_is_refused():
    text = config.Config().to_json()
    with pytest.raises(UserError, match="JSON"):
        config.Config.from_json(text[:-5])
    with pytest.raises(UserError, match="settings missing: .'epochs'"):
        settings = json.loads(text)
        del settings["epochs"]
        config.Config.from_json(json.dumps(settings))
    with pytest.raises(UserError, match="settings unknown: .'speed'"):
        config.Config.from_json(json.dumps(json.loads(text) | {"speed": 1}))
    with pytest.raises(UserError, match="settings missing"):
        config.Config.from_json("[]")


def test_differences_are_named():
    one = config.Config()
    other = dataclasses.replace(one, seed=1, width=0.5)
    assert one.differences(other) == ["seed", "width"]
    assert one.differences(one) == []
