# SPDX-License-Identifier: Apache-2.0
"""Sets of default settings by network and name."""

from typing import Any

from train.config import FLOAT, Config
from train.errors import UserError

# What the released scripts of Deng et al., 2018 have in common. Their
# activation has thresholds at +-1, not at +-0.5 as in the paper's text.
# Different here: the rate decays at every step instead of every epoch, there
# are no biases (BatchNormalization cancels them), pixels become
# (p - 128) / 128 instead of p / 127.5 - 1, and the model is chosen on
# validation images instead of the test set.
_PAPER = {
    "schedule": "exponential",
    "step_rule": "adam",
    "momentum": 0.9,
    "moment_dtype": "float32",
    "initial_weights": "rounded",
    "zero_window": 1.0,
    "transition_gain": 3.0,
}

# The dense weights of the released script start uniform over the states, here
# all start alike.
_PAPER_CIFAR10 = _PAPER | {
    "batch_size": 1000,
    "epochs": 2000,
    "learning_rate": 0.01,
    "final_learning_rate": 3e-5,
    "milestones": "0.5,0.8",
    "milestone_factor": 0.1,
    "validation_share": 0.1,
}

# By network and name; what is not named keeps Config's default.
RECIPES: dict[str, dict[str, dict[str, Any]]] = {
    "mnist": {
        # 5,000 images, about as many as for the other nets.
        "default": {"validation_share": 1 / 12},
        "paper": _PAPER
        | {
            "batch_size": 10_000,
            "epochs": 4000,
            "learning_rate": 0.1,
            "final_learning_rate": 1e-7,
        },
    },
    "cifar10": {
        "default": {"validation_share": 0.1, "augmentation": "crop_flip"},
        "paper": _PAPER_CIFAR10,
    },
    "svhn": {
        "default": {"validation_share": 0.1},
        # No script was released; the paper names the batch.
        "paper": _PAPER_CIFAR10 | {"batch_size": 10_000},
    },
}

# What has no effect on float weights, on weights that Adam trains, and on
# float activations.
_OF_DISCRETE_WEIGHTS = ("initial_weights", "training")
_OF_TRANSITIONS = (
    *("step_rule", "momentum", "memory_growth", "full_rate_memory"),
    *("moment_dtype", "transition_gain"),
)
_OF_ACTIVATIONS = ("derivative", "derivative_width")


def from_recipe(net: str, recipe: str = "default", **settings: Any) -> Config:
    """A recipe's config with some settings replaced.

    Args:
        net: Name of a network, a key of `RECIPES`.
        recipe: Name of a recipe of that network.
        **settings: Settings that differ from the recipe.

    Raises:
        UserError: If a name or a setting is wrong, or a setting is given that
            would have no effect: one of discrete weights or activations where
            there are none, or of transitions where Adam trains.

    >>> from_recipe("mnist", "paper", epochs=10).epochs
    10
    """
    if net not in RECIPES:
        raise UserError(
            f"`net` must be one of {', '.join(RECIPES)}. Received: net={net!r}"
        )
    if recipe not in RECIPES[net]:
        raise UserError(
            f"`recipe` must be one of {', '.join(RECIPES[net])}. "
            f"Received: recipe={recipe!r}"
        )
    chosen = RECIPES[net][recipe]
    dropped = _dropped(chosen, settings)
    chosen = {k: v for k, v in chosen.items() if k not in dropped}
    made = Config(net=net, recipe=recipe, **(chosen | settings))
    _refuse_without_effect(made, settings)
    return made


def _dropped(chosen: dict[str, Any], settings: dict[str, Any]) -> set[str]:
    """Settings of a recipe that do not go with what replaces others of it.

    Another step rule, activation, schedule or optimizer brings its own
    dependent default along; the recipe's may not even be allowed with it.
    """
    dropped = set()
    before, after = _framework(chosen), _framework(chosen | settings)
    if _other("step_rule", chosen, settings):
        dropped |= {"momentum", "moment_dtype", "transition_gain"}
    if before.activation_n != after.activation_n:
        dropped.add("zero_window")
    if after.trained_by_adam:
        dropped |= {"learning_rate", "final_learning_rate"}
    if _other("schedule", chosen, settings):
        dropped |= {"final_learning_rate", "milestones", "milestone_factor"}
    rate = settings.get("learning_rate")
    if isinstance(rate, (int, float)) and rate < chosen.get(
        "final_learning_rate", 0
    ):
        dropped.add("final_learning_rate")
    return dropped


def _other(name: str, chosen: dict[str, Any], settings: dict[str, Any]) -> bool:
    usual = chosen.get(name, getattr(Config, name))
    return bool(settings.get(name, usual) != usual)


def _framework(settings: dict[str, Any]) -> Config:
    """A config of those settings that decide what is trained, and by whom."""
    names = ("discrete", "preset", "weight_n", "activation_n", "training")
    return Config(
        **{name: settings[name] for name in names if name in settings}
    )


def _refuse_without_effect(made: Config, settings: dict[str, Any]) -> None:
    floats = "which --preset and --discrete=false may stand for"
    for useless, names, where in (
        (
            made.weight_n == FLOAT,
            _OF_DISCRETE_WEIGHTS + _OF_TRANSITIONS,
            f"weight_n=float ({floats})",
        ),
        (made.training == "latent", _OF_TRANSITIONS, "training=latent"),
        (
            made.step_rule == "sgd",
            ("moment_dtype",),
            "step_rule=sgd, which has no moments",
        ),
        (
            made.activation_n == FLOAT,
            _OF_ACTIVATIONS,
            f"activation_n=float ({floats})",
        ),
    ):
        for name in names:
            if useless and name in settings:
                raise UserError(
                    f"`{name}` must be left out with {where}, where it has "
                    f"no effect. Received: {name}={settings[name]!r}"
                )
