"""What an audit says is what happens: before its remedy and after it, step by step."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from audit_cases import CASES, Setup, adam, bare, penalized, under
from shrinkage import L1, L2
from shrinkage.torch import SGD, Regularizer, audit


def left(setup: Setup, steps: int) -> float:
    """What is left of a weight of 1.5 after steps at a data gradient of 0."""
    weight = setup.model.weight
    assert isinstance(weight, nn.Parameter)
    with torch.no_grad():
        weight.fill_(1.5)
    for _ in range(steps):
        for one in setup.model.parameters():
            if one.requires_grad:  # a frozen one keeps the gradient it has
                one.grad = torch.zeros_like(one)
        setup.optimizer.step()
    return weight.detach().mean().item() / 1.5


# case, steps, what must hold before the remedy and after it
CLAIMS: dict[str, tuple[int, Callable[[float], bool], Callable[[float], bool]]] = {
    "frozen": (1, lambda w: math.isclose(w, 0.99, rel_tol=1e-6), lambda w: w == 1.0),
    "slow AdamW": (500, lambda w: w > 0.9, lambda w: w <= 1 / math.e),
    "fast AdamW": (333, lambda w: w < 0.04, lambda w: w > 0.99 / math.e),  # (1 − r)^(1/r) < 1/e
    "slow L2": (300, lambda w: w > 0.7, lambda w: w <= 1 / math.e),
    "bfloat16": (100, lambda w: w == 1.0, lambda w: math.isclose(w, 0.99, rel_tol=1e-3)),
    "decay and L2": (  # 0.1·(0.1 + 0.2) of it, then 0.1·0.2
        1,
        lambda w: math.isclose(w, 0.97, rel_tol=1e-6),
        lambda w: math.isclose(w, 0.98, rel_tol=1e-6),
    ),
}


@pytest.mark.parametrize("case", CLAIMS)
def test_before_and_after_the_remedy(case: str) -> None:
    steps, before, after = CLAIMS[case]
    setup = CASES[case][0]()
    assert before(left(setup, steps))
    setup.mend(setup.findings()[0].remedy)
    assert after(left(setup, steps))


def test_a_weight_that_is_held_twice_steps_twice() -> None:
    setup = CASES["twice"][0]()
    remedy = setup.findings()[0].remedy
    moved = []
    for lines in ("", remedy):
        setup.mend(lines)
        before = setup.model.weight.detach().clone()
        setup.model.weight.grad = torch.ones(2, 3)
        setup.optimizer.step()
        moved.append((before - setup.model.weight).mean().item())
    assert moved == pytest.approx([0.2, 0.1], rel=1e-5)


@pytest.mark.usefixtures("torch_operations")
def test_zeros_come_with_the_remedy_alone() -> None:
    setup = penalized(adam(lr=0.01), L1(0.1), "coupled")
    left(setup, 300)
    assert setup.regularizer is not None
    assert setup.regularizer.sparsity().zeros == 0
    setup.mend(setup.findings()[0].remedy)
    left(setup, 300)
    assert setup.regularizer.sparsity().zeros == 6


@pytest.mark.usefixtures("torch_operations")
@pytest.mark.parametrize(("scale", "is_lost"), [("lr", True), ("none", False)])
def test_what_rounding_takes_from_a_bare_penalty_depends_on_its_scale(
    scale: str, is_lost: bool
) -> None:
    options = {"lr": 1e-3, "penalty": L1(0.01), "how": "decoupled", "scale": scale}
    setup = under(lambda parameters: SGD(parameters, **options), bare().bfloat16())
    slugs = [finding.slug for finding in setup.findings()]
    assert ("penalty-lost-in-rounding" in slugs) is is_lost
    assert (left(setup, 1) == 1.0) is is_lost


@pytest.mark.usefixtures("torch_operations")
def test_a_bare_decoupled_decay_is_as_slow_as_is_said() -> None:
    options = {"lr": 0.1, "momentum": 0.9, "penalty": L2(0.01), "how": "decoupled"}
    setup = under(lambda parameters: SGD(parameters, **options), steps=400)
    slow = next(finding for finding in setup.findings() if finding.slug == "slow-decay")
    assert slow.number == pytest.approx(500)
    assert slow.remedy == "# make the penalty in optimizer 1.3 times as strong"
    assert left(setup, 500) == pytest.approx(1 / math.e, rel=2e-3)


def test_a_copy_decays_as_slowly_as_its_original() -> None:
    model = bare()
    regularizer = Regularizer(model, L2(0.01))
    regularizer.factor = 2.0
    optimizer = SGD(model.parameters(), 0.1, momentum=0.9, penalty=regularizer, how="decoupled")
    for setup in ((model, optimizer, regularizer), copy.deepcopy((model, optimizer, regularizer))):
        found = audit(*setup, steps=100).findings
        slow = next(finding for finding in found if finding.slug == "slow-decay")
        assert slow.number == pytest.approx(1 / (2 * 0.1 * 2 * 0.01))


def test_a_dead_bias_has_no_gradient() -> None:
    setup = CASES["dead bias"][0]()
    model = setup.model.double().train()
    x = torch.arange(12.0, dtype=torch.float64).sin().reshape(4, 3)
    (model(x) ** 3).sum().backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    assert gradients["0.bias"].abs().max() < 1e-10
    assert gradients["1.bias"].abs().max() > 1e-2


@pytest.mark.parametrize(
    ("norm", "part", "rows"),
    [("weight_norm", "original1", slice(1)), ("spectral_norm", "original", slice(None))],
)
def test_zeros_that_are_divided_by_are_nan(norm: str, part: str, rows: slice) -> None:
    model = getattr(nn.utils.parametrizations, norm)(nn.Linear(3, 2))
    assert model(torch.ones(3)).isfinite().all()
    with torch.no_grad():
        getattr(model.parametrizations.weight, part)[rows] = 0.0
    assert model(torch.ones(3)).isnan().any()
