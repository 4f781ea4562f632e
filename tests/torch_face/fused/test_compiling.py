"""Machine code on the disk: found again by the right name, and never a must."""

from __future__ import annotations

import gc
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Lock
from typing import Any

import numba
import numpy as np
import pytest
from numba.core.codegen import CPUCodeLibrary

import shrinkage
from shrinkage.kernels import jit
from shrinkage.kernels.intrinsics import add, memory, next_piece, part

LOOPS = """
import json, logging, os, sys, warnings
from pathlib import Path
logging.disable()  # a slow machine says that it compiles
warnings.simplefilter("error")
import numpy as np
from numba.core.caching import IndexDataCacheFile
from shrinkage import L1, MCP
from shrinkage.kernels import launch
from shrinkage.kernels.register_forms import scalar_form_of
from shrinkage.kernels.kind import Groups, How, Kind, Update
from shrinkage.kernels.records import PARAMETER, PIECE, make_job

KINDS = [Kind(Update.SGD, scalar_form_of(penalty)[0], how, Groups.NONE, "float64")
         for penalty, how in ((L1(1.0), How.PROXIMAL), (MCP(1.0), How.COUPLED))]

def step(number):
    w, g = np.linspace(-1.0, 1.0, 20), np.full(20, 0.5)
    parameters, pieces = np.zeros(1, PARAMETER), np.zeros(1, PIECE)
    numbers = {"weights": w.ctypes.data, "gradient": g.ctypes.data, "a": 0.1, "b": 3.0}
    numbers |= {"sign": 1.0, "lr": 0.1, "factor": 1.0, "limit": np.inf, "step": 0.1}
    for name, value in numbers.items():
        parameters[name] = value
    pieces["high"] = 20
    job = make_job(parameters, pieces)
    launch.compile_loop(KINDS[number])(job.ctypes.data)
    assert job["done"] == 1
    assert np.isclose(pieces["squares"][0], np.square(w).sum())
    return np.square(w).sum()

saved, save = [], IndexDataCacheFile.save
IndexDataCacheFile.save = lambda self, key, data: (saved.append(key), save(self, key, data))
for numbers in sys.argv[1:]:
    if numbers.endswith("cut"):
        for file in Path(os.environ["NUMBA_CACHE_DIR"]).rglob("*.nb?"):
            file.write_bytes(file.read_bytes()[:20])
    if not os.fork():  # before anything is compiled
        sums = [step(int(number)) for number in numbers.removesuffix("cut")]
        has_compiler = "numba.np.arraymath" in sys.modules
        if saved:  # no loop needs SciPy; what others compile may
            assert "scipy.linalg" not in sys.modules
            from numba.np import arraymath, linalg
            assert arraymath._HAVE_BLAS
            linalg.ensure_blas()
            assert "scipy.linalg.cython_blas" in sys.modules
        print(json.dumps([sums, len(saved), has_compiler]), flush=True)
        os._exit(0)
    assert os.wait()[1] == 0
"""


