"""16-bit weights: stepped in float32 with float32 state, and rounded once a step."""

from __future__ import annotations

import copy
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numba import njit
from torch import Tensor, nn
from torch.optim import Optimizer

import fused_twins as twins
from grid import FULL
from plain_loops import plain_loops
from shrinkage import L1, L2, ElasticNet, GroupLasso, LogSum, Penalty
from shrinkage.kernels import column_sums
from shrinkage.kernels.intrinsics import load, round_to, store, widen
from shrinkage.torch import SGD, Adam

SHAPES = {"matrix": (6, 5), "long": (2, 2500)}
SGD_OPTIONS: tuple[Any, dict[str, Any]] = torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}
ADAM_OPTIONS: tuple[Any, dict[str, Any]] = torch.optim.Adam, {"lr": 0.1}
KINDS: list[Any] = [pytest.param(*SGD_OPTIONS, id="SGD"), pytest.param(*ADAM_OPTIONS, id="Adam")]
COMPILED = [
    (L1(0.1), "proximal", *ADAM_OPTIONS),
    (L1(0.1), "proximal", *SGD_OPTIONS),
    # After rows and columns, and a second pass, the weights are rounded in other lines.
    (GroupLasso(0.1), "proximal", *ADAM_OPTIONS),
    (GroupLasso(0.1, "in"), "coupled", *ADAM_OPTIONS),
    (GroupLasso(0.1, "in"), "proximal", *ADAM_OPTIONS),  # its state has another stride than copies
    (LogSum(0.1, 0.3), "proximal", *ADAM_OPTIONS),
]
PLAIN = [  # what is widened and rounded is the same in all of them
    (L1(0.1), "coupled", *ADAM_OPTIONS),
    (L1(0.1), "decoupled", *SGD_OPTIONS),
    (GroupLasso(0.1), "coupled", *SGD_OPTIONS),
    (GroupLasso(0.1), "proximal", *ADAM_OPTIONS),
    (GroupLasso(0.1), "decoupled", *ADAM_OPTIONS),
    (ElasticNet(0.2), "proximal", *SGD_OPTIONS),
    (GroupLasso(0.1, "in"), "decoupled", *SGD_OPTIONS),
    (GroupLasso(0.1, "in"), "proximal", *ADAM_OPTIONS),
]


def compare(
    kind: type[Optimizer],
    options: dict[str, Any],
    penalty: Penalty,
    how: str,
    dtype: torch.dtype,
) -> tuple[Any, nn.ParameterDict]:
    """With the float32 optimizer, whose weights are rounded after each step."""
    mine, other = (twins.parameters(SHAPES, dtype) for _ in range(2))
    for w in other.values():
        w.data = w.data.float()
    free = copy.deepcopy(other)
    one = twins.ours(mine, kind, options, penalty, how)
    two = twins.twin(other, kind, options, penalty, how)
    plain = kind(free.values(), **options)
    for step in range(twins.STEPS):
        for model, optimizer in ((mine, one), (other, two), (free, plain)):
            twins.gradients(model, step)
            for w in model.values():
                if w.grad is not None:
                    w.grad = w.grad.to(dtype).to(w.dtype)
            optimizer.step()
            for w in model.values():
                w.data = w.data.to(dtype).to(w.dtype)
        for name, w in mine.items():
            # A unit in the last place where float32 lands on the edge between two of them.
            apart = (w.detach().float() - other[name].detach()).abs()
            assert (apart > 0).float().mean() < 0.01
            assert (apart <= 2.0**-7 * other[name].detach().abs()).all()
            w.data = other[name].detach().to(dtype)
    for name, w in mine.items():
        assert w.dtype is dtype
        for key, value in one.state[w].items():
            if key not in ("step", "momentum_share"):
                assert value.dtype is torch.float32
                twins.near(value, two.state[other[name]][key], 1e-5, key)
        assert (w.float() - free[name]).abs().max() > 0.05
    return one, mine


@pytest.mark.quick_where(kind=["SGD"], penalty=[L1(0.1)], how=["proximal"])
@pytest.mark.parametrize(("penalty", "how", "kind", "options"), COMPILED, ids=str)
def test_it_is_the_float32_step_rounded_once(
    penalty: Penalty, how: str, kind: type[Optimizer], options: dict[str, Any]
) -> None:
    optimizer, model = compare(kind, options, penalty, how, torch.bfloat16)
    optimizer.state_dict()
    assert len(model) == len(optimizer.engine_report().in_one_pass)


