"""Several threads, forked and spawned processes: the same numbers as one thread."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from numba import carray
from torch import Tensor, nn

from shrinkage import L1, GroupLasso, Penalty
from shrinkage.kernels import pool
from shrinkage.kernels.compiling import Work, compiled
from shrinkage.kernels.machine import take
from shrinkage.torch import SGD, Adam

KINDS: list[Any] = [
    pytest.param(SGD, {"lr": 0.1, "momentum": 0.9}, id="SGD"),
    pytest.param(Adam, {"lr": 0.1}, id="Adam"),
]
PENALTIES: list[Any] = [
    pytest.param(L1(0.01), id="l1"),
    pytest.param(GroupLasso(0.01), id="groups"),
]


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=["openmp", "own"])
def team(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whose threads: torch's, or those of a forked process."""
    monkeypatch.setattr(pool, "_is_forked", request.param == "own")
    return str(request.param)


def trained(
    kind: Any, options: dict[str, Any], penalty: Penalty, seed: int, size: int = 600
) -> tuple[Tensor, Any]:
    """Parameters of more than the size below which one thread does it all.

    Several threads for steps alone that allocate nothing: torch's own do not outlive a fork.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    drawn = torch.Generator().manual_seed(seed)
    parts = [nn.Parameter(torch.randn(size, 300, generator=drawn)) for _ in range(2)]
    optimizer = kind(parts, **options, penalty=penalty)
    for step in range(4):
        for w in parts:
            w.grad = torch.randn(w.shape, generator=drawn)
        torch.set_num_threads(threads if step else 1)
        optimizer.step()
        torch.set_num_threads(1)
    result = torch.cat([w.detach().flatten() for w in parts]), optimizer.statistics()
    torch.set_num_threads(threads)
    return result


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_any_number_of_threads_comes_to_the_same(
    kind: Any, options: dict[str, Any], penalty: Penalty
) -> None:
    torch.set_num_threads(1)
    expected, counts = trained(kind, options, penalty, 0)
    for threads in (2, 3, 8):
        torch.set_num_threads(threads)
        weights, found = trained(kind, options, penalty, 0)
        assert torch.equal(weights, expected)
        assert found.zeros == counts.zeros
        assert found.value == pytest.approx(counts.value, rel=1e-10)


def test_set_num_threads_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    original = pool.run

    def run(work: Any, job: int, threads: int) -> None:
        asked.append(threads)
        original(work, job, threads)

    monkeypatch.setattr(pool, "run", run)
    torch.set_num_threads(1)
    trained(Adam, {}, L1(0.01), 0)
    assert asked == [1, 1, 1, 1]
    torch.set_num_threads(3)
    asked.clear()
    trained(Adam, {}, L1(0.01), 0)
    assert asked == [1, 3, 3, 3]
    asked.clear()
    trained(Adam, {}, L1(0.01), 0, size=2)  # too small for company
    assert asked == [1, 1, 1, 1]


def meeting(size: int) -> Work:
    """Counts in job[0] who comes, and in job[1] who waited in vain for `size` of them."""

    def meet(address):  # type: ignore[no-untyped-def]
        job = carray(address, 3)
        take(job)
        waited = 0
        while job[0] < size and waited < 1 << 28:
            waited = take(job[2:])  # looks at memory anew
        if job[0] < size:
            take(job[1:])

    return compiled(meet, size)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_work_is_done_by_that_many_threads_at_once(threads: int, team: str) -> None:
    job = np.zeros(3, np.int64)
    pool.run(meeting(threads), job.ctypes.data, threads)
    assert job[0] == threads
    assert job[1] == 0


@pytest.mark.parametrize("name", ["l1", "groups"])
def test_numbers_are_the_same_on_either_team(
    name: str, team: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    penalty: Penalty = {"l1": L1(0.01), "groups": GroupLasso(0.01)}[name]
    torch.set_num_threads(1)
    expected, _ = trained(Adam, {}, penalty, 0)
    torch.set_num_threads(2)
    assert torch.equal(trained(Adam, {}, penalty, 0)[0], expected)


def test_torchs_team_is_found() -> None:
    assert (pool.openmp() is not None) == (sys.platform == "linux")


def test_optimizers_on_several_python_threads() -> None:
    seeds = range(6)
    expected = [trained(Adam, {}, L1(0.01), seed)[0] for seed in seeds]
    with ThreadPoolExecutor(3) as threads:
        found = list(threads.map(lambda seed: trained(Adam, {}, L1(0.01), seed)[0], seeds))
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def _total() -> float:
    return float(trained(Adam, {}, L1(0.01), 0)[0].numpy().astype(np.float64).sum())


def _send(queue: Any, threads: int) -> None:
    torch.set_num_threads(threads)
    queue.put(_total())


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers(start: str) -> None:
    """Forked while threads of this process wait, and spawned."""
    torch.set_num_threads(2)
    expected = _total()
    context: Any = multiprocessing.get_context(start)
    queue = context.Queue()
    workers = [context.Process(target=_send, args=(queue, 2)) for _ in range(2)]
    for worker in workers:
        worker.start()
    found = [queue.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join(timeout=60)
    assert found == [expected, expected]
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert _total() == expected
