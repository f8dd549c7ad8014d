# SPDX-License-Identifier: Apache-2.0
"""The named cases of the unified framework.

Deng et al., 2018 (arXiv 1705.09283) order the known networks in one plane: by
the n of the weights' space Z_n and that of the activations'.

- `float`: weights and activations are real, full precision
- `bwn`: binary weights (n = 0), real activations
- `twn`: ternary weights (n = 1), real activations
- `bnn`: both binary, the XNOR network: no gate ever rests
- `gxnor`: both ternary, gated XNOR: a zero closes a gate

Every other pair (n1, n2) is a multi-level network; it needs no name.
"""

import dataclasses

from gxnor_tf.discrete_space import DiscreteSpace, get_space


@dataclasses.dataclass(frozen=True)
class Preset:
    """A pair of spaces; None stands for full precision.

    Args:
        weight_space: For the layers' `weight_space`.
        activation_space: For `DiscreteActivation`.
    """

    weight_space: DiscreteSpace | None
    activation_space: DiscreteSpace | None


PRESETS = {
    name: Preset(get_space(weight_n), get_space(activation_n))
    for name, (weight_n, activation_n) in {
        "float": (None, None),
        "bwn": (0, None),
        "twn": (1, None),
        "bnn": (0, 0),
        "gxnor": (1, 1),
    }.items()
}


def get(name: str) -> Preset:
    """The preset of a name.

    Args:
        name: One of `float`, `bwn`, `twn`, `bnn`, `gxnor`.

    Returns:
        Its `Preset`.

    Raises:
        ValueError: If there is no such preset.

    Example:

    >>> preset = get("twn")
    >>> preset.weight_space, preset.activation_space
    (DiscreteSpace(n=1, half_range=1.0), None)

    References:

    - [Deng et al., 2018](https://arxiv.org/abs/1705.09283).
    """
    if name not in PRESETS:
        raise ValueError(
            f"There is no preset of that name. Use one of {list(PRESETS)}; "
            "for a multi-level network give `weight_space` and the "
            f"activation's `space` directly. Received: name={name!r}"
        )
    return PRESETS[name]
