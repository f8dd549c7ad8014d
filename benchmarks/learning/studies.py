# SPDX-License-Identifier: Apache-2.0
"""What is run: every study is a list of cases.

Most studies change one setting at a time and keep the default recipe for all
others, so that a study stays small enough to be repeated over several seeds.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from train.config import FLOAT, Config
from train.errors import UserError
from train.recipes import from_recipe

Settings = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Budget:
    """What a run of a study costs.

    Attributes:
        epochs: Passes over the training images.
        width: Factor on the filters and units of the net.
    """

    epochs: int
    width: float


# By net. Settings are compared after short trainings of narrow nets.
SHORT = {"mnist": Budget(5, 0.5)}
# What is compared with float32 nets gets the time to learn.
COMPARED = {"mnist": Budget(20, 1.0), "cifar10": Budget(20, 0.25)}
# A hundred epochs have to be affordable.
LONG = {"mnist": Budget(100, 0.5), "cifar10": Budget(100, 0.125)}
TUNED = {"mnist": Budget(20, 1.0), "cifar10": Budget(4, 0.25)}
HEADLINE = {"mnist": Budget(30, 1.0)}


@dataclasses.dataclass(frozen=True)
class Scope:
    """What a study is run over.

    Attributes:
        dataset: Data set for the MNIST net in place of the study's own.
        cifar10: Data set for the CIFAR-10 net, None to leave it out.
        lengths: Numbers of epochs for the study of lengths.
    """

    dataset: str | None = None
    cifar10: str | None = None
    lengths: tuple[int, ...] = (5, 100)

    def places(self, *datasets: str) -> list[tuple[str, str]]:
        """Pairs of net and data set.

        Args:
            *datasets: Those of the MNIST net, unless another one was asked
                for.

        >>> Scope(cifar10="cifar10").places("mnist", "fashion_mnist")
        [('mnist', 'mnist'), ('mnist', 'fashion_mnist'), ('cifar10', 'cifar10')]
        """
        if self.dataset is not None:
            datasets = (self.dataset,)
        places = [("mnist", name) for name in datasets]
        if self.cifar10 is not None:
            places.append(("cifar10", self.cifar10))
        return places


@dataclasses.dataclass(frozen=True)
class Case:
    """One row of a study: a run per seed.

    Attributes:
        group: What it is compared within; a heading.
        varied: The settings in which it differs from others of its group.
        fixed: Other settings that differ from the default recipe.
        net: Name of the network.
    """

    group: str
    varied: Settings
    fixed: Settings = dataclasses.field(default_factory=dict)
    net: str = "mnist"

    def config(self, **settings: Any) -> Config:
        """The config of the case's runs, with the default seed.

        Args:
            **settings: What the case sets itself has precedence over them.

        Raises:
            UserError: If a setting is out of range, or has no effect.
        """
        return from_recipe(self.net, **(settings | self.fixed | self.varied))


@dataclasses.dataclass(frozen=True)
class Study:
    """A question, and the runs that answer it.

    Attributes:
        question: What is asked, in a sentence.
        cases: Makes the cases for a scope.
        plot: Name of its picture, a key of `plots.PLOTS`.
        budgets: By net, what a run costs.
        seeds: Number of runs of a case.
        selects: Whether the best case of a group is looked for.
        zero_shares: Whether sparsity belongs into the table.
    """

    question: str
    cases: Callable[[Scope], list[Case]]
    plot: str
    budgets: Mapping[str, Budget] = dataclasses.field(
        default_factory=lambda: SHORT
    )
    seeds: int = 3
    selects: bool = True
    zero_shares: bool = False


def _factors(
    scope: Scope, fixed: Settings, factors: Mapping[str, Sequence[Any]]
) -> list[Case]:
    """One setting at a time, each a group."""
    return [
        Case(name, {name: value}, _on(scope) | fixed)
        for name, values in factors.items()
        for value in values
    ]


def _on(scope: Scope) -> Settings:
    """The data set of a study of the MNIST net alone."""
    return {"dataset": scope.dataset or "mnist"}


# By step rule, moved until the best was not at the border. That of bop is a
# threshold of 1 / (2 rate) in RMS.
_RATES = {
    "momentum": (0.003, 0.01, 0.03, 0.1),
    "adam": (0.01, 0.03, 0.1),
    "sgd": (0.001, 0.003, 0.01),
    "sign": (0.01, 0.03, 0.1),
    "bop": (0.1, 0.2, 0.3),
    "error_feedback": (0.03, 0.1, 0.3),
}

_MOMENTS = ("float32", "bfloat16", "int8", "int6", "int4")

# So fast that the memory has its full length from the start; so long that
# increments never shrink.
_ENDLESS = 1e9


def _rules(scope: Scope) -> list[Case]:
    cases = []
    for rule, rates in _RATES.items():
        fixed = _on(scope) | {"step_rule": rule}
        for dtype in ("bfloat16", "float32") if rule == "adam" else ("int8",):
            # Without a moment there is no type to choose.
            kept = {} if rule == "sgd" else {"moment_dtype": dtype}
            cases += [
                Case(f"rule {rule}", kept | {"learning_rate": rate}, fixed)
                for rate in rates
            ]
    return (
        cases
        + [
            Case(
                f"moments of {rule}",
                {"moment_dtype": dtype},
                _on(scope) | {"step_rule": rule},
            )
            for rule, dtypes in (
                ("error_feedback", (*_MOMENTS, "in_kernel")),
                ("momentum", _MOMENTS),
            )
            for dtype in dtypes
        ]
        + [
            Case(
                "memory of error_feedback",
                {"momentum": decay},
                _on(scope) | {"step_rule": "error_feedback"},
            )
            for decay in (0.99, 1.0)
        ]
        + _factors(
            scope,
            {"step_rule": "momentum", "moment_dtype": "int8"},
            {
                # The memory reaches the limit of 0.998 after 5,000 steps, which
                # is more than a run has.
                "momentum": (0.9, 0.99, 0.998),
                "memory_growth": (0.1, _ENDLESS),
                "full_rate_memory": (20.0, _ENDLESS),
                "transition_gain": (1.0, 3.0, 10.0),
            },
        )
    )


def _activations(scope: Scope) -> list[Case]:
    windows = [tenth / 10 for tenth in range(1, 10)]
    shapes = [
        Case(
            "derivative",
            {"derivative": shape, "derivative_width": width},
            _on(scope),
        )
        for shape in ("rectangular", "triangular")
        for width in (0.25, 0.5, 0.75, 1.0)
    ]
    return [
        *_factors(scope, {}, {"zero_window": windows}),
        *shapes,
        *_factors(scope, {}, {"initial_weights": ("uniform", "rounded")}),
        *_factors(
            scope,
            {"step_rule": "momentum"},
            {"transition_gain": (0.3, 1.0, 3.0, 10.0, 30.0)},
        ),
    ]


def _levels(scope: Scope) -> list[Case]:
    levels = range(5)
    return [
        Case("levels", {"weight_n": w, "activation_n": a}, _on(scope))
        for w in levels
        for a in levels
    ]


def _recipes(scope: Scope) -> list[Case]:
    return _factors(
        scope,
        {},
        {
            "schedule": ("exponential", "cosine", "multistep", "constant"),
            "batch_size": (50, 100, 200, 500),
            "norm_momentum": (0.8, 0.9, 0.95, 0.99),
            "warmup_epochs": (0.0, 0.5, 1.0),
            "loss": ("squared_hinge", "cross_entropy"),
            "dropout": (0.0, 0.1, 0.3),
            "augmentation": ("none", "shift", "affine"),
        },
    )


# What is compared.
_KINDS: dict[str, Settings] = {
    "dst": {},
    "latent": {"training": "latent", "initial_weights": "rounded"},
    "float": {"weight_n": FLOAT, "activation_n": FLOAT},
}

# By net and kind, three rates to choose from: none is tuned with more effort
# than another. They were moved until the best was not at the border.
_TUNED_RATES: dict[str, dict[str, tuple[float, ...]]] = {
    "mnist": {
        "dst": (0.01, 0.03, 0.1),
        "latent": (0.003, 0.01, 0.03),
        "float": (0.001, 0.003, 0.01),
    },
    "cifar10": {
        "dst": (0.01, 0.03, 0.1),
        "latent": (0.01, 0.03, 0.1),
        "float": (0.001, 0.003, 0.01),
    },
}

# The best in validation of the study of tuning.
_CHOSEN: dict[str, dict[str, float]] = {
    "mnist": {"dst": 0.03, "latent": 0.01, "float": 0.003},
    "cifar10": {"dst": 0.03, "latent": 0.03, "float": 0.003},
}


def _tuning(scope: Scope) -> list[Case]:
    return [
        Case(
            kind,
            {"learning_rate": rate},
            {"dataset": dataset} | _KINDS[kind],
            net,
        )
        for net, dataset in scope.places("mnist")
        for kind, rates in _TUNED_RATES[net].items()
        for rate in rates
    ]


def _baselines(scope: Scope) -> list[Case]:
    return [
        Case(
            "weights",
            ({"weight_n": FLOAT} if kind == "float" else {"training": kind})
            | {"learning_rate": rate},
            _KINDS[kind] | {"dataset": dataset},
            net,
        )
        for net, dataset in scope.places("mnist")
        for kind, rate in _CHOSEN[net].items()
    ]


# From both ternary to both float32, by weights and activations.
_BETWEEN = ((1, 1), (1, FLOAT), (FLOAT, 1), (FLOAT, FLOAT))


def _gap(scope: Scope) -> list[Case]:
    return [
        Case(
            "weights and activations",
            {
                "weight_n": w,
                "activation_n": a,
                "learning_rate": _CHOSEN[net]["float" if w == FLOAT else "dst"],
            },
            {"dataset": dataset},
            net,
        )
        for net, dataset in scope.places("mnist")
        for w, a in _BETWEEN
    ]


def _products(scope: Scope) -> list[Case]:
    return [
        Case("products", {"bfloat16_products": used}, {"dataset": dataset}, net)
        for net, dataset in scope.places("mnist")
        for used in (False, True)
    ]


def _lengths(scope: Scope) -> list[Case]:
    return [
        Case("default recipe", {"epochs": epochs}, {"dataset": dataset}, net)
        for net, dataset in scope.places("mnist", "fashion_mnist")
        for epochs in scope.lengths
    ]


def _headline(scope: Scope) -> list[Case]:
    return [
        Case("default recipe", {"augmentation": kind}, _on(scope))
        for kind in ("none", "shift")
    ]


STUDIES: dict[str, Study] = {
    "rules": Study(
        "How does a gradient best become hops, and how small may its moments "
        "be?",
        _rules,
        "dots",
    ),
    "activations": Study(
        "What do the zero window r, the half-width a and shape of the "
        "derivative, the gain m and the initial weights do to accuracy and "
        "sparsity?",
        _activations,
        "curves",
        zero_shares=True,
    ),
    "levels": Study(
        "How many levels do weights and activations need?",
        _levels,
        "heat_map",
    ),
    "recipes": Study(
        "Which schedule, batch, normalization, loss and regularization?",
        _recipes,
        "dots",
    ),
    "tuning": Study(
        "Which learning rate suits DST, latent and float32 weights?",
        _tuning,
        "dots",
        TUNED,
        seeds=1,
    ),
    "baselines": Study(
        "What is the price of having no latent weights, and of not being "
        "float32, with ReLU? The learning rate of each is the best of three.",
        _baselines,
        "bars",
        COMPARED,
        selects=False,
    ),
    "gap": Study(
        "What of the distance to float32 is due to ternary weights, and what "
        "to ternary activations?",
        _gap,
        "bars",
        COMPARED,
        seeds=1,
        selects=False,
    ),
    "products": Study(
        "Does it cost accuracy to multiply in bfloat16?",
        _products,
        "bars",
        COMPARED,
        selects=False,
    ),
    "lengths": Study(
        "Does one default serve every data set, for short and for long runs?",
        _lengths,
        "bars",
        LONG,
        seeds=1,
        selects=False,
    ),
    "headline": Study(
        "How good is the default recipe on MNIST?",
        _headline,
        "bars",
        HEADLINE,
        seeds=5,
        selects=False,
    ),
}


def planned(
    study: Study,
    scope: Scope,
    epochs: int | None = None,
    width: float | None = None,
) -> list[tuple[Case, Config]]:
    """The cases of a study, each with the config that its seeds share.

    Args:
        study: The study.
        scope: What it is run over.
        epochs: Epochs of a run in place of the study's.
        width: Width of the nets in place of the study's.

    Raises:
        UserError: If a setting is out of range, or has no effect.
    """
    made = []
    for case in study.cases(scope):
        budget = study.budgets[case.net]
        if epochs is not None and "epochs" in case.varied:
            raise UserError(
                "`epochs` must be left out where the study varies it; use "
                f"--lengths. Received: epochs={epochs}"
            )
        made.append(
            (
                case,
                case.config(
                    epochs=budget.epochs if epochs is None else epochs,
                    width=budget.width if width is None else width,
                ),
            )
        )
    return made
