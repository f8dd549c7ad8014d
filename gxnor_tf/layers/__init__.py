# SPDX-License-Identifier: Apache-2.0
"""Keras layers with discrete weights and activations."""

from gxnor_tf.layers.activation import DiscreteActivation as DiscreteActivation
from gxnor_tf.layers.conv import DiscreteConv1D as DiscreteConv1D
from gxnor_tf.layers.conv import DiscreteConv2D as DiscreteConv2D
from gxnor_tf.layers.conv_transpose import (
    DiscreteConv2DTranspose as DiscreteConv2DTranspose,
)
from gxnor_tf.layers.dense import DiscreteDense as DiscreteDense
from gxnor_tf.layers.depthwise import (
    DiscreteDepthwiseConv2D as DiscreteDepthwiseConv2D,
)
from gxnor_tf.layers.pooling import MaxPooling2D as MaxPooling2D
from gxnor_tf.layers.separable import (
    DiscreteSeparableConv2D as DiscreteSeparableConv2D,
)
