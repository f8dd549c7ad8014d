# SPDX-License-Identifier: Apache-2.0
"""Models as C source: compiled, run, and equal to the reference."""

import dataclasses
import os
import pathlib
import re
import subprocess

import keras
import numpy as np
import numpy.typing as npt
import pytest

import gxnor_tf
from export import (
    ExportError,
    c_source,
    convert_to_c,
    delegate,
    fusion,
    reference,
)
from export.c_source import CSource
from export.program import Program
from tests.export import nets
from tests.export.compilers import host_compiler, need

RUNTIME = delegate.get_include().parent
RUN_MODEL = pathlib.Path(__file__).parents[1] / "runtime" / "run_model.c"
FLAGS = (
    "-std=c99 -pedantic -Wall -Wextra -Wconversion -Wshadow -Wvla -Werror"
).split()
SANITIZE = (
    "-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all"
).split()


@dataclasses.dataclass(frozen=True)
class Built:
    """A generated model as a program that reads inputs.

    Attributes:
        program: What it computes.
        source: Its source.
        path: The program.
    """

    program: Program
    source: CSource
    path: pathlib.Path

    @property
    def gives_states(self) -> bool:
        """Whether its output is int8 states, else int32 sums."""
        return "model_invoke(const int8_t* in, int8_t*" in self.header

    @property
    def has_scores(self) -> bool:
        """Whether it makes floats of its output."""
        return "void model_scores(" in self.header

    @property
    def header(self) -> str:
        """The text of its header."""
        return self.source.files["model.h"]

    def run(
        self, x: npt.NDArray[np.int8]
    ) -> tuple[npt.NDArray[np.generic], npt.NDArray[np.float32] | None]:
        """The outputs and scores of a batch of inputs."""
        stdout = subprocess.run(
            [str(self.path)],
            input=x.tobytes(),
            capture_output=True,
            check=True,
            timeout=300,
        ).stdout
        size = int(np.prod(self.program.output.shape))
        fields = [("result", "i1" if self.gives_states else "<i4", size)]
        if self.has_scores:
            fields.append(("scores", "<f4", size))
        rows = np.frombuffer(stdout, np.dtype(fields))
        assert len(rows) == len(x)
        return rows["result"], rows["scores"] if self.has_scores else None


class Builder:
    """Builds models with some compiler flags; their kernels only once."""

    def __init__(self, flags: list[str], folder: pathlib.Path) -> None:
        self._command = [*host_compiler(), *FLAGS, *flags]
        self.library = folder / "libgxnor.a"
        compile_all = [*self._command, f"-I{RUNTIME / 'include'}", "-c"]
        sources = map(str, sorted((RUNTIME / "src").rglob("*.c")))
        run([*compile_all, *sources], folder)
        objects = map(str, folder.glob("*.o"))
        run(["ar", "rc", str(self.library), *objects], folder)

    def build(
        self,
        program: Program,
        folder: pathlib.Path,
        arena_limit: int | None = None,
    ) -> Built:
        """Builds a program's model in a folder."""
        source = c_source.generate(program, arena_limit=arena_limit)
        source.write(folder)
        built = Built(program, source, folder / "run_model")
        run(
            [*self._command, f"-DHAS_SCORES={built.has_scores:d}"]
            + [f"-DRESULT={'int8_t' if built.gives_states else 'int32_t'}"]
            + ["-I.", "-Iinclude", str(RUN_MODEL), "model.c"]
            + [str(self.library), "-o", "run_model"],
            folder,
        )
        return built


def run(command: list[str], folder: pathlib.Path) -> None:
    subprocess.run(command, cwd=folder, check=True, timeout=300)


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    """Programs that see every wrong access to memory."""
    return Builder(SANITIZE, tmp_path_factory.mktemp("sanitized"))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    """Programs with guards around the memory."""
    return Builder(["-O2"], tmp_path_factory.mktemp("plain"))


def integers(
    program: Program, result: reference.Result
) -> npt.NDArray[np.generic]:
    """The states or sums that a program ends in."""
    made = {op.output.name: op for op in program.ops}
    tensor = program.output
    while not tensor.is_states and hasattr(made[tensor.name], "kind"):
        (tensor,) = made[tensor.name].inputs
    return result.values[tensor.name]


def assert_equals_reference(built: Built, x: npt.NDArray[np.int8]) -> None:
    expected = reference.run(built.program, x)
    result, scores = built.run(x)
    wanted = integers(built.program, expected).reshape(len(x), -1)
    assert (result == wanted).all()
    if built.has_scores:
        output = expected.output.reshape(len(x), -1)
        assert scores is not None
        assert scores.dtype == output.dtype == np.float32
        assert (scores.view(np.uint32) == output.view(np.uint32)).all()
    else:
        assert expected.output.dtype == np.int8


