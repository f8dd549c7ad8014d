# SPDX-License-Identifier: Apache-2.0
"""Runs a `.tflite` file in the LiteRT interpreter."""

from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from .delegate import load_delegate
from .op_schema import CUSTOM_CODES


class Runner:
    """A file in an interpreter, with the delegate where it needs it.

    Args:
        data: Content of a `.tflite` file.
        num_threads: Threads of the interpreter.
        xnnpack: Whether LiteRT may use its default delegate.
        kernels: Those of the delegate; see `load_delegate`.

    Raises:
        ValueError: If `data` is no `.tflite` file, or `kernels` are unknown.
        FileNotFoundError: If the file needs the delegate library, which is
            missing.
    """

    def __init__(
        self,
        data: bytes,
        num_threads: int = 1,
        xnnpack: bool = True,
        kernels: str = "auto",
    ) -> None:
        delegates = []
        if uses_custom_ops(data):
            delegates.append(load_delegate(kernels))
        resolver = (
            OpResolverType.AUTO
            if xnnpack
            else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        )
        self._interpreter = Interpreter(
            model_content=data,
            experimental_delegates=delegates,
            experimental_op_resolver_type=resolver,
            num_threads=num_threads,
        )

    def __call__(self, x: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
        """Outputs by name for a batch of inputs."""
        runner = self._interpreter.get_signature_runner()
        (name,) = runner.get_input_details()
        outputs: dict[str, npt.NDArray[Any]] = runner(**{name: x})
        return outputs

    def load(self, x: npt.NDArray[Any]) -> None:
        """Sets the inputs that `invoke` will use, for timing."""
        index = self._interpreter.get_input_details()[0]["index"]
        self._interpreter.resize_tensor_input(index, x.shape)
        self._interpreter.allocate_tensors()
        self._interpreter.set_tensor(index, np.ascontiguousarray(x))

    def invoke(self) -> None:
        """Runs once on the loaded inputs."""
        self._interpreter.invoke()


def uses_custom_ops(data: bytes) -> bool:
    """Whether a file names one of the custom ops of this library."""
    return any(code.encode() in data for code in CUSTOM_CODES)
