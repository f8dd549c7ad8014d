# SPDX-License-Identifier: Apache-2.0
"""What the wheel and the source distribution hold, and what git tracks.

The wheel is built by the installed build backend, so no network is needed.
"""

import pathlib
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = pathlib.Path(__file__).absolute().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NAME = f"{PROJECT['name']}-{PROJECT['version']}"
LIBRARY = "gxnor_tf/export/libgxnor_delegate.so"

MAX_TRACKED_BYTES = 100_000
# It is generated, and long: it has the checksums of all that is installed.
LOCK = "requirements.lock.txt"
GENERATED_SUFFIXES = {
    ".a", ".bin", ".dll", ".dylib", ".exe", ".gz", ".h5", ".keras", ".npy",
    ".npz", ".o", ".pyc", ".so", ".tar", ".tflite", ".tgz", ".whl", ".xz",
    ".zip",
}  # fmt: skip


def run(*command: str, cwd: pathlib.Path) -> str:
    """Runs a command and returns its standard output."""
    result = subprocess.run(
        command,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert result.returncode == 0, (
        f"{command} returned {result.returncode}.\n"
        f"{result.stdout}\n{result.stderr}"
    )
    return result.stdout


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The source distribution of the checkout."""
    folder = tmp_path_factory.mktemp("sdist")
    build = (
        "import sys; from scikit_build_core import build; "
        "build.build_sdist(sys.argv[1])"
    )
    run(sys.executable, "-c", build, str(folder), cwd=ROOT)
    (path,) = folder.glob("*.tar.gz")
    return path


@pytest.fixture(scope="module")
def sdist_names(sdist: pathlib.Path) -> set[str]:
    """Paths in the source distribution, without its leading folder."""
    with tarfile.open(sdist) as archive:
        return {
            member.name.partition("/")[2]
            for member in archive
            if member.isfile()
        }


@pytest.fixture(scope="module")
def wheel(
    sdist: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> pathlib.Path:
    """The wheel, built from the source distribution alone."""
    folder = tmp_path_factory.mktemp("wheel")
    run(
        *(sys.executable, "-m", "pip", "wheel", "--quiet", "--quiet"),
        *("--no-deps", "--no-index", "--no-build-isolation"),
        f"--wheel-dir={folder}",
        str(sdist),
        cwd=folder,
    )
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(
    wheel: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> pathlib.Path:
    """A folder into which the wheel alone is installed."""
    folder = tmp_path_factory.mktemp("installed")
    run(
        *(sys.executable, "-m", "pip", "install", "--quiet", "--quiet"),
        *("--no-deps", "--no-index", f"--target={folder}", str(wheel)),
        cwd=folder,
    )
    return folder


def run_installed(installed: pathlib.Path, code: str) -> str:
    """Runs code that sees the installed wheel but not the checkout.

    Without `site` (-S) no .pth file of the environment is read, above all not
    that of an editable install, which leads into the checkout.
    """
    paths = sysconfig.get_paths()
    folders = [str(installed), paths["purelib"], paths["platlib"]]
    return run(
        *(sys.executable, "-I", "-S", "-c"),
        f"import sys\nsys.path.extend({folders!r})\n{code}",
        cwd=installed,
    )


def test_wheel_has_one_top_level_name(wheel: pathlib.Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.partition("/")[0] for name in archive.namelist()}
    assert tops == {"gxnor_tf", f"{NAME}.dist-info"}


def test_wheel_serves_every_python_3(wheel: pathlib.Path) -> None:
    assert re.fullmatch(rf"{re.escape(NAME)}-py3-none-\w+\.whl", wheel.name)


def test_wheel_holds_every_source_and_the_library(
    wheel: pathlib.Path,
) -> None:
    expected = {LIBRARY, "gxnor_tf/py.typed"}
    for path in (ROOT / "gxnor_tf").rglob("*.py"):
        expected.add(path.relative_to(ROOT).as_posix())
    for pattern in (
        "**/*.py",
        "runtime/**/*.[ch]",
        "runtime/**/*.cc",
        "runtime/CMakeLists.txt",
    ):
        found = list((ROOT / "export").glob(pattern))
        assert found, pattern
        for path in found:
            expected.add(f"gxnor_tf/{path.relative_to(ROOT).as_posix()}")
    with zipfile.ZipFile(wheel) as archive:
        held = {
            name
            for name in archive.namelist()
            if name.startswith("gxnor_tf/") and not name.endswith("/")
        }
    assert held == expected


def test_wheel_has_the_command_and_the_licence(wheel: pathlib.Path) -> None:
    info = f"{NAME}.dist-info"
    with zipfile.ZipFile(wheel) as archive:
        commands = archive.read(f"{info}/entry_points.txt").decode()
        licence = archive.read(f"{info}/licenses/LICENSE").decode()
    assert "gxnor-export = gxnor_tf.export.__main__:main" in commands
    assert "Apache License" in licence


def test_installed_wheel_loads_its_delegate(installed: pathlib.Path) -> None:
    output = run_installed(
        installed,
        "import gxnor_tf.export as export\n"
        "delegate = export.load_delegate()\n"
        "assert delegate is not None\n"
        "print(export.__file__)",
    )
    assert pathlib.Path(output.strip()).is_relative_to(installed)


def test_installed_wheel_finds_its_headers(installed: pathlib.Path) -> None:
    output = run_installed(
        installed,
        "from gxnor_tf import export\nprint(export.get_include())",
    )
    include = pathlib.Path(output.strip())
    assert include.is_relative_to(installed)
    assert list((include / "gxnor").glob("*.h"))


def test_installed_wheel_adds_no_other_import(
    installed: pathlib.Path,
) -> None:
    output = run_installed(
        installed,
        "import importlib.util\n"
        "for name in ('export', 'train', 'tests', 'gxnor_tf'):\n"
        "    print(name, importlib.util.find_spec(name) is not None)",
    )
    assert output.split("\n")[:-1] == [
        "export False",
        "train False",
        "tests False",
        "gxnor_tf True",
    ]


def test_sdist_holds_the_checkout(sdist_names: set[str]) -> None:
    expected = {
        path.relative_to(ROOT).as_posix()
        for folder in ("export", "gxnor_tf", "tests", "train")
        for pattern in ("*.py", "*.[ch]", "*.cc")
        for path in (ROOT / folder).rglob(pattern)
    }
    expected |= {"CMakeLists.txt", "LICENSE", "Makefile", "requirements.txt"}
    assert expected - sdist_names == set()
    tops = {name.partition("/")[0] for name in sdist_names}
    assert tops.isdisjoint({".cmake", ".git", ".venv", "out"})


def requirement_lines(text: str) -> list[str]:
    """The requirements in a requirements file."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def test_requirements_are_the_package_dependencies() -> None:
    requirements = requirement_lines((ROOT / "requirements.txt").read_text())
    assert requirements == PROJECT["dependencies"]


def test_contributing_explains_every_dependency() -> None:
    extras = PROJECT["optional-dependencies"].values()
    table = (ROOT / "CONTRIBUTING.md").read_text()
    for requirement in sum(extras, PROJECT["dependencies"]):
        name = re.match(r"[\w-]+", requirement)[0]
        assert name == "gxnor_tf" or f"`{name}`" in table, name


def pins(name: str) -> dict[str, list[str]]:
    """The versions in a lock file by package, some for some platforms."""
    found: dict[str, list[str]] = {}
    text = (ROOT / name).read_text()
    for package, version in re.findall(
        r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE
    ):
        found.setdefault(canonicalize_name(package), []).append(version)
    return found


def declared(*extras: str) -> list[Requirement]:
    """The requirements of the package with some extras."""
    lines = PROJECT["dependencies"] + [
        line
        for extra in extras
        for line in PROJECT["optional-dependencies"][extra]
    ]
    requirements = [Requirement(line) for line in lines]
    return [one for one in requirements if one.name != PROJECT["name"]]


def test_lock_has_every_dependency_in_its_range() -> None:
    pinned = pins(LOCK)
    for one in declared(*PROJECT["optional-dependencies"]):
        versions = pinned[canonicalize_name(one.name)]
        # `make lock` mends it.
        assert all(version in one.specifier for version in versions), one


def test_every_locked_package_has_a_checksum() -> None:
    lines = (ROOT / LOCK).read_text().splitlines()
    for line, following in zip(lines, lines[1:], strict=False):
        if "==" in line and not line.startswith(("#", " ")):
            assert following.startswith("    --hash=sha256:"), line


def test_oldest_releases_are_the_lower_bounds() -> None:
    pinned = pins("requirements.oldest.txt")
    for one in declared("test"):
        [bound] = [
            Version(part.version)
            for part in one.specifier
            if part.operator in (">=", "==")
        ]
        [version] = pinned[canonicalize_name(one.name)]
        # 26 may be 26.0.1, for 26.0 was never released.
        assert Version(version).release[: len(bound.release)] == (
            bound.release
        ), one


def unwelcome(path: pathlib.PurePath, content: bytes) -> str | None:
    """Why a file does not belong in the repository, if it does not."""
    if path.suffix in GENERATED_SUFFIXES:
        return f"{path}: files of type {path.suffix} are data or generated."
    shown = {"docs", "benchmarks"} & set(path.parts)
    picture = path.suffix == ".png" and shown
    if b"\0" in content and not picture:
        return f"{path}: is binary."
    if len(content) > MAX_TRACKED_BYTES and path.name != LOCK:
        return f"{path}: has {len(content)} > {MAX_TRACKED_BYTES} bytes."
    return None


def test_repository_holds_only_sources(sdist_names: set[str]) -> None:
    names = sdist_names
    if (ROOT / ".git").exists():
        names = set(run("git", "ls-files", cwd=ROOT).splitlines())
    files = [ROOT / name for name in names if (ROOT / name).is_file()]
    assert files
    reasons = [unwelcome(path, path.read_bytes()) for path in files]
    assert [reason for reason in reasons if reason] == []


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("model.tflite", b"", "of type .tflite"),
        ("train-images-idx3-ubyte", b"\0\0\x08\x03", "binary"),
        ("train/picture.png", b"\0", "binary"),
        ("table.csv", b"1," * MAX_TRACKED_BYTES, "200000 > 100000 bytes"),
    ],
)
def test_unwelcome_file_is_found(
    name: str, content: bytes, reason: str
) -> None:
    assert reason in unwelcome(pathlib.PurePath(name), content)


def test_lock_may_be_long() -> None:
    content = b"#" * (MAX_TRACKED_BYTES + 1)
    assert unwelcome(pathlib.PurePath(LOCK), content) is None


def test_pictures_of_the_documentation_are_welcome() -> None:
    for name in ("docs/learning/headline.png", "benchmarks/speed.png"):
        assert unwelcome(pathlib.PurePath(name), b"\0") is None


def test_source_is_welcome() -> None:
    assert unwelcome(pathlib.PurePath("a.py"), b"x = 1\n") is None
