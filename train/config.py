# SPDX-License-Identifier: Apache-2.0
"""The settings of a training run: names, limits, recipes and flags.

One dataclass is the single list of settings. The command line flags, their
help texts and `config.json` are all made from it.
"""

import dataclasses
import json
import math
import types
import typing
from typing import Any

from absl import flags

from train.errors import UserError

# The library loads TensorFlow, which --help and wrong flags need not wait for.
if typing.TYPE_CHECKING:
    from gxnor_tf import DiscreteSpace

# Full precision in place of the n of a space, in files and flags.
FLOAT = "float"

# Far beyond any use, and well before a tensor's size overflows.
MAX_WIDTH = 64

# What has no effect without discrete weights, and without discrete
# activations.
_OF_WEIGHTS = ("momentum", "step_rule", "transition_gain", "initial_weights")
_OF_ACTIVATIONS = ("derivative", "derivative_width")

# Flags belong to the program that calls `define_flags()`, for its --help.
flags.disclaim_key_flags()


def _setting(
    default: Any,
    text: str,
    choices: tuple[str, ...] | None = None,
    flag: bool = True,
    space: bool = False,
) -> Any:
    metadata = {"text": text, "choices": choices, "flag": flag, "space": space}
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that decides the result of a run.

    Where the run reads and writes (`--output_dir`, `--data_dir`) and whether
    it continues (`--resume`) is not part of it, so two runs with equal
    configs give equal results. None stands for a default that depends on
    other settings, and is replaced by it when the object is made.

    Raises:
        UserError: If a setting has the wrong type or is out of range.
    """

    net: str = _setting("mnist", "name of the network", flag=False)
    recipe: str = _setting(
        "default",
        "set of default settings: `default` is the best one found here, "
        "`paper` the one of the paper's reference code",
    )
    dataset: str = _setting(
        "mnist",
        "`mnist`, `digits` (8x8 scans that come with scikit-learn, enlarged; "
        "needs no download) or FILE.npz with uint8 arrays x_train, y_train, "
        "x_test, y_test, images NHW or NHWC. A sixth of the training images "
        "is set aside for validation",
    )
    epochs: int = _setting(20, "passes over the training images")
    batch_size: int = _setting(100, "images per step, over all replicas")
    learning_rate: float = _setting(
        0.01, "learning rate at the start of the run"
    )
    final_learning_rate: float | None = _setting(
        None,
        "learning rate at the end; between the two it decays exponentially. "
        "Default: a thousandth of --learning_rate",
    )
    momentum: float | None = _setting(
        None,
        "decay of the moving average of the gradient, in [0, 1). Default: "
        "0.99 for --step_rule=momentum, 0.9 for adam",
    )
    seed: int = _setting(0, "seed of initial weights, order and transitions")
    discrete: bool = _setting(
        True,
        "--discrete=false trains the same network with plain Keras layers in "
        "float32, for comparison; --preset=float does so with the layers of "
        "gxnor_tf",
    )
    preset: str | None = _setting(
        None,
        "a named pair of --weight_n and --activation_n, which beat it: `bwn` "
        "0 and float, `twn` 1 and float, `bnn` 0 and 0, `gxnor` 1 and 1, "
        "`float` neither. Default: gxnor, or float for --discrete=false",
        choices=("float", "bwn", "twn", "bnn", "gxnor"),
    )
    weight_n: int | str | None = _setting(
        None,
        "space of the weights: 0 binary, 1 ternary, n has 2^n + 1 levels, or "
        "`float`, then trained by Adam. Default: by --preset",
        space=True,
    )
    activation_n: int | str | None = _setting(
        None,
        "space of the activations, likewise; `float` is ReLU. Default: by "
        "--preset",
        space=True,
    )
    initial_weights: str = _setting(
        "uniform",
        "`uniform` over the states, or `rounded` from uniform values in "
        "[-1, 1], which gives ternary weights 1/4, 1/2, 1/4",
        choices=("uniform", "rounded"),
    )
    zero_window: float | None = _setting(
        None,
        "r: activations within [-r, r] become 0. Default: 0.5, or 0 for "
        "--activation_n=0; none for --activation_n=float",
    )
    derivative: str = _setting(
        "rectangular",
        "shape of the surrogate derivative",
        choices=("rectangular", "triangular"),
    )
    derivative_width: float = _setting(
        0.5, "a: half-width of the surrogate derivative around each jump"
    )
    transition_gain: float = _setting(
        3.0, "m in the transition probability tanh(m |residue| / step)"
    )
    step_rule: str = _setting(
        "momentum",
        "how a gradient becomes an increment",
        choices=("adam", "momentum", "sgd"),
    )
    width: float = _setting(
        1.0, "factor on the number of filters and units of every layer"
    )
    jit_compile: bool = _setting(False, "compile the training step with XLA")
    steps_per_execution: int = _setting(
        1, "steps per call into TensorFlow; must divide the steps of an epoch"
    )
    distribute: str = _setting(
        "none",
        "`mirrored` splits every batch over all local devices, `multiworker` "
        "over the processes that the environment variable TF_CONFIG lists; "
        "start the program in each of them",
        choices=("none", "mirrored", "multiworker"),
    )

    def __post_init__(self) -> None:
        """Checks every setting and fills in the dependent defaults."""
        for field in dataclasses.fields(self):
            value = _checked_type(field, getattr(self, field.name))
            object.__setattr__(self, field.name, value)
            choices = field.metadata["choices"]
            if choices and value is not None and value not in choices:
                self._fail(field.name, f"one of {', '.join(choices)}")
        for name in ("epochs", "batch_size", "steps_per_execution"):
            self._require(getattr(self, name) >= 1, name, ">= 1")
        for name in (
            "learning_rate",
            "derivative_width",
            "transition_gain",
            "width",
        ):
            value = getattr(self, name)
            self._require(value > 0, name, "a finite number > 0")
        self._require(self.width <= MAX_WIDTH, "width", f"<= {MAX_WIDTH}")
        self._require(0 <= self.seed < 2**31, "seed", "in 0..2^31-1")
        self._check_spaces()
        self._check_learning()
        self._check_zero_window()

    def _check_spaces(self) -> None:
        from gxnor_tf import presets
        from gxnor_tf.discrete_space import MAX_N

        self._require(
            self.discrete or self.preset in (None, FLOAT),
            "preset",
            "float, or left out, with discrete=False",
        )
        default = "gxnor" if self.discrete else FLOAT
        preset = presets.get(self.preset or default)
        for name, space in (
            ("weight_n", preset.weight_space),
            ("activation_n", preset.activation_space),
        ):
            if getattr(self, name) is None:
                value = FLOAT if space is None else space.n
                object.__setattr__(self, name, value)
            value = getattr(self, name)
            self._require(
                value == FLOAT or 0 <= value <= MAX_N,
                name,
                f"in 0..{MAX_N} (0 is binary, 1 ternary, n has 2^n + 1 "
                "levels) or float",
            )
            self._require(
                self.discrete or value == FLOAT,
                name,
                "float, or left out, with discrete=False",
            )
        # A short form: what it stands for decides the result, and whether a
        # run can be continued.
        object.__setattr__(self, "preset", None)

    @property
    def weight_space(self) -> "DiscreteSpace | None":
        """Space of the weights, None for full precision."""
        from gxnor_tf import get_space

        return get_space(self.weight_n)

    @property
    def activation_space(self) -> "DiscreteSpace | None":
        """Space of the activations, None for ReLU."""
        from gxnor_tf import get_space

        return get_space(self.activation_n)

    def _check_learning(self) -> None:
        if self.final_learning_rate is None:
            final = self.learning_rate * 1e-3
            object.__setattr__(self, "final_learning_rate", final)
        self._require(
            0 < self.final_learning_rate <= self.learning_rate,
            "final_learning_rate",
            f"> 0 and <= learning_rate={self.learning_rate}",
        )
        if self.step_rule == "sgd":
            self._require(
                self.momentum is None,
                "momentum",
                "left out with step_rule=sgd, which has no moving average; "
                "use step_rule=momentum",
            )
        elif self.momentum is None:
            default = {"momentum": 0.99, "adam": 0.9}[self.step_rule]
            object.__setattr__(self, "momentum", default)
        else:
            self._require(0 <= self.momentum < 1, "momentum", "in [0, 1)")

    def _check_zero_window(self) -> None:
        if self.activation_n == FLOAT:
            self._require(
                self.zero_window is None,
                "zero_window",
                "left out with activation_n=float, which is ReLU",
            )
            return
        if self.zero_window is None:
            default = 0.0 if self.activation_n == 0 else 0.5
            object.__setattr__(self, "zero_window", default)
        self._require(self.zero_window >= 0, "zero_window", ">= 0")
        if self.activation_n == 0:
            self._require(
                self.zero_window == 0,
                "zero_window",
                "0 with activation_n=0, since binary activations have no "
                "zero; or use activation_n >= 1",
            )
        elif self.activation_n >= 2:
            self._require(
                self.zero_window < 1,
                "zero_window",
                "< 1 with activation_n >= 2, where the levels divide what "
                "the window leaves of [-1, 1]",
            )

    def _require(self, condition: bool, name: str, text: str) -> None:
        if not condition:
            self._fail(name, text)

    def _fail(self, name: str, text: str) -> None:
        raise UserError(
            f"`{name}` must be {text}. Received: {name}={getattr(self, name)!r}"
        )

    def to_json(self) -> str:
        """The settings as the text of `config.json`."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Config":
        """Reads what `to_json()` wrote.

        Raises:
            UserError: If the text is damaged, or was written by a version
                with other settings.
        """
        try:
            settings = json.loads(text)
        except ValueError as error:
            raise UserError(f"not valid JSON: {error}") from error
        names = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(settings, dict) or set(settings) != names:
            found = set(settings) if isinstance(settings, dict) else set()
            raise UserError(
                f"settings missing: {sorted(names - found) or 'none'}, "
                f"settings unknown: {sorted(found - names) or 'none'}"
            )
        return cls(**settings)

    def differences(self, other: "Config") -> list[str]:
        """The names of the settings in which two configs differ."""
        return [
            field.name
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != getattr(other, field.name)
        ]


