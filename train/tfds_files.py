# SPDX-License-Identifier: Apache-2.0
"""Data sets of TensorFlow Datasets (TFDS)."""

import os
import socket
import urllib.parse
import urllib.request
from typing import Any

import numpy as np

from train import records
from train.sources import Parts, SourceError, cache_folder

_CONNECT_SECONDS = 4.0


def load(name: str, data_dir: str | os.PathLike[str] | None = None) -> Parts:
    """Asks TFDS, whose own folder is used unless a folder was given.

    TFDS checks what it downloads, but it can take one data set for another:
    those whose files have the same names share what it unpacked. So callers
    check what comes out.

    Args:
        name: Name of the data set at TFDS.
        data_dir: Folder for downloads.

    Returns:
        Training records and test records, in canonical order.

    Raises:
        SourceError: If they cannot be had.
    """
    folder = None
    if data_dir is not None:
        folder = cache_folder(data_dir) / "tensorflow_datasets"
    try:
        import tensorflow_datasets as tfds

        builder = tfds.builder(name, data_dir=folder)
        if not builder.is_prepared():
            # TFDS tries for minutes before it gives up without a network.
            check_reachable(builder.url_infos or {})
            builder.download_and_prepare()
        parts = []
        for part in ("train", "test"):
            split = tfds.as_numpy(builder.as_dataset(split=part, batch_size=-1))
            parts.append(records.canonical(split["image"], split["label"]))
    except SourceError:
        raise
    except Exception as error:  # TFDS raises many types, some of its own.
        first_line = str(error).strip().partition("\n")[0]
        raise SourceError(f"{type(error).__name__}: {first_line}") from error
    return parts[0], parts[1]


def load_sized(
    name: str,
    sizes: tuple[int, int],
    image_shape: tuple[int, int, int],
    data_dir: str | os.PathLike[str] | None = None,
) -> Parts:
    """As `load`, for data sets of which only the sizes are known here.

    Args:
        name: Name of the data set at TFDS.
        sizes: Numbers of training and of test records.
        image_shape: `(height, width, channels)`.
        data_dir: Folder for downloads.

    Raises:
        SourceError: If the data cannot be had or has other sizes.
    """
    parts = load(name, data_dir)
    wanted = [(size, *image_shape) for size in sizes]
    found = [part.images.shape for part in parts]
    if found != wanted or any(p.images.dtype != np.uint8 for p in parts):
        raise SourceError(
            f"its images are not those of {name}: their shapes are {found}, "
            f"not {wanted}"
        )
    return parts


def check_reachable(urls: Any) -> None:
    """Raises SourceError unless the hosts accept a connection soon."""
    if set(urllib.request.getproxies()) & {"http", "https", "all"}:
        return  # Only the proxy can tell.
    places = set()
    for url in urls:
        parsed = urllib.parse.urlsplit(url)
        port = parsed.port or (80 if parsed.scheme == "http" else 443)
        places.add((parsed.hostname, port))
    for host, port in sorted(places):
        try:
            socket.create_connection((host, port), _CONNECT_SECONDS).close()
        except OSError as error:
            raise SourceError(
                f"its download host {host} cannot be reached: {error}"
            ) from error