@pytest.mark.quick_where(how=["proximal"], penalty=[GroupLasso(0.1), GroupLasso(0.1, "in")])
@pytest.mark.parametrize(("penalty", "how", "kind", "options"), PLAIN, ids=str)
def test_so_it_is_in_loops_of_plain_python(
    penalty: Penalty,
    how: str,
    kind: type[Optimizer],
    options: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Among them columns in several blocks, whose float32 copies have strides of their own."""
    monkeypatch.setitem(SHAPES, "long", (9,))
    for name in () if FULL else ("MIN_WIDTH", "MAX_WIDTH"):  # a compiled loop would keep them
        monkeypatch.setattr(column_sums, name, 2)
    with nullcontext() if FULL else plain_loops():
        optimizer, model = compare(kind, options, penalty, how, torch.bfloat16)
    assert len(model) == len(optimizer.engine_report().in_one_pass)


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_float16_goes_torchs_way(kind: type[Optimizer], options: dict[str, Any]) -> None:
    optimizer, _ = compare(kind, options, L1(0.1), "proximal", torch.float16)
    assert not optimizer.engine_report().in_one_pass


@pytest.mark.quick_where(kind=["SGD"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kind", [SGD, Adam])
def test_state_stays_float32_through_a_checkpoint(kind: Any, dtype: torch.dtype) -> None:
    options = {"lr": 0.1, "momentum": 0.9} if kind is SGD else {"lr": 0.1}
    w = nn.Parameter(torch.linspace(-1, 1, 300).to(dtype))
    optimizer = kind([w], **options, penalty=L1(0.1))

    def step(optimizer: Optimizer, w: Tensor) -> None:
        w.grad = torch.linspace(0.0, 0.3, 300).to(dtype)
        optimizer.step()

    step(optimizer, w)
    v = nn.Parameter(w.detach().clone())
    resumed = kind([v], **options, penalty=L1(0.1))
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for name in optimizer.rule.state_names(optimizer.param_groups[0]):
        assert resumed.state[v][name].dtype is torch.float32
    for _ in range(3):
        step(optimizer, w)
        step(resumed, v)
    assert torch.equal(v, w)


@pytest.mark.quick_where(kind=["SGD"])
@pytest.mark.parametrize("kind", [SGD, Adam])
def test_16_bit_state_of_torchs_own_becomes_float32(kind: Any) -> None:
    options = {"lr": 0.1, "momentum": 0.9} if kind is SGD else {"lr": 0.1}
    w = nn.Parameter(torch.ones(4, dtype=torch.bfloat16))
    w.grad = torch.ones_like(w)
    theirs = twins_of(kind)([w], **options)
    theirs.step()
    optimizer = kind([w], **options, penalty=L1(0.1))
    optimizer.load_state_dict(theirs.state_dict())
    optimizer.step()
    for name in optimizer.rule.state_names(optimizer.param_groups[0]):
        assert optimizer.state[w][name].dtype is torch.float32
    assert optimizer.engine_report().in_one_pass


def twins_of(kind: Any) -> Any:
    return {ours: theirs for theirs, ours in twins.OURS.items()}[kind]


@pytest.mark.slow
def test_small_decays_add_up_in_float32_state_but_not_in_weights() -> None:
    """bfloat16 has no number between 1 and 1 − 2⁻⁹: the promise is the step, rounded once."""
    w = nn.Parameter(torch.ones(3, dtype=torch.bfloat16))
    optimizer = SGD([w], lr=1e-3, penalty=L2(0.5), how="decoupled")
    with plain_loops():
        for _ in range(10):
            w.grad = torch.zeros_like(w)
            optimizer.step()
    assert (w == 1).all()


widening, narrowing = njit(widen), njit(round_to)


@njit
def kept(bits, numbers):  # type: ignore[no-untyped-def]
    """What `store` says that it wrote, and what `load` reads."""
    said, read = np.empty_like(numbers), np.empty_like(numbers)
    for i in range(bits.size):
        said[i] = store(bits, i, numbers[i])
        read[i] = load(bits, i)
    return said, read


@pytest.mark.slow
@given(st.lists(st.floats(width=32), min_size=1, max_size=40))
def test_rounding_is_torchs(values: list[float]) -> None:
    """NaN, infinities, ties, denormals and what overflows among them."""
    numbers = np.array([*values, 3.3895314e38, 1e-40, 1.00390625, -0.0, np.nan], np.float32)
    expected = torch.from_numpy(numbers.copy()).bfloat16()
    bits, rounded = np.empty(numbers.size, np.uint16), numbers.copy()
    narrowing(bits, rounded)
    found = torch.from_numpy(bits.view(np.int16)).view(torch.bfloat16)
    assert torch.equal(found.isnan(), expected.isnan())
    assert torch.equal(found[~found.isnan()], expected[~found.isnan()])
    wide = np.empty(numbers.size, np.float32)
    widening(bits, wide)
    np.testing.assert_array_equal(wide, expected.float().numpy())
    np.testing.assert_array_equal(rounded, wide)
    others = np.empty_like(bits)
    for one in kept(others, numbers):
        np.testing.assert_array_equal(one, wide)
    np.testing.assert_array_equal(others, bits)