# Settings by network and recipe; what is not named keeps Config's default.
RECIPES: dict[str, dict[str, dict[str, Any]]] = {
    "mnist": {
        "default": {},
        # The released script of Deng et al., 2018. Its activation has
        # thresholds at +-1, not at +-0.5 as in the paper's text. Different
        # here: the rate decays at every step instead of every epoch, there
        # are no biases (BatchNormalization cancels them), pixels become
        # (p - 128) / 128 instead of p / 127.5 - 1, and the model is chosen
        # on validation images instead of the test set.
        "paper": {
            "step_rule": "adam",
            "momentum": 0.9,
            "batch_size": 10_000,
            "epochs": 4000,
            "learning_rate": 0.1,
            "final_learning_rate": 1e-7,
            "initial_weights": "rounded",
            "zero_window": 1.0,
            "transition_gain": 3.0,
        },
    },
}


def from_recipe(net: str, recipe: str = "default", **settings: Any) -> Config:
    """A recipe's config with some settings replaced.

    Args:
        net: Name of a network, a key of `RECIPES`.
        recipe: Name of a recipe of that network.
        **settings: Settings that differ from the recipe.

    Raises:
        UserError: If a name or a setting is wrong, or a setting is given that
            would have no effect: one of discrete weights or activations where
            there are none.

    >>> from_recipe("mnist", "paper", epochs=10).epochs
    10
    """
    if recipe not in RECIPES[net]:
        raise UserError(
            f"`recipe` must be one of {', '.join(RECIPES[net])}. "
            f"Received: recipe={recipe!r}"
        )
    chosen = RECIPES[net][recipe]
    # Another step rule or activation brings its own dependent default along;
    # the recipe's may not even be allowed with it.
    dropped = set()
    step_rule = chosen.get("step_rule")
    if settings.get("step_rule", step_rule) != step_rule:
        dropped.add("momentum")
    if _activation_n(chosen | settings) != _activation_n(chosen):
        dropped.add("zero_window")
    rate = settings.get("learning_rate")
    if isinstance(rate, (int, float)) and rate < chosen.get(
        "final_learning_rate", 0
    ):
        dropped.add("final_learning_rate")
    chosen = {k: v for k, v in chosen.items() if k not in dropped}
    made = Config(net=net, recipe=recipe, **(chosen | settings))
    for n, names in (
        ("weight_n", _OF_WEIGHTS),
        ("activation_n", _OF_ACTIVATIONS),
    ):
        for name in names:
            if name in settings and getattr(made, n) == FLOAT:
                raise UserError(
                    f"`{name}` must be left out with {n}=float (which "
                    "--preset and --discrete=false may stand for), where it "
                    f"has no effect. Received: {name}={settings[name]!r}"
                )
    return made


