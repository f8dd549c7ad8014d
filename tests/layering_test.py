# SPDX-License-Identifier: Apache-2.0
"""The parts keep to their layers: a walk over every import.

Every rule is a function from the parsed modules to a list of violations. It
must find none in this repository, and must find the planted one in each of
the small bad examples below.
"""

import ast
import dataclasses
import functools
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest

ROOT = pathlib.Path(__file__).absolute().parents[1]
TOP_LEVEL = (
    "benchmarks",
    "examples",
    "export",
    "gxnor_tf",
    "tests",
    "tools",
    "train",
)

FLATBUFFER_MODULES = (
    "export.flatbuffer_builder",
    "export.op_options",
)
NUMPY_ONLY_MODULES = ("export.op_schema", "export.packing", "export.reference")
SHARED_BY_LAYERS_AND_OPTIMIZERS = {
    "gxnor_tf._arguments",
    "gxnor_tf._compat",
    "gxnor_tf.discrete_space",
    "gxnor_tf.discrete_variable",
    "gxnor_tf.narrowing",
    "gxnor_tf.shared_byte",
    "gxnor_tf.shared_variable",
}
FILE_SIZE_MODULE = "gxnor_tf.analysis.file_size"


@dataclasses.dataclass(frozen=True)
class Import:
    """One imported name, `from a import b` being `a.b`."""

    name: str
    line: int
    relative: bool
    when_loaded: bool  # Not inside a function or `if TYPE_CHECKING:`.


@dataclasses.dataclass(frozen=True)
class Module:
    """What a source file imports and which imported names it reads."""

    name: str
    path: str
    imports: tuple[Import, ...]
    uses: tuple[tuple[str, int], ...]  # Dotted names and their lines.


Modules = Mapping[str, Module]


def inside(name: str, *packages: str) -> bool:
    """Whether a dotted name is one of the packages or lies in one."""
    return any(name == p or name.startswith(p + ".") for p in packages)


def parse(path: str, source: str) -> Module:
    """Collects the imports of one file, `path` being relative to the root."""
    parts = list(pathlib.PurePosixPath(path).with_suffix("").parts)
    is_package = parts[-1] == "__init__"
    if is_package:
        parts.pop()
    package = parts if is_package else parts[:-1]
    imports: list[Import] = []
    uses: list[tuple[str, int]] = []
    aliases: dict[str, str] = {}

    def visit(node: ast.AST, when_loaded: bool) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                imports.append(
                    Import(alias.name, node.lineno, False, when_loaded)
                )
                top = alias.name.partition(".")[0]
                aliases[alias.asname or top] = (
                    alias.name if alias.asname else top
                )
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1]
            base = base if node.level else []
            prefix = base + ([node.module] if node.module else [])
            for alias in node.names:
                name = ".".join([*prefix, alias.name])
                imports.append(
                    Import(name, node.lineno, node.level > 0, when_loaded)
                )
                aliases[alias.asname or alias.name] = name
        elif isinstance(node, ast.Attribute):
            chain: list[str] = []
            value: ast.expr = node
            while isinstance(value, ast.Attribute):
                chain.append(value.attr)
                value = value.value
            if isinstance(value, ast.Name) and value.id in aliases:
                dotted = ".".join([aliases[value.id], *reversed(chain)])
                uses.append((dotted, node.lineno))
                return
        lazy = isinstance(
            node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
        ) or (
            isinstance(node, ast.If)
            and ast.unparse(node.test).endswith("TYPE_CHECKING")
        )
        for child in ast.iter_child_nodes(node):
            visit(child, when_loaded and not lazy)

    visit(ast.parse(source, path), True)
    return Module(".".join(parts), path, tuple(imports), tuple(uses))


def parse_all(sources: Mapping[str, str]) -> Modules:
    """Parses files given as path -> source."""
    modules = [parse(path, source) for path, source in sources.items()]
    return {module.name: module for module in modules}


