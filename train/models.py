# SPDX-License-Identifier: Apache-2.0
"""What is trained, with what optimizer, for what loss."""

import dataclasses

import keras

import gxnor_tf
from gxnor_tf.layers import bfloat16_products
from train import latent, nets, schedules
from train.config import Config
from train.errors import UserError


def build(
    config: Config, image_shape: tuple[int, int, int], num_classes: int
) -> keras.Model:
    """The network `config.net`.

    Raises:
        UserError: If the images are too small, or the processor does not
            multiply in bfloat16 and should.
    """
    before = bfloat16_products.are_enabled()
    enabled = gxnor_tf.enable_bfloat16_products(config.bfloat16_products)
    try:
        if config.bfloat16_products and not enabled:
            raise UserError(
                "`bfloat16_products` must be False here: it is for x86 "
                "processors with AVX512_BF16 or AMX, without a GPU and with "
                "oneDNN. Received: bfloat16_products=True"
            )
        return nets.NETS[config.net](config, image_shape, num_classes)
    finally:
        gxnor_tf.enable_bfloat16_products(before)


def optimizer(
    config: Config, steps_per_epoch: int
) -> keras.optimizers.Optimizer:
    """The optimizer of a run.

    `DiscreteStateTransition` for weights that are trained in place, Adam for
    float ones.

    Args:
        config: The settings of the run.
        steps_per_epoch: Steps of an epoch.
    """
    learning_rate = schedules.learning_rate(config, steps_per_epoch)
    if config.trained_by_adam:
        return keras.optimizers.Adam(learning_rate)
    return gxnor_tf.DiscreteStateTransition(
        learning_rate,
        step_rule=config.step_rule,
        transition_gain=config.transition_gain,
        beta_1=config.momentum,
        memory_growth=config.memory_growth,
        full_rate_memory=config.full_rate_memory,
        moment_dtype=None if config.moment_in_kernel else config.moment_dtype,
        seed=config.seed,
    )


def loss(config: Config) -> keras.losses.Loss:
    """The loss of a run, for targets with `off_value(config)`."""
    if config.loss == "cross_entropy":
        return keras.losses.CategoricalCrossentropy(from_logits=True)
    return keras.losses.SquaredHinge()


def off_value(config: Config) -> float:
    """What the target of a wrong class is; that of the right one is 1."""
    return 0.0 if config.loss == "cross_entropy" else -1.0


def deployed(
    config: Config,
    model: keras.Model,
    image_shape: tuple[int, int, int],
    num_classes: int,
) -> keras.Model:
    """The network as it is used: with int8 weights, where they are discrete.

    Args:
        config: The settings of the run.
        model: What was trained.
        image_shape: As in `build()`.
        num_classes: As in `build()`.

    Returns:
        `model` itself, or for latent weights the network of the states that
        they stand for, which gives the same scores.
    """
    if config.training != "latent":
        return model
    made = build(
        dataclasses.replace(config, training="dst"), image_shape, num_classes
    )
    for layer, trained in zip(made.layers, model.layers, strict=True):
        layer.set_weights(latent.states_of(trained))
    return made
