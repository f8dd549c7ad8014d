# SPDX-License-Identifier: Apache-2.0
"""Recipes, and settings that replace some of theirs."""

import functools

import pytest

from gxnor_tf import presets
from train import config, nets, recipes
from train.errors import UserError

mnist = functools.partial(recipes.from_recipe, "mnist")
paper = functools.partial(mnist, "paper")


def test_another_step_rule_or_activation_fits_any_recipe():
    assert paper(step_rule="sgd").momentum is None
    other = paper(step_rule="momentum")
    assert (other.momentum, other.moment_dtype) == (0.998, "int8")
    assert paper().moment_dtype == "float32"
    assert paper(activation_n=0).zero_window == 0
    assert paper(preset="bnn").zero_window == 0
    assert paper(preset="twn").zero_window is None
    assert paper(discrete=False).zero_window is None
    assert paper(preset="gxnor").zero_window == 1.0
    assert paper(activation_n=1).zero_window == 1.0


def test_a_small_learning_rate_drops_the_recipe_s_last_one():
    made = paper(learning_rate=1e-8)
    assert made.final_learning_rate == pytest.approx(1e-11)
    assert paper(learning_rate=0.01).final_learning_rate == 1e-7
    with pytest.raises(UserError, match="`final_learning_rate` must be"):
        mnist(learning_rate=1e-8, final_learning_rate=1e-7)


@pytest.mark.parametrize(
    ("settings", "rate"),
    [
        ({"discrete": False}, 0.003),
        ({"preset": "float"}, 0.003),
        ({"training": "latent"}, 0.01),
    ],
    ids=str,
)
def test_adam_gets_its_own_learning_rate_in_any_recipe(settings, rate):
    for made in (mnist(**settings), paper(**settings)):
        assert made.learning_rate == rate
        assert made.final_learning_rate == pytest.approx(rate / 1000)
    assert paper(learning_rate=0.02, **settings).learning_rate == 0.02
    assert paper(final_learning_rate=1e-5, **settings) == paper(
        learning_rate=rate, final_learning_rate=1e-5, **settings
    )


def test_latent_weights_of_another_net_learn_faster():
    made = recipes.from_recipe("cifar10", training="latent")
    assert made.learning_rate == 0.03


def test_unknown_net_is_named():
    with pytest.raises(UserError, match="`net`.*mnist, cifar10, svhn.*'nope'"):
        recipes.from_recipe("nope")


def test_a_setting_of_momentum_alone_asks_for_momentum():
    assert mnist(transition_gain=1.0).step_rule == "momentum"
    assert mnist(memory_growth=0.3).step_rule == "momentum"
    assert mnist(momentum=0.9).step_rule == "momentum"
    assert mnist(transition_gain=None).step_rule == "error_feedback"
    assert paper(transition_gain=1.0).step_rule == "adam"


def test_another_schedule_drops_the_recipe_s_settings_of_the_old_one():
    cifar10 = functools.partial(recipes.from_recipe, "cifar10", "paper")
    assert cifar10().milestone_shares == (0.5, 0.8)
    constant = cifar10(schedule="constant")
    assert constant.final_learning_rate is None
    assert constant.milestones is constant.milestone_factor is None
    assert cifar10(schedule="multistep").milestones == "0.5,0.75"
    cosine = cifar10(schedule="cosine")
    assert cosine.final_learning_rate == pytest.approx(1e-5)
    assert cifar10(schedule="exponential") == cifar10()


