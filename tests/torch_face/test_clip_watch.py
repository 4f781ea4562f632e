"""A clipping that an attached penalty takes no part in is noticed, and nothing else is."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_

import shrinkage.torch
from diabetes import normal_equations, standardized
from shrinkage import L1, L2
from shrinkage.torch import Regularizer
from shrinkage.torch.binding.clip_watch import IN_A_ROW, find_clip_norm

SAID = "had the norm .* at 5 steps in a row while they turned"
SGD, ADAM = partial(torch.optim.SGD, lr=1e-3), partial(torch.optim.Adam, lr=0.02)


def batches(count: int) -> Any:
    X, y = (torch.tensor(part) for part in standardized())
    drawn = torch.Generator().manual_seed(0)
    for _ in range(count):
        rows = torch.randint(len(y), (16,), generator=drawn)
        yield X[rows].float(), y[rows, None].float()


def train(
    make: Any, how: str, clip: Any = None, *, steps: int = 8, **options: Any
) -> list[warnings.WarningMessage]:
    """On mini-batches of 16; the warnings of it."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(10, 8), nn.Tanh(), nn.Linear(8, 1))
    optimizer = make(model.parameters())
    regularizer = Regularizer(model, L1(1e-3))
    if how != "loss":
        regularizer.attach(optimizer, how=how, **options)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        for X, y in batches(steps):
            optimizer.zero_grad()
            (10 * (model(X) - y)).square().mean().backward()
            if clip == "method":
                regularizer.clip_grad_norm_(model.parameters(), 1.0)
            elif clip is not None:
                clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
    return found


@pytest.mark.quick_where(make=[SGD], norm=[1.0])
@pytest.mark.parametrize("make", [SGD, ADAM])
@pytest.mark.parametrize("how", ["coupled", "proximal"])
@pytest.mark.parametrize("norm", [1.0, 0.05])
def test_clipping_by_torch_warns_once_with_the_remedy(make: Any, how: str, norm: float) -> None:
    (found,) = train(make, how, norm, steps=120)
    assert f"regularizer.clip_grad_norm_(parameters, {norm})".replace("1.0", "1") in str(
        found.message
    )
    assert f"attach(..., max_norm={norm:g})" in str(found.message)
    assert found.filename == __file__


