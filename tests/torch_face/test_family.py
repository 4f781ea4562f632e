"""The rest of the family at work on models: references, constraints, what the table says."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from grid import covering
from shrinkage import (
    L0,
    L1,
    L2,
    MCP,
    Box,
    GroupLasso,
    L1Ball,
    LInf,
    MaxNorm,
    NofM,
    NonNegative,
    Simplex,
    SparseGroupLasso,
    Toward,
    Weighted,
)
from shrinkage.torch import Regularizer
from small_run import apart, network, train

OPTIMIZERS = [
    partial(torch.optim.SGD, lr=0.1, momentum=0.9),
    partial(torch.optim.Adam, lr=0.05),
    partial(torch.optim.RMSprop, lr=0.02),
]


def stepped(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> None:
    random = torch.Generator().manual_seed(1)
    for _ in range(steps):
        X = torch.randn(8, 3, generator=random)
        optimizer.zero_grad()
        (model(X) ** 2).mean().backward()
        optimizer.step()


@pytest.mark.parametrize(
    ("make", "constraint"),
    covering(
        OPTIMIZERS,
        [
            NonNegative(),
            Box(-0.1, 0.3),
            MaxNorm(0.4),
            L1Ball(0.7),
            Simplex(),
            NofM(1, 3),
            L1(0.01) + MaxNorm(0.5),
        ],
    ),
    ids=str,
)
@pytest.mark.usefixtures("torch_operations")
def test_a_constraint_holds_after_every_step(make: Any, constraint: Any) -> None:
    torch.manual_seed(0)
    model = nn.Linear(3, 4)
    optimizer = make(model.parameters())
    Regularizer(model, constraint).attach(optimizer, how="proximal")
    for _ in range(20):
        stepped(model, optimizer, 1)
        indicators = getattr(constraint, "terms", (constraint,))
        for one in indicators:
            if one.traits.is_indicator:
                assert float(one(model.weight.detach())) == 0.0


def test_a_constraint_holds_whatever_the_schedule() -> None:
    model = nn.Linear(3, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    regularizer = Regularizer(model, L1(0.1) + NonNegative(), schedule=lambda step: 0.0)
    regularizer.attach(optimizer, how="proximal")
    for _ in range(5):
        stepped(model, optimizer, 1)
        assert (model.weight >= 0).all()


def test_a_projection_does_not_wipe_what_has_no_gradient_yet() -> None:
    """Adam's step of an entry without a gradient is enormous: in that metric it would give way."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1))
    nn.init.zeros_(model[1].weight)
    before = model[0].weight.detach().clone()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    Regularizer(model, {"0.weight": MaxNorm(0.3)}).attach(optimizer, how="proximal")
    stepped(model, optimizer, 1)
    near = MaxNorm(0.3).prox(before, 1.0)
    assert (model[0].weight.detach() - near).abs().max() < 0.01


