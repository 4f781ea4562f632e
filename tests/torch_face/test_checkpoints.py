"""Strengths that change during training, and runs that stop and go on."""

import io
import math
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from shrinkage import L1, L2, GroupLasso
from shrinkage.torch import Regularizer, schedules


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()


def step(model: nn.Module, optimizer: Any, regularizer: Regularizer | None = None) -> None:
    optimizer.zero_grad()
    x = torch.linspace(-1, 1, 12).view(4, 3).double()
    loss = (model(x) - 1).square().mean()
    if regularizer is not None:
        loss = loss + regularizer.penalty()
    loss.backward()
    optimizer.step()


def test_the_factor_multiplies_every_strength() -> None:
    model = network()
    regularizer = Regularizer(model, L1(0.5) + L2(0.25))
    whole = regularizer.value()
    regularizer.factor = 0.5
    assert regularizer.value() == pytest.approx(0.5 * whole)
    assert regularizer.penalty().item() == pytest.approx(0.5 * whole)
    assert "strengths times 0.5" in repr(regularizer)


@pytest.mark.parametrize("how", ["coupled", "decoupled", "proximal"])
@pytest.mark.parametrize("make", [torch.optim.SGD, torch.optim.Adam])
def test_a_factor_is_another_strength_in_every_way(make: Any, how: str) -> None:
    halved, weak = network(), network()
    for model, penalty, factor in (
        (halved, L1(0.2) + L2(0.1) + GroupLasso(0.1), 0.5),
        (weak, L1(0.1) + L2(0.05) + GroupLasso(0.05), 1.0),
    ):
        optimizer = make(model.parameters(), lr=0.05)
        regularizer = Regularizer(model, penalty)
        regularizer.factor = factor
        regularizer.attach(optimizer, how=how)
        for _ in range(4):
            step(model, optimizer)
    for one, other in zip(halved.parameters(), weak.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-13, rtol=0)


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf])
def test_a_bad_factor_is_refused(bad: float) -> None:
    regularizer = Regularizer(network(), L1(0.5))
    with pytest.raises(ValueError, match="factor must be >= 0 and finite"):
        regularizer.factor = bad
    with pytest.raises(ValueError, match="factor must be >= 0 and finite"):
        regularizer.schedule = lambda step: bad
    with pytest.raises(TypeError, match="schedule must be a function of the step"):
        Regularizer(network(), L1(0.5), schedule=0.5)


SCHEDULES = [
    (schedules.constant(0.25), [0.25] * 6),
    (schedules.linear(1.0, 0.0, 4), [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]),
    (schedules.cosine(2.0, 0.0, 4), [2.0, 1 + 0.5**0.5, 1.0, 1 - 0.5**0.5, 0.0, 0.0]),
    (schedules.warmup(2), [0.0, 0.5, 1.0, 1.0, 1.0, 1.0]),
    (schedules.warmup(2, schedules.linear(1, 0, 2)), [0.0, 0.5, 1.0, 0.5, 0.0, 0.0]),
    (lambda step: step**2, [0, 1, 4, 9, 16, 25]),
]


@pytest.mark.parametrize(("schedule", "factors"), SCHEDULES)
def test_a_schedule_sets_the_factor_of_each_step(schedule: Any, factors: list[float]) -> None:
    model = nn.ParameterDict({"w": nn.Parameter(torch.full((1, 1), 100.0).double())})
    regularizer = Regularizer(model, L1(1.0))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    regularizer.attach(optimizer, how="proximal", schedule=schedule)
    lost = []
    for _ in factors:
        before = model["w"].item()
        model["w"].grad = torch.zeros(1, 1).double()
        optimizer.step()
        lost.append((before - model["w"].item()) / 0.5)
    assert lost == pytest.approx(factors, abs=1e-12)


def test_under_loss_the_user_counts_the_steps() -> None:
    model = nn.ParameterDict({"w": nn.Parameter(torch.ones(1, 1))})
    regularizer = Regularizer(model, L1(1.0), schedule=schedules.linear(1.0, 0.0, 4))
    seen = []
    for _ in range(6):
        seen.append(regularizer.penalty().item())
        regularizer.step()
    assert seen == [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]