def results(orders: list[str], folder: Path) -> list[tuple[list[float], int, bool]]:
    """Of steps in a process for each order; how many loops it compiled; if it could compile.

    The loops are kept in the folder. To load one from there a process need not import what Numba
    compiles with. An order that ends with "cut" cuts off the files before its first step.
    """
    paths = {"PYTHONPATH": str(Path(shrinkage.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", LOOPS, *orders],
        env={**os.environ, **paths, "NUMBA_CACHE_DIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr
    assert done.returncode == 0
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


@pytest.mark.slow
def test_loops_are_kept_on_disk_and_not_taken_for_one_another(tmp_path: Path) -> None:
    """Each compiled in a process of its own, where it is the first; then all found by one.

    Those that find them are forks of another one, whose addresses and hashes are other numbers.
    Files that are cut off only cost time.
    """
    first, second = results(["0", "1"], tmp_path)
    *both, again = results(["01", "10", "0cut"], tmp_path)
    (one,), (other,) = first[0], second[0]
    assert one != other
    assert (first[1:], second[1:]) == ((1, True), (1, True))
    assert both == [([one, other], 0, False), ([other, one], 0, False)]
    assert again[0] == [one]


def test_where_nothing_can_be_written_each_process_compiles(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def compile_kept(loop: Any) -> Any:
        raise RuntimeError("cannot cache function: no locator available")

    def raise_it(address: Any) -> None:
        next_piece(address)

    monkeypatch.setattr(jit, "_compile_kept", compile_kept)
    job = np.array([2])
    jit.compile_job(raise_it, "next")(job.ctypes.data)
    assert job == [3]


def test_what_a_loop_takes_in_is_no_machine_code_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Which is most of what compiling would take."""

    @jit.jitable
    def within(job: Any) -> Any:
        return job[0] + 1

    @jit.jitable
    def between(job: Any) -> Any:
        return within(job)

    def count(address: Any) -> None:
        job = memory(address, 1, INTEGERS)
        job[0] = between(job)

    made = []
    finish = CPUCodeLibrary._finalize_final_module
    monkeypatch.setattr(
        CPUCodeLibrary,
        "_finalize_final_module",
        lambda library: (made.append(library.name), finish(library)),
    )
    job = np.array([2])
    jit.Work(numba.cfunc(jit.SIGNATURE)(count))(job.ctypes.data)
    assert job == [3]
    names = " ".join(made)
    assert "count" in names
    assert "within" not in names
    assert "between" not in names


@pytest.mark.parametrize("is_enabled", [True, False])
def test_cycles_are_searched_for_after_compiling_as_before(is_enabled: bool) -> None:
    was_enabled = gc.isenabled()
    try:
        gc.enable() if is_enabled else gc.disable()
        with jit._without_collector():
            assert not gc.isenabled()
        assert gc.isenabled() == is_enabled
    finally:
        gc.enable() if was_enabled else gc.disable()


INTEGERS = np.empty(0, np.int64)


def test_addresses_and_sizes_may_be_whole_numbers_of_any_kind() -> None:
    """LLVM's own rules would take 3_000_000_000 for a negative offset."""

    def take(address: Any) -> None:
        job = memory(np.uint64(address), np.int32(3), INTEGERS)
        far = part(job, np.uint32(3_000_000_000), np.int32(2))  # which is nowhere read
        near = part(job, np.uint8(1), np.uint16(2))
        job[0] = (far.ctypes.data - job.ctypes.data) // 8 + near[1] + near.size

    job = np.array([0, 5, 7])
    jit.compile_job(take, "take")(job.ctypes.data)
    assert job[0] == 3_000_000_000 + 7 + 2


def test_what_a_lowering_is_not_made_for_is_refused() -> None:
    def add_whole(address: Any) -> None:
        add(address, address)

    def take_strided(address: Any) -> None:
        part(memory(address, 4, INTEGERS)[::2], 0, 1)

    for loop in add_whole, take_strided:
        with pytest.raises(numba.core.errors.TypingError):
            jit.compile_job(loop, "refused")
    assert gc.isenabled()


class Told(logging.Handler):
    """Counts messages, and lets others wait for the first."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []
        self.came = Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())
        self.came.set()


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    handler = Told()
    jit.logger.addHandler(handler)
    monkeypatch.setattr(jit, "_message_once", Lock())
    yield handler
    jit.logger.removeHandler(handler)


def test_a_long_compilation_is_told_once(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jit, "PATIENCE", 0.0)
    for _ in range(2):
        with jit._explain_long_wait():
            assert told.came.wait(60)
    assert len(told.messages) == 1
    assert "compiling" in told.messages[0]


def test_a_short_one_is_not(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jit, "PATIENCE", 3600.0)
    with jit._explain_long_wait():
        pass
    assert not told.messages
