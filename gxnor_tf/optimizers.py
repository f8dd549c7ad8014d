# SPDX-License-Identifier: Apache-2.0
"""The Keras optimizer that trains discrete weights in place."""

import math
import numbers
import warnings
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gxnor_tf import (
    _compat,
    discrete_update,
    moment_formats,
    optimizer_state,
    schedules,
    step_rules,
)
from gxnor_tf.discrete_space import TERNARY
from gxnor_tf.discrete_variable import DiscreteVariable
from gxnor_tf.layer_tree import numbered
from gxnor_tf.overrides import Overrides, TransitionSettings
from gxnor_tf.overrides import from_config as overrides_from_config
from gxnor_tf.shared_variable import MomentView, SharedVariable

_UNSUPPORTED = {
    "weight_decay": (
        "a state cannot shrink a little. For layers with float weights use "
        "`kernel_regularizer`"
    ),
    "use_ema": (
        "an average of states is no state, and averages of the continuous "
        "variables alone would not fit the weights. Keep the best epoch with "
        "`keras.callbacks.ModelCheckpoint` instead"
    ),
}

# What an inner optimizer does outside of `update_step`, where it would be
# lost without a word.
_OUTER_FEATURES = (
    "weight_decay",
    "clipnorm",
    "clipvalue",
    "global_clipnorm",
    "use_ema",
    "loss_scale_factor",
    "gradient_accumulation_steps",
)