def _activation_n(settings: dict[str, Any]) -> int | str | None:
    names = ("discrete", "preset", "activation_n")
    return Config(
        **{name: settings[name] for name in names if name in settings}
    ).activation_n


def define_flags(net: str, flag_values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines one flag for each setting, and those that say where.

    Args:
        net: Name of the network whose recipes `--recipe` offers.
        flag_values: Where to define them.
    """
    flags.DEFINE_string(
        "output_dir",
        None,
        "folder for the results: config.json, metrics.csv, report.json, "
        "curves.png, model.keras, checkpoint.npz",
        required=True,
        flag_values=flag_values,
    )
    flags.DEFINE_string(
        "data_dir",
        None,
        "folder for downloaded data. Default: $GXNOR_TF_CACHE, else "
        "$XDG_CACHE_HOME/gxnor_tf, else ~/.cache/gxnor_tf",
        flag_values=flag_values,
    )
    flags.DEFINE_bool(
        "resume",
        False,
        "continue the run in --output_dir after its last complete epoch; "
        "give the same settings again",
        flag_values=flag_values,
    )
    for field in dataclasses.fields(Config):
        if not field.metadata["flag"]:
            continue
        text = field.metadata["text"]
        if field.name != "recipe":
            values = {
                name: recipe.get(field.name, field.default)
                for name, recipe in RECIPES[net].items()
            }
            values = {k: v for k, v in values.items() if v is not None}
            shown = ", ".join(f"{k}: {v}" for k, v in values.items())
            text += f" ({shown})" if shown else ""
        choices = field.metadata["choices"]
        if field.name == "recipe":
            choices = tuple(RECIPES[net])
        # None means "not given": then the recipe decides.
        if choices:
            flags.DEFINE_enum(
                field.name, None, choices, text, flag_values=flag_values
            )
        elif field.metadata["space"]:
            flags.DEFINE(
                SpaceParser(), field.name, None, text, flag_values=flag_values
            )
        else:
            define = {
                bool: flags.DEFINE_bool,
                int: flags.DEFINE_integer,
                float: flags.DEFINE_float,
                str: flags.DEFINE_string,
            }[_plain_type(field)]
            define(field.name, None, text, flag_values=flag_values)


def from_flags(net: str, flag_values: flags.FlagValues = flags.FLAGS) -> Config:
    """The config that parsed flags ask for: explicit flags beat the recipe.

    Raises:
        UserError: If a setting is out of range.
    """
    given = {
        field.name: flag_values[field.name].value
        for field in dataclasses.fields(Config)
        if field.metadata["flag"] and flag_values[field.name].value is not None
    }
    return from_recipe(net, **given)


class SpaceParser(flags.ArgumentParser[int | str]):
    """Reads the n of a space, or `float`."""

    syntactic_help = "an integer or `float`"

    def parse(self, argument: str) -> int | str:
        """The integer or the word."""
        if argument == FLOAT:
            return FLOAT
        try:
            return int(argument)
        except ValueError:
            raise ValueError("must be an integer or `float`") from None

    def flag_type(self) -> str:
        """For help texts."""
        return "integer or `float`"


def _plain_type(field: dataclasses.Field[Any]) -> type:
    """The type of a field, without the `| None`."""
    if isinstance(field.type, types.UnionType):
        return typing.get_args(field.type)[0]
    return typing.cast(type, field.type)


def _checked_type(field: dataclasses.Field[Any], value: Any) -> Any:
    wanted = _plain_type(field)
    if value is None and field.default is None:
        return None
    if field.metadata["space"] and value == FLOAT:
        return value
    if wanted is float and type(value) is int:
        value = float(value)
    if type(value) is not wanted:
        raise UserError(
            f"`{field.name}` must be of type {wanted.__name__}. "
            f"Received: {field.name}={value!r}"
        )
    if wanted is float and not math.isfinite(value):
        raise UserError(
            f"`{field.name}` must be a finite number. "
            f"Received: {field.name}={value!r}"
        )
    return value