@functools.cache
def repository() -> Modules:
    """Parses every Python file of the repository."""
    # Bazel lays `export` out as `gxnor_tf/export`, as an installation does.
    return parse_all(
        {
            path.relative_to(ROOT).as_posix(): path.read_text()
            for top in TOP_LEVEL
            for path in sorted((ROOT / top).rglob("*.py"))
            if not path.is_relative_to(ROOT / "gxnor_tf" / "export")
        }
    )


def in_packages(modules: Modules, *packages: str) -> Iterator[Module]:
    """The modules of some packages."""
    for module in modules.values():
        if inside(module.name, *packages):
            yield module


def complaint(module: Module, line: int, text: str) -> str:
    """A violation as `file:line: what and what instead`."""
    return f"{module.path}:{line}: {text}"


def defining_module(modules: Modules, name: str) -> str | None:
    """The longest prefix of an imported name that is a known module."""
    while name and name not in modules:
        name = name.rpartition(".")[0]
    return name or None


def closure(
    modules: Modules, start: Sequence[str], package: str, when_loaded: bool
) -> dict[str, Module]:
    """The modules of `package` that `start` imports, directly or not."""
    found: dict[str, Module] = {}
    waiting = list(start)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found[name] = modules[name]
        for item in modules[name].imports:
            target = defining_module(modules, item.name)
            if target is None or not inside(target, package):
                continue
            if target != package and (item.when_loaded or not when_loaded):
                waiting.append(target)
    return found


def direction_of_packages(modules: Modules) -> list[str]:
    """`gxnor_tf` imports neither `train` nor `export`; those never meet.

    One function of the library asks the exporter for the size of its files.
    """
    forbidden = {
        "gxnor_tf": ("benchmarks", "examples", "export", "tests", "train")
        + ("gxnor_tf.export",),
        "train": ("benchmarks", "examples", "export", "tests")
        + ("gxnor_tf.export",),
        "export": ("benchmarks", "examples", "tests", "train"),
    }
    return [
        complaint(module, item.line, f"{package} must not import {item.name}.")
        for package, targets in forbidden.items()
        for module in in_packages(modules, package)
        for item in module.imports
        if inside(item.name, *targets)
        and not (module.name == FILE_SIZE_MODULE and not item.when_loaded)
    ]


def siblings_in_export(modules: Modules) -> list[str]:
    """`export` has two names, so only relative imports reach a sibling."""
    return [
        complaint(
            module,
            item.line,
            f"{item.name} must be imported relatively: the package is "
            "installed under another name.",
        )
        for module in in_packages(modules, "export")
        for item in module.imports
        if not item.relative and inside(item.name, "export", "gxnor_tf.export")
    ]


def layers_and_optimizers(modules: Modules) -> list[str]:
    """Layers and optimizers share only the discrete space and variables."""
    library = list(in_packages(modules, "gxnor_tf"))
    violations = [
        complaint(
            module,
            item.line,
            f"{item.name} must be imported from the module that defines it.",
        )
        for module in library
        if module.name not in ("gxnor_tf", FILE_SIZE_MODULE)
        for item in module.imports
        if defining_module(modules, item.name) == "gxnor_tf"
    ]
    sides = []
    for packages in (
        ["gxnor_tf.layers"],
        ["gxnor_tf.optimizers", "gxnor_tf.transitions"],
    ):
        start = [m.name for m in library if inside(m.name, *packages)]
        assert start, f"No module in {packages}: mend this rule."
        sides.append(closure(modules, start, "gxnor_tf", when_loaded=False))
    shared = set(sides[0]) & set(sides[1]) - SHARED_BY_LAYERS_AND_OPTIMIZERS
    return violations + [
        complaint(
            modules[name],
            1,
            f"{name} is imported by both the layers and the optimizers; "
            f"only {sorted(SHARED_BY_LAYERS_AND_OPTIMIZERS)} may be.",
        )
        for name in sorted(shared)
    ]