@keras.saving.register_keras_serializable(package="gxnor_tf")
class DiscreteStateTransition(keras.optimizers.Optimizer):
    """Trains discrete weights by discrete state transition (DST).

    For a `DiscreteVariable` a step rule gives an increment, and the increment
    whether the weight hops to a neighbouring state: for certain, or with a
    probability (`gxnor_tf.transitions`). Every other variable
    (BatchNormalization, biases) is trained by an ordinary Keras optimizer.

    A gradient element that is NaN or infinite counts as 0 for a discrete
    weight, and one beyond +-1e18 as +-1e18, lest it stay in the moments for
    ever, and so does a learning rate that is not finite; continuous variables
    take them as they are, so that a diverged training shows in the loss.

    Random numbers depend on the seed, the step and the variable only: a run
    can be repeated, and resumed from a saved model bit for bit.

    Args:
        learning_rate: A finite number >= 0, or a Keras learning rate schedule:
            the size of a typical increment (of error_feedback, of what a step
            adds to it), in units of the weights' values.
        step_rule: `"error_feedback"` (the normalised gradient; what a hop does
            not take of it waits in the moment), `"momentum"` (moving average
            of the gradient, normalised by its RMS), `"adam"` (the rule of the
            paper's code), `"sgd"` (normalised gradient, no moment), `"sign"`
            or `"bop"`; see `gxnor_tf.step_rules`.
        transition_gain: m in `tanh(m |residue| / step)`: a number > 0, or a
            schedule (a Keras learning rate schedule, or another callable that
            maps the tensor `iterations` to a number; where that is not > 0
            no weight makes a random hop). Default 3; must be left out with
            error_feedback and bop, whose hops are certain. With gradient
            accumulation `iterations` counts updates, while Keras' learning
            rate schedules count batches. A number can be changed at any time
            by assigning to the attribute. A callable of your own must be
            registered with Keras for the model to be loaded again; a lambda
            cannot be saved.
        seed: Seed of the transitions, an integer in 0..2^63-1.
        beta_1: Decay of the first moment, in [0, 1); of momentum, sign and bop
            the largest one. Default 0.998 for these, 0.9 for adam. For
            error_feedback in [0, 1], default 1, which forgets nothing; few
            weights ever hop where `learning_rate / (1 - beta_1)` is less than
            0.55 steps of the space.
        beta_2: Decay of adam's second moment, in [0, 1). Default 0.999.
        epsilon: adam's epsilon, > 0. Default 1e-8.
        memory_growth: Steps of memory, > 0, per step of training so far, of the
            moving average of momentum, sign and bop, until `beta_1` limits
            it: so one setting fits short and long runs. Default 0.1;
            infinity makes the decay `beta_1` from the start.
        full_rate_memory: Steps of memory, >= 1, up to which the increments of
            momentum and sign have the size of the learning rate; beyond it
            they shrink as the memory grows. Default 20; infinity keeps them.
        moment_dtype: How moments are held: `"int8"` (the default; 1 byte per
            weight and moment, beside the 1 byte of the weight), `"bfloat16"`
            (the default for adam) or `"float32"`. See
            `gxnor_tf.moment_formats`. Layers with `moment_in_kernel=True` hold
            that of error_feedback themselves, in the bytes of the weights.
        continuous_optimizer: A Keras optimizer for all other variables, or
            its name, with its own learning rate; a schedule of its counts
            batches as that of this optimizer does. One that needs more of
            Keras than `build` and `update_step`, such as Nadam, is refused.
            Default: Adam, at this optimizer's learning rate.
        overrides: Settings of single discrete variables by pattern, such as
            `{"conv1/": {"learning_rate_multiplier": 0.5}}`.
            The first pattern that `re.search` finds in a variable's path
            decides; it may set `learning_rate_multiplier`, and of
            `transition_gain`, `beta_1`, `beta_2`, `epsilon`,
            `memory_growth` and `full_rate_memory` those that the step rule
            has.
        name: Name of the optimizer.
        **kwargs: `clipnorm`, `clipvalue`, `global_clipnorm` (over discrete
            and continuous variables together),
            `gradient_accumulation_steps` and `loss_scale_factor` of every
            Keras optimizer. Clipping matters less than elsewhere: a step
            rule normalises, so it only limits what one step can contribute
            to the moments.

    Raises:
        ValueError: If an argument is out of range or not supported. In
            `build()`, if a pattern of `overrides` matches no discrete
            variable, or if a layer holds its moment and the step rule is not
            error_feedback, or `moment_dtype` not int8.

    Warns:
        UserWarning: In `build()`, if the learning rate is a number and `beta_1`
            so low that few weights would ever hop.

    Example:

    >>> from gxnor_tf import DiscreteDense
    >>> model = keras.Sequential([keras.Input((4,)), DiscreteDense(2)])
    >>> model.compile(optimizer=DiscreteStateTransition(0.05), loss="mse")
    >>> _ = model.fit(np.ones((8, 4)), np.ones((8, 2)), verbose=0)
    >>> model.layers[0].kernel.dtype
    'int8'

    With hops at random, a gain that falls after 1000 steps, and one layer that
    moves slower:

    >>> optimizer = DiscreteStateTransition(
    ...     0.05,
    ...     "momentum",
    ...     transition_gain=keras.optimizers.schedules.PiecewiseConstantDecay(
    ...         [1000], [3.0, 1.0]),
    ...     overrides={"dense": {"learning_rate_multiplier": 0.5}},
    ...     global_clipnorm=1.0)
    >>> model.compile(optimizer=optimizer, loss="mse")
    >>> _ = model.fit(np.ones((8, 4)), np.ones((8, 2)), verbose=0)
    >>> float(optimizer.transition_gain)
    3.0

    References:

    - [Deng et al., 2018](https://arxiv.org/abs/1705.09283), section 2.4.
    """

    # What `DiscreteVariable` asks of an optimizer that wants to change it.
    moves_discrete_variables = True

    def __init__(
        self,
        learning_rate: Any = 0.03,
        step_rule: str = "error_feedback",
        transition_gain: schedules.Schedule | None = None,
        seed: int = 0,
        beta_1: float | None = None,
        beta_2: float | None = None,
        epsilon: float | None = None,
        memory_growth: float | None = None,
        full_rate_memory: float | None = None,
        moment_dtype: str | None = None,
        continuous_optimizer: keras.optimizers.Optimizer | str | None = None,
        overrides: Mapping[str, Mapping[str, Any]] | None = None,
        name: str = "discrete_state_transition",
        **kwargs: Any,
    ) -> None:
        for feature, reason in _UNSUPPORTED.items():
            # Off may also be given as 0 or False.
            value = kwargs.pop(feature, None)
            if value:
                raise ValueError(
                    f"`{feature}` is not supported by {type(self).__name__}: "
                    f"{reason}. Received: {feature}={value}"
                )
        # `numbers` has NumPy's numbers, too; configs have Python's.
        if isinstance(learning_rate, numbers.Real):
            learning_rate = float(learning_rate)
            if not (math.isfinite(learning_rate) and learning_rate >= 0):
                raise ValueError(
                    "`learning_rate` must be a finite number >= 0. "
                    f"Received: learning_rate={learning_rate}"
                )
        if not (
            isinstance(seed, (int, np.integer)) and 0 <= seed < 2**63
        ) or isinstance(seed, bool):
            raise ValueError(
                "`seed` must be an integer in 0..2^63-1. "
                f"Received: seed={seed!r}"
            )
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        # None for a schedule.
        self._first_rate = (
            learning_rate if isinstance(learning_rate, float) else None
        )
        rule_settings = {
            "beta_1": beta_1,
            "beta_2": beta_2,
            "epsilon": epsilon,
            "memory_growth": memory_growth,
            "full_rate_memory": full_rate_memory,
        }
        self.step_rule = step_rules.get(step_rule, **rule_settings)
        possible = self.step_rule.moment_dtypes
        if moment_dtype is None:
            moment_dtype = possible[0]
        moment_formats.get(moment_dtype)  # Refuses what is none.
        if moment_dtype not in possible:
            raise ValueError(
                f"`moment_dtype` of step rule {step_rule!r} must be one of "
                f"{', '.join(possible)}. Received: moment_dtype="
                f"{moment_dtype!r}"
            )
        rule_settings = {
            key: None if value is None else float(value)
            for key, value in rule_settings.items()
        }
        self._config: dict[str, Any] = {
            "step_rule": step_rule,
            "moment_dtype": moment_dtype,
            "seed": int(seed),
            **rule_settings,
        }
        self._overrides = Overrides(overrides, step_rule, rule_settings)
        # Of the moments that are in the bytes of their weights. Keras finds the
        # variables in a list that is an attribute.
        self._views: list[MomentView] = []
        self._gain = self._make_gain(transition_gain)
        self._follow_learning_rate = continuous_optimizer is None
        self.continuous_optimizer = _checked_inner(
            keras.optimizers.Adam(name="continuous")
            if continuous_optimizer is None
            else continuous_optimizer
        )

    def _make_gain(self, given: schedules.Schedule | None) -> Any:
        step_rules.refuse_gain(self._config["step_rule"], given)
        default = self.step_rule.default_gain
        if default is None:
            return None
        gain = schedules.checked(
            "transition_gain", default if given is None else given
        )
        if callable(gain):
            return gain
        # A number is held in a variable, like Keras' learning rate, so that a
        # compiled step sees it change.
        return self.add_variable(
            (),
            initializer=keras.initializers.Constant(gain),
            dtype="float32",
            aggregation="only_first_replica",
            name="transition_gain",
        )

    @property
    def transition_gain(self) -> Any:
        """The gain m now: a variable, or the value of its schedule.

        None for step rules whose hops are certain.
        """
        if callable(self._gain):
            return schedules.at(self._gain, self.iterations)
        return self._gain

    @transition_gain.setter
    def transition_gain(self, value: schedules.Schedule) -> None:
        if callable(self._gain):
            raise ValueError(
                "`transition_gain` was given as a schedule and cannot be set. "
                "Give a number to set it during training. Received: "
                f"transition_gain={value!r}"
            )
        step_rules.refuse_gain(self._config["step_rule"], value)
        value = schedules.checked("transition_gain", value)
        if callable(value):
            raise ValueError(
                "`transition_gain` was given as a number and cannot become a "
                "schedule. Give the schedule when the optimizer is made. "
                f"Received: transition_gain={value!r}"
            )
        self._gain.assign(value)

    @property
    def state_bytes_per_weight(self) -> float:
        """Bytes of training state per discrete weight.

        One for the int8 state, those of each moment (one in int8, beside one
        float per tensor for rules other than error_feedback) and, with
        gradient accumulation, four for the accumulator. Once it is built,
        weights whose moments are in their own bytes need none for these.
        """
        moments = len(self.step_rule.moment_names)
        moment_format = moment_formats.get(self._config["moment_dtype"])
        accumulators = bool(self.gradient_accumulation_steps)
        trained = self.discrete_variables
        weights = sum(math.prod(v.shape) for v in trained)
        sharing = sum(math.prod(view.shape) for view in self._views)
        apart = 1.0 - sharing / weights if weights else 1.0
        return (
            1.0
            + moment_format.bytes_per_value * moments * apart
            + 4.0 * accumulators
        )

    @property
    def variables(self) -> list[keras.Variable]:
        """All variables, those of the continuous optimizer included."""
        return [*super().variables, *self.continuous_optimizer.variables]

    def add_variable_from_reference(
        self,
        reference_variable: Any,
        name: str | None = None,
        initializer: Any = "zeros",
    ) -> keras.Variable:
        """Creates an optimizer variable shaped like a model variable.

        Keras makes its gradient accumulators with it, in the dtype of the
        reference. Gradients of int8 variables are float32.
        """
        if not isinstance(reference_variable, DiscreteVariable):
            return super().add_variable_from_reference(
                reference_variable, name=name, initializer=initializer
            )
        path = reference_variable.path.replace("/", "_")
        return self.add_variable(
            reference_variable.shape,
            initializer=initializer,
            dtype="float32",
            name=f"{path}_{name or 'var'}",
        )

    def build(self, variables: list[keras.Variable]) -> None:
        """Creates the moments and the inner optimizer's variables."""
        if self.built:
            return
        if self.continuous_optimizer.built:
            raise ValueError(
                "`continuous_optimizer` was built for other variables. Give "
                "every DiscreteStateTransition an optimizer of its own."
            )
        discrete = {
            index: variable
            for index, variable in enumerate(variables)
            if isinstance(variable, DiscreteVariable)
        }
        settings = self._overrides.assign([v.path for v in discrete.values()])
        for variable, own in zip(discrete.values(), settings, strict=True):
            self._refuse_other_moments(variable)
            self._warn_of_standing_still(variable, own)
        super().build(variables)
        self._settings: dict[int, TransitionSettings] = {}
        self._updates: dict[int, discrete_update.DiscreteUpdate] = {}
        # Of each variable, of each moment, the variables that hold it.
        self._moments: dict[int, list[list[keras.Variable]]] = {}
        self._moved: dict[int, keras.Variable] = {}
        for (index, variable), own in zip(
            discrete.items(), settings, strict=True
        ):
            self._settings[index] = own
            if isinstance(variable, SharedVariable):
                self._build_shared(index, variable, own)
            else:
                self._build_apart(index, variable, own)
            name = variable.path.replace("/", "_")
            self._moved[index] = self.add_variable(
                (), dtype="float32", name=f"{name}_moved"
            )
        self._counted_from = self.add_variable(
            (), dtype="int64", name="counted_from"
        )
        self.continuous_optimizer.build(
            [v for v in variables if not isinstance(v, DiscreteVariable)]
        )

    def _refuse_other_moments(self, variable: DiscreteVariable) -> None:
        """Raises ValueError if a variable has room for another moment only."""
        rule, dtype = self._config["step_rule"], self._config["moment_dtype"]
        fits = rule == "error_feedback" and dtype == "int8"
        if isinstance(variable, SharedVariable) and not fits:
            raise ValueError(
                f"The weights {variable.path!r} hold the moment of the step "
                "rule 'error_feedback' in their own bytes. Use that rule and "
                "leave `moment_dtype` out, or make the layer without "
                f"`moment_in_kernel`. Received: step_rule={rule!r}, "
                f"moment_dtype={dtype!r}"
            )

    def _warn_of_standing_still(
        self, variable: DiscreteVariable, own: TransitionSettings
    ) -> None:
        """Warns of a decay with which few weights ever hop."""
        beta_1 = getattr(own.step_rule, "beta_1", None)
        if self._first_rate is None or beta_1 is None:
            return
        rate = self._first_rate * own.learning_rate_multiplier
        least = own.step_rule.least_decay(rate, variable.space)
        if beta_1 < least:
            warnings.warn(
                f"`beta_1` should be >= {least:g} with step rule "
                f"{self._config['step_rule']!r}, learning rate {rate:g} and "
                f"the weights {variable.path!r}: a gradient of typical size is "
                "forgotten before it adds up to a hop, and few weights ever "
                "move. Leave `beta_1` out, and nothing is forgotten, or use "
                f"step_rule='momentum'. Received: beta_1={beta_1}",
                stacklevel=2,
            )

    def _build_shared(
        self, index: int, variable: SharedVariable, own: TransitionSettings
    ) -> None:
        """Makes the update of weights that hold their moment, and shows it."""
        shape = tuple(variable.shape)
        self._updates[index] = discrete_update.make_shared(
            variable.shared, own.step_rule, shape
        )
        self._moments[index] = []
        (moment,) = self.step_rule.moment_names
        name = variable.path.replace("/", "_")
        view = MomentView(variable, f"{name}_{moment}")
        with tf.init_scope():  # Now, even if a step is being traced.
            # One that has no value yet has no moments, either.
            if view.value.is_initialized():
                # Those of another optimizer that trained it before.
                view.assign(np.zeros(shape, np.int8))
        self._views.append(view)

    def _build_apart(
        self, index: int, variable: DiscreteVariable, own: TransitionSettings
    ) -> None:
        """Makes the update of weights, and variables for their moments."""
        moment_format = moment_formats.get(
            self._config["moment_dtype"],
            own.step_rule.largest_moment(variable.space),
        )
        self._updates[index] = discrete_update.make(
            variable.space, own.step_rule, moment_format, tuple(variable.shape)
        )
        name = variable.path.replace("/", "_")
        self._moments[index] = [
            self._add_moment(variable, moment_format, f"{name}_{moment}")
            for moment in self.step_rule.moment_names
        ]

    def _add_moment(
        self,
        variable: DiscreteVariable,
        moment_format: moment_formats.MomentFormat,
        name: str,
    ) -> list[keras.Variable]:
        """What holds a moment, on the device of its variable."""
        strategy = tf.distribute.get_strategy()
        with strategy.extended.colocate_vars_with(variable.value):
            return [
                self.add_variable(shape, dtype=dtype, name=f"{name}_{part}")
                for part, shape, dtype in moment_format.parts(
                    tuple(variable.shape)
                )
            ]

    def apply(
        self,
        grads: list[tf.Tensor],
        trainable_variables: list[keras.Variable] | None = None,
    ) -> None:
        """Updates all variables with their gradients.

        Args:
            grads: Gradients, those of discrete variables float32.
            trainable_variables: Their variables; may be left out once the
                optimizer is built.

        Raises:
            ValueError: With gradient accumulation on more than one replica.
        """
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        if self.gradient_accumulation_steps and replicas > 1:
            raise ValueError(
                "`gradient_accumulation_steps` works on one replica only, a "
                "limit of Keras on TensorFlow. Use a larger batch. Received: "
                f"gradient_accumulation_steps="
                f"{self.gradient_accumulation_steps} on {replicas} replicas"
            )
        super().apply(grads, trainable_variables)
        # Bias correction of the continuous optimizer counts the same steps.
        self.continuous_optimizer.iterations.assign(self.iterations)

    def update_step(
        self, gradient: tf.Tensor, variable: Any, learning_rate: Any
    ) -> None:
        """Updates one variable; Keras calls this."""
        index = _compat.variable_index(self, variable)
        if index not in self._updates:
            if not self._follow_learning_rate:
                learning_rate = self._continuous_learning_rate()
            self.continuous_optimizer.update_step(
                gradient, variable, learning_rate
            )
            return
        settings = self._settings[index]
        gain = (
            self.transition_gain
            if settings.transition_gain is None
            else schedules.at(settings.transition_gain, self.iterations)
        )
        if isinstance(variable, keras.Variable):
            variable = variable.value
        states = tf.convert_to_tensor(variable)
        moments = self._moments[index]
        new_states, new_moments, moved = self._updates[index](
            gradient,
            states,
            tuple(
                tuple(tf.convert_to_tensor(part) for part in moment)
                for moment in moments
            ),
            tf.constant(self._config["seed"], tf.int64),
            tf.constant(index, tf.int64),
            tf.cast(self.iterations, tf.int64),
            tf.cast(learning_rate, tf.float32)
            * settings.learning_rate_multiplier,
            # Certain hops read none.
            tf.cast(0.0 if gain is None else gain, tf.float32),
        )
        for moment, new_moment in zip(moments, new_moments, strict=True):
            for part, new_part in zip(moment, new_moment, strict=True):
                self.assign(part, new_part)
        self.assign(variable, new_states)
        self.assign_add(
            self._moved[index], moved / max(1, math.prod(states.shape))
        )

    def _continuous_learning_rate(self) -> Any:
        """That of the continuous optimizer's own, at this step."""
        inner = self.continuous_optimizer
        schedule = _compat.given_learning_rate(inner)
        if isinstance(
            schedule, keras.optimizers.schedules.LearningRateSchedule
        ):
            # With gradient accumulation its own iterations count updates,
            # while Keras evaluates schedules at the number of batches.
            return schedule(_compat.batches(self))
        return inner.learning_rate

    @property
    def discrete_variables(self) -> list[DiscreteVariable]:
        """The discrete variables it trains, empty before `build()`."""
        if not self.built:
            return []
        trained = _compat.trained_variables(self)
        return [v for v in trained if isinstance(v, DiscreteVariable)]

    def transition_rates(self) -> dict[str, float]:
        """Mean share of weights that moved in a step, by variable path.

        Counted since the last `reset_transition_rates()`.

        Returns:
            `{variable path: share in [0, 1]}`, in the order of
            `discrete_variables`. A path that occurs again, as it may in a
            class, has a number: `"path#2"`.
        """
        if not self.built:
            return {}
        counted = _number(self.iterations) - _number(self._counted_from)
        steps = max(counted, 1)
        paths = numbered([v.path for v in self.discrete_variables])
        return {
            path: _number(moved) / steps
            for path, moved in zip(paths, self._moved.values(), strict=True)
        }

    def reset_transition_rates(self) -> None:
        """Starts counting transitions anew."""
        if self.built:
            for moved in self._moved.values():
                moved.assign(0.0)
            self._counted_from.assign(self.iterations)

    def save_own_variables(self, store: Any) -> None:
        """Writes the state; Keras calls this when it saves a model."""
        super().save_own_variables(store)
        optimizer_state.describe(store, self._layout())

    def load_own_variables(self, store: Any) -> None:
        """Reads the state; Keras calls this when it loads a model.

        The state of an optimizer that had not run yet, and that of one which
        trained other variables (layers were frozen since), is left alone: this
        optimizer then starts anew, in the second case with a warning.

        Raises:
            ValueError: If it is the state of another optimizer, step rule or
                settings. The optimizer is then unchanged.
        """
        optimizer_state.load(self, store, self._layout())

    def _layout(self) -> dict[str, Any]:
        """What decides, beside the model, which variables there are."""

        def kind(value: Any) -> str:
            if value is None:
                return "none"
            number = isinstance(value, keras.Variable)
            return "a number" if number else "a schedule"

        inner = self.continuous_optimizer
        return {
            "built": self.built,
            "step_rule": self._config["step_rule"],
            "moment_dtype": (
                self._config["moment_dtype"]
                if self.step_rule.moment_names
                else "none"
            ),
            # Where codes have fewer bits; known when it is built.
            "moment_in_kernel": (
                [isinstance(v, SharedVariable) for v in self.discrete_variables]
                if self.built
                else None
            ),
            # Decides what integer codes mean; here for a space of step 1.
            "largest_moment": self.step_rule.largest_moment(TERNARY),
            "learning_rate": kind(_compat.given_learning_rate(self)),
            "transition_gain": kind(self._gain),
            "gradient_accumulation_steps": (
                "given" if self.gradient_accumulation_steps else "not given"
            ),
            "continuous_optimizer": type(inner).__name__,
            "continuous_optimizer.learning_rate": kind(
                _compat.given_learning_rate(inner)
            ),
        }

    def get_config(self) -> dict[str, Any]:
        """The arguments, for saving."""
        inner = None
        if not self._follow_learning_rate:
            inner = keras.optimizers.serialize(self.continuous_optimizer)
        gain = self._gain
        if isinstance(gain, keras.Variable):
            gain = _number(gain)
        config: dict[str, Any] = super().get_config()
        return (
            config
            | self._config
            | {
                "transition_gain": schedules.to_config(gain),
                "continuous_optimizer": inner,
                "overrides": self._overrides.get_config(),
            }
        )

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> "DiscreteStateTransition":
        """Makes an optimizer from `get_config()`."""
        config = config | {
            "transition_gain": schedules.from_config(
                config.get("transition_gain"), custom_objects
            ),
            "overrides": overrides_from_config(
                config.get("overrides"), custom_objects
            ),
        }
        if config.get("continuous_optimizer") is not None:
            config["continuous_optimizer"] = keras.optimizers.deserialize(
                config["continuous_optimizer"], custom_objects
            )
        optimizer: DiscreteStateTransition = super().from_config(
            config, custom_objects
        )
        return optimizer


