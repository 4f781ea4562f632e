"""Several threads, forked and spawned processes: the same numbers as one thread."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread, current_thread, main_thread
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from shrinkage import L1, GroupLasso, Penalty
from shrinkage.kernels import threads
from shrinkage.kernels.intrinsics import memory, next_piece
from shrinkage.kernels.jit import Work, compile_job
from shrinkage.torch import SGD, Adam, Regularizer

PATIENCE = 1800  # seconds after which a test that hangs fails; how fast one runs decides nothing
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
    monkeypatch.setattr(threads, "_is_forked", request.param == "own")
    return str(request.param)


def trained(
    kind: Any, options: dict[str, Any], penalty: Penalty, seed: int, size: int = 600
) -> tuple[Tensor, Any]:
    """Parameters of more than the size below which one thread does it all.

    Several threads for steps alone that allocate nothing: torch's own do not outlive a fork.
    """
    count = torch.get_num_threads()
    torch.set_num_threads(1)
    drawn = torch.Generator().manual_seed(seed)
    parts = [nn.Parameter(torch.randn(size, 300, generator=drawn)) for _ in range(2)]
    optimizer = kind(parts, **options, penalty=penalty)
    for step in range(4):
        for w in parts:
            w.grad = torch.randn(w.shape, generator=drawn)
        torch.set_num_threads(count if step else 1)
        optimizer.step()
        torch.set_num_threads(1)
    result = torch.cat([w.detach().flatten() for w in parts]), optimizer.statistics()
    torch.set_num_threads(count)
    return result


@pytest.mark.quick_where(kind=["Adam"], penalty=[L1(0.01)])
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_any_number_of_threads_comes_to_the_same(
    kind: Any, options: dict[str, Any], penalty: Penalty
) -> None:
    torch.set_num_threads(1)
    expected, counts = trained(kind, options, penalty, 0)
    for count in (2, 3, 8):
        torch.set_num_threads(count)
        weights, found = trained(kind, options, penalty, 0)
        assert torch.equal(weights, expected)
        assert found.zeros == counts.zeros
        assert found.value == pytest.approx(counts.value, rel=1e-10)


def test_set_num_threads_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    original = threads.run

    def run(work: Any, job: int, count: int) -> None:
        asked.append(count)
        original(work, job, count)

    monkeypatch.setattr(threads, "run", run)
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


INTEGERS = np.empty(0, np.int64)


def meeting(size: int) -> Work:
    """Counts in job[0] who comes, and in job[1] who waited in vain for `size` of them."""

    def meet(address):  # type: ignore[no-untyped-def]
        job = memory(address, 3, INTEGERS)
        next_piece(address)
        waited = 0
        while job[0] < size and waited < 1 << 34:
            waited = next_piece(address + 16)  # looks at memory anew
        if job[0] < size:
            next_piece(address + 8)

    return compile_job(meet, size)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_work_is_done_by_that_many_threads_at_once(count: int, team: str) -> None:
    job = np.zeros(3, np.int64)
    threads.run(meeting(count), job.ctypes.data, count)
    assert job[0] == count
    assert job[1] == 0


@pytest.mark.quick_where(name=["l1"])
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
    assert (threads.openmp() is not None) == (sys.platform == "linux")


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


@pytest.mark.quick_where(start=["fork"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.parametrize(("start", "count"), [("fork", 2), ("spawn", 1)])
def test_workers(start: str, count: int) -> None:
    """Forked while threads of this process wait, and spawned."""
    torch.set_num_threads(2)
    expected = _total()
    context: Any = multiprocessing.get_context(start)
    queue = context.Queue()
    workers = [context.Process(target=_send, args=(queue, 2)) for _ in range(count)]
    for worker in workers:
        worker.start()
    found = [queue.get(timeout=PATIENCE) for _ in workers]
    for worker in workers:
        worker.join()
    assert found == [expected] * count
    assert [worker.exitcode for worker in workers] == [0] * count
    assert _total() == expected


@pytest.mark.quick_where(kind=["SGD"], penalty=[L1(0.01)])
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_python_threads_that_step_one_optimizer_take_turns(
    kind: Any, options: dict[str, Any], penalty: Penalty
) -> None:
    """Each gives a new gradient, which frees the one that another may be stepping by."""
    shapes = (400, 500), (7,), (30, 30)
    gradients = [torch.randn(shape, generator=torch.Generator().manual_seed(1)) for shape in shapes]

    def optimizer_of(parts: list[nn.Parameter]) -> Any:
        return kind(parts, **options, penalty=penalty, how="proximal")

    def step(parts: list[nn.Parameter], optimizer: Any) -> None:
        for w, gradient in zip(parts, gradients, strict=True):
            w.grad = gradient.clone()
        optimizer.step()
        optimizer.statistics()

    mine = [nn.Parameter(torch.ones(shape)) for shape in shapes]
    optimizer = optimizer_of(mine)
    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(step, mine, optimizer) for _ in range(40)]:
            done.result()

    other = [nn.Parameter(torch.ones(shape)) for shape in shapes]
    twin = optimizer_of(other)
    for _ in range(40):
        step(other, twin)
    assert all(map(torch.equal, mine, other))


def test_a_gradient_that_another_thread_replaces_by_one_that_does_not_fit() -> None:
    w = nn.Parameter(torch.ones(60, 50))
    optimizer = SGD([w], lr=0.0, penalty=L1(0.01))

    def step(number: int) -> None:
        w.grad = torch.ones(60, 50) if number % 2 else torch.ones(50, 60).t()
        optimizer.step()

    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(step, number) for number in range(60)]:
            done.result()
    assert torch.equal(w, torch.ones(60, 50))


def test_an_attached_penalty_acts_once_a_step_whichever_thread_steps() -> None:
    """Between two threads no step counts as one within the other."""
    model = nn.Linear(4, 3, bias=False)
    nn.init.ones_(model.weight)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    regularizer = Regularizer(model, L1(0.1))
    regularizer.attach(optimizer, how="proximal")
    model.weight.grad = torch.zeros(3, 4)
    within, may_end = Event(), Event()

    def wait(*_: object) -> None:
        if current_thread() is not main_thread():
            within.set()
            may_end.wait(PATIENCE)

    hook = optimizer.register_step_pre_hook(wait)
    other = Thread(target=optimizer.step)
    other.start()
    assert within.wait(PATIENCE)
    optimizer.step()  # from begin to end within the other thread's
    may_end.set()
    other.join()
    hook.remove()
    torch.testing.assert_close(model.weight.detach(), torch.full((3, 4), 1.0 - 2 * 0.01))
