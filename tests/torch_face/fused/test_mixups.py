"""A regularizer inside that goes elsewhere, and penalties as text where nobody reads them."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from shrinkage import L1, Box, NonNegative
from shrinkage.torch import SGD, Adam, Regularizer, audit


def rest(w: nn.Parameter, optimizer: torch.optim.Optimizer) -> float:
    """The minimum of ½(w − 1)² + Ω."""
    for _ in range(400):  # 0.95 to that power is 1e-9
        optimizer.zero_grad()
        (0.5 * (w - 1) ** 2).sum().backward()
        optimizer.step()
    return w.item()


@pytest.mark.slow
def test_out_of_the_optimizer_and_attached_to_it() -> None:
    model = nn.Linear(1, 1, bias=False)
    regularizer = Regularizer(model, L1(0.3))
    optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9, penalty=regularizer)
    assert rest(model.weight, optimizer) == pytest.approx(0.7)
    regularizer.detach()
    regularizer.attach(optimizer, how="proximal")
    for _ in range(2):
        assert rest(model.weight, optimizer) == pytest.approx(0.7)
        assert "proximal in SGD" in str(regularizer).splitlines()[0]
    regularizer.detach()
    assert rest(model.weight, optimizer) == pytest.approx(1.0)
    regularizer.attach(optimizer, how="proximal")


@pytest.mark.slow
@pytest.mark.parametrize("how", ["proximal", "coupled"])
def test_momentum_scales_no_penalty_but_a_decoupled_one(how: str) -> None:
    model = nn.Linear(1, 1, bias=False)
    options: dict[str, Any] = {"lr": 0.05, "momentum": 0.9}
    inside = SGD(model.parameters(), **options, penalty=Regularizer(model, L1(0.3)), how=how)
    assert "strength-scaled-by-momentum" not in [one.slug for one in audit(model, inside).findings]
    bare = SGD(model.parameters(), **options, penalty=L1(0.3), how="decoupled")
    (finding,) = [one for one in audit(model, bare).findings if "momentum" in one.slug]
    assert rest(model.weight, bare) == pytest.approx(0.97)
    exec(finding.remedy, {"optimizer": bare})
    assert rest(model.weight, bare) == pytest.approx(0.7)


@pytest.mark.parametrize("kind", [SGD, Adam])
def test_a_bare_penalty_that_was_saved_meets_a_regularizer(kind: Any) -> None:
    model = nn.Linear(3, 4)
    saved = kind(model.parameters(), lr=0.1, penalty=L1(1e-3)).state_dict()
    regularizer = Regularizer(model, L1(1e-3))
    optimizer = kind(model.parameters(), lr=0.1, penalty=regularizer)
    with pytest.warns(UserWarning, match="(?s)had the penalty 'l1:0.001'.*present one is kept"):
        optimizer.load_state_dict(saved)
    assert optimizer.param_groups[0]["penalty"] is regularizer
    assert optimizer.statistics().entries == 12


def test_a_saved_penalty_that_is_none_changes_nothing() -> None:
    w = nn.Parameter(torch.ones(3))
    optimizer = SGD([w], lr=0.1, penalty=L1(0.1))
    saved = copy.deepcopy(optimizer.state_dict())
    saved["param_groups"][0].update(penalty="l9:3", lr=7.0)
    with pytest.raises(ValueError, match="unknown penalty 'l9'"):
        optimizer.load_state_dict(saved)
    assert optimizer.param_groups[0]["lr"] == 0.1
    assert optimizer.param_groups[0]["penalty"] == L1(0.1)


def test_torchs_own_optimizer_with_our_text_in_it() -> None:
    model = nn.Linear(3, 4)
    ours = SGD(model.parameters(), lr=0.1, penalty=L1(1e-3))
    theirs = torch.optim.SGD(model.parameters(), lr=0.1)
    theirs.load_state_dict(ours.state_dict())
    assert not audit(model, theirs).findings
    regularizer = Regularizer(model, L1(1e-3))
    regularizer.attach(theirs, how="proximal")
    assert "proximal in SGD" in str(regularizer)
    ours.param_groups[0]["penalty"] = "l1:0.2"
    assert "L1(lam=0.2)" in str(audit(model, ours))


def test_what_goes_no_way_is_not_sent_another() -> None:
    both = NonNegative() + Box(-3.0, 1.0)
    with pytest.raises(ValueError, match="leave one of its terms out"):
        SGD([nn.Parameter(torch.ones(3))], lr=0.1, penalty=both)
