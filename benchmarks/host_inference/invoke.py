# SPDX-License-Identifier: Apache-2.0
"""Invokes a model some times; `instructions` counts what that takes.

It imports little, for every instruction of the process is counted.
"""

import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter, load_delegate


def main() -> None:
    """Arguments: model, file of its input, count, delegate library or ""."""
    model, x, count, library = sys.argv[1:]
    delegates = [load_delegate(library)] if library else []
    interpreter = Interpreter(
        model, experimental_delegates=delegates, num_threads=1
    )
    interpreter.allocate_tensors()
    index = interpreter.get_input_details()[0]["index"]
    interpreter.set_tensor(index, np.load(x))
    for _ in range(int(count)):
        interpreter.invoke()


if __name__ == "__main__":
    main()
