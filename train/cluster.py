# SPDX-License-Identifier: Apache-2.0
"""Who takes part in a run over several processes: TF_CONFIG, checked."""

import dataclasses
import json
import os
from typing import Any

from train.errors import UserError

_EXAMPLE = (
    """TF_CONFIG='{"cluster": {"worker": ["host0:2222", "host1:2222"]}, """
    """"task": {"type": "worker", "index": 0}}'"""
)


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The processes of a run, and which of them this one is.

    Attributes:
        addresses: `host:port` of every process, the chief first.
        rank: Position of this process among them.
    """

    addresses: tuple[str, ...]
    rank: int

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the files: the first one does."""
        return self.rank == 0

    @classmethod
    def from_environment(cls) -> "Cluster":
        """Reads `TF_CONFIG`, as TensorFlow itself does.

        Raises:
            UserError: If it is missing or malformed, or asks for something
                other than a chief and workers.
        """
        text = os.environ.get("TF_CONFIG", "")
        if not text:
            raise UserError(
                "distribute=multiworker needs the environment variable "
                "TF_CONFIG, the same cluster and another index in every "
                f"process, such as {_EXAMPLE}. Received: none"
            )
        try:
            return cls._parsed(json.loads(text))
        except (ValueError, TypeError, KeyError) as error:
            raise UserError(
                f"TF_CONFIG is wrong: {_reason(error)}. It must be JSON such "
                f"as {_EXAMPLE}. Received: TF_CONFIG={text!r}"
            ) from error

    @classmethod
    def _parsed(cls, content: Any) -> "Cluster":
        jobs, task = content["cluster"], content["task"]
        for job in jobs:
            if job not in ("chief", "worker"):
                raise ValueError(f"a job {job!r} has no part in this training")
        kind, index = task["type"], task["index"]
        if kind not in jobs:
            raise ValueError(f"there is no job {kind!r} in the cluster")
        if type(index) is not int or not 0 <= index < len(jobs[kind]):
            raise ValueError(
                f"the index of the task must be in 0..{len(jobs[kind]) - 1}, "
                f"and is {index!r}"
            )
        addresses = [*jobs.get("chief", []), *jobs.get("worker", [])]
        for address in addresses:
            if not isinstance(address, str) or ":" not in address:
                raise ValueError(f"{address!r} is no host:port")
        if len(set(addresses)) != len(addresses):
            raise ValueError("two processes have the same address")
        before = len(jobs.get("chief", [])) if kind == "worker" else 0
        return cls(tuple(addresses), before + index)


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"no JSON ({error})"
    if isinstance(error, KeyError):
        return f"{error} is missing"
    if isinstance(error, TypeError):
        return "a part of it has the wrong type"
    return str(error)