@pytest.mark.parametrize("make", nets.PACKED)
def test_generated_model_is_the_reference(make, sanitized, tmp_path):
    model = make(3)
    built = sanitized.build(fusion.fuse(model), tmp_path)
    x = nets.images(model, 10, 3)
    x[0] = 0
    assert_equals_reference(built, x)


@pytest.mark.parametrize("make", [m for m in nets.PACKED if m not in nets.ALL])
def test_generated_model_is_keras(make, plain, tmp_path):
    model = make(4)
    built = plain.build(fusion.fuse(model), tmp_path)
    x = nets.images(model, 5, 4)
    (output,) = keras.tree.flatten(
        model(x.astype(np.float32) * nets.INPUT_SCALE, training=False)
    )
    expected = np.asarray(output).reshape(len(x), -1)
    result, scores = built.run(x)
    if scores is None:
        unit = np.float32(built.program.output.unit)
        assert (result.astype(np.float32) * unit == expected).all()
    else:
        assert (scores == expected).all()


@pytest.mark.parametrize("make", [nets.mnist, nets.branching])
def test_less_memory_gives_the_same(make, sanitized, plain, tmp_path):
    model = make(5)
    program = fusion.fuse(model)
    fastest = c_source.generate(program).arena_bytes
    smallest = smallest_arena(program)
    assert smallest < fastest
    x = nets.images(model, 2, 5)
    for limit in (smallest, (smallest + fastest) // 2):
        for name, builder in (("sanitized", sanitized), ("plain", plain)):
            built = builder.build(program, tmp_path / name, limit)
            assert built.source.arena_bytes <= limit
            assert_equals_reference(built, x)
    with pytest.raises(ExportError, match=f"{smallest:,} bytes, even"):
        c_source.generate(program, arena_limit=smallest - 1)


def smallest_arena(program: Program) -> int:
    with pytest.raises(ExportError) as error:
        c_source.generate(program, arena_limit=0)
    found = re.search(r"an arena of ([\d,]+) bytes, even", str(error.value))
    assert found
    return int(found[1].replace(",", ""))


@pytest.mark.parametrize("make", [nets.mnist, nets.branching])
def test_a_limit_buys_no_less_than_it_must(make):
    """A lower limit never gives a larger arena, and any limit is kept."""
    program = fusion.fuse(make(0))
    fastest = c_source.generate(program)
    sizes = []
    for limit in range(smallest_arena(program), fastest.arena_bytes + 1, 97):
        sizes.append(c_source.generate(program, arena_limit=limit).arena_bytes)
        assert sizes[-1] <= limit
    assert sizes == sorted(sizes)
    assert len(set(sizes)) > 5
    whole = c_source.generate(program, arena_limit=fastest.arena_bytes)
    assert whole == fastest


def test_fused_multiply_adds_change_nothing(tmp_path):
    """Compilers that may fuse x * a + b do not do so in the scores."""
    if "fma" not in pathlib.Path("/proc/cpuinfo").read_text():
        # Elsewhere the rest is tested; CI must have one.
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up("This processor has no fused multiply-add.")
    model = nets.paper_like(0)
    flags = ["-O3", "-mfma", "-ffp-contract=fast"]
    (tmp_path / "kernels").mkdir()
    builder = Builder(flags, tmp_path / "kernels")
    built = builder.build(fusion.fuse(model), tmp_path / "model")
    assert_equals_reference(built, nets.images(model, 200, 0))


def test_keeps_nothing_between_invocations(plain, tmp_path):
    """No data that can be written, no function of a C library but these."""
    plain.build(fusion.fuse(nets.branching(0)), tmp_path)
    run([*host_compiler(), "-O2", "-Iinclude", "-c", "model.c"], tmp_path)
    lines = subprocess.run(
        ["nm", str(tmp_path / "model.o"), str(plain.library)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    symbols = [line.split()[-2:] for line in lines if len(line.split()) > 1]
    defined = {name for kind, name in symbols if kind != "U"}
    needed = {name for kind, name in symbols if kind == "U"} - defined
    assert "model_invoke" in defined
    assert needed <= {"_GLOBAL_OFFSET_TABLE_", "memcpy", "memset"}
    assert not {name for kind, name in symbols if kind in "bBcCdDsS"}


def test_kernels_that_are_not_needed_are_not_there():
    files = c_source.generate(fusion.fuse(nets.dense_only(0))).files
    assert "src/gxnor_conv2d_s8_t2.c" in files
    assert not [name for name in files if "max_pool" in name]
    assert not [name for name in files if "pack" in name]
    files = c_source.generate(fusion.fuse(nets.branching(0))).files
    assert "src/gxnor_max_pool2d_t2.c" in files
    assert "include/gxnor/depthwise_conv2d.h" in files


def test_example_builds_and_runs(tmp_path):
    model = nets.paper_like(1)
    source = convert_to_c(model, name="digits")
    source.write(tmp_path / "digits")
    subprocess.run(
        ["make", "-s", f"CC={' '.join(host_compiler())}"]
        + [f"CFLAGS=-O1 {' '.join(FLAGS)}"],
        cwd=tmp_path / "digits",
        check=True,
        timeout=300,
    )
    x = nets.images(model, 1, 1)
    program = tmp_path / "digits" / "digits_example"
    printed = subprocess.run(
        [str(program)], input=x.tobytes(), capture_output=True, check=True
    ).stdout.decode()
    rows = [line.split() for line in printed.splitlines()]
    result = reference.run(fusion.fuse(model), x)
    scores = np.array([row[1] for row in rows], np.float32)
    assert (scores == result.output[0]).all()
    short = subprocess.run(
        [str(program)], input=b"1", capture_output=True, check=False
    )
    assert short.returncode == 1
    assert short.stderr.decode() == f"An input has {x.size} bytes.\n"


def test_example_of_a_model_that_ends_in_states(tmp_path):
    source = convert_to_c(nets.ends_ternary(0))
    source.write(tmp_path)
    subprocess.run(
        ["make", "-s", f"CFLAGS={' '.join(FLAGS)}"], cwd=tmp_path, check=True
    )
    printed = subprocess.run(
        ["./model_example"],
        cwd=tmp_path,
        input=bytes(64),
        capture_output=True,
        check=True,
    ).stdout.decode()
    assert set(printed.split()) <= {"-1", "0", "1"}
    assert len(printed.split()) == 3 * 3 * 33


def test_two_models_in_one_program(tmp_path):
    """Names of one model never meet those of another."""
    for name, make in (("one", nets.dense_only), ("two", nets.branching)):
        convert_to_c(make(0), name=name).write(tmp_path)
    (tmp_path / "both.c").write_text(
        '#include "one.h"\n#include "two.h"\n'
        "int main(void) { return !(one_init(NULL, 0) == two_init(NULL, 0)); }"
    )
    sources = [str(path) for path in tmp_path.glob("src/*.c")]
    subprocess.run(
        [*host_compiler(), *FLAGS, "-Iinclude", *sources]
        + ["one.c", "two.c", "both.c", "-o", "both"],
        cwd=tmp_path,
        check=True,
        timeout=300,
    )
    subprocess.run([str(tmp_path / "both")], check=True)


def test_header_is_cpp(tmp_path):
    convert_to_c(nets.dense_only(0)).write(tmp_path)
    (tmp_path / "use.cc").write_text('#include "model.h"\n')
    need("g++")
    subprocess.run(
        "g++ -std=c++11 -pedantic -Wall -Wextra -Werror -c use.cc".split(),
        cwd=tmp_path,
        check=True,
    )


def test_same_model_same_files():
    first, second = (
        c_source.generate(fusion.fuse(nets.branching(2))) for _ in range(2)
    )
    # Keras numbers the layers of the second model on.
    assert first.arena_bytes == second.arena_bytes
    model = nets.branching(2)
    assert convert_to_c(model) == convert_to_c(model)


def test_layer_names_cannot_break_the_source(sanitized, tmp_path):
    names = ["*\n??; x", "gxnor_conv2d", "a-1", "a_1", "слой", "words", "in"]
    names += ["out", "arena", "logits", "clear"]
    layers = [keras.Input((9,), name="input")]
    for name in names:
        layers.append(gxnor_tf.DiscreteDense(40, name=f"{name} dense"))
        layers.append(gxnor_tf.DiscreteActivation(name=name))
    model = nets.randomise(keras.Sequential(layers[:-1]), 0)
    built = sanitized.build(fusion.fuse(model), tmp_path)
    assert_equals_reference(built, nets.images(model, 3, 0))
    layer_names = [row.layer for row in built.source.rows]
    assert layer_names == [f"{name} dense" for name in names]


@pytest.mark.parametrize(
    "name", ["", "1a", "a-b", "a b", "naïve", "_a", "main", "Main", "a\n"]
)
def test_wrong_names(name):
    with pytest.raises(ExportError, match="name of a model in C must"):
        convert_to_c(nets.dense_only(0), name=name)


def test_negative_limit():
    with pytest.raises(ExportError, match="Received: arena_limit=-1"):
        convert_to_c(nets.dense_only(0), arena_limit=-1)
