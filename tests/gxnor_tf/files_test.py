# SPDX-License-Identifier: Apache-2.0
"""Files are complete or not there."""

import errno
import os
import pathlib
import signal
import stat
import subprocess
import sys

import pytest

from gxnor_tf import files
from gxnor_tf.files import naming, remove_leftovers, replacing
from tests.privileges import WITHOUT_OVERRIDE

# Writes a file in a process of its own, without TensorFlow, which the module
# does not need. It is killed before the nth line of the module, or half way
# through the writing; 0 is never.
WRITER = """
import importlib.util, os, pathlib, resource, signal, sys

module, path, lines, limit = sys.argv[1:]
spec = importlib.util.spec_from_file_location("files", module)
files = importlib.util.module_from_spec(spec)
spec.loader.exec_module(files)
left = int(lines) if lines != "half" else 0

def trace(frame, event, arg):
    global left
    if frame.f_code.co_filename != module:
        return None
    if event == "line":
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    return trace

if int(limit):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
try:
    sys.settrace(trace)
    with files.replacing(pathlib.Path(path)) as temporary:
        with temporary.open("w") as stream:
            stream.write("new" * 1000)
            stream.flush()
            if lines == "half":
                os.kill(os.getpid(), signal.SIGKILL)
            stream.write("new" * 1000)
    sys.settrace(None)
except OSError as error:
    print(type(error).__name__, error)
"""


def write(path, lines=0, limit=0, wrapper=()):
    return subprocess.run(
        [
            *(*wrapper, sys.executable, "-c", WRITER),
            *(files.__file__, path, str(lines), str(limit)),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_replaces_a_file_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("old")
    with replacing(path) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".json"
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["report.json"]


def test_failure_keeps_the_old_file(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["report.json"]


def test_mode_is_that_of_an_ordinary_file(tmp_path):
    ordinary = tmp_path / "ordinary"
    ordinary.write_text("")
    with replacing(tmp_path / "written") as temporary:
        temporary.write_text("text")
    modes = [
        stat.S_IMODE((tmp_path / name).stat().st_mode)
        for name in ("ordinary", "written")
    ]
    assert modes[0] == modes[1]


def test_killed_at_any_line(tmp_path):
    """The file is the old one or the new one, and the next writer cleans up."""
    path = tmp_path / "report.json"
    found = set()
    line = 0
    while True:
        line += 1
        path.write_text("old")
        done = write(path, line)
        if done.returncode == 0:  # It has no such line any more.
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        others = sorted(set(os.listdir(tmp_path)) - {"report.json"})
        assert len(others) <= 1
        found.add((path.read_text()[:3], len(path.read_text()), len(others)))
    assert line > 30
    assert os.listdir(tmp_path) == ["report.json"]
    # Nothing written, in a temporary file, in its place.
    assert found == {("old", 3, 0), ("old", 3, 1), ("new", 6000, 0)}


def test_killed_again_and_again_leaves_one_temporary_file(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("old")
    for _ in range(3):
        assert write(path, "half").returncode == -signal.SIGKILL
        assert path.read_text() == "old"
        (leftover,) = set(os.listdir(tmp_path)) - {"report.json"}
        assert (tmp_path / leftover).stat().st_size == 3000
    remove_leftovers(path)
    assert os.listdir(tmp_path) == ["report.json"]


def test_writers_that_live_keep_their_temporary_files(tmp_path):
    path = tmp_path / "report.json"
    with replacing(path) as one:
        with replacing(path) as other:
            remove_leftovers(path)
            assert one != other
            assert one.exists() and other.exists()
            other.write_text("other")
        assert path.read_text() == "other"
        one.write_text("one")
    assert path.read_text() == "one"
    assert os.listdir(tmp_path) == ["report.json"]


def test_nobody_elses_file_is_taken_for_a_leftover(tmp_path):
    names = [
        *(".report.original.json", "report.json.bak", ".report.json"),
        ".other.gxnor-writing-abcdefgh.json",
        ".report.gxnor-writing-abcdefgh.csv",
    ]
    for name in names:
        (tmp_path / name).write_text("mine")
    with replacing(tmp_path / "report.json") as temporary:
        temporary.write_text("new")
    assert sorted(os.listdir(tmp_path)) == sorted([*names, "report.json"])


def test_file_and_folder_reach_the_disk(tmp_path, monkeypatch):
    """A power cut loses neither the content nor the name."""
    done = []
    sync, rename = os.fsync, os.replace

    def fsync(handle):
        done.append(pathlib.Path(os.readlink(f"/proc/self/fd/{handle}")))
        sync(handle)

    def replace(source, target):
        done.append((source, target))
        rename(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    path = tmp_path / "report.json"
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert done == [temporary, (temporary, path), tmp_path]


def test_a_folder_that_cannot_be_synced_is_no_error(tmp_path, monkeypatch):
    sync = os.fsync

    def fsync(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(number, os.strerror(number))
        sync(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    number = errno.EINVAL
    with replacing(tmp_path / "report.json") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "report.json").read_text() == "new"
    number = errno.EIO
    with pytest.raises(OSError, match="report.json` cannot be written"):
        with replacing(tmp_path / "report.json") as temporary:
            temporary.write_text("new")


def test_no_room(tmp_path):
    """A limit of file sizes fails as a full disk does: in the middle."""
    path = tmp_path / "report.json"
    path.write_text("old")
    done = write(path, limit=4000)
    assert done.stdout == (
        f"OSError `{path}` cannot be written (File too large). Raise the limit "
        "of file sizes, `ulimit -f`.\n"
    )
    assert done.stderr == ""
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["report.json"]


def test_folder_that_is_read_only(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("old")
    tmp_path.chmod(0o555)
    try:
        done = write(path, wrapper=WITHOUT_OVERRIDE)
    finally:
        tmp_path.chmod(0o755)
    assert done.stdout == (
        f"PermissionError `{path}` cannot be written (Permission denied). Make "
        "its folder writable, or choose another.\n"
    )
    assert path.read_text() == "old"


def test_errors_keep_type_and_number(tmp_path):
    for number, kind, cure in (
        (errno.ENOSPC, OSError, "Make room on the disk"),
        (errno.ENOENT, FileNotFoundError, "Create its folder"),
        (errno.EROFS, OSError, "Choose a folder on a disk that can"),
        (errno.EIO, OSError, "Choose another path"),
    ):
        with pytest.raises(OSError) as caught, naming(tmp_path):
            raise OSError(number, os.strerror(number))
        assert type(caught.value) is kind
        assert caught.value.errno == number
        text = f"`{tmp_path}` cannot be written ({os.strerror(number)}). {cure}"
        assert str(caught.value).startswith(text)
    own = OSError("`a` is a pipe.")
    with pytest.raises(OSError) as caught, naming(tmp_path):
        raise own
    assert caught.value is own