@pytest.mark.parametrize(
    ("setting", "where"),
    [
        ({"momentum": 0.9}, {"weight_n": "float"}),
        ({"transition_gain": 3.0}, {"step_rule": "bop"}),
        ({"transition_gain": 1.0}, {"step_rule": "error_feedback"}),
        ({"moment_dtype": "int8"}, {"step_rule": "sgd"}),
        ({"step_rule": "momentum"}, {"preset": "float"}),
        ({"transition_gain": 3.0}, {"discrete": False}),
        ({"initial_weights": "uniform"}, {"preset": "float"}),
        ({"training": "dst"}, {"discrete": False}),
        ({"training": "latent"}, {"preset": "float"}),
        ({"momentum": 0.99}, {"training": "latent"}),
        ({"step_rule": "momentum"}, {"training": "latent"}),
        ({"transition_gain": 3.0}, {"training": "latent"}),
        ({"derivative": "rectangular"}, {"activation_n": "float"}),
        ({"derivative_width": 0.5}, {"preset": "twn"}),
    ],
)
def test_what_would_have_no_effect_is_refused(setting, where):
    """Even the default, if it is asked for; the recipe's is not."""
    (name,) = setting
    with pytest.raises(UserError, match=f"`{name}` must be left out"):
        mnist(**setting, **where)
    paper(**where)
    mnist(**setting)


CASES = {
    "float": ("float", "float", None),
    "bwn": (0, "float", None),
    "twn": (1, "float", None),
    "bnn": (0, 0, 0.0),
    "gxnor": (1, 1, 0.5),
}


@pytest.mark.parametrize("preset", CASES)
def test_presets(preset):
    made = mnist(preset=preset)
    found = (made.weight_n, made.activation_n, made.zero_window)
    assert found == CASES[preset]
    wanted = presets.get(preset)
    assert made.weight_space == wanted.weight_space
    assert made.activation_space == wanted.activation_space
    # The same settings in other words are the same run.
    weight_n, activation_n, _ = CASES[preset]
    assert made == mnist(weight_n=weight_n, activation_n=activation_n)
    assert config.Config.from_json(made.to_json()) == made


def test_explicit_spaces_beat_the_preset():
    made = mnist(preset="bnn", activation_n=2)
    assert (made.weight_n, made.activation_n) == (0, 2)
    assert made.zero_window == 0.5
    made = mnist(preset="float", weight_n=3)
    assert (made.weight_n, made.activation_n) == (3, "float")


def test_without_discrete_all_is_float():
    made = mnist(discrete=False)
    assert (made.weight_n, made.activation_n) == ("float", "float")
    # Plain Keras layers are not the library's layers in full precision.
    assert made.differences(mnist(preset="float")) == ["discrete"]
    assert mnist(discrete=False, preset="float") == made
    with pytest.raises(UserError, match="`preset` must be float.*='gxnor'"):
        mnist(discrete=False, preset="gxnor")
    with pytest.raises(UserError, match="`weight_n` must be float.*weight_n=1"):
        mnist(discrete=False, weight_n=1)
    with pytest.raises(UserError, match="`activation_n` must be float.*=2"):
        mnist(discrete=False, activation_n=2)


def test_unknown_recipe_is_named():
    with pytest.raises(UserError, match="`recipe`.*default, paper.*'best'"):
        mnist("best")


@pytest.mark.parametrize("net", recipes.RECIPES)
@pytest.mark.parametrize("recipe", ["default", "paper"])
def test_every_recipe_is_valid_and_survives_json(net, recipe):
    made = recipes.from_recipe(net, recipe, seed=3)
    assert (made.net, made.dataset) == (net, net)
    assert config.Config.from_json(made.to_json()) == made


def test_every_network_has_recipes():
    assert set(recipes.RECIPES) == set(nets.NETS)


def test_paper_recipes():
    assert paper().batch_size == 10_000
    assert recipes.from_recipe("cifar10", "paper").batch_size == 1000
    assert recipes.from_recipe("svhn", "paper").batch_size == 10_000
    for net in ("cifar10", "svhn"):
        assert recipes.from_recipe(net).validation_share == 0.1
        made = recipes.from_recipe(net, "paper")
        assert (made.epochs, made.validation_share) == (2000, 0.1)
        assert (made.learning_rate, made.final_learning_rate) == (0.01, 3e-5)
