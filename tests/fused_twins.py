"""An optimizer with the penalty inside beside its slow twin: torch's own with a Regularizer on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from shrinkage import Penalty
from shrinkage.torch import SGD, Adam, Regularizer
from shrinkage.torch.attaching.attachment import Attachment
from shrinkage.torch.fused import engine

Options = Mapping[str, Any]
OURS: dict[type[Optimizer], type[SGD] | type[Adam]] = {
    torch.optim.SGD: SGD,
    torch.optim.Adam: Adam,
}
STEPS = 8
MISSED = 3  # the step at which there is no gradient
OURS_ALONE = {"momentum_share"}


def parameters(shapes: Mapping[str, tuple[int, ...]], dtype: torch.dtype) -> nn.ParameterDict:
    """Weights of about 2, with zeros of both signs among them."""
    drawn = torch.Generator().manual_seed(1)
    made = {}
    for name, shape in shapes.items():
        w = 2.0 * torch.randn(shape, generator=drawn, dtype=torch.float64)
        w.view(-1)[:2] = torch.tensor([0.0, -0.0])[: w.numel()]
        made[name] = nn.Parameter(w.to(dtype))
    return nn.ParameterDict(made)


def strided(model: nn.ParameterDict) -> nn.ParameterDict:
    """The same weights with gaps between them in memory, which no compiled loop serves."""
    made = {}
    for name, w in model.items():
        wide = torch.full((*w.shape, 2), 9.0, dtype=w.dtype)
        wide[..., 0] = w.detach()
        made[name] = nn.Parameter(wide[..., 0])
    return nn.ParameterDict(made)


def gradients(model: nn.ParameterDict, step: int) -> None:
    """Gradients of that step, the same for every model of these shapes; at one there are none."""
    drawn = torch.Generator().manual_seed(100 + step)
    for w in model.values():
        gradient = torch.randn(w.shape, generator=drawn, dtype=torch.float64)
        w.grad = None if step == MISSED else gradient.to(w.dtype)


def train(model: nn.ParameterDict, optimizer: Optimizer, steps: int = STEPS) -> Optimizer:
    """Steps at learning rates that change."""
    first = [group["lr"] for group in optimizer.param_groups]
    for step in range(steps):
        gradients(model, step)
        for group, lr in zip(optimizer.param_groups, first, strict=True):
            group["lr"] = lr * (1.0 + 0.1 * step)
        optimizer.step()
    return optimizer


def serve_nothing(*_: object) -> str:
    """What keeps a parameter out of the compiled loops; a mock in its place would be slower."""
    return "not in this test"


@contextmanager
def torch_operations() -> Iterator[None]:
    """Within it no parameter is stepped by a compiled loop, neither ours nor an attached prox."""
    with mock.patch.object(engine, "find_obstacle", serve_nothing):
        yield


def attached(
    model: nn.ParameterDict,
    kind: type[Optimizer],
    options: Options,
    penalty: Penalty,
    how: str,
    scale: str = "lr",
) -> tuple[Optimizer, Attachment]:
    """torch's optimizer, the penalty attached, and its prox in compiled loops where they serve."""
    optimizer = kind(model.values(), **options)
    regularizer = Regularizer(model, penalty, on="all")
    scaled = scale if how == "decoupled" else None
    return optimizer, regularizer.attach(optimizer, how=how, scale=scaled)


def twin(
    model: nn.ParameterDict,
    kind: type[Optimizer],
    options: Options,
    penalty: Penalty | None,
    how: str,
    scale: str = "lr",
) -> Optimizer:
    """torch's optimizer, the penalty attached, and its prox by torch operations alone."""
    if penalty is None:
        return kind(model.values(), **options)
    optimizer, attachment = attached(model, kind, options, penalty, how, scale)
    if how == "proximal":
        attachment._proximal.apply_in_one_pass_ = lambda moved: moved
    return optimizer


def ours(
    model: nn.ParameterDict,
    kind: type[Optimizer],
    options: Options,
    penalty: Penalty | None,
    how: str,
    scale: str = "lr",
) -> Optimizer:
    """The same with the penalty inside."""
    scale = scale if how == "decoupled" else "lr"
    return OURS[kind](model.values(), **options, penalty=penalty, how=how, scale=scale)


def assert_same(
    model: nn.ParameterDict,
    optimizer: Optimizer,
    other: nn.ParameterDict,
    other_optimizer: Optimizer,
    tolerance: float,
) -> None:
    """Weights and state agree, exact zeros included."""
    for name, w in model.items():
        v = other[name]
        near(w, v, tolerance, name)
        assert torch.equal(w == 0, v == 0), name
        state, twin_state = optimizer.state[w], other_optimizer.state[v]
        full = {key for key, value in twin_state.items() if value is not None} - OURS_ALONE
        assert set(state) - OURS_ALONE == full, name
        for key in full:
            near(state[key], twin_state[key], tolerance, f"{key} of {name}")


def served(optimizer: Optimizer) -> int:
    """How many parameters compiled loops step."""
    assert isinstance(optimizer, SGD | Adam)
    report = optimizer.engine_report()
    assert len(report.in_one_pass) + len(report.by_torch) == len(report.rows)
    return len(report.in_one_pass)


def near(one: Tensor, other: Tensor, tolerance: float, name: str) -> None:
    def said(message: str) -> str:
        return f"{name}: {message}"

    wide = (one.detach().to(torch.complex128), other.detach().to(torch.complex128))
    torch.testing.assert_close(*wide, rtol=tolerance, atol=tolerance, equal_nan=True, msg=said)
