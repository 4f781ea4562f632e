"""What `optimizer.statistics()` says, against the sums written out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import astuple
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import fused_twins as twins
from grid import FULL
from plain_loops import plain_loops
from shrinkage import L1, L2, MCP, ElasticNet, GroupLasso, LInf, Penalty
from shrinkage.kernels import threads
from shrinkage.kernels.column_sums import FLUSH
from shrinkage.torch import SGD, Adam, Regularizer
from shrinkage.torch.fused.statistics import Statistics

MOMENTUM: tuple[Any, dict[str, Any]] = SGD, {"lr": 0.1, "momentum": 0.9}
ADAM: tuple[Any, dict[str, Any]] = Adam, {"lr": 0.1}
KINDS: list[Any] = [pytest.param(*MOMENTUM, id="SGD"), pytest.param(*ADAM, id="Adam")]
SHAPES = {"matrix": (6, 5), "vector": (7,), "kernels": (4, 3, 2, 2)}


@pytest.mark.quick_where(penalty=[L1(0.3), GroupLasso(0.4)])
@pytest.mark.parametrize("gaps", [False, True], ids=["one pass", "torch's way"])
@pytest.mark.parametrize(
    ("penalty", "kind", "options"),
    [
        (L1(0.3), *ADAM),
        (L2(0.3), *ADAM),
        (ElasticNet(0.3), *MOMENTUM),
        (GroupLasso(0.4), *MOMENTUM),
        (MCP(0.3), *ADAM),
        (LInf(0.4), *MOMENTUM),
    ],
    ids=str,
)
def test_sums_over_all_penalized_weights(
    penalty: Penalty, kind: Any, options: dict[str, Any], gaps: bool
) -> None:
    model = twins.parameters(SHAPES, torch.float64)
    model = twins.strided(model) if gaps else model
    optimizer = kind(model.values(), **options, penalty=penalty)
    for step in range(3):
        twins.gradients(model, step)
        optimizer.step()
        found = optimizer.statistics()
        flat = torch.cat([w.detach().flatten() for w in model.values()])
        assert found.value == pytest.approx(sum(penalty(w.detach()) for w in model.values()).item())
        assert found.absolute == pytest.approx(flat.abs().sum().item())
        assert found.squares == pytest.approx(flat.square().sum().item())
        assert found.zeros == (flat == 0).sum()
        assert found.entries == flat.numel() == 85
    assert found.value > 0


@pytest.mark.quick_where(kind=["SGD"])
@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_dead_groups(kind: Any, options: dict[str, Any]) -> None:
    w = nn.Parameter(torch.tensor([[3.0, 4.0], [1e-3, 1e-3], [0.0, 0.0]]).double())
    optimizer = kind([w], **options, penalty=GroupLasso(0.5))
    w.grad = torch.zeros_like(w)
    optimizer.step()
    found = optimizer.statistics()
    assert (found.groups, found.dead_groups, found.zeros) == (3, 2, 4)


@pytest.mark.quick_where(kind=["SGD"])
@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_of_a_regularizer_its_own_weights_and_factor(kind: Any, options: dict[str, Any]) -> None:
    model = nn.Linear(5, 4).double()
    regularizer = Regularizer(model, L1(0.1))
    optimizer = kind(model.parameters(), **options, penalty=regularizer)
    assert optimizer.statistics().entries == 20  # before the first step as well
    regularizer.factor = 0.5
    for w in model.parameters():
        w.grad = torch.zeros_like(w)
    optimizer.step()
    found = optimizer.statistics()
    assert found.entries == 20
    assert found.value == pytest.approx(regularizer.value(), rel=1e-5)
    assert found.value == pytest.approx(0.05 * model.weight.abs().sum().item(), rel=1e-5)


@pytest.mark.parametrize("penalty", [L1(0.1), GroupLasso(0.1), LInf(0.1)])
def test_frozen_weights_are_not_counted(penalty: Penalty) -> None:
    frozen, free = (nn.Parameter(torch.full((3, 2), size).double()) for size in (1.0, 2.0))
    frozen.grad, free.grad = torch.zeros_like(frozen), torch.zeros_like(free)
    optimizer = SGD([frozen, free], lr=1e-9, momentum=0.9, penalty=penalty)
    optimizer.step()
    assert optimizer.statistics().absolute == pytest.approx(18.0)
    frozen.requires_grad_(False)
    optimizer.step()
    found = optimizer.statistics()
    assert (found.absolute, found.squares) == pytest.approx((12.0, 24.0))
    assert found.value == pytest.approx(float(penalty(free.detach())))
    assert found.entries == 6


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_without_a_penalty_there_is_nothing_to_sum(kind: Any, options: dict[str, Any]) -> None:
    w = nn.Parameter(torch.ones(3))
    w.grad = torch.ones(3)
    optimizer = kind([w], **options)
    optimizer.step()
    assert optimizer.statistics().entries == 0


Array = np.ndarray[Any, Any]
PENALTIES: dict[str, Penalty] = {
    "l1": L1(0.8),
    "elastic": ElasticNet(0.9, l1_ratio=0.75),
    "mcp": MCP(0.8, 4.0),
    "rows": GroupLasso(0.6),
    "columns": GroupLasso(0.6, "in"),
    "kernels": GroupLasso(0.6, (0, 1)),
}


def mcp(w: Array) -> float:
    size = abs(w)
    return float(np.where(size <= 3.2, 0.8 * size - size**2 / 8.0, 1.28).sum())


def norms(parts: Array) -> float:
    return 0.6 * parts.shape[1] ** 0.5 * float(np.sqrt((parts**2).sum(1)).sum())


VALUES: dict[str, Callable[[Array], float]] = {
    "l1": lambda w: 0.8 * abs(w).sum(),
    "elastic": lambda w: 0.675 * abs(w).sum() + 0.1125 * (w**2).sum(),
    "mcp": mcp,
}
GROUPS: dict[str, Callable[[Array], Array]] = {  # each a row
    "rows": lambda w: w.reshape(len(w), -1),
    "columns": lambda w: np.stack([w[:, j].flatten() for j in range(w.shape[1])]),
    "kernels": lambda w: w.reshape(w.shape[0] * w.shape[1], -1),
}


def together(parts: Iterable[Statistics]) -> Statistics:
    return Statistics(*(sum(numbers) for numbers in zip(*map(astuple, parts), strict=True)))


def by_hand(name: str, weights: Tensor, factor: float = 1.0) -> Statistics:
    """All seven, from the formulas."""
    w = weights.detach().double().numpy()
    parts = GROUPS[name](w) if name in GROUPS else np.empty((0, 0))
    value = norms(parts) if name in GROUPS else VALUES[name](w)
    dead = sum(not row.any() for row in parts)
    sums = float(abs(w).sum()), float((w**2).sum())
    return Statistics(factor * value, *sums, int((w == 0).sum()), w.size, dead, len(parts))


def assert_stated(found: Statistics, expected: Statistics, tolerance: float = 1e-10) -> None:
    assert {"zeros", "dead_groups", "groups"} < set(vars(found))
    for field, spec in vars(expected).items():
        rel = tolerance if isinstance(spec, float) else 0.0
        assert getattr(found, field) == pytest.approx(spec, rel=rel, abs=0.0), field


def trained(
    kind: Any,
    options: dict[str, Any],
    name: str,
    model: nn.ParameterDict,
    factor: float = 1.0,
    steps: int = 3,
) -> tuple[Any, Regularizer]:
    """After steps with small gradients, at which some groups and entries die, others do not."""
    with torch.no_grad():
        for w in model.values():
            w[0] = 0.01
            w[:, 1] = 0.01
    regularizer = Regularizer(model, PENALTIES[name], on="all")
    regularizer.factor = factor
    optimizer = kind(model.values(), **options, penalty=regularizer)
    for step in range(steps):
        for w in model.values():
            drawn = torch.Generator().manual_seed(step)
            gradient = 0.05 * torch.randn(w.shape, generator=drawn, dtype=torch.float64)
            w.grad = gradient.to(w.dtype)
        optimizer.step()
    return optimizer, regularizer


def assert_some(found: Statistics, name: str) -> None:
    """It is no test where nothing died, or everything."""
    assert 0 < found.zeros < found.entries
    assert (0 < found.dead_groups < found.groups) == (name in GROUPS)


@pytest.mark.quick_where(name=["l1"], factor=[0.5])
@pytest.mark.parametrize("way", ["one pass", "torch's way", "no gradient"])
@pytest.mark.parametrize("factor", [1.0, 0.5])
@pytest.mark.parametrize(
    ("name", "kind", "options"),
    [
        ("l1", *ADAM),
        ("elastic", *MOMENTUM),
        ("mcp", *ADAM),
        ("rows", *ADAM),
        ("columns", *MOMENTUM),
        ("kernels", *MOMENTUM),
    ],
)
def test_all_seven_by_hand(
    name: str, kind: Any, options: dict[str, Any], factor: float, way: str
) -> None:
    model = twins.parameters({"w": (6, 5, 2, 3)}, torch.float64)
    model = twins.strided(model) if way == "torch's way" else model
    w = model["w"]
    optimizer, regularizer = trained(kind, options, name, model, factor)
    assert twins.served(optimizer) == (way != "torch's way")
    if way == "no gradient":  # and is changed by others, for its sums are from before
        w.grad = None
        with torch.no_grad():
            w[1:3] = 0.0
        optimizer.step()
    found = optimizer.statistics()
    assert_stated(found, by_hand(name, w, factor))
    assert_some(found, name)
    assert found.value == pytest.approx(regularizer.value(), rel=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kind", "options"),
    [("l1", *MOMENTUM), ("elastic", *MOMENTUM), ("rows", *ADAM), ("columns", *ADAM)],
)
def test_of_16_bits(name: str, kind: Any, options: dict[str, Any]) -> None:
    """Of the weights as they were rounded; plain Python where no other test compiles the loop."""
    model = twins.parameters({"w": (6, 80)}, torch.bfloat16)
    with plain_loops() if name in ("elastic", "columns") and not FULL else nullcontext():
        optimizer, _ = trained(kind, options, name, model)
    assert twins.served(optimizer) == 1
    found = optimizer.statistics()
    # Sums are in float32 within a chunk, and so is the value of what goes torch's way.
    assert_stated(found, by_hand(name, model["w"]), 1e-5)
    assert_some(found, name)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_of_columns_that_are_summed_in_several_parts(kind: Any, options: dict[str, Any]) -> None:
    model = twins.parameters({"w": (FLUSH + 8, 3)}, torch.float64)
    with nullcontext() if FULL else plain_loops():
        optimizer, _ = trained(kind, options, "columns", model)
    assert twins.served(optimizer) == 1
    found = optimizer.statistics()
    assert_stated(found, by_hand("columns", model["w"]))
    assert_some(found, "columns")


@pytest.fixture
def thread_counts(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many were asked for, at each step."""
    asked: list[int] = []
    original = threads.run

    def run(work: Any, job: int, count: int) -> None:
        asked.append(count)
        original(work, job, count)

    monkeypatch.setattr(threads, "run", run)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield asked
    torch.set_num_threads(before)


