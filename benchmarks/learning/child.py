# SPDX-License-Identifier: Apache-2.0
"""The process of one run: `python -m benchmarks.learning.child FOLDER`.

Reads the config, as in `config.json`, from standard input. A run that was begun
in the folder goes on.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as in `train.program`

import tensorflow as tf

from benchmarks import machine
from benchmarks.learning import runner
from train import files, loop
from train.config import Config
from train.errors import DivergedError, UserError

_ROOT = pathlib.Path(__file__).absolute().parents[2]
_CODE = ("gxnor_tf", "train", "benchmarks")


def main() -> None:
    """Trains, and notes what on, or that the run diverged."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=0, help="0: all")
    parser.add_argument("--data_dir")
    options = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    tf.config.threading.set_inter_op_parallelism_threads(options.threads)
    folder = options.folder
    try:
        config = Config.from_json(sys.stdin.read())
        _write(
            folder / runner.MACHINE,
            {
                "processor": _processor(),
                "threads": options.threads,
                "commit": _commit(),
            },
        )
        resume = (folder / "config.json").exists()
        loop.train(config, folder, options.data_dir, resume)
    except DivergedError as error:
        _write(folder / runner.FAILURE, {"error": str(error)})
    except UserError as error:
        sys.exit(f"error: {error}")


def _processor() -> str:
    """Name of what TensorFlow computes on."""
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return machine.processor()
    details = tf.config.experimental.get_device_details(gpus[0])
    return str(details.get("device_name", "unknown GPU"))


def _commit() -> str | None:
    """What git calls this version; None where it does not know.

    With `-dirty` if what a run is made with differs.
    """

    def git(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["git", *arguments], cwd=_ROOT, capture_output=True, text=True
        )

    try:
        head = git("rev-parse", "--short=12", "HEAD")
        same = git("diff", "--quiet", "HEAD", "--", *_CODE)
    except OSError:
        return None
    if head.returncode:
        return None
    return head.stdout.strip() + ("-dirty" if same.returncode else "")


def _write(path: pathlib.Path, content: dict[str, Any]) -> None:
    files.write_text(path, json.dumps(content) + "\n")


if __name__ == "__main__":
    main()
