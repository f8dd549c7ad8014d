# SPDX-License-Identifier: Apache-2.0
"""Flags: one for each setting, and what they override."""

import dataclasses

import pytest
from absl import flags

from train import command_line, config, recipes


def parse(*arguments: str) -> config.Config:
    values = flags.FlagValues()
    command_line.define_flags("mnist", values)
    values(["train.mnist", "--output_dir=out", *arguments])
    return command_line.from_flags("mnist", values)


def test_no_flag_gives_the_default_recipe():
    assert parse() == recipes.from_recipe("mnist", "default")
    assert parse().net == "mnist"


def test_every_setting_has_a_flag_and_help():
    values = flags.FlagValues()
    command_line.define_flags("mnist", values)
    wanted = {
        *("output_dir", "epochs", "batch_size", "learning_rate", "seed"),
        *("weight_n", "activation_n", "zero_window", "derivative"),
        *("derivative_width", "transition_gain", "step_rule", "discrete"),
        *("jit_compile", "steps_per_execution", "distribute", "resume"),
        *("dataset", "data_dir", "width", "recipe", "final_learning_rate"),
        *("momentum", "initial_weights", "preset", "training", "loss"),
        *("schedule", "milestones", "milestone_factor", "warmup_epochs"),
        *("augmentation", "validation_share", "norm_momentum", "dropout"),
        *("memory_growth", "full_rate_memory", "moment_dtype"),
        "bfloat16_products",
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
        ("--bfloat16_products", "bfloat16_products", True),
        ("--weight_n=0", "weight_n", 0),
        ("--weight_n=float", "weight_n", "float"),
        ("--activation_n=float", "activation_n", "float"),
        ("--activation_n=3", "activation_n", 3),
        ("--learning_rate=1", "learning_rate", 1.0),
        ("--distribute=mirrored", "distribute", "mirrored"),
        ("--derivative=triangular", "derivative", "triangular"),
        ("--training=latent", "training", "latent"),
        ("--milestones=0.25,0.5", "milestones", "0.25,0.5"),
        ("--warmup_epochs=2", "warmup_epochs", 2.0),
        ("--augmentation=affine", "augmentation", "affine"),
    ],
)
def test_flag_values(argument, name, value):
    parsed = getattr(parse("--schedule=multistep", argument), name)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    "argument",
    ["--step_rule=rmsprop", "--recipe=best", "--epochs=2.5", "--distribute=x"]
    + ["--weight_n=ternary", "--activation_n=0.5", "--preset=xnor"]
    + ["--augmentation=cutout", "--schedule=linear", "--training=sgd"],
)
def test_wrong_flag_values_are_refused_by_the_parser(argument):
    with pytest.raises(flags.IllegalFlagValueError):
        parse(argument)


def test_output_dir_is_required():
    values = flags.FlagValues()
    command_line.define_flags("mnist", values)
    with pytest.raises(flags.IllegalFlagValueError, match="output_dir"):
        values(["train.mnist"])


@pytest.mark.parametrize("net", recipes.RECIPES)
def test_help_shows_the_values_of_the_recipes(net):
    values = flags.FlagValues()
    command_line.define_flags(net, values)
    paper = recipes.RECIPES[net]["paper"]
    assert f"paper: {paper['batch_size']})" in values["batch_size"].help
    share = {"mnist": "0.08333"}.get(net, "0.1")
    assert f"(default: {share}," in values["validation_share"].help