@pytest.mark.quick_where(name=["l1"])
@pytest.mark.parametrize(
    ("name", "kind", "options"),
    [("l1", *ADAM), ("mcp", *ADAM), ("rows", *ADAM), ("columns", *MOMENTUM)],
)
def test_of_several_pieces_on_two_threads(
    name: str, kind: Any, options: dict[str, Any], thread_counts: list[int]
) -> None:
    model = twins.parameters({"w": (44, 4100), "small": (3, 4)}, torch.float64)
    optimizer, _ = trained(kind, options, name, model)
    assert len(optimizer._current_engine().batches[0].pieces) >= 3  # the small one is one
    assert thread_counts == [2, 2, 2]
    found = optimizer.statistics()
    assert_stated(found, together(by_hand(name, w) for w in model.values()))
    assert_some(found, name)


@pytest.mark.slow
def test_of_all_kinds_together() -> None:
    """Sums over parameters that go every way, one without a gradient, one without a penalty."""
    shapes = dict.fromkeys([*PENALTIES, "free"], (6, 5, 2, 3))
    model = twins.parameters(shapes, torch.float64)
    model["rows"] = twins.strided(nn.ParameterDict({"rows": model["rows"]}))["rows"]
    regularizer = Regularizer(model, PENALTIES)
    regularizer.factor = 0.5
    optimizer = SGD(model.values(), lr=0.1, momentum=0.9, penalty=regularizer)
    for _ in range(3):
        for name, w in model.items():
            w.grad = None if name == "mcp" else torch.zeros_like(w)
        optimizer.step()
    total = together(by_hand(name, model[name], 0.5) for name in PENALTIES)
    assert_stated(optimizer.statistics(), total)
    assert total.entries == len(PENALTIES) * 180
    assert total.groups == 6 + 5 + 30


@pytest.mark.parametrize("gaps", [False, True], ids=["one pass", "torch's way"])
@pytest.mark.parametrize("shape", [(7,), (6, 1)], ids=str)
def test_groups_of_one_entry_are_groups(shape: tuple[int, ...], gaps: bool) -> None:
    """Which a loop steps as absolute values."""
    model = twins.parameters({"w": shape}, torch.float64)
    model = twins.strided(model) if gaps else model
    w = model["w"]
    optimizer = SGD(model.values(), lr=0.1, momentum=0.9, penalty=GroupLasso(0.6))
    w.grad = torch.zeros_like(w)
    optimizer.step()
    found, zeros = optimizer.statistics(), int((w == 0).sum())
    assert found.value == pytest.approx(0.6 * w.detach().abs().sum().item())
    assert zeros >= 2
    assert (found.zeros, found.dead_groups, found.groups) == (zeros, zeros, w.numel())
