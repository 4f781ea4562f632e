"""Where penalties rest beside clipped gradients: at the minimum of J, as without clipping."""

from __future__ import annotations

from contextlib import nullcontext
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_

import shrinkage.torch
from diabetes import minimum, normal_equations
from fused_twins import torch_operations
from grid import covering
from optimizer_cases import INSIDE, LARGER, STEADY, factory, hasty
from shrinkage import L1, L2, GroupLasso, Penalty
from shrinkage.torch import RDA, Joint, Regularizer

LASSO = L1(0.12)
GROUPS = tuple((unit, unit + 5) for unit in range(5))
SLOW = {"RAdam", "RMSprop", "RMSprop momentum", "Adadelta"}  # to come to a rest
SLOW |= {"SGD foreach", "SGD fused", "Adam foreach", "Adam fused", "AdamW"}  # the same step


@cache
def half_norm(penalty: Penalty) -> float:
    """Half the norm of the data gradient at the minimum, where clipping to it makes c = ½."""
    A, b = normal_equations()
    return float(np.linalg.norm(A @ minimum(penalty) - b)) / 2


class Parts(nn.Module):
    """The ten weights of the diabetes data, whole or as two parameters of five units each."""

    def __init__(self, *sizes: int) -> None:
        super().__init__()
        self.weights = nn.ParameterList([torch.zeros(size, 1).double() for size in sizes])
        self.parts = list(self.weights)
        self.A, self.b = (torch.tensor(part) for part in normal_equations())

    def evaluate(self) -> torch.Tensor:
        """Set the gradients of the data loss, and return that."""
        w = self.flat()
        slope = self.A @ w - self.b
        if len(self.parts) == 1:
            self.parts[0].grad = slope[:, None]
        else:
            for one, piece in zip(self.parts, slope.split(5), strict=True):
                one.grad = piece[:, None].clone()
        return w @ (slope - self.b) / 2

    def flat(self) -> torch.Tensor:
        return torch.cat([one.detach()[:, 0] for one in self.parts])


def descend(model: Parts, optimizer: Any, clip: Any = None, steps: int = 300) -> np.ndarray:
    """On full batches, lr constant for half the steps, then on a line to 0."""
    first = [group["lr"] for group in optimizer.param_groups]
    for step in range(steps):
        for group, lr in zip(optimizer.param_groups, first, strict=True):
            group["lr"] = lr * min(1.0, 2 * (1 - step / steps))
        model.evaluate()
        if clip is not None:
            clip(model.parameters())
        optimizer.step()
    return model.flat().numpy()


def check_converged(w: np.ndarray, penalty: Penalty, how: str) -> None:
    target = minimum(penalty)
    exact = how != "coupled" or isinstance(penalty, L2)  # a subgradient hops about 0
    assert np.abs(w - target).max() < (1e-6 if exact else 3e-3)
    if how == "proximal":
        assert ((w == 0) == (target == 0)).all()


@pytest.mark.quick_where(name=["Adam"], how=["proximal"])
@pytest.mark.parametrize(
    ("name", "how"),
    [
        *((name, "proximal") for name in STEADY if name not in SLOW),
        *((name, "coupled") for name in ("SGD momentum", "Adam", "Adagrad")),
    ],
)
@pytest.mark.usefixtures("torch_operations")
def test_every_optimizer_converges_to_the_lasso(name: str, how: str) -> None:
    model = Parts(10)
    regularizer = Regularizer(model, LASSO, on="all")
    if how == "proximal":
        optimizer = hasty(name)(model.parameters())
        regularizer.attach(optimizer, how=how, max_norm=half_norm(LASSO))
        check_converged(descend(model, optimizer), LASSO, how)
        return
    optimizer = factory(name)(model.parameters())
    regularizer.attach(optimizer, how=how)
    clip = partial(regularizer.clip_grad_norm_, max_norm=half_norm(LASSO))
    check_converged(descend(model, optimizer, clip, steps=450), LASSO, how)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the gradients in")
@pytest.mark.parametrize(("name", "how"), covering(["SGD", "Adam"], ["coupled", "proximal"]))
def test_clipping_by_torch_leads_elsewhere(name: str, how: str) -> None:
    model = Parts(10)
    optimizer = factory(name)(model.parameters())
    Regularizer(model, LASSO, on="all").attach(optimizer, how=how)
    w = descend(model, optimizer, lambda p: clip_grad_norm_(p, half_norm(LASSO)), steps=300)
    assert np.abs(w - minimum(LASSO)).max() > 0.05


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("shrinkage SGD momentum", "proximal"),
        ("shrinkage SGD Nesterov", "coupled"),
        ("shrinkage Adam", "coupled"),
        ("shrinkage Adam amsgrad", "proximal"),
    ],
)
def test_a_penalty_inside_converges_there_too(name: str, how: str) -> None:
    """By compiled loops where it is proximal."""
    with nullcontext() if how == "proximal" else torch_operations():
        check_inside(name, how)


