# SPDX-License-Identifier: Apache-2.0
"""The few things that no public name does, each with its reason."""

import inspect
from typing import Any

import keras
import tensorflow as tf


def variable_index(optimizer: keras.optimizers.Optimizer, variable: Any) -> int:
    """Position of a variable in the list that the optimizer was built with.

    `update_step` receives the backend's variable, under a distribution
    strategy one of its replicas. Keras' own documentation of custom optimizers
    finds its state by `_get_variable_index`; there is no public name for it.
    """
    return int(optimizer._get_variable_index(variable))


def given_learning_rate(optimizer: keras.optimizers.Optimizer) -> Any:
    """A variable for a number, otherwise the schedule that was given.

    The public `learning_rate` is the schedule's value at the optimizer's own
    count, which tells neither the kind nor the value at another count.
    """
    return optimizer._learning_rate


def batches(optimizer: keras.optimizers.Optimizer) -> Any:
    """The number of batches seen, at which Keras evaluates schedules.

    The public `iterations` counts updates, with gradient accumulation fewer.
    """
    return optimizer._iterations


# Methods of an optimizer that may be its own although only `build` and
# `update_step` of it are called.
_SAFE_HOOKS = {"build", "update_step", "get_config", "from_config"}


def overridden_hooks(optimizer: keras.optimizers.Optimizer) -> list[str]:
    """What an optimizer does otherwise than every Keras optimizer does.

    Keras' own `apply` calls private hooks (Nadam changes its state in
    `_backend_update_step`), of which there is no public list: everything that
    the base class has and a class below it has again is one.
    """
    base = keras.optimizers.Optimizer
    classes = type(optimizer).mro()
    own = {
        name for made in classes[: classes.index(base)] for name in vars(made)
    }

    def is_hook(name: str) -> bool:
        known = getattr(base, name, None)
        return callable(known) or isinstance(known, property)

    return sorted(
        name
        for name in own - _SAFE_HOOKS
        if is_hook(name) and not name.startswith("__")
    )


def trained_variables(
    optimizer: keras.optimizers.Optimizer,
) -> list[keras.Variable]:
    """The model variables that an optimizer was built with, in order.

    Which they are decides whether its state fits a model; it can be seen in
    its own variables' names and shapes only in part.
    """
    return list(optimizer._trainable_variables)


def asking_optimizer() -> keras.optimizers.Optimizer | None:
    """The optimizer from whose code this is called, if it is from one.

    A variable cannot learn by a public name which optimizer is about to
    change it: Keras reads its properties, and passes nothing. An ordinary
    optimizer must be told apart from a `LossScaleOptimizer` around the right
    one, which reads the same before that one starts, in threads and graphs of
    its own. The innermost method of an optimizer on the stack is the answer
    in all of these.
    """
    frame = inspect.currentframe()
    while frame is not None:
        asking = frame.f_locals.get("self")
        if isinstance(asking, keras.optimizers.Optimizer):
            return asking
        frame = frame.f_back
    return None


def sublayers(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """The layers that a layer holds, each once, without theirs.

    `keras.Model` publishes them as `layers`, an ordinary layer, such as a
    wrapper or a block of one's own, does not.
    """
    if isinstance(layer, keras.Model):
        return list(layer.layers)
    return list(layer._flatten_layers(include_self=False, recursive=False))


def let_int8_be_broadcast(strategy: tf.distribute.Strategy) -> None:
    """Makes a multi-worker strategy able to create int8 variables.

    It sends the first worker's initial values to the others, and TensorFlow
    2.21 has no CPU kernel that broadcasts int8 ("No OpKernel was registered to
    support Op 'CollectiveBcastSend'"). They are sent as int32 instead. There
    is no public hook between the initializer and that broadcast.
    """
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return
    extended = strategy.extended
    original = extended._get_variable_creator_initial_value
    if getattr(original, "broadcasts_int8", False):
        return

    def creator(
        replica_id: int, device: Any, primary_var: Any, **kwargs: Any
    ) -> Any:
        initial = kwargs["initial_value"]
        # Other replicas of a worker copy the first one's variable.
        if replica_id != 0 or kwargs.get("dtype") != tf.int8:
            return original(replica_id, device, primary_var, **kwargs)

        def as_int32() -> tf.Tensor:
            return tf.cast(
                initial() if callable(initial) else initial, tf.int32
            )

        kwargs |= {"initial_value": as_int32, "dtype": tf.int32}
        receive = original(replica_id, device, primary_var, **kwargs)
        return lambda: tf.cast(receive(), tf.int8)

    creator.broadcasts_int8 = True  # type: ignore[attr-defined]
    extended._get_variable_creator_initial_value = creator


def inside_xla() -> bool:
    """Whether a graph is traced that XLA will compile.

    `jit_compile=True` belongs to the function that is called, and no public
    name tells of it inside. TensorFlow's own strategies and losses ask the
    same. A function without it that is called from inside and from outside is
    traced once, so that the answer may choose between forms only of which
    either would do.
    """
    return tf.__internal__.get_enclosing_xla_context() is not None


def inside_xla_on_cpu() -> bool:
    """Whether XLA will compile, with CPUs alone; see `inside_xla()`.

    Other devices have kernels of their own for what XLA makes slow on these.
    """
    if not inside_xla():
        return False
    devices = tf.config.list_logical_devices()
    return all(device.device_type == "CPU" for device in devices)
