# SPDX-License-Identifier: Apache-2.0
"""Trains the MNIST network of Deng et al., 2018 (arXiv 1705.09283).

python -m train.mnist --output_dir=DIR
"""

from collections.abc import Sequence

from absl import app

from train import config, program


def main(argv: Sequence[str]) -> None:
    """Trains as the flags say."""
    program.run("mnist", argv)


if __name__ == "__main__":
    config.define_flags("mnist")
    app.run(main)
