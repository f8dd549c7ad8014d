# SPDX-License-Identifier: Apache-2.0
"""Settings: their types, limits and dependent defaults."""

import dataclasses
import json
import math

import pytest

from gxnor_tf import moment_formats, presets, step_rules
from train import config
from train.errors import UserError


def test_dependent_defaults():
    made = config.Config()
    assert made.final_learning_rate == pytest.approx(1e-3 * 0.03)
    assert (made.step_rule, made.momentum) == ("error_feedback", 1)
    assert made.memory_growth is made.full_rate_memory is None
    assert made.transition_gain is None
    momentum = config.Config(step_rule="momentum")
    assert (momentum.momentum, momentum.memory_growth) == (0.998, 0.1)
    assert (momentum.full_rate_memory, momentum.transition_gain) == (20, 3)
    assert config.Config(step_rule="bop").full_rate_memory is None
    for name in ("momentum", "memory_growth", "transition_gain"):
        assert config.Config(**{name: 0.5}).step_rule == "momentum"
    assert config.Config(full_rate_memory=9.0).step_rule == "momentum"
    assert made.moment_dtype == "int8"
    assert made.zero_window == 0.5
    adam = config.Config(step_rule="adam")
    assert (adam.momentum, adam.memory_growth) == (0.9, None)
    assert adam.moment_dtype == "bfloat16"
    assert config.Config(step_rule="sgd").momentum is None
    assert config.Config(activation_n=0).zero_window == 0.0
    assert made.learning_rate == 0.03
    assert config.Config(training="latent").learning_rate == 0.01
    assert config.Config(weight_n="float").learning_rate == 0.003
    assert made.milestones is made.milestone_factor is None
    multistep = config.Config(schedule="multistep")
    assert multistep.final_learning_rate is None
    assert multistep.milestone_shares == (0.5, 0.75)
    assert multistep.milestone_factor == 0.1
    assert (
        config.Config(schedule="exponential", milestones="0.5").milestone_factor
        == 0.1
    )
    assert made.dataset == "mnist"
    assert config.Config(net="svhn").dataset == "svhn"


def test_choices_are_those_of_the_library():
    choices = {
        field.name: field.metadata["choices"]
        for field in dataclasses.fields(config.Config)
    }
    assert sorted(choices["step_rule"]) == sorted(step_rules.NAMES)
    assert sorted(choices["moment_dtype"]) == sorted(
        (*moment_formats.NAMES, "in_kernel")
    )