@pytest.mark.parametrize("how", ["coupled", "proximal"])
def test_clipping_inside_a_closure_warns_too(how: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(10, 8), nn.Tanh(), nn.Linear(8, 1))
    optimizer = SGD(model.parameters())
    Regularizer(model, L1(1e-3)).attach(optimizer, how=how)

    def train_on_batches() -> None:
        for X, y in batches(120):
            optimizer.step(partial(clipped_loss, X, y))

    def clipped_loss(X: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad()
        loss = (10 * (model(X) - y)).square().mean()
        loss.backward()
        clip_grad_norm_(model.parameters(), 0.05)
        return loss

    with pytest.warns(UserWarning, match=SAID) as found:
        train_on_batches()
    assert len(found) == 1


def test_decoupled_warns_only_where_it_would_be_clipped() -> None:
    assert len(train(SGD, "decoupled", 1.0)) == 1
    assert train(ADAM, "decoupled", 1.0) == []
    assert train(SGD, "decoupled", 1.0, scale="none") == []


@pytest.mark.slow
def test_what_takes_part_or_does_not_clip_is_silent() -> None:
    for how in ("coupled", "proximal"):
        assert train(SGD, how, "method", steps=120) == []
        assert train(SGD, how, max_norm=1.0, steps=120) == []
        assert train(SGD, how, steps=120) == []
        assert train(SGD, how, 1e4, steps=120) == []  # never binds
    assert train(SGD, "loss", 1.0) == []


def test_clipping_that_begins_later_is_found_at_a_later_look() -> None:
    """As after a warm-up from 0, whose full batches do not turn."""
    A, b = (torch.tensor(part) for part in normal_equations())
    model = nn.ParameterDict({"w": torch.zeros(10).double()})
    optimizer = SGD(model.parameters(), lr=0.3)
    Regularizer(model, L2(1e-3), on="all").attach(optimizer, how="coupled")
    w = model["w"]

    def run(steps: range) -> None:
        for step in steps:
            w.grad = A @ w.detach() - b
            optimizer.param_groups[0]["lr"] = 0.0 if step < 8 else 0.3
            clip_grad_norm_(w, 0.1)
            optimizer.step()

    run(range(10))
    with pytest.warns(UserWarning, match=SAID):
        run(range(10, 20))


@pytest.mark.parametrize("kind", ["zero", "constant", "minimum"])
@pytest.mark.usefixtures("torch_operations")
def test_gradients_that_do_not_turn_are_no_clipping(kind: str) -> None:
    A, b = (torch.tensor(part) for part in normal_equations())
    model = nn.ParameterDict({"w": torch.zeros(10).double()})
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    Regularizer(model, L1(0.1), on="all").attach(optimizer, how="proximal")
    for step in range(115):
        slope = {"zero": 0.0 * b, "constant": b, "minimum": A @ model["w"].detach() - b}[kind]
        optimizer.param_groups[0]["lr"] = 0.02 * 0.9**step
        model["w"].grad = slope.clone()
        optimizer.step()  # warnings are errors here


def test_one_norm_counts_only_beside_a_turn() -> None:
    drawn = torch.Generator().manual_seed(0)
    turning = [torch.randn(50, generator=drawn) for _ in range(IN_A_ROW)]
    still = [turning[0]] * IN_A_ROW
    assert find_clip_norm([1.0, 1.00005, 1.0, 1.0, 1.0], turning) == 1.0
    assert find_clip_norm([1.0, 1.0002, 1.0, 1.0, 1.0], turning) is None
    assert find_clip_norm([1.0] * 5, still) is None
    assert find_clip_norm([0.0] * 5, turning) is None
    assert find_clip_norm([float("nan")] * 5, turning) is None
    slightly = [turning[0] + 1e-3 * one for one in turning]
    assert find_clip_norm([1.0] * 5, slightly) is None  # as its norm might be by chance


def test_no_norm_is_taken_between_the_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    monkeypatch.setattr(
        "shrinkage.torch.binding.clip_watch.get_total_norm",
        lambda g: taken.append(1) or torch.rand(()),
    )
    train(SGD, "coupled", steps=250)
    assert len(taken) == 3 * IN_A_ROW  # from steps 0, 10 and 100 on
    taken.clear()
    train(partial(shrinkage.torch.SGD, lr=0.05, penalty=L1(1e-3)), "loss", 1.0, steps=90)
    assert len(taken) == 2 * IN_A_ROW  # likewise with the penalty inside


@pytest.mark.quick_where(kind=[shrinkage.torch.SGD])
@pytest.mark.parametrize("kind", [shrinkage.torch.SGD, shrinkage.torch.Adam])
@pytest.mark.usefixtures("torch_operations")
def test_clipping_beside_a_penalty_inside_warns_and_names_its_own_option(kind: Any) -> None:
    def train_inside(how: str, clip: float | None, **options: Any) -> list[Any]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(10, 8), nn.Tanh(), nn.Linear(8, 1))
        optimizer = kind(model.parameters(), lr=1e-3, penalty=L1(1e-3), how=how, **options)
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            for X, y in batches(8):
                optimizer.zero_grad()
                (10 * (model(X) - y)).square().mean().backward()
                if clip is not None:
                    clip_grad_norm_(model.parameters(), clip)
                optimizer.step()
        return found

    (found,) = train_inside("proximal", 0.5)
    assert "optimizer.max_norm = 0.5" in str(found.message)
    assert found.filename == __file__
    assert train_inside("proximal", None) == []
    assert train_inside("proximal", None, max_norm=0.5) == []
    assert train_inside("decoupled", 0.5, scale="none") == []


def test_clipping_by_torch_before_our_own_warns_since_nothing_is_left_to_clip() -> None:
    (found,) = train(SGD, "proximal", 1.0, max_norm=1.0)
    assert "turn that clipping off" in str(found.message)


def test_a_single_number_turns_by_its_sign_alone_and_is_silent() -> None:
    w = nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([w], lr=0.1)
    Regularizer(nn.ParameterDict({"w": w}), L1(0.1), on="all").attach(optimizer, how="coupled")
    for step in range(12):
        w.grad = torch.tensor([1.0 if step % 2 else -1.0])
        optimizer.step()