def _checked_inner(given: Any) -> keras.optimizers.Optimizer:
    """An optimizer of which build and update_step alone can be used."""
    try:
        optimizer: keras.optimizers.Optimizer = keras.optimizers.get(given)
    except (KeyError, TypeError, ValueError):
        raise ValueError(
            "`continuous_optimizer` must be a Keras optimizer, such as "
            "`keras.optimizers.SGD(0.1)`, or the name of one. Received: "
            f"continuous_optimizer={given!r}"
        ) from None
    for feature in _OUTER_FEATURES:
        value = getattr(optimizer, feature, None)
        if value:
            raise ValueError(
                f"`continuous_optimizer` must not set `{feature}`, which "
                "would have no effect there; clipping is set on "
                f"DiscreteStateTransition. Received: {feature}={value}"
            )
    hooks = _compat.overridden_hooks(optimizer)
    if hooks:
        raise ValueError(
            "`continuous_optimizer` must be an optimizer whose work is done "
            "by `build` and `update_step`, which is all that is called. "
            f"Use another one, such as Adam. Received: "
            f"{type(optimizer).__name__}, which overrides {', '.join(hooks)}"
        )
    return optimizer


def _number(scalar: keras.Variable) -> float:
    """The value of a scalar, under any strategy."""
    return float(scalar.numpy())
