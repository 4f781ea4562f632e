"""Groups at the ends of what floats hold, and with a NaN, against torch operations."""

import math
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from torch import nn
from torch.optim import Optimizer

from fused_twins import torch_operations
from grid import FULL
from plain_loops import plain_loops
from shrinkage import L1, GroupLasso, Penalty
from shrinkage.kernels.group_root import root
from shrinkage.torch import SGD, Adam

pytestmark = pytest.mark.slow  # test_contract.py has what is no number, in the quick layer
OPTIONS: dict[Any, dict[str, Any]] = {SGD: {"momentum": 0.9}, Adam: {}}  # loops of other tests
START = torch.tensor([[1.0, -2.0, 0.5], [0.25, 1.0, 3.0]])


def stepped(
    kind: type[Any], start: torch.Tensor, penalty: GroupLasso, how: str, steps: int = 3
) -> nn.Parameter:
    w = nn.Parameter(start.clone())
    optimizer: Optimizer = kind([w], lr=1e-3, penalty=penalty, how=how, **OPTIONS[kind])
    for gradient in (0.0, 0.0, 1e-6)[:steps]:
        w.grad = torch.full_like(w, gradient)
        optimizer.step()
    return w


# These are first, for test_parity.py begins at the same time in another process: it then finds the
# loops of float64 on the disk, where the one that comes later would compile them too.
LARGEST = [1e-7, 4e-6, 6e-6, 3e-5, 1e-3, 3.9e-3, 4.1e-3, 0.02, 0.05, 0.1, 0.6]


