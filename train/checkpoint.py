# SPDX-License-Identifier: Apache-2.0
"""The state of a run after a complete epoch, in one file.

Weights, optimizer and what is known of the epochs so far lie in one `.npz`
file that is replaced at once, so they can never belong to different epochs.
"""

import dataclasses
import json
import math
import pathlib

import keras
import numpy as np

from gxnor_tf.discrete_variable import DiscreteVariable
from gxnor_tf.files import replacing
from gxnor_tf.shared_variable import MomentView
from train import files
from train.errors import UserError

_PROGRESS = "progress"
_OPTIMIZER = "optimizer/"


@dataclasses.dataclass
class Progress:
    """What a run has seen.

    Attributes:
        dataset_digest: Digest of the data it is trained on.
        rows: The logs of each complete epoch.
        best_epoch: Number, from 1, of the epoch with the lowest validation
            loss; the first of equals. 0 before the first epoch.
        best_loss: That loss.
    """

    dataset_digest: str
    rows: list[dict[str, float]] = dataclasses.field(default_factory=list)
    best_epoch: int = 0
    best_loss: float = math.inf


def save(path: pathlib.Path, model: keras.Model, progress: Progress) -> None:
    """Writes weights, optimizer state and progress.

    Args:
        path: The file, `.npz`.
        model: A model whose optimizer is built.
        progress: What to keep beside them.
    """
    arrays = {
        name: variable.numpy().astype(_held_as(variable))
        for name, variable in _variables(model).items()
    }
    arrays[_PROGRESS] = np.array(json.dumps(dataclasses.asdict(progress)))
    with replacing(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, **arrays)


def restore(path: pathlib.Path, model: keras.Model) -> Progress:
    """Reads what `save()` wrote, into the variables of `model`.

    Args:
        path: The file.
        model: A model like the saved one, whose optimizer is built.

    Raises:
        UserError: If the file is damaged or belongs to another model; the
            model is then unchanged.
    """
    variables = _variables(model)
    try:
        arrays = files.read_npz(path)
        progress = _checked(
            Progress(**json.loads(str(arrays.pop(_PROGRESS)[()])))
        )
        one_sided = variables.keys() ^ arrays.keys()
        if one_sided:
            raise ValueError(_one_sided(one_sided))
        for name, variable in variables.items():
            found = (arrays[name].shape, str(arrays[name].dtype))
            wanted = (tuple(variable.shape), _held_as(variable))
            if found != wanted:
                raise ValueError(
                    f"variable {name} is {found}, and {wanted} in the model"
                )
            if isinstance(variable, DiscreteVariable | MomentView):
                variable.check(arrays[name])
    except (
        files.DamagedError,
        KeyError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise UserError(
            f"{path} is damaged or not a checkpoint of this network "
            f"({type(error).__name__}: {error}). Delete it to start the run "
            "anew, or use another --output_dir."
        ) from error
    for name, variable in variables.items():
        variable.assign(arrays[name])
    return progress


def _held_as(variable: keras.Variable) -> str:
    """Type in the file; .npz has no bfloat16, which float32 holds exactly."""
    dtype = str(variable.dtype)
    return "float32" if dtype == "bfloat16" else dtype


def _checked(progress: Progress) -> Progress:
    """Raises ValueError where a file has something else than `save()` wrote."""

    def number(value: object) -> bool:
        return isinstance(value, (int, float)) and not isinstance(value, bool)

    rows = progress.rows
    valid = {
        "dataset_digest": isinstance(progress.dataset_digest, str),
        "rows": isinstance(rows, list)
        and all(isinstance(row, dict) for row in rows)
        and all(number(value) for row in rows for value in row.values()),
        "best_epoch": type(progress.best_epoch) is int
        and progress.best_epoch >= 0,
        "best_loss": number(progress.best_loss),
    }
    for name, good in valid.items():
        if not good:
            value = getattr(progress, name)
            raise ValueError(f"progress has {name}={value!r}")
    return progress


def _variables(model: keras.Model) -> dict[str, keras.Variable]:
    """All variables by a name that is the same in every process."""
    named = {f"model/{v.path}": v for v in model.weights}
    # Keras numbers the names of optimizers by how many there were before; the
    # last part of a path says which moment of which weight it is.
    for index, variable in enumerate(model.optimizer.variables):
        # The type, too: bfloat16 and float32 are held alike.
        name = f"{variable.name}-{variable.dtype}"
        named[f"{_OPTIMIZER}{index:03d}/{name}"] = variable
    # Those of dropout; Keras does not count them among the weights.
    seeds = [v for v in model.variables if v.name == "seed_generator_state"]
    named |= {f"seed/{index:03d}": seed for index, seed in enumerate(seeds)}
    return named


def _one_sided(names: set[str]) -> str:
    """What it means that variables are only in the file or the model."""
    name = min(names)
    if all(name.startswith(_OPTIMIZER) for name in names):
        return (
            f"variable {name} is on one side only: the state is that of "
            "another optimizer or step rule"
        )
    return f"variable {name} is on one side only"
