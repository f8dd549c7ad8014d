# SPDX-License-Identifier: Apache-2.0
"""Discrete ops with ordinary int8 ops, exact in every runtime.

A ternary activation is the requantization of an int8 op; one of more levels is
a sum of ternary ones. Where int8 ops cannot be exact the sums are computed in
float32, which holds them exactly, too.
"""

import numpy as np

from ..flatbuffer_builder import WRITER
from ..program import DiscreteOp, FloatOp, Int32Array, Op, Program, Window
from .kernel_writer import KernelWriter

# Weights times this are the most that leaves the biases room: the head room
# that TFLite's fixed-point rounding of small sums needs.
_MAX_GAIN = 64

# Two roundings of half a unit each must not reach the next sum.
_MIN_GAIN = 4

# Beyond it float32 requantization no longer separates neighbouring sums.
_MAX_INT8_SUM = 2**20

# More saturating windows than this make the op larger than sensible.
_MAX_WINDOWS = 32


class BuiltinLowering(KernelWriter):
    """Writes a program with builtin ops only.

    Args:
        program: The program.
        description: Free text in the file.
    """

    def __init__(
        self, program: Program, description: str = f"{WRITER}, builtin ops"
    ) -> None:
        super().__init__(program, description)

    def write(self, op: Op) -> None:
        """Writes an op."""
        if isinstance(op, DiscreteOp):
            self.write_discrete(op)
        elif isinstance(op, FloatOp):
            self.write_float(op)
        else:
            super().write(op)

    def write_discrete(self, op: DiscreteOp) -> None:
        """Writes a convolution or fully connected op on states."""
        if op.thresholds is not None:
            if _gain(op) >= _MIN_GAIN and op.bound <= _MAX_INT8_SUM:
                self._int8_staircase(op)
            else:
                self.float_staircase(op, self._float_sums(op))
        elif op.output.is_states:
            zeros = np.zeros(len(op.kernel), np.int32)
            ones = np.ones(len(op.kernel))
            index = self.int8_kernel_op(op, op.kernel, zeros, ones, "NONE")
            self.set_form(op.output, "int8", index)
        else:
            self.set_form(op.output, "float32", self._sums(op))

    # Activations.

    def _int8_staircase(self, op: DiscreteOp) -> None:
        """A staircase as the sum of ternary ones, then the pool.

        All of them read the same weights; their biases and scales differ.
        """
        assert op.thresholds is not None
        states = None
        for low, high in op.thresholds.pairs:
            one = self._ternary(op, low, high)
            if states is None:
                states = one
                continue
            total = self._activation_tensor(op, "sum")
            self.builder.builtin("ADD", [states, one], [total], version=2)
            states = total
        assert states is not None
        self.finish_activation(op, states)

    def _ternary(
        self, op: DiscreteOp, low: Int32Array, high: Int32Array
    ) -> int:
        """An int8 op whose requantization is a ternary activation.

        With `v = 2 sum - (high + low - 1)` and `c = high - low - 1` the
        activation is the sign of v where |v| > c, else 0. As v has the parity
        of c, it is `clip(round(v / (2 (c + 1))), -1, 1)`, with equal margins
        on both sides; where c = -1 there is no zero and the sign of the odd v
        remains.
        """
        gain = _gain(op)  # of the sums, even, so that of v is whole
        high64, low64 = high.astype(np.int64), low.astype(np.int64)
        multiplier = 0.5 / np.maximum(high64 - low64, 0.5) * 2 / gain
        bias = (-(high64 + low64 - 1) * gain // 2).astype(np.int32)
        kernel = (op.kernel.astype(np.int32) * gain).astype(np.int8)
        return self.int8_kernel_op(op, kernel, bias, multiplier, "RELU_N1_TO_1")

    def float_staircase(self, op: DiscreteOp, sums: int) -> None:
        """A staircase of exact float32 sums, then the pool.

        As sums and thresholds are whole, `clip(sum - t + 1, 0, 1)` is 1 from
        the threshold t on and 0 below. All numbers are whole and at most
        2^24, hence exact.
        """
        assert op.thresholds is not None
        shape, name = op.sums_shape, op.name
        one = self.number(1.0)
        total = self.number(float(op.thresholds.lowest))
        for step in op.thresholds.steps:
            offset = self.constant(
                f"{name}/threshold", (1 - step.astype(np.int64)).astype("f4")
            )
            above = self.float_op(
                "ADD",
                [sums, offset],
                f"{name}/above",
                shape,
                fused_activation_function="RELU",
            )
            reached = self.float_op(
                "MINIMUM", [above, one], f"{name}/reached", shape
            )
            if op.thresholds.stride != 1:
                stride = self.number(float(op.thresholds.stride))
                reached = self.float_op(
                    "MUL", [reached, stride], f"{name}/strides", shape
                )
            total = self.float_op(
                "ADD", [total, reached], f"{name}/float_states", shape
            )
        states = self._activation_tensor(op, "states")
        self.builder.builtin("QUANTIZE", [total], [states])
        self.finish_activation(op, states)

    def finish_activation(self, op: DiscreteOp, states: int) -> None:
        """The pool behind the int8 states, if there is one."""
        if op.pool is not None:
            pooled = self.new_tensor(op.output.name, op.output.shape, np.int8)
            self.pool("MAX_POOL_2D", states, pooled, op.pool, True)
            states = pooled
        self.set_form(op.output, "int8", states)

    def _activation_tensor(self, op: DiscreteOp, what: str) -> int:
        return self.new_tensor(
            f"{op.output.name}/{what}", op.sums_shape, np.int8
        )

    # Sums.

    def _sums(self, op: DiscreteOp) -> int:
        """The exact sums as float32, from int8 ops where that is sensible.

        An int8 output saturates: `s_k = clip(sum - m_k, -128, 127)`. With
        centres `m_k = 255 k - 128 (W - 1)`, k = 0..W-1, the windows tile the
        line and `sum = s_0 + ... + s_(W-1)` for `-128 W <= sum <= 127 W`:
        exactly one of them is not saturated, and the others' limits cancel the
        centres.
        """
        weights = np.abs(op.kernel.astype(np.int64)).sum((1, 2, 3))
        bound = op.input.peak * int(weights.max())
        windows = max(1, -(-bound // 127))
        if windows > _MAX_WINDOWS or (windows > 1 and op.groups > 1):
            return self._float_sums(op)
        channels = len(op.kernel)
        centres = 255 * np.arange(windows) - 128 * (windows - 1)
        parts = self.int8_kernel_op(
            op,
            np.tile(op.kernel, (windows, 1, 1, 1)),
            -np.repeat(centres, channels).astype(np.int32),
            np.ones(windows * channels),
            "NONE",
        )
        shape = (*op.sums_shape[:-1], windows * channels)
        floats = self.float_op(
            "DEQUANTIZE",
            [parts],
            f"{op.name}/saturated_sums",
            shape,
            version=2,
        )
        if windows == 1:
            return floats
        adder = np.tile(np.eye(channels, dtype=np.float32), windows)
        name = f"{op.name}/adder"
        weights_index = self.constant(
            f"{name}/weights",
            adder if op.fully_connected else adder[:, None, None],
        )
        bias = self.constant(f"{name}/bias", np.zeros(channels, np.float32))
        return self.kernel_op(
            name,
            (floats, weights_index, bias),
            Window((1, 1)),
            fully_connected=op.fully_connected,
            depthwise=False,
            input_shape=(*shape[:-1], windows * channels),
            output_shape=op.sums_shape,
            dtype=np.float32,
        )

    def _float_sums(self, op: DiscreteOp) -> int:
        """The exact sums from a float32 op with int8 weights."""
        return self.float_kernel_op(op, self.dequantized(op.input))


def _gain(op: DiscreteOp) -> int:
    """What the weights can be multiplied with, a power of two."""
    peak = int(np.abs(op.kernel.astype(np.int64)).max(initial=1))
    gain = _MAX_GAIN
    while gain > 1 and gain * peak > 127:
        gain //= 2
    return gain