@pytest.mark.parametrize("make", [schedules.warmup, partial(schedules.linear, 1, 0)])
def test_a_schedule_over_no_steps_is_refused(make: Any) -> None:
    with pytest.raises(ValueError, match="steps must be a whole number >= 1, got 0"):
        make(0)


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


MAKES: list[Any] = [
    partial(torch.optim.SGD, lr=0.05, momentum=0.9),
    partial(torch.optim.SGD, lr=0.05, momentum=0.9, nesterov=True),
    partial(torch.optim.Adam, lr=0.02),
    partial(torch.optim.Adadelta, lr=1.0),
]


def run(make: Any, how: str, stop: int | None) -> list[Tensor]:
    """Eight steps; with `stop`, saved, thrown away and loaded after that many."""

    def begin() -> tuple[nn.Module, Any, Regularizer]:
        model = network()
        optimizer = make(model.parameters())
        regularizer = Regularizer(
            model, L1(0.1) + GroupLasso(0.05), schedule=schedules.cosine(1.0, 0.1, 8)
        )
        if how != "loss":
            regularizer.attach(optimizer, how=how)
        return model, optimizer, regularizer

    model, optimizer, regularizer = begin()
    for number in range(8):
        if number == stop:
            saved = through_a_file(
                {
                    "model": model.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "regularizer": regularizer.state_dict(),
                }
            )
            model, optimizer, regularizer = begin()
            model.load_state_dict(saved["model"])
            optimizer.load_state_dict(saved["optimizer"])
            regularizer.load_state_dict(saved["regularizer"])
        step(model, optimizer, regularizer if how == "loss" else None)
        if how == "loss":
            regularizer.step()
    return [parameter.detach() for parameter in model.parameters()]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["loss", "coupled", "decoupled", "proximal"])
@pytest.mark.parametrize("make", MAKES)
def test_a_resumed_run_goes_on_bit_for_bit(make: Any, how: str) -> None:
    whole = run(make, how, None)
    for stop in (1, 5):
        resumed = run(make, how, stop)
        assert all(torch.equal(a, b) for a, b in zip(whole, resumed, strict=True))


def test_the_regularizers_state_matters_for_the_resumed_run() -> None:
    regularizer = Regularizer(network(), L1(0.1), schedule=schedules.linear(1.0, 0.0, 4))
    for _ in range(2):
        regularizer.step()
    state = regularizer.state_dict()
    assert state == {
        "factor": 0.5,
        "step": 2,
        "penalties": {"0.weight": "l1:0.1", "2.weight": "l1:0.1"},
        "momentum": {},
        "starts": {},
        "first_lrs": [],
    }
    fresh = Regularizer(network(), L1(0.1), schedule=schedules.linear(1.0, 0.0, 4))
    fresh.load_state_dict(through_a_file(state))
    assert fresh.factor == 0.5
    fresh.step()
    assert fresh.factor == 0.25


def test_a_momentum_buffer_loaded_without_the_count_is_taken_as_full() -> None:
    model = nn.ParameterDict({"w": nn.Parameter(torch.full((1, 1), 100.0).double())})
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(3):
        model["w"].grad = torch.zeros(1, 1).double()
        optimizer.step()
    Regularizer(model, L1(1.0)).attach(optimizer, how="proximal")
    model["w"].grad = torch.zeros(1, 1).double()
    optimizer.step()
    assert model["w"].item() == pytest.approx(100.0 - 0.1 * 10.0)


def test_other_penalties_than_those_saved_warn() -> None:
    state = Regularizer(network(), {"0*": L1(0.1), "2*": L2(0.1)}).state_dict()
    other = Regularizer(network(), {"0*": L1(0.2), "2*": L2(0.1)})
    with pytest.warns(
        UserWarning, match=r"0\.weight: l1:0\.1 then, l1:0\.2 now; the present ones are kept"
    ):
        other.load_state_dict(state)
    assert other.bindings[0].penalty == L1(0.2)
    fewer = Regularizer(network(), {"0*": L1(0.1)})
    with pytest.warns(UserWarning, match=r"2\.weight: l2:0\.1 then, none now"):
        fewer.load_state_dict(state)