def flatbuffers_imports(modules: Modules) -> list[str]:
    """Only three modules know flatbuffers and the generated schema."""
    return [
        complaint(
            module,
            item.line,
            f"{item.name} may be imported only in {FLATBUFFER_MODULES}.",
        )
        for module in in_packages(modules, "export", "gxnor_tf", "train")
        for item in module.imports
        if module.name not in FLATBUFFER_MODULES
        if inside(item.name, "flatbuffers") or "schema_py" in item.name
    ]


def numpy_only_modules(modules: Modules) -> list[str]:
    """Packing and the reference load without TensorFlow and Keras."""
    return [
        complaint(
            module,
            item.line,
            f"{item.name} must not be imported when {start} is loaded, "
            "which needs NumPy alone. Import it inside a function.",
        )
        for start in NUMPY_ONLY_MODULES
        for module in closure(
            modules, [start], "export", when_loaded=True
        ).values()
        for item in module.imports
        if item.when_loaded
        and inside(
            item.name, "ai_edge_litert", "gxnor_tf", "keras", "tensorflow"
        )
    ]


def command_line_flags(modules: Modules) -> list[str]:
    """Libraries read no command line: flags are for `train` and mains."""
    return [
        complaint(
            module,
            item.line,
            f"{item.name} belongs in train/ or a __main__ module.",
        )
        for module in in_packages(modules, "export", "gxnor_tf")
        for item in module.imports
        if not module.name.endswith(".__main__")
        if inside(item.name, "absl.app", "absl.flags", "argparse")
    ]


def is_private(name: str) -> bool:
    """Whether a dotted name is not public in Keras or TensorFlow."""
    if not inside(name, "keras", "tensorflow"):
        return False
    return inside(
        name,
        "keras.src",
        "tensorflow.compiler",
        "tensorflow.core",
        "tensorflow.lite.python",
        "tensorflow.python",
    ) or any(
        part.startswith("_") and part != "__version__"
        for part in name.split(".")
    )


def private_names(modules: Modules) -> list[str]:
    """Names that Keras and TensorFlow do not publish stay in `_compat`."""
    allowed = {
        "gxnor_tf._compat": ("keras", "tensorflow"),
        "export.flatbuffer_builder": ("tensorflow.lite.python",),
        # Keras' own checks of a layer; no public name runs them.
        "tests.gxnor_tf.layers.activation_test": ("keras.src.testing",),
        "tests.gxnor_tf.layers.layer_conformance": ("keras.src.testing",),
    }
    found = []
    for module in modules.values():
        names = {(item.name, item.line) for item in module.imports}
        for name, line in sorted(names.union(module.uses)):
            if is_private(name) and not inside(
                name, *allowed.get(module.name, ())
            ):
                found.append(
                    complaint(
                        module,
                        line,
                        f"{name} is not public. Put what needs it into "
                        "gxnor_tf/_compat.py, with the reason.",
                    )
                )
    return found


