# SPDX-License-Identifier: Apache-2.0
"""Where a training run keeps its files, and whether it may."""

import os
import pathlib
import tempfile

from gxnor_tf.files import remove_leftovers
from train.config import Config
from train.errors import UserError


class RunFolder:
    """The output folder of a run: its files, and whether they may be there.

    Args:
        path: `--output_dir`; created if it is not there.
        resume: Whether the run in it is to be continued.
        config: The settings of the run.

    Raises:
        UserError: If the folder cannot be written, holds a run that is not to
            be continued, or one with other settings.
    """

    def __init__(
        self, path: str | os.PathLike[str], resume: bool, config: Config
    ) -> None:
        self.path = pathlib.Path(path).expanduser()
        self.config = self.path / "config.json"
        self.checkpoint = self.path / "checkpoint.npz"
        self.metrics = self.path / "metrics.csv"
        self.model = self.path / "model.keras"
        self.report = self.path / "report.json"
        self.curves = self.path / "curves.png"
        self._check_writable()
        if self.config.exists() and not resume:
            raise UserError(
                "`output_dir` already holds a run. Received: "
                f"output_dir={str(path)!r}. Add --resume to continue it, or "
                "use another --output_dir."
            )
        if resume:
            self._check_resumable(config)
        for file in (
            *(self.config, self.checkpoint, self.metrics),
            *(self.model, self.report, self.curves),
        ):
            # A killed run's; not every file is sure to be written again.
            remove_leftovers(file)

    def _check_writable(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
        except OSError as error:
            raise UserError(
                "`output_dir` must be a folder that can be written. Received: "
                f"output_dir={str(self.path)!r} ({error.strerror}). "
                "Use another --output_dir."
            ) from error

    def _check_resumable(self, config: Config) -> None:
        if not self.config.exists():
            raise UserError(
                "`output_dir` holds no run to continue. Received: "
                f"output_dir={str(self.path)!r}. Leave --resume out to start "
                "one there."
            )
        try:
            earlier = Config.from_json(self.config.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(
                f"{self.config} is damaged or of another version: {error}. "
                "Use another --output_dir."
            ) from error
        changed = [
            f"{name}={getattr(earlier, name)!r}, now {getattr(config, name)!r}"
            for name in earlier.differences(config)
        ]
        if changed:
            raise UserError(
                f"The run in {self.path} has other settings: "
                f"{'; '.join(changed)}. Give the same settings, or use "
                "another --output_dir."
            )
