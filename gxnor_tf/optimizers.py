# SPDX-License-Identifier: Apache-2.0
"""The Keras optimizer that trains discrete weights in place."""

import math
from typing import Any

import keras
import tensorflow as tf

from gxnor_tf import _compat, step_rules, transitions
from gxnor_tf.discrete_variable import DiscreteVariable

_UNSUPPORTED = {
    "weight_decay": "a state cannot shrink a little",
    "use_ema": "an average of states is no state",
    "gradient_accumulation_steps": (
        "Keras would accumulate in int8; use a larger batch, or beta_1"
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

    For a `DiscreteVariable` a step rule gives an increment, and the weight
    hops to a neighbouring state with a probability given by the increment
    (`gxnor_tf.transitions`). Every other variable (BatchNormalization,
    biases) is trained by an ordinary Keras optimizer.

    A gradient element that is NaN or infinite counts as 0 for a discrete
    weight, lest it stay in the moments for ever; continuous variables take it
    as it is, so that a diverged training shows in the loss.

    Random numbers depend on the seed, the step and the variable only: a run
    can be repeated, and resumed from a saved model bit for bit.

    Args:
        learning_rate: A float, or a Keras learning rate schedule: the size of
            a typical increment, in units of the weights' values.
        step_rule: `"momentum"` (moving average of the gradient, normalised by
            its RMS; 5 bytes per weight), `"adam"` (the rule of the paper's
            code; 9 bytes) or `"sgd"` (normalised gradient; 1 byte).
        transition_gain: m > 0 in `tanh(m |residue| / step)`.
        seed: Integer seed of the transitions.
        beta_1: Decay of the first moment. Default 0.99 for momentum, 0.9 for
            adam.
        beta_2: Decay of adam's second moment. Default 0.999.
        epsilon: adam's epsilon. Default 1e-8.
        continuous_optimizer: A Keras optimizer for all other variables, with
            its own learning rate. Default: Adam, at this optimizer's learning
            rate.
        name: Name of the optimizer.
        **kwargs: Clipping arguments of every Keras optimizer (`clipnorm`,
            `clipvalue`, `global_clipnorm`) and `loss_scale_factor`.

    Raises:
        ValueError: If an argument is out of range or not supported.

    Example:

    >>> from gxnor_tf import DiscreteDense
    >>> model = keras.Sequential([keras.Input((4,)), DiscreteDense(2)])
    >>> model.compile(optimizer=DiscreteStateTransition(0.05), loss="mse")
    >>> _ = model.fit(np.ones((8, 4)), np.ones((8, 2)), verbose=0)
    >>> model.layers[0].kernel.dtype
    'int8'

    References:

    - [Deng et al., 2018](https://arxiv.org/abs/1705.09283), section 2.4.
    """

    def __init__(
        self,
        learning_rate: Any = 0.01,
        step_rule: str = "momentum",
        transition_gain: float = 3.0,
        seed: int = 0,
        beta_1: float | None = None,
        beta_2: float | None = None,
        epsilon: float | None = None,
        continuous_optimizer: keras.optimizers.Optimizer | None = None,
        name: str = "discrete_state_transition",
        **kwargs: Any,
    ) -> None:
        for feature, reason in _UNSUPPORTED.items():
            if kwargs.get(feature):
                raise ValueError(
                    f"`{feature}` is not supported by {type(self).__name__}: "
                    f"{reason}. Received: {feature}={kwargs[feature]}"
                )
        if isinstance(learning_rate, (int, float)) and not (
            math.isfinite(learning_rate) and learning_rate >= 0
        ):
            raise ValueError(
                "`learning_rate` must be a finite number >= 0. "
                f"Received: learning_rate={learning_rate}"
            )
        if (
            isinstance(seed, bool)
            or not isinstance(seed, int)
            or not 0 <= seed < 2**63
        ):
            raise ValueError(
                "`seed` must be an integer in 0..2^63-1. "
                f"Received: seed={seed!r}"
            )
        if not (math.isfinite(transition_gain) and transition_gain > 0):
            raise ValueError(
                "`transition_gain` must be a finite number > 0. "
                f"Received: transition_gain={transition_gain}"
            )
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self._config: dict[str, Any] = {
            "step_rule": step_rule,
            "transition_gain": transition_gain,
            "seed": seed,
            "beta_1": beta_1,
            "beta_2": beta_2,
            "epsilon": epsilon,
        }
        self.step_rule = step_rules.get(
            step_rule, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon
        )
        self._follow_learning_rate = continuous_optimizer is None
        self.continuous_optimizer = continuous_optimizer or (
            keras.optimizers.Adam(name="continuous")
        )
        for feature in _OUTER_FEATURES:
            value = getattr(self.continuous_optimizer, feature, None)
            if value:
                raise ValueError(
                    f"`continuous_optimizer` must not set `{feature}`, which "
                    "would have no effect there; clipping is set on "
                    f"{type(self).__name__}. Received: {feature}={value}"
                )

    @property
    def transition_gain(self) -> float:
        """m, fixed when the optimizer is made."""
        return float(self._config["transition_gain"])

    @property
    def state_bytes_per_weight(self) -> float:
        """Bytes of training state per discrete weight: int8 and moments."""
        return 1.0 + 4.0 * len(self.step_rule.moment_names)

    @property
    def variables(self) -> list[keras.Variable]:
        """All variables, those of the continuous optimizer included."""
        return [*super().variables, *self.continuous_optimizer.variables]

    def build(self, variables: list[keras.Variable]) -> None:
        """Creates the moments and the inner optimizer's variables."""
        if self.built:
            return
        if self.continuous_optimizer.built:
            raise ValueError(
                "`continuous_optimizer` was built for other variables. Give "
                "every DiscreteStateTransition an optimizer of its own."
            )
        super().build(variables)
        self._spaces: dict[int, Any] = {}
        self._moments: dict[int, list[keras.Variable]] = {}
        self._moved: dict[int, keras.Variable] = {}
        self._paths: dict[int, str] = {}
        for index, variable in enumerate(variables):
            if not isinstance(variable, DiscreteVariable):
                continue
            name = variable.path.replace("/", "_")
            self._spaces[index] = variable.space
            self._paths[index] = variable.path
            self._moments[index] = [
                self.add_variable(
                    variable.shape, dtype="float32", name=f"{name}_{moment}"
                )
                for moment in self.step_rule.moment_names
            ]
            self._moved[index] = self.add_variable(
                (), dtype="float32", name=f"{name}_moved"
            )
        self._counted_steps = self.add_variable(
            (), dtype="float32", name="counted_steps"
        )
        self.continuous_optimizer.build(
            [v for v in variables if not isinstance(v, DiscreteVariable)]
        )

    def apply(
        self,
        grads: list[tf.Tensor],
        trainable_variables: list[keras.Variable] | None = None,
    ) -> None:
        """Updates all variables with their gradients."""
        super().apply(grads, trainable_variables)
        self._counted_steps.assign_add(1.0)
        # Bias correction of the continuous optimizer counts the same steps.
        self.continuous_optimizer.iterations.assign(self.iterations)

    def update_step(
        self, gradient: tf.Tensor, variable: Any, learning_rate: Any
    ) -> None:
        """Updates one variable; Keras calls this."""
        index = _compat.variable_index(self, variable)
        if index not in self._spaces:
            if not self._follow_learning_rate:
                learning_rate = self.continuous_optimizer.learning_rate
            self.continuous_optimizer.update_step(
                gradient, variable, learning_rate
            )
            return
        moments = self._moments[index]
        increment, new_moments = self.step_rule.increment(
            _finite(tf.cast(gradient, tf.float32)),
            tuple(tf.convert_to_tensor(m) for m in moments),
            self.iterations + 1,
            tf.cast(learning_rate, tf.float32),
        )
        for moment, new_moment in zip(moments, new_moments, strict=True):
            self.assign(moment, new_moment)
        states = tf.convert_to_tensor(variable)
        new_states = transitions.transition(
            states,
            increment,
            transitions.stateless_uniform(
                variable.shape, self._config["seed"], index, self.iterations
            ),
            self._spaces[index],
            self.transition_gain,
        )
        moved = tf.cast(tf.not_equal(states, new_states), tf.float32)
        self.assign(variable, new_states)
        self.assign_add(self._moved[index], tf.reduce_mean(moved))

    def transition_rates(self) -> dict[str, float]:
        """Mean share of weights that moved in a step, by variable path.

        Counted since the last `reset_transition_rates()`.
        """
        if not self.built:
            return {}
        steps = max(float(self._counted_steps.numpy()), 1.0)
        return {
            self._paths[index]: float(moved.numpy()) / steps
            for index, moved in self._moved.items()
        }

    def reset_transition_rates(self) -> None:
        """Starts counting transitions anew."""
        if self.built:
            for variable in (*self._moved.values(), self._counted_steps):
                variable.assign(0.0)

    def get_config(self) -> dict[str, Any]:
        """The arguments, for saving."""
        inner = None
        if not self._follow_learning_rate:
            inner = keras.optimizers.serialize(self.continuous_optimizer)
        config: dict[str, Any] = super().get_config()
        return config | self._config | {"continuous_optimizer": inner}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> "DiscreteStateTransition":
        """Makes an optimizer from `get_config()`."""
        inner = config.get("continuous_optimizer")
        if inner is not None:
            config = config | {
                "continuous_optimizer": keras.optimizers.deserialize(
                    inner, custom_objects
                )
            }
        optimizer: DiscreteStateTransition = super().from_config(
            config, custom_objects
        )
        return optimizer


def _finite(gradient: tf.Tensor) -> tf.Tensor:
    return tf.where(
        tf.math.is_finite(gradient), gradient, tf.zeros_like(gradient)
    )