@pytest.mark.parametrize("largest", LARGEST)
@pytest.mark.parametrize("are_many", [True, False], ids=["many", "one"])
@pytest.mark.parametrize("groups", ["in", "out"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_groups_go_where_their_equation_says_however_small_their_costs(
    groups: str, dtype: torch.dtype, are_many: bool, largest: float
) -> None:
    """Σz²/(θ + c)² = 1, solved elsewhere; `largest` is the largest c beside ‖z‖."""
    torch.manual_seed(0)
    start, lr, lam = torch.randn(1, 700, dtype=torch.float64), 1e-3, 1.0
    gradient = torch.full((1, 700), 1e7, dtype=torch.float64)
    if are_many:  # of that cost, so that θ is far from ‖z‖ − c̄
        gradient[0, ::2] = 1.0
    else:  # of a small weight alone, which is what its share must be right for
        gradient[0, 0], start[0, 0] = 1.0, 0.011
    gradient *= lr * lam * 700**0.5 / (largest * start.norm())
    if groups == "in":
        start, gradient = start.T.contiguous(), gradient.T.contiguous()
    w = nn.Parameter(start.to(dtype))
    w.grad = gradient.to(dtype)  # positive: Adam's first step is lr
    z, g = w.detach().double().numpy().ravel() - lr, w.grad.double().numpy().ravel()
    Adam([w], lr=lr, eps=1e-30, penalty=GroupLasso(lam, groups)).step()
    c = lr * lam * 700**0.5 / g
    theta = brentq(lambda t: (z**2 / (t + c) ** 2).sum() - 1, 0.01, 100, xtol=1e-15, rtol=1e-15)
    share = 1.0 - np.minimum(1.0, 2e-3 / (np.abs(z) * c / (theta + c)).max()) * c / (theta + c)
    apart = np.abs(w.detach().double().numpy().ravel() - z * share)
    assert (apart <= 4 * torch.finfo(dtype).eps * np.maximum(np.abs(z), lr)).all()


@pytest.mark.parametrize("size", [1e-45, 1e-40, 1e-30, 1e-24, 1e-10, 1.0, 1e15, 1e20, 1e30])
@pytest.mark.parametrize("groups", ["out", "in"])
@pytest.mark.parametrize("kind", [SGD, Adam])
def test_groups_of_any_size_are_shrunk_as_by_torch_operations(
    size: float, groups: str, kind: type[Any]
) -> None:
    penalty = GroupLasso(1e-2, groups=groups)
    mine = stepped(kind, size * START, penalty, "proximal")
    with torch_operations():
        other = stepped(kind, size * START, penalty, "proximal")
    assert mine.isfinite().all()
    torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-12)
    assert ((mine == 0) == (other == 0)).all()
    if kind is Adam:
        assert (mine == 0).all() == (size < 1e-3)


@pytest.mark.parametrize("small", [0.0, 1e-20, 1e-14, 1e-10])
def test_a_group_lives_where_one_entry_costs_next_to_nothing(small: float) -> None:
    """z = (1, 0.03) and c = (1.05, small): θ + c₂ is about 0.03, far below where Newton begins."""
    for dtype in (np.float32, np.float64):
        z, c = np.array([1.0, 0.03], dtype), np.array([1.05, small], dtype)
        with np.errstate(over="ignore", invalid="ignore"):  # as in a loop
            theta = root(z, c, 1.00045, 1.049)
        assert abs((z**2 / (theta + c.astype(np.float64)) ** 2).sum() - 1) < 1e-3


@pytest.mark.parametrize("small", [1e-20, 1e-14, 1e-10])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("groups", ["out", "in"])
def test_so_it_does_in_a_compiled_loop(groups: str, dtype: torch.dtype, small: float) -> None:
    """Which is free in how it takes inverses and sums. Adam's first step is lr, and c is √2/g."""
    start, costs = torch.tensor([[2.0, 1.03]], dtype=dtype), torch.tensor([[1.05, small]])
    if groups == "in":
        start, costs = start.T.contiguous(), costs.T.contiguous()
    w = nn.Parameter(start.clone())
    w.grad = 2**0.5 / costs.to(dtype)
    Adam([w], lr=1.0, eps=1e-30, penalty=GroupLasso(1.0, groups)).step()
    z, c = start.double().numpy() - 1.0, costs.double().numpy()
    theta = brentq(lambda t: (z**2 / (t + c) ** 2).sum() - 1, 1e-3, 2.0, xtol=1e-15, rtol=1e-15)
    np.testing.assert_allclose(w.detach().numpy(), z * theta / (theta + c), rtol=1e-3)


@pytest.mark.parametrize("groups", ["out", "in"])
def test_costs_that_no_type_holds_are_those_of_torch_operations(groups: str) -> None:
    def after() -> nn.Parameter:
        w = nn.Parameter(torch.tensor([[1.0, 2.0, 3.0]]).T if groups == "in" else START[:1].abs())
        w.grad = torch.full_like(w, 1e12)
        w.grad.view(-1)[0] = 0.0
        Adam([w], lr=1e-3, eps=1e-30, penalty=GroupLasso(1e12, groups=groups)).step()
        return w

    mine = after()
    with torch_operations():
        other = after()
    assert mine.isfinite().all()
    torch.testing.assert_close(mine, other, rtol=1e-6, atol=0)


@pytest.mark.parametrize("groups", ["out", "in"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_small_weight_whose_step_is_huge_is_shrunk_and_not_turned(
    dtype: torch.dtype, groups: str
) -> None:
    """A cost of 2·10⁵ beside a norm of 1, of a weight that hardly counts in it."""
    start, gradient = torch.tensor([[2.0], [1e-9]]), torch.tensor([[1.0], [0.0]])
    if groups == "out":
        start, gradient = start.T.contiguous(), gradient.T.contiguous()
    w = nn.Parameter(start.to(dtype))
    w.grad = gradient.to(dtype)
    Adam([w], lr=1.0, eps=1e-17, penalty=GroupLasso(2e-12, groups, weight="none")).step()
    large, small = w.detach().ravel().tolist()
    assert large == pytest.approx(1.0)
    assert small == pytest.approx(1e-9 / (1 + 2e5), rel=1e-3)


SHAPES = [(False, (300, 150)), (False, (70, 150, 3)), (True, (40, 11)), (True, (35, 11, 3))]


@pytest.mark.parametrize(("amsgrad", "shape"), SHAPES, ids=str)
@pytest.mark.parametrize("share", [0.0, 0.04, 1.0])
def test_columns_go_where_rows_go(share: float, shape: tuple[int, ...], amsgrad: bool) -> None:
    """Some of them, isolated or neighbours, with weights that may move no farther than 2·lr.

    AMSGrad, of which no more than the line that reads √v is different, in plain Python.
    """
    torch.manual_seed(0)
    start, gradient = torch.randn(shape), torch.randn(shape)
    gradient[0, torch.rand(shape[1]) < (5 * share if amsgrad else share)] = 0.0
    rows, columns = nn.Parameter(start.transpose(0, 1).contiguous()), nn.Parameter(start.clone())
    options: dict[str, Any] = {"lr": 1e-3, "betas": (0.9, 0.5), "amsgrad": amsgrad}
    for w, groups, g in ((rows, "out", gradient.transpose(0, 1)), (columns, "in", gradient)):
        optimizer = Adam([w], penalty=GroupLasso(1e-4, groups), **options)
        with plain_loops() if amsgrad and not FULL else nullcontext():
            for scale in (1.0, 1e-2):  # √v falls, but not the largest
                w.grad = (scale * g).contiguous()
                optimizer.step()
    torch.testing.assert_close(columns.transpose(0, 1), rows, rtol=4e-7, atol=1e-9)


@pytest.mark.parametrize("groups", ["out", "in"])
@pytest.mark.parametrize("kind", [SGD, Adam])
def test_an_infinite_weight_stays_where_groups_cost_nothing(kind: type[Any], groups: str) -> None:
    w = nn.Parameter(torch.tensor([[math.inf, 1.0], [2.0, 3.0]]))
    w.grad = torch.zeros(2, 2)
    kind([w], lr=1e-3, penalty=GroupLasso(0.0, groups=groups), **OPTIONS[kind]).step()
    assert torch.equal(w, torch.tensor([[math.inf, 1.0], [2.0, 3.0]]))


@pytest.mark.parametrize("size", [1e-24, 1.0, 1e20])
@pytest.mark.parametrize("kind", [SGD, Adam])
def test_rows_of_any_size_pull_as_by_torch_operations(size: float, kind: type[Any]) -> None:
    penalty = GroupLasso(max(size, 1e-2))
    # One step: the next of a tiny row has the signs of what rounding left of it.
    with plain_loops() if kind is Adam and not FULL else nullcontext():
        mine = stepped(kind, size * START, penalty, "coupled", steps=1)
    with torch_operations():
        other = stepped(kind, size * START, penalty, "coupled", steps=1)
    assert kind is Adam or (mine != size * START).any()
    torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize(
    ("how", "groups", "kind", "dtype"),  # the type in which other tests compile the loop
    [  # where no other does, it is plain Python: what it adds to an update is in the rest
        ("proximal", "out", SGD, torch.float32),
        ("proximal", "in", SGD, torch.float32),
        ("proximal", "out", Adam, torch.float32),
        ("proximal", "in", Adam, torch.float32),
        ("coupled", "out", Adam, torch.float64),
        ("coupled", "in", Adam, torch.float64),
        ("coupled", "in", SGD, torch.float32),
        ("decoupled", "out", SGD, torch.float64),
        ("decoupled", "out", Adam, torch.float64),
        ("decoupled", "in", SGD, torch.float64),
    ],
    ids=str,
)
def test_one_nan_makes_its_whole_group_nan(
    how: str, groups: str, kind: type[Any], dtype: torch.dtype
) -> None:
    start = START.to(dtype, copy=True)
    start[0, 1] = math.nan
    penalty = GroupLasso(1e-2, groups=groups)
    is_plain = (how, kind, groups) in (("coupled", SGD, "in"), ("decoupled", Adam, "out"))
    with plain_loops() if is_plain and not FULL else nullcontext():
        mine = stepped(kind, start, penalty, how)
    with torch_operations():
        other = stepped(kind, start, penalty, how)
    assert mine.isnan().sum() == (3 if groups == "out" else 2)
    torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-12, equal_nan=True)


@pytest.mark.parametrize("penalty", [None, L1(0.1)])
@pytest.mark.parametrize("how", ["coupled", "decoupled", "proximal"])
@pytest.mark.parametrize("kind", [SGD, Adam])
def test_an_infinite_weight_stays_what_torch_operations_make_of_it(
    how: str, penalty: Penalty | None, kind: type[Any]
) -> None:
    def after() -> torch.Tensor:
        w = nn.Parameter(torch.tensor([math.inf, -math.inf, 1.0], dtype=torch.float64))
        optimizer = kind([w], lr=0.1, penalty=penalty, how=how, **OPTIONS[kind])
        for _ in range(2):
            w.grad = torch.ones_like(w)
            optimizer.step()
        return w.detach()

    mine = after()
    with torch_operations():
        torch.testing.assert_close(mine, after(), equal_nan=True)
    assert penalty is not None or mine.isinf().sum() == 2


@pytest.mark.parametrize("lr", [0.1, 0.0])
@pytest.mark.parametrize(("groups", "kind"), [("in", Adam), ("out", SGD)])
def test_a_denormal_group_is_pulled_no_farther_than_its_gradient(
    kind: type[Any], groups: str, lr: float
) -> None:
    start = torch.tensor([[1e-40, 1.0], [-2e-40, 2.0]])
    w = nn.Parameter(start.t().contiguous() if groups == "out" else start)
    optimizer = kind([w], lr=lr, penalty=GroupLasso(0.1, groups), how="coupled", **OPTIONS[kind])
    w.grad = torch.full((2, 2), 0.01)
    with plain_loops() if kind is Adam and not FULL else nullcontext():
        optimizer.step()
    tiny = w[0] if groups == "out" else w[:, 0]
    step = -lr * (0.01 if kind is SGD else 1.0)
    torch.testing.assert_close(tiny, torch.full((2,), step), rtol=1e-5, atol=1e-30)


@pytest.mark.parametrize("groups", ["out", "in"])
@pytest.mark.parametrize("size", [1e-8, 1e-13, 1e-16, 1e-20])
def test_what_costs_more_than_floats_hold_dies(size: float, groups: str) -> None:
    w = nn.Parameter(size * torch.randn(64, 64))
    optimizer = Adam([w], lr=1e-3, penalty=GroupLasso(1.0, groups))
    w.grad = torch.zeros(64, 64)
    optimizer.step()
    assert (w == 0).all()
    assert optimizer.statistics().dead_groups == 64


def test_sums_of_large_weights() -> None:
    w = nn.Parameter(torch.full((2, 4), 1e25))
    optimizer = SGD([w], lr=0.1, momentum=0.9, penalty=GroupLasso(0.1))
    w.grad = torch.zeros(2, 4)
    optimizer.step()
    assert optimizer.statistics().squares == pytest.approx(8e50, rel=1e-6)


def test_where_memory_runs_out_the_step_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that stops before its end raises nothing by itself."""
    w = nn.Parameter(torch.ones(4, 4))
    optimizer = SGD([w], lr=0.1, penalty=L1(0.1))
    w.grad = torch.ones(4, 4)
    optimizer.step()
    monkeypatch.setattr(optimizer._current_engine().batches[0], "work", lambda job: None)
    with pytest.raises(MemoryError, match="no memory left for a step of"):
        optimizer.step()
