# SPDX-License-Identifier: Apache-2.0
"""Discrete weights whose bytes hold their moments, too.

Two Keras variables see the same memory: one the states, and one the moments.
"""

import abc
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from gxnor_tf.discrete_variable import DiscreteVariable
from gxnor_tf.shared_byte import SharedByte


class _View(keras.Variable, abc.ABC):
    """A variable that looks like a part of what its bytes hold.

    Only `value`, which optimizers write to, is the bytes themselves, and with
    it what Keras and TensorFlow take from there: `stateless_call`,
    `get_state_tree` and `tf.train.Checkpoint`.
    """

    @abc.abstractmethod
    def seen(self) -> tf.Tensor:
        """What it looks like, int8."""

    def _floats(self, value: Any) -> tf.Tensor:
        """What is to be assigned, as float32 of the variable's shape.

        Raises:
            ValueError: If it has another one.
        """
        tensor = tf.convert_to_tensor(value)
        if not tensor.shape.is_compatible_with(self.shape):
            raise ValueError(
                f"`{self.path}` has shape {tuple(self.shape)}, which what is "
                f"assigned must have. Received: shape {tuple(tensor.shape)}"
            )
        return tf.cast(tf.ensure_shape(tensor, self.shape), tf.float32)

    def numpy(self) -> npt.NDArray[np.int8]:
        """What it looks like, as an array."""
        array: npt.NDArray[np.int8] = self.seen().numpy()
        return array

    def __array__(self, dtype: Any = None) -> npt.NDArray[Any]:
        return np.asarray(self.numpy(), dtype)

    def __tf_tensor__(self, dtype: Any = None, name: Any = None) -> tf.Tensor:
        return tf.convert_to_tensor(self.seen(), dtype=dtype, name=name)

    def __pos__(self) -> tf.Tensor:
        return self.seen()

    def __round__(self, ndigits: int | None = None) -> tf.Tensor:
        del ndigits  # They are whole numbers.
        return self.seen()

    def __int__(self) -> int:
        return int(self.numpy())

    def __float__(self) -> float:
        return float(self.numpy())

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} path={self.path}, shape={self.shape}, "
            f"dtype={self.dtype}>"
        )


def _of_what_is_seen(name: str) -> Callable[..., Any]:
    def operator(self: _View, *others: Any) -> Any:
        return getattr(self.seen(), name)(*others)

    return operator


# Keras would have them of the bytes.
for _name in tf.Tensor.OVERLOADABLE_OPERATORS:
    setattr(_View, _name, _of_what_is_seen(_name))


class SharedVariable(_View, DiscreteVariable):
    """A `DiscreteVariable` with room for what error feedback lets wait.

    It takes 1 byte of training state by weight, all in all. It reads, assigns
    and is saved as its states; only its `value` is the bytes, see
    `gxnor_tf.shared_byte`, and with it what takes that: `stateless_call`,
    `get_state_tree` and `tf.train.Checkpoint`, whose files only such a
    variable can read. A state that is assigned anew keeps its moment, another
    one begins with none.

    Args:
        initializer: As of `DiscreteVariable`.
        space: The `DiscreteSpace` of the states, of n <= 4.
        shape: Likewise.
        trainable: Likewise.
        name: Likewise.

    Raises:
        ValueError: Likewise, and if the space has too many states.

    Example:

    >>> from gxnor_tf.discrete_space import DiscreteSpace
    >>> weights = SharedVariable(np.array([1, 0, -1], np.int8),
    ...                          space=DiscreteSpace(1))
    >>> weights.numpy().tolist(), weights.value.numpy().tolist()
    ([1, 0, -1], [127, 0, -127])
    >>> moment = MomentView(weights, "moment")
    >>> _ = moment.assign(np.array([-2, 3, 0], np.int8))
    >>> weights.numpy().tolist(), moment.numpy().tolist()
    ([1, 0, -1], [-2, 3, 0])
    """

    @property
    def shared(self) -> SharedByte:
        """How states and moments share a byte."""
        return SharedByte(self.space)

    def seen(self) -> tf.Tensor:
        """The states, int8."""
        return tf.cast(self.shared.states(self.value), tf.int8)

    def assign(self, value: Any) -> Any:
        """Assigns states, checked; those that stay keep their moments."""
        self.check(value)
        states = self._floats(value)
        before = tf.convert_to_tensor(self.value)
        codes = tf.where(
            states == self.shared.states(before), self.shared.codes(before), 0.0
        )
        keras.Variable.assign(self, self.shared.join(states, codes))
        return value

    def _encode(self, states: Any) -> tf.Tensor:
        states = tf.cast(tf.convert_to_tensor(states), tf.float32)
        return self.shared.join(states, tf.zeros_like(states))

    def _decode(self, stored: tf.Tensor, dtype: str) -> tf.Tensor:
        return tf.cast(self.shared.states(stored), dtype)


class MomentView(_View):
    """The moments in the bytes of a `SharedVariable`, as their codes.

    Args:
        of: The weights.
        name: Name of the variable.
    """

    def __init__(self, of: SharedVariable, name: str) -> None:
        self._of = of
        super().__init__(of.value, dtype="int8", trainable=False, name=name)

    def seen(self) -> tf.Tensor:
        """The codes, int8."""
        return tf.cast(self._of.shared.codes(self._of.value), tf.int8)

    def assign(self, value: Any) -> Any:
        """Assigns codes; one that points out of the space becomes 0.

        Raises:
            ValueError: If a concrete one is no code.
        """
        self.check(value)
        shared = self._of.shared
        states = shared.states(self._of.value)
        keras.Variable.assign(self, shared.join(states, self._floats(value)))
        return value

    def check(self, value: Any) -> None:
        """Raises ValueError for what is no code, if it is known."""
        if tf.is_symbolic_tensor(value):
            return
        codes, levels = np.asarray(value), self._of.shared.levels
        outside = codes[~np.isin(codes, np.arange(-levels, levels + 1))]
        if outside.size:
            shown = ", ".join(str(x) for x in outside.ravel()[:5])
            raise ValueError(
                f"`{self.path}` holds moments beside states of "
                f"{self._of.space}: whole numbers from {-levels} to {levels}. "
                f"Received {outside.size} of {codes.size} others, such as "
                f"{shown}"
            )
