# SPDX-License-Identifier: Apache-2.0
"""Keras layers with discrete weights and activations."""

from gxnor_tf.layers.activation import DiscreteActivation as DiscreteActivation
from gxnor_tf.layers.conv import DiscreteConv2D as DiscreteConv2D
from gxnor_tf.layers.dense import DiscreteDense as DiscreteDense
