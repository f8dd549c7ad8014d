# SPDX-License-Identifier: Apache-2.0
"""Runs the delegate for long: memory must not grow, results must not change.

python -m tests.export.soak --invokes=100000 --cycles=1000

The same is done with files of builtin ops and without the delegate, as a
control: what grows there, too, is the runtime's.
"""

import argparse
import ctypes
import dataclasses
import gc
import pathlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import tqdm
from ai_edge_litert.interpreter import Interpreter

from export import delegate, fusion, lowering, reference, verification
from tests.export import nets

BATCHES = (1, 2, 3, 5, 8)
THREADS = (1, 2, 3)

# Of the resident memory after the warm-up; some pages come and go by
# themselves. 100,000 invokes may lose less than 3 bytes each, and no block of
# malloc is so small; 1000 cycles may lose 262 bytes each, less than the packed
# weights of any layer here.
LIMIT_BYTES = 2**18

_WARM_UP = 0.1


@dataclasses.dataclass(frozen=True)
class Net:
    """An exported net, inputs, and what must come out.

    Attributes:
        name: Of the net.
        data: Content of the `.tflite` file.
        x: Inputs.
        y: The output tensor for them, as the integer reference has it.
    """

    name: str
    data: bytes
    x: npt.NDArray[np.int8]
    y: npt.NDArray[Any]


def exported(make: Callable[[int], Any], ops: str) -> Net:
    """Exports a random net and computes what it must give."""
    model = make(0)
    program = fusion.fuse(model)
    x = nets.images(model, 16, 0)
    data = lowering.lower(program, ops, False)
    wanted = reference.run(program, x).output
    # Else the rows of a batch could be mixed up unseen.
    assert len(np.unique(wanted.reshape(16, -1), axis=0)) > 3
    session = Session(data, 1, ops == "custom")
    y = session.run(x)
    found = verification.decode(y, program.output)
    np.testing.assert_array_equal(found.reshape(wanted.shape), wanted)
    return Net(make.__name__, data, x, y)


class Session:
    """An interpreter with a file."""

    def __init__(self, data: bytes, num_threads: int, with_delegate: bool):
        self._interpreter = Interpreter(
            model_content=data,
            experimental_delegates=[delegate.load_delegate()]
            if with_delegate
            else [],
            num_threads=num_threads,
        )
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._output = self._interpreter.get_output_details()[0]["index"]
        self._batch = 0

    def run(self, x: npt.NDArray[np.int8]) -> npt.NDArray[Any]:
        """One invoke; tensors are resized where the batch is another one."""
        if len(x) != self._batch:
            self._interpreter.resize_tensor_input(self._input, x.shape)
            self._interpreter.allocate_tensors()
            self._batch = len(x)
        self._interpreter.set_tensor(self._input, x)
        self._interpreter.invoke()
        y: npt.NDArray[Any] = self._interpreter.get_tensor(self._output)
        return y


def check(session: Session, net: Net, rng: random.Random) -> None:
    """One invoke on some of the inputs; the outputs must be right."""
    batch = rng.choice(BATCHES)
    first = rng.randrange(len(net.x) - batch + 1)
    y = session.run(net.x[first : first + batch])
    wanted = net.y[first : first + batch]
    if y.tobytes() != wanted.tobytes():
        raise AssertionError(f"{net.name}, batch {batch}: {y} is not {wanted}")


@dataclasses.dataclass(frozen=True)
class Growth:
    """Resident memory of the process.

    Attributes:
        warm: Bytes after the warm-up.
        end: Bytes at the end.
    """

    warm: int
    end: int

    def __str__(self) -> str:
        return (
            f"{self.warm / 2**20:.1f} MiB after the warm-up, "
            f"{(self.end - self.warm) / 2**10:+.0f} KiB at the end"
        )


def growth(times: int, step: Callable[[], None], title: str = "") -> Growth:
    """Repeats a step and measures memory after a tenth and at the end."""
    warm_up = int(times * _WARM_UP)
    warm = 0
    for number in tqdm.tqdm(range(times), title):
        if number == warm_up:
            warm = resident_bytes()
        step()
    return Growth(warm, resident_bytes())


def resident_bytes() -> int:
    """Resident memory without what is free already."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def invokes(all_nets: list[Net], with_delegate: bool) -> Callable[[], None]:
    """A step: one invoke, of any net, batch and number of threads."""
    rng = random.Random(0)
    sessions = [
        (Session(net.data, threads, with_delegate), net)
        for net in all_nets
        for threads in THREADS
    ]
    return lambda: check(*rng.choice(sessions), rng)


def cycles(all_nets: list[Net], with_delegate: bool) -> Callable[[], None]:
    """A step: delegate and interpreter are loaded, used and unloaded."""
    rng = random.Random(0)

    def step() -> None:
        net = rng.choice(all_nets)
        session = Session(net.data, rng.choice(THREADS), with_delegate)
        check(session, net, rng)

    return step


def at_once(all_nets: list[Net], times: int) -> None:
    """Two interpreters with two threads each, in two threads at once."""
    failures: list[BaseException] = []
    barrier = threading.Barrier(2)

    def work(seed: int) -> None:
        try:
            rng = random.Random(seed)
            net = all_nets[seed % len(all_nets)]
            session = Session(net.data, 2, True)
            barrier.wait(60)
            for _ in range(times):
                check(session, net, rng)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def soak(
    number_of_invokes: int, number_of_cycles: int, limit: int = LIMIT_BYTES
) -> Iterator[str]:
    """Does all of it.

    Yields:
        What was measured, one line for each part.

    Raises:
        AssertionError: If a result is wrong or the delegate's memory grows.
    """
    makers = (nets.paper_like, nets.residual)
    ours = [exported(make, "custom") for make in makers]
    control = [exported(make, "builtin") for make in makers]
    held = delegate.get_delegate_memory()
    for name, times, make in (
        ("invokes", number_of_invokes, invokes),
        ("load and unload", number_of_cycles, cycles),
    ):
        found = {}
        for with_delegate, some in ((False, control), (True, ours)):
            title = "delegate" if with_delegate else "control"
            found[title] = growth(
                times, make(some, with_delegate), f"{name}, {title}"
            )
            yield f"{times:,} {name}, {title}: {found[title]}"
        grown = found["delegate"].end - found["delegate"].warm
        assert grown <= limit, f"{name}: {grown} bytes more, limit {limit}"
        now = delegate.get_delegate_memory()
        assert now == held, f"{name}: the delegate holds {now}, before {held}"
    at_once(ours, number_of_invokes // 10)
    yield (
        f"{number_of_invokes // 10:,} invokes in each of two threads at once"
    )


def main() -> None:
    """Reads the command line and does it."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--invokes", type=int, default=100_000)
    parser.add_argument("--cycles", type=int, default=1000)
    options = parser.parse_args()
    started = time.monotonic()
    lines = list(soak(options.invokes, options.cycles))
    print("\n".join(lines))
    print(
        "All results are those of the integer reference. "
        f"{time.monotonic() - started:.0f} s."
    )


if __name__ == "__main__":
    main()
