# SPDX-License-Identifier: Apache-2.0
"""Trains the CIFAR-10 network of Deng et al., 2018 (arXiv 1705.09283).

python -m train.cifar10 --output_dir=DIR
"""

from train import program

if __name__ == "__main__":
    program.main("cifar10")