def test_every_preset_of_the_library_has_its_flag_value():
    (field,) = [
        field
        for field in dataclasses.fields(config.Config)
        if field.name == "preset"
    ]
    assert field.metadata["choices"] == tuple(presets.PRESETS)


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
        (
            {"transition_gain": 0.0, "step_rule": "adam"},
            "`transition_gain` must be a finite number > 0",
        ),
        (
            {"transition_gain": 3.0, "step_rule": "bop"},
            "`transition_gain` must be left out",
        ),
        ({"step_rule": "rmsprop"}, "`step_rule` must be one of adam"),
        ({"distribute": "tpu"}, "`distribute` must be one of none, mirrored"),
        ({"epochs": 0}, "`epochs` must be >= 1"),
        ({"epochs": 2.0}, "`epochs` must be of type int"),
        ({"epochs": True}, "`epochs` must be of type int"),
        ({"discrete": 1}, "`discrete` must be of type bool"),
        ({"dataset": 3}, "`dataset` must be of type str"),
        ({"validation_share": 1.0}, r"`validation_share` must be in \(0, 1\)"),
        ({"augmentation": "cutout"}, "`augmentation` must be one of none"),
        ({"norm_momentum": 1.0}, r"`norm_momentum` must be in \[0, 1\)"),
        ({"dropout": -0.5}, r"`dropout` must be in \[0, 1\)"),
        ({"loss": "mse"}, "`loss` must be one of squared_hinge"),
        (
            {"training": "latent", "weight_n": "float"},
            "`training` must be left out with weight_n=float.*'latent'",
        ),
        *(
            (
                {"bfloat16_products": True, name: value},
                f"`bfloat16_products` must be False with {name}={value}",
            )
            for name, value in (
                ("jit_compile", True),
                ("training", "latent"),
                ("weight_n", 2),
                ("activation_n", "float"),
            )
        ),
        (
            {"schedule": "constant", "final_learning_rate": 1e-3},
            "`final_learning_rate` must be left out with schedule=constant",
        ),
        (
            {"schedule": "multistep", "final_learning_rate": 1e-3},
            "`final_learning_rate` must be left out with schedule=multistep",
        ),
        (
            {"schedule": "cosine", "milestones": "0.5"},
            "`milestones` must be left out with schedule=cosine",
        ),
        (
            {"schedule": "constant", "milestones": "0.5"},
            "`milestones` must be left out with schedule=constant",
        ),
        ({"milestone_factor": 0.1}, "`milestone_factor` must be left out"),
        (
            {"schedule": "multistep", "milestones": "half"},
            "`milestones` must be rising.*'half'",
        ),
        (
            {"schedule": "multistep", "milestones": ""},
            "`milestones` must be rising",
        ),
        (
            {"schedule": "multistep", "milestones": "0.5,0.5"},
            "`milestones` must be rising",
        ),
        (
            {"schedule": "multistep", "milestones": "0.5,1"},
            "`milestones` must be rising",
        ),
        (
            {"schedule": "multistep", "milestones": "nan"},
            "`milestones` must be rising",
        ),
        (
            {"schedule": "multistep", "milestone_factor": 1.0},
            r"`milestone_factor` must be in \(0, 1\)",
        ),
        ({"warmup_epochs": -1.0}, "`warmup_epochs` must be in 0..epochs=20"),
        ({"warmup_epochs": 21.0}, "`warmup_epochs`.*=21.0"),
        ({"batch_size": -5}, "`batch_size` must be >= 1.*batch_size=-5"),
        ({"steps_per_execution": 0}, "`steps_per_execution`"),
        ({"learning_rate": 0.0}, "`learning_rate`"),
        ({"learning_rate": math.inf}, "`learning_rate` must be a finite"),
        ({"final_learning_rate": 0.5}, "`final_learning_rate`.*=0.03"),
        ({"final_learning_rate": 0.0}, "`final_learning_rate`"),
        (
            {"momentum": 1.0, "step_rule": "momentum"},
            r"`momentum` must be in \[0, 1\)",
        ),
        ({"momentum": 0.5, "step_rule": "sgd"}, "`momentum` must be left out"),
        (
            {"memory_growth": 0.5, "step_rule": "adam"},
            "`memory_growth` must be left out",
        ),
        (
            {"memory_growth": 0.0, "step_rule": "momentum"},
            "`memory_growth` must be > 0",
        ),
        (
            {"full_rate_memory": 0.5, "step_rule": "sign"},
            "`full_rate_memory` must be >= 1",
        ),
        (
            {"full_rate_memory": 99.0, "step_rule": "bop"},
            "`full_rate_memory` must be left out",
        ),
        (
            {"step_rule": "error_feedback", "momentum": 1.5},
            r"`momentum` must be in \[0, 1\]",
        ),
        (
            {"step_rule": "error_feedback", "momentum": 0.9},
            "`momentum` must be >= 0.945455 with step_rule=error_feedback and "
            "learning_rate=0.03, or left out",
        ),
        ({"net": "nope"}, "`net` must be one of mnist, cifar10, svhn"),
        ({"recipe": "nope"}, "`recipe` must be one of default, paper"),
        (
            {"step_rule": "adam", "moment_dtype": "int8"},
            "`moment_dtype` must be one of bfloat16, float32 with",
        ),
        ({"moment_dtype": "float16"}, "`moment_dtype` must be one of"),
        (
            {"step_rule": "momentum", "moment_dtype": "in_kernel"},
            "`moment_dtype` must be one of int8, .* with step_rule=momentum.*"
            "Received: moment_dtype='in_kernel'",
        ),
        (
            {"weight_n": 5, "moment_dtype": "in_kernel"},
            "`moment_dtype` must be left out with weight_n=5; in_kernel needs",
        ),
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