RULES: tuple[Callable[[Modules], list[str]], ...] = (
    direction_of_packages,
    siblings_in_export,
    layers_and_optimizers,
    flatbuffers_imports,
    numpy_only_modules,
    command_line_flags,
    private_names,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_repository_keeps_to_the_rule(
    rule: Callable[[Modules], list[str]],
) -> None:
    assert rule(repository()) == []


def test_repository_has_every_part() -> None:
    for part in ("gxnor_tf", "export", "train", "tests"):
        assert list(in_packages(repository(), part)), part


GOOD = {
    "gxnor_tf/__init__.py": "from gxnor_tf.optimizers import Optimizer",
    "gxnor_tf/_compat.py": "from keras.src import backend",
    "gxnor_tf/activations.py": "import tensorflow as tf",
    "gxnor_tf/discrete_space.py": "import keras",
    "gxnor_tf/layers/__init__.py": "from gxnor_tf import activations",
    "gxnor_tf/optimizers.py": "from gxnor_tf.discrete_space import Space",
    "export/__init__.py": "from .packing import pack as pack",
    "export/__main__.py": "from absl import app, flags",
    "export/flatbuffer_builder.py": (
        "import flatbuffers\n"
        "from tensorflow.lite.python import schema_py_generated"
    ),
    "export/op_options.py": "from flatbuffers import flexbuffers",
    "export/op_schema.py": "from .op_options import Options",
    "export/packing.py": "import numpy as np",
    "export/reference.py": "from . import packing\nfrom .op_schema import Op",
    "export/convert.py": "import keras\nfrom gxnor_tf import layers",
    "train/config.py": "from absl import flags",
}
BAD: list[tuple[Callable[[Modules], list[str]], str, str]] = [
    (direction_of_packages, "gxnor_tf/metrics.py", "import train.loop"),
    (direction_of_packages, "gxnor_tf/metrics.py", "from export import graph"),
    (
        direction_of_packages,
        "gxnor_tf/metrics.py",
        "from gxnor_tf import export",
    ),
    (direction_of_packages, "gxnor_tf/layers/a.py", "from .. import export"),
    (direction_of_packages, "gxnor_tf/a.py", "def f():\n  import train"),
    (
        direction_of_packages,
        "gxnor_tf/analysis/file_size.py",
        "from gxnor_tf.export import sizes",
    ),
    (direction_of_packages, "train/loop.py", "import gxnor_tf.export"),
    (direction_of_packages, "train/loop.py", "from export.graph import x"),
    (direction_of_packages, "export/graph.py", "from train import models"),
    (siblings_in_export, "export/graph.py", "from export import packing"),
    (siblings_in_export, "export/graph.py", "import gxnor_tf.export.packing"),
    (
        layers_and_optimizers,
        "gxnor_tf/optimizers.py",
        "def f():\n  from gxnor_tf.layers import base",
    ),
    (
        layers_and_optimizers,
        "gxnor_tf/optimizers.py",
        "from gxnor_tf import activations",
    ),
    (
        layers_and_optimizers,
        "gxnor_tf/activations.py",
        "import gxnor_tf.optimizers",
    ),
    (
        layers_and_optimizers,
        "gxnor_tf/layers/dense.py",
        "from gxnor_tf import Optimizer",
    ),
    (flatbuffers_imports, "export/lowering/builtin.py", "import flatbuffers"),
    (
        flatbuffers_imports,
        "export/lowering.py",
        "def f():\n  from ai_edge_litert import schema_py_generated",
    ),
    (numpy_only_modules, "export/packing.py", "import keras"),
    (numpy_only_modules, "export/reference.py", "from gxnor_tf import layers"),
    (numpy_only_modules, "export/reference.py", "from . import convert"),
    (command_line_flags, "gxnor_tf/metrics.py", "from absl import flags"),
    (command_line_flags, "export/convert.py", "import argparse"),
    (private_names, "gxnor_tf/a.py", "from keras.src import backend"),
    (private_names, "gxnor_tf/a.py", "import keras\nkeras.src.backend.x()"),
    (private_names, "gxnor_tf/a.py", "import tensorflow as tf\ntf.python.x"),
    (private_names, "train/a.py", "import tensorflow as tf\ntf.__internal__"),
    (
        private_names,
        "export/graph.py",
        "from tensorflow.lite.python import schema_py_generated",
    ),
    (
        private_names,
        "export/flatbuffer_builder.py",
        "import tensorflow.python.framework",
    ),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_good_example_passes(rule: Callable[[Modules], list[str]]) -> None:
    assert rule(parse_all(GOOD)) == []


@pytest.mark.parametrize(("rule", "path", "source"), BAD)
def test_bad_example_is_found(
    rule: Callable[[Modules], list[str]], path: str, source: str
) -> None:
    assert rule(parse_all({**GOOD, path: source}))


def test_import_for_type_checking_does_not_load() -> None:
    source = (
        "import typing\n"
        "if typing.TYPE_CHECKING:\n"
        "  import keras\n"
        "def f():\n"
        "  import tensorflow"
    )
    modules = parse_all({**GOOD, "export/packing.py": source})
    assert numpy_only_modules(modules) == []
