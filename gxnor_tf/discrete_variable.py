# SPDX-License-Identifier: Apache-2.0
"""The trainable int8 variable that holds discrete weights.

Layers read it, the optimizer writes it; nothing else passes between them.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gxnor_tf import _compat
from gxnor_tf.discrete_space import DiscreteSpace


class DiscreteVariable(keras.Variable):
    """A trainable variable whose elements are int8 states of a space.

    There is no full-precision copy. `read_states()` gives the states as floats
    to a forward pass and carries a gradient back to the int8 variable, so
    that a plain `tape.gradient(loss, model.trainable_weights)`, and with it
    plain `model.fit`, works in eager mode, graphs and XLA.

    Only an optimizer that makes discrete transitions may train it,
    `gxnor_tf.DiscreteStateTransition`; any other one is refused.

    The initial value and, outside of graphs, every assignment are checked
    against the space (it is how `set_weights` and loading arrive here). The
    optimizer's updates, which stay in the space by construction, are not
    checked. Legacy `.h5` files do not tell of which space their states are,
    so that those of another one load if they are states of this one, too.

    Args:
        initializer: A callable `(shape, dtype) -> states`, or an array of
            states.
        space: The `DiscreteSpace` of the states.
        shape: Shape; required with a callable initializer.
        trainable: Whether the variable is trained.
        name: Name of the variable.

    Raises:
        ValueError: If assigned states lie outside the space, or an optimizer
            wants to train the variable that cannot.

    Example:

    >>> weights = DiscreteVariable(np.array([1, 0, -1], np.int8),
    ...                            space=DiscreteSpace(1))
    >>> with tf.GradientTape() as tape:
    ...     loss = tf.reduce_sum(weights.read_states() * [1.0, 2.0, 3.0])
    >>> tape.gradient(loss, weights.value).numpy().tolist()
    [1.0, 2.0, 3.0]
    """

    def __init__(
        self,
        initializer: Any,
        space: DiscreteSpace,
        shape: tuple[int, ...] | None = None,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        self.space = space

        def stored(states: Any) -> Any:
            self._check_concrete(states, name or "variable")
            return self._encode(states)

        _compat.let_int8_be_broadcast(tf.distribute.get_strategy())
        super().__init__(
            (lambda shape, dtype: stored(initializer(shape, dtype=dtype)))
            if callable(initializer)
            else stored(initializer),
            shape=shape,
            dtype="int8",
            trainable=trainable,
            autocast=False,
            name=name,
        )

    @property
    def overwrite_with_gradient(self) -> bool:
        """False; an error if an optimizer asks that cannot train states.

        Every Keras optimizer reads this of every variable before it changes
        any. Rounded to int8, an ordinary step would do nothing or destroy the
        weights, mostly without a word.

        An optimizer of one's own that writes states by transitions says so
        by an attribute `moves_discrete_variables = True`.
        """
        optimizer = _compat.asking_optimizer()
        if optimizer is not None and not _moves_discrete(optimizer):
            kind = type(optimizer).__name__
            raise ValueError(
                f"{kind} cannot train `{self.path}`, which holds int8 states "
                f"of {self.space}. Use gxnor_tf.DiscreteStateTransition"
                f"(continuous_optimizer={kind}(...)): it moves the discrete "
                "weights, and leaves all other variables to the "
                f"`continuous_optimizer`. Received: optimizer={kind}"
            )
        return False

    @overwrite_with_gradient.setter
    def overwrite_with_gradient(self, value: bool) -> None:
        if value:
            raise ValueError(
                f"`{self.path}` holds int8 states, and a gradient is none. "
                f"Received: overwrite_with_gradient={value}"
            )

    def check(self, value: Any) -> None:
        """Raises ValueError for what are no states of it, if they are known."""
        self._check_concrete(value, self.path)

    def assign(self, value: Any) -> Any:
        """Assigns states; concrete values are checked against the space."""
        self.check(value)
        return super().assign(value)

    def read_states(self, dtype: str = "float32") -> tf.Tensor:
        """The states as floats, differentiable.

        The gradient of the int8 variable is the floating-point gradient with
        respect to the *values* `states * space.unit`, whatever the unit.
        States are small integers, which every floating dtype of Keras
        represents exactly.

        Args:
            dtype: A floating dtype.

        Returns:
            A tensor of the variable's shape.
        """
        variable = self.value
        symbolic_replica = (
            tf.distribute.has_strategy()
            and tf.distribute.in_cross_replica_context()
        )
        if symbolic_replica or not hasattr(variable, "handle"):
            # No gradient is taken here: this is a symbolic build.
            return self._decode(variable, dtype)

        # TensorFlow refuses a gradient for an integer *tensor*, but not for
        # an integer variable: differentiate with respect to its handle.
        @tf.custom_gradient
        def read(handle: tf.Tensor) -> Any:
            stored = tf.raw_ops.ReadVariableOp(resource=handle, dtype=tf.int8)
            states = self._decode(
                tf.ensure_shape(stored, variable.shape), dtype
            )

            def grad(upstream: tf.Tensor) -> tf.Tensor:
                gradient = tf.cast(upstream, "float32")
                if self.space.unit == 1:
                    return gradient
                return gradient / self.space.unit

            return states, grad

        variable.read_value()  # makes the active tapes watch the variable
        return read(variable.handle)

    def _encode(self, states: Any) -> Any:
        """What is stored for states."""
        return states

    def _decode(self, stored: tf.Tensor, dtype: str) -> tf.Tensor:
        """The states that are stored, in a floating dtype."""
        return tf.cast(stored, dtype)

    def _check_concrete(self, value: Any, name: str) -> None:
        """Raises ValueError for states outside the space, if they are known."""
        if isinstance(value, keras.KerasTensor) or tf.is_symbolic_tensor(value):
            return
        states = np.asarray(value)
        if self.space.contains(states):
            return
        outside = states[~np.isin(states, self.space.states)]
        shown = ", ".join(str(x) for x in np.unique(outside)[:5])
        space = self.space
        raise ValueError(
            f"`{name}` holds int8 states of {space}: whole numbers from "
            f"{-space.max_state} to {space.max_state}"
            f"{' without 0' if space.n == 0 else ''}. Received "
            f"{outside.size} of {states.size} values outside of it, such as "
            f"{shown}. To convert real values use "
            "`space.nearest_states(values)`."
        )


def _moves_discrete(optimizer: Any) -> bool:
    """Whether an optimizer is, or hands its gradients to, one that may."""
    if getattr(optimizer, "moves_discrete_variables", False):
        return True
    inner = getattr(optimizer, "inner_optimizer", None)
    return inner is not None and _moves_discrete(inner)