def check_inside(name: str, how: str) -> None:
    norm = half_norm(LASSO)
    model = Parts(10)
    kind, options = INSIDE[name]
    larger, steps = (LARGER[name], 300) if how == "proximal" else (1.0, 450)
    options = {**options, "lr": larger * options["lr"]}
    bare = kind(model.parameters(), **options, penalty=LASSO, how=how, max_norm=norm)
    w = descend(model, bare, steps=steps)
    check_converged(w, LASSO, how)
    again = Parts(10)
    regularizer = Regularizer(again, LASSO, on="all")
    other = kind(again.parameters(), **options, penalty=regularizer, how=how)
    v = descend(again, other, lambda p: regularizer.clip_grad_norm_(p, norm), steps)
    assert (v == w).all()


@pytest.mark.slow
@pytest.mark.usefixtures("torch_operations")
@pytest.mark.parametrize("penalty", [L1(0.12), L2(0.1)], ids=str)
def test_decoupled_under_sgd_converges_there_too(penalty: Penalty) -> None:
    norm = half_norm(penalty)
    for inside in (False, True):
        model = Parts(10)
        if inside:
            optimizer: Any = shrinkage.torch.SGD(
                model.parameters(), 0.4, penalty=penalty, how="decoupled", max_norm=norm
            )
        else:
            optimizer = torch.optim.SGD(model.parameters(), 0.4)
            regularizer = Regularizer(model, penalty, on="all")
            regularizer.attach(optimizer, how="decoupled", max_norm=norm)
        w = descend(model, optimizer, steps=450)
        assert np.abs(w - minimum(penalty)).max() < 1e-6


@pytest.mark.slow
def test_dual_averaging_converges_there_too() -> None:
    norm, ends = half_norm(LASSO), []
    for max_norm in (norm, None):
        model = Parts(10)
        regularizer = Regularizer(model, LASSO, on="all")
        optimizer = RDA(model.parameters(), 0.5, penalty=regularizer, max_norm=max_norm)
        for _ in range(700):
            model.evaluate()
            if max_norm is None:
                regularizer.clip_grad_norm_(model.parameters(), norm)
            optimizer.step()
        ends.append(model.flat().numpy())
    target = minimum(LASSO)
    assert (ends[0] == ends[1]).all()
    assert np.abs(ends[0] - target).max() < 1e-2
    assert ((ends[0] == 0) == (target == 0)).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SGD momentum", "Adam"])
def test_each_part_of_a_joint_may_be_clipped_to_its_own_norm(name: str) -> None:
    model = Parts(5, 5)
    regularizer = Regularizer(model, {Joint("weights.0", "weights.1"): GroupLasso(0.12)})
    optimizer = hasty(name)(model.parameters())
    regularizer.attach(optimizer, how="proximal")
    target = minimum(GroupLasso(0.12, GROUPS))
    A, b = normal_equations()
    slope = A @ target - b
    norms = [float(np.linalg.norm(slope[:5])) * 0.8, float(np.linalg.norm(slope[5:])) * 0.4]

    def clip(parameters: Any) -> None:
        for one, norm in zip(parameters, norms, strict=True):
            regularizer.clip_grad_norm_(one, norm)

    w = descend(model, optimizer, clip, steps=350)
    assert np.abs(w - target).max() < 1e-6
    assert ((w == 0) == (target == 0)).all()
    assert 0 < (target == 0).sum() < 10


def test_lbfgs_clips_at_each_evaluation() -> None:
    """The same path as with clipping and the penalty's gradient written in the closure by hand."""
    ends = []
    for by_hand in (False, True):
        model = Parts(10)
        optimizer = torch.optim.LBFGS(model.parameters(), lr=0.01, max_iter=3)
        regularizer = Regularizer(model, L2(0.1), on="all")
        (w,) = model.weights

        def closure(
            model: Parts = model, w: Any = w, by_hand: bool = by_hand, r: Any = regularizer
        ) -> torch.Tensor:
            loss = model.evaluate()
            if by_hand:
                norm = clip_grad_norm_(model.parameters(), 0.3)
                w.grad += min(1.0, 0.3 / (float(norm) + 1e-6)) * 0.2 * w.detach()
                loss = loss + r.value()
            return loss

        if not by_hand:
            regularizer.attach(optimizer, how="coupled", max_norm=0.3)
        for _ in range(2):
            optimizer.step(closure)
        ends.append(model.flat())
    assert torch.allclose(ends[0], ends[1], rtol=1e-10, atol=0)
    assert 1e-3 < ends[0].abs().max() < 1.0