@pytest.mark.parametrize("how", ["coupled", "decoupled", "proximal"])
def test_toward_where_training_began(how: str) -> None:
    torch.manual_seed(0)
    model = nn.Linear(3, 4)
    start = model.weight.detach().clone()
    regularizer = Regularizer(model, Toward("start", L2(5.0)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
    regularizer.attach(optimizer, how=how)
    assert regularizer.value() == 0.0
    stepped(model, optimizer, 100)
    moved = (model.weight.detach() - start).abs().max()
    assert 0 < moved < 0.1
    free = nn.Linear(3, 4)
    free.load_state_dict({"weight": start, "bias": torch.zeros(4)})
    stepped(free, torch.optim.SGD(free.parameters(), lr=0.02), 100)
    assert (free.weight.detach() - start).abs().max() > 2 * moved


def test_weights_go_back_exactly() -> None:
    model = nn.Linear(3, 4)
    start = model.weight.detach().clone()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    Regularizer(model, Toward("start", L1(100.0))).attach(optimizer, how="proximal")
    with torch.no_grad():
        model.weight += 0.05
    stepped(model, optimizer, 30)
    assert torch.equal(model.weight.detach(), start)


def test_where_training_began_survives_a_checkpoint_and_a_changed_model() -> None:
    torch.manual_seed(0)
    model = nn.Linear(3, 4)
    start = model.weight.detach().clone()
    regularizer = Regularizer(model, Toward("start", L2(1.0)))
    with torch.no_grad():
        model.weight += 1.0
    model.extra = nn.Identity()  # so that it binds anew
    assert regularizer.value() == pytest.approx(12.0)
    saved = regularizer.state_dict()
    assert torch.equal(saved["starts"]["weight"], start)
    resumed = nn.Linear(3, 4)
    resumed.load_state_dict(model.state_dict())
    again = Regularizer(resumed, Toward("start", L2(1.0)))
    assert again.value() == 0.0
    again.load_state_dict(saved)
    assert again.value() == pytest.approx(12.0)


def test_toward_a_state_dict() -> None:
    model = network()
    reference = {name: value + 1.0 for name, value in model.state_dict().items()}
    regularizer = Regularizer(model, Toward(reference, L1(1.0)))
    count = sum(p.numel() for p in model.parameters() if p.ndim > 1)
    assert regularizer.value() == pytest.approx(count)
    own = Regularizer(model, Toward(model.state_dict(), L1(1.0)))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 1.0
    assert own.value() == pytest.approx(count)  # it does not move along
    partly = {"0.weight": reference["0.weight"], "2.wieght": reference["2.weight"]}
    with pytest.raises(
        ValueError, match=r"reference holds no 2.weight, .* did you mean '2.wieght'"
    ):
        Regularizer(model, Toward(partly, L1(1.0)))
    with pytest.raises(ValueError, match=r"reference must have the parameter's shape, got \(1,\)"):
        Regularizer(model, Toward(np.ones(1), L1(1.0)))


def test_groups_within_a_reference_are_the_modules_own() -> None:
    conv = nn.Conv2d(2, 3, 3)
    start = torch.zeros_like(conv.weight)
    value = Regularizer(conv, Toward(start, GroupLasso(1.0, "in"))).value()
    assert value == pytest.approx(Regularizer(conv, GroupLasso(1.0, "in")).value())
    value = Regularizer(conv, LInf(1.0, "in")).value()
    assert value == pytest.approx(conv.weight.detach().abs().amax(dim=(0, 2, 3)).sum().item())


@pytest.mark.slow
@pytest.mark.usefixtures("torch_operations")  # `fused` has the loop for heads
def test_the_heads_of_attention_vanish_whole() -> None:
    attention = nn.MultiheadAttention(8, 4, bias=False)
    alive = torch.tensor([True, False, True, True]).repeat_interleave(2)  # heads of size 2
    with torch.no_grad():
        attention.in_proj_weight.view(3, 8, 8)[:, ~alive] *= 1e-3
    regularizer = Regularizer(attention, {"in_proj_weight": GroupLasso(0.05, "heads:2")})
    optimizer = torch.optim.SGD(attention.parameters(), lr=0.1)
    attention.in_proj_weight.grad = torch.zeros_like(attention.in_proj_weight)
    with regularizer.attach(optimizer, how="proximal"):
        optimizer.step()
    zeros = regularizer.sparsity().parameters["in_proj_weight"]
    assert (zeros.dead_groups, zeros.groups) == (1, 4)
    left = attention.in_proj_weight.detach().view(3, 8, 8)
    assert (left[:, ~alive] == 0).all()
    assert (left[:, alive] != 0).all()


def test_an_adaptive_lasso_keeps_what_weighs_little() -> None:
    weights = torch.tensor([[1e-6, 100.0, 100.0]]).expand(4, 3)
    model = nn.Linear(3, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    Regularizer(model, Weighted(weights, L1(0.1))).attach(optimizer, how="proximal")
    stepped(model, optimizer, 20)
    assert (model.weight[:, 0] != 0).all()
    assert (model.weight[:, 1:] == 0).all()


def test_the_value_outside_a_constraint_is_said() -> None:
    model = nn.Linear(3, 4)
    with pytest.raises(FloatingPointError, match="weight is outside w ≥ 0; after a proximal step"):
        Regularizer(model, NonNegative()).value()


def test_the_loss_refuses_what_has_no_gradient() -> None:
    for penalty in (L0(0.1), NonNegative(), L1(1) + MaxNorm(1)):
        with pytest.raises(ValueError, match='use how="proximal"'):
            Regularizer(network(), penalty).penalty()


def test_what_is_not_convex_claims_a_stationary_point() -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    said = repr(Regularizer(model, MCP(0.1)).attach(optimizer, how="proximal"))
    assert (
        said == "proximal in SGD: converges to a stationary point of J = data loss + Ω; exact zeros"
    )


def test_the_table_says_what_a_step_does() -> None:
    model = nn.Linear(3, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for penalty, words in (
        (MaxNorm(2.0), "to the nearest w with ‖w_g‖ ≤ 2"),
        (MCP(0.1), "prox of 0.1·(Σ(0.1·|w|"),
        (SparseGroupLasso(1.0), "|w| − 0.05, at least 0; ‖w_g‖ − 0.05·√p_g, at least 0"),
    ):
        regularizer = Regularizer(model, penalty)
        with regularizer.attach(optimizer, how="proximal"):
            assert words in str(regularizer)


def test_the_table_says_a_strength_where_there_is_one() -> None:
    model = nn.Linear(3, 4)
    for penalty, strength in (
        (Toward("start", L1(0.25)), "0.25"),
        (MaxNorm(2.0), "–"),
        (L1(0.5) + NonNegative(), "0.5"),
        (Weighted(torch.ones(4, 3), L1(0.125) + L2(1.0)), "0.125 + 1"),
    ):
        assert Regularizer(model, penalty).table()[0].strength == strength


def test_dead_groups_are_counted_for_every_group_penalty() -> None:
    model = nn.Linear(3, 4)
    with torch.no_grad():
        model.weight[1] = 0.0
    for penalty in (GroupLasso(1.0), SparseGroupLasso(1.0), LInf(1.0), L2(1) + LInf(1.0)):
        zeros = Regularizer(model, penalty).sparsity().parameters["weight"]
        assert (zeros.dead_groups, zeros.groups) == (1, 4)


@pytest.mark.parametrize("penalty", [MCP(0.05), SparseGroupLasso(0.05), LInf(0.05)], ids=str)
def test_coupled_gives_the_numbers_of_the_loss(penalty: Any) -> None:
    make = partial(torch.optim.Adam, lr=0.01)
    coupled = train(make, penalty, "coupled")
    assert apart(coupled, train(make, penalty, "loss")) < 1e-12
    assert apart(coupled, train(make)) > 1e-4
