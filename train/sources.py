# SPDX-License-Identifier: Apache-2.0
"""Where data sets come from: several places, tried one after the other."""

import os
import pathlib
from collections.abc import Callable, Mapping

from absl import logging

from train import records

# Training records and test records.
Parts = tuple[records.Records, records.Records]


class SourceError(Exception):
    """One source cannot give the data; the message says why."""


class UnavailableError(Exception):
    """No source can give the data.

    Attributes:
        reasons: One line for each source that was tried.
    """

    def __init__(self, reasons: list[str]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons


def cache_folder(data_dir: str | os.PathLike[str] | None) -> pathlib.Path:
    """The folder for downloads: `data_dir`, else the user's cache folder."""
    if data_dir is not None:
        return pathlib.Path(data_dir).expanduser()
    if own := os.environ.get("GXNOR_TF_CACHE"):
        return pathlib.Path(own).expanduser()
    if base := os.environ.get("XDG_CACHE_HOME"):
        return pathlib.Path(base) / "gxnor_tf"
    return pathlib.Path.home() / ".cache" / "gxnor_tf"


def first(
    name: str, places: Mapping[str, Callable[[], Parts]], sha256: str
) -> tuple[Parts, str]:
    """Gives a data set from the first place that has it.

    Args:
        name: What to call the data set in a message.
        places: By what to call a place, a function that gives the training
            and the test records or raises SourceError.
        sha256: `records.digest` that the right records have. Whatever the
            place, other records are refused.

    Returns:
        `((training records, test records), place)`, both in canonical order.

    Raises:
        UnavailableError: If no place has it.
    """
    reasons = []
    for place, get in places.items():
        try:
            parts = get()
            found = records.digest(*parts)
            if found != sha256:
                raise SourceError(
                    f"its records are not {name}'s: their SHA-256 is "
                    f"{found}, not {sha256}"
                )
            return parts, place
        except SourceError as error:
            reasons.append(f"{place}: {error}")
            logging.info("%s: %s", name, reasons[-1])
    raise UnavailableError(reasons)
