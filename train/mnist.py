# SPDX-License-Identifier: Apache-2.0
"""Trains the MNIST network of Deng et al., 2018 (arXiv 1705.09283).

python -m train.mnist --output_dir=DIR
"""

from train import program

if __name__ == "__main__":
    program.main("mnist")
