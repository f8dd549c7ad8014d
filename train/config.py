# SPDX-License-Identifier: Apache-2.0
"""The settings of a training run: names, meanings and limits.

One dataclass is the single list of settings. The command line flags, their
help texts and `config.json` are all made from it.
"""

import dataclasses
import itertools
import json
import math
import types
import typing
from typing import Any

from train.errors import UserError

# The library loads TensorFlow, which --help and wrong flags need not wait for.
if typing.TYPE_CHECKING:
    from gxnor_tf import DiscreteSpace
    from gxnor_tf.step_rules import StepRule

# Full precision in place of the n of a space, in files and flags.
FLOAT = "float"

# Far beyond any use, and well before a tensor's size overflows.
MAX_WIDTH = 64

# Who gives one of these and no step rule means the one that has them all.
_OF_MOMENTUM = (
    *("momentum", "transition_gain", "memory_growth", "full_rate_memory"),
)


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

    net: str = _setting(
        "mnist",
        "name of the network",
        choices=("mnist", "cifar10", "svhn"),
        flag=False,
    )
    recipe: str = _setting(
        "default",
        "set of default settings: `default` is the best one found here, on "
        "MNIST without augmentation; on CIFAR-10 the learning rate alone was "
        "looked for, on SVHN nothing was measured; `paper` is that of the "
        "paper's reference code",
        choices=("default", "paper"),
    )
    dataset: str | None = _setting(
        None,
        "`mnist`, `fashion_mnist`, `cifar10`, `svhn`, `digits` (8x8 scans "
        "that come with scikit-learn, enlarged; needs no download) or "
        "FILE.npz with uint8 arrays x_train, y_train, x_test, y_test, images "
        "NHW or NHWC. Default: what the program is named after",
    )
    validation_share: float = _setting(
        1 / 6,
        "share of the training images that is set aside for validation, by "
        "which the best epoch is chosen",
    )
    augmentation: str = _setting(
        "none",
        "random changes of every training image, for every epoch anew: "
        "`shift` by up to 2 whole pixels; `affine` (shifted by up to 2 "
        "pixels, turned by up to 10 degrees, scaled by 0.9 to 1.1, bilinear); "
        "`crop_flip` (cropped after padding with 4 pixels, half of them "
        "mirrored)",
        choices=("none", "shift", "affine", "crop_flip"),
    )
    epochs: int = _setting(20, "passes over the training images")
    batch_size: int = _setting(100, "images per step, over all replicas")
    learning_rate: float | None = _setting(
        None,
        "learning rate at the start of the run, after a warm-up. Default: "
        "0.03 for discrete weights and latent ones (of the MNIST net 0.01), "
        "0.003 for --weight_n=float",
    )
    schedule: str = _setting(
        "cosine",
        "how the learning rate changes over the run: `cosine` or "
        "`exponential` from --learning_rate to --final_learning_rate, "
        "`multistep` at --milestones, or `constant`",
        choices=("cosine", "exponential", "multistep", "constant"),
    )
    final_learning_rate: float | None = _setting(
        None,
        "learning rate at the end, for the schedules cosine and exponential. "
        "Default: a thousandth of --learning_rate",
    )
    milestones: str | None = _setting(
        None,
        "comma-separated shares of the run after which the learning rate is "
        "multiplied by --milestone_factor, for the schedule multistep, and "
        "for exponential on top of it. Default: 0.5,0.75 for multistep, none "
        "for exponential",
    )
    milestone_factor: float | None = _setting(
        None,
        "factor on the learning rate at each of the milestones. Default: 0.1",
    )
    warmup_epochs: float = _setting(
        0.0,
        "epochs, or a part of one, over which the learning rate rises "
        "linearly to what the schedule says",
    )
    loss: str = _setting(
        "squared_hinge",
        "`squared_hinge`, with targets of -1 and +1 as in the paper, or "
        "`cross_entropy` of the softmax of the scores",
        choices=("squared_hinge", "cross_entropy"),
    )
    training: str = _setting(
        "dst",
        "`dst` trains the discrete weights in place, by discrete state "
        "transition; `latent` keeps a float32 weight beside each, rounds it "
        "to the nearest state in every step and trains it by Adam with a "
        "straight-through gradient, for comparison",
        choices=("dst", "latent"),
    )
    momentum: float | None = _setting(
        None,
        "decay of the moving average of the gradient, the largest one where "
        "there is --memory_growth, in [0, 1); of what waits for a hop with "
        "--step_rule=error_feedback, where 1 forgets nothing. Default: that "
        "of the step rule",
    )
    memory_growth: float | None = _setting(
        None,
        "steps of memory that the moving average of the step rules momentum, "
        "sign and bop gains with every step of training, up to the limit that "
        "--momentum sets; 1e9 for that limit from the start. Default: 0.1",
    )
    full_rate_memory: float | None = _setting(
        None,
        "steps of memory up to which the increments of the step rules "
        "momentum and sign have the size of the learning rate; beyond it they "
        "shrink as the memory grows; 1e9 to keep them. Default: 20",
    )
    moment_dtype: str | None = _setting(
        None,
        "how the moments of discrete weights are held: `int8`, `bfloat16` or "
        "`float32`; with --step_rule=error_feedback and --weight_n up to 4 "
        "also `in_kernel`, in the bytes of the weights, so that these are all "
        "there is; `int6` and `int4` are int8 of fewer levels, for studies. "
        "Default: bfloat16 for --step_rule=adam, int8 for all others",
        choices=("float32", "bfloat16", "int8", "in_kernel", "int6", "int4"),
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
    transition_gain: float | None = _setting(
        None,
        "m in the transition probability tanh(m |residue| / step) of the step "
        "rules adam, momentum, sgd and sign. Default: 3",
    )
    step_rule: str | None = _setting(
        None,
        "how a gradient becomes an increment, see `gxnor_tf.step_rules`. "
        "Default: error_feedback, or momentum where --momentum, "
        "--transition_gain, --memory_growth or --full_rate_memory is given",
        choices=("adam", "bop", "error_feedback", "momentum", "sgd", "sign"),
    )
    norm_momentum: float = _setting(
        0.9,
        "decay of the moving averages of BatchNormalization, in [0, 1)",
    )
    dropout: float = _setting(
        0.0,
        "share of the inputs of each dense layer that is set to 0 in "
        "training, in [0, 1)",
    )
    width: float = _setting(
        1.0, "factor on the number of filters and units of every layer"
    )
    jit_compile: bool = _setting(False, "compile the training step with XLA")
    bfloat16_products: bool = _setting(
        False,
        "multiply binary and ternary weights and activations in bfloat16: "
        "sums stay exact, gradients have 8 bits. Faster, for x86 processors "
        "with AVX512_BF16 or AMX; not with --jit_compile",
    )
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
        if self.dataset is None:
            object.__setattr__(self, "dataset", self.net)
        self._check_spaces()
        self._check_training()
        self._check_limits()
        self._check_schedule()
        self._check_step_rule()
        self._check_zero_window()

    def _check_limits(self) -> None:
        for name in ("epochs", "batch_size", "steps_per_execution"):
            self._require(getattr(self, name) >= 1, name, ">= 1")
        for name in ("learning_rate", "derivative_width", "width"):
            value = getattr(self, name)
            self._require(value > 0, name, "a finite number > 0")
        for name in ("norm_momentum", "dropout"):
            self._require(0 <= getattr(self, name) < 1, name, "in [0, 1)")
        self._require(self.width <= MAX_WIDTH, "width", f"<= {MAX_WIDTH}")
        self._require(0 <= self.seed < 2**31, "seed", "in 0..2^31-1")
        self._require(
            0 < self.validation_share < 1, "validation_share", "in (0, 1)"
        )

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

    @property
    def trained_by_adam(self) -> bool:
        """Whether the weights are float32 ones, whatever they stand for."""
        return self.weight_n == FLOAT or self.training == "latent"

    def _check_training(self) -> None:
        self._require(
            self.training == "dst" or self.weight_n != FLOAT,
            "training",
            "left out with weight_n=float, whose weights are not rounded",
        )
        if self.bfloat16_products:
            self._check_bfloat16_products()
        if self.learning_rate is None:
            object.__setattr__(self, "learning_rate", self._best_rate())

    def _best_rate(self) -> float:
        """The best of the study `tuning`, which was not run on SVHN."""
        if self.weight_n == FLOAT:
            return 0.003
        if self.training == "latent" and self.net == "mnist":
            return 0.01
        return 0.03

    def _check_bfloat16_products(self) -> None:
        where = "where it has no effect"
        for name, can in (
            ("jit_compile", not self.jit_compile),
            ("training", self.training == "dst"),
            ("weight_n", self.weight_n in (0, 1)),
            ("activation_n", self.activation_n in (0, 1)),
        ):
            self._require(
                can,
                "bfloat16_products",
                f"False with {name}={getattr(self, name)}, {where}",
            )

    @property
    def milestone_shares(self) -> tuple[float, ...]:
        """The milestones as shares of the run."""
        return tuple(float(x) for x in (self.milestones or "").split(",") if x)

    def _check_schedule(self) -> None:
        decays = self.schedule in ("exponential", "cosine")
        if decays and self.final_learning_rate is None:
            final = self.learning_rate * 1e-3
            object.__setattr__(self, "final_learning_rate", final)
        if self.schedule == "multistep" and self.milestones is None:
            object.__setattr__(self, "milestones", "0.5,0.75")
        if self.milestones is not None and self.milestone_factor is None:
            object.__setattr__(self, "milestone_factor", 0.1)
        if decays:
            self._require(
                0 < self.final_learning_rate <= self.learning_rate,
                "final_learning_rate",
                f"> 0 and <= learning_rate={self.learning_rate}",
            )
        else:
            self._require(
                self.final_learning_rate is None,
                "final_learning_rate",
                f"left out with schedule={self.schedule}; use exponential or "
                "cosine",
            )
        if self.schedule in ("cosine", "constant"):
            self._require(
                self.milestones is None,
                "milestones",
                f"left out with schedule={self.schedule}; use multistep or "
                "exponential",
            )
        if self.milestones is None:
            self._require(
                self.milestone_factor is None,
                "milestone_factor",
                "left out where there are no milestones",
            )
        else:
            self._check_milestones()
        self._require(
            0 <= self.warmup_epochs <= self.epochs,
            "warmup_epochs",
            f"in 0..epochs={self.epochs}",
        )

    def _check_milestones(self) -> None:
        try:
            shares = self.milestone_shares
        except ValueError:
            shares = ()
        edges = (0.0, *shares, 1.0)
        self._require(
            bool(shares) and all(a < b for a, b in itertools.pairwise(edges)),
            "milestones",
            "rising numbers between 0 and 1 with commas between them, such "
            "as 0.5,0.75",
        )
        self._require(
            0 < self.milestone_factor < 1, "milestone_factor", "in (0, 1)"
        )

    def _check_step_rule(self) -> None:
        from gxnor_tf import step_rules

        if self.step_rule is None:
            asked = any(getattr(self, x) is not None for x in _OF_MOMENTUM)
            chosen = "momentum" if asked else "error_feedback"
            object.__setattr__(self, "step_rule", chosen)
        rule = step_rules.get(self.step_rule)
        if self.moment_dtype is None:
            object.__setattr__(self, "moment_dtype", rule.moment_dtypes[0])
        self._check_moment_dtype(rule)
        for name, setting in (
            ("momentum", "beta_1"),
            ("memory_growth", "memory_growth"),
            ("full_rate_memory", "full_rate_memory"),
        ):
            if self._given(name, getattr(rule, setting, None)):
                text, allows = step_rules.limit(rule, setting)
                self._require(allows(getattr(self, name)), name, text)
        self._check_memory(rule)
        if self._given("transition_gain", rule.default_gain):
            self._require(
                self.transition_gain > 0,
                "transition_gain",
                "a finite number > 0",
            )

    def _check_moment_dtype(self, rule: "StepRule") -> None:
        from gxnor_tf.shared_byte import MAX_N

        possible = rule.moment_dtypes
        if self.step_rule == "error_feedback":
            possible += ("in_kernel",)
        self._require(
            self.moment_dtype in possible,
            "moment_dtype",
            f"one of {', '.join(possible)} with step_rule={self.step_rule}",
        )
        if self.moment_in_kernel:
            self._require(
                self.weight_n <= MAX_N,
                "moment_dtype",
                f"left out with weight_n={self.weight_n}; in_kernel needs "
                f"weight_n <= {MAX_N}",
            )

    @property
    def moment_in_kernel(self) -> bool:
        """Whether moments are held in the bytes of their weights."""
        return self.moment_dtype == "in_kernel" and not self.trained_by_adam

    def _check_memory(self, rule: "StepRule") -> None:
        """Refuses a decay so fast that few weights ever hop."""
        if self.weight_space is None or self.momentum is None:
            return
        least = rule.least_decay(self.learning_rate, self.weight_space)
        self._require(
            self.momentum >= least,
            "momentum",
            f">= {least:g} with step_rule={self.step_rule} and "
            f"learning_rate={self.learning_rate}, or left out: with less, "
            "gradients of typical size are forgotten before they add up to a "
            "hop",
        )

    def _given(self, name: str, default: float | None) -> bool:
        """Whether a setting of the step rule is given; else it is filled in."""
        if getattr(self, name) is None:
            object.__setattr__(self, name, default)
            return False
        self._require(
            default is not None,
            name,
            f"left out with step_rule={self.step_rule}, which has none; "
            "use step_rule=momentum",
        )
        return True

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


def plain_type(field: dataclasses.Field[Any]) -> type:
    """The type of a field, without the `| None`."""
    if isinstance(field.type, types.UnionType):
        return typing.get_args(field.type)[0]
    return typing.cast(type, field.type)


def _checked_type(field: dataclasses.Field[Any], value: Any) -> Any:
    wanted = plain_type(field)
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
