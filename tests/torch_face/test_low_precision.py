"""16-bit weights get the decay that was promised, or a warning that they cannot hold it."""

from __future__ import annotations

import math
import warnings

import pytest
import torch
from torch import nn

from shrinkage import L2
from shrinkage.torch import Regularizer


def decayed(dtype: torch.dtype, share: float, how: str) -> tuple[float, float, bool]:
    """The least and most of what was promised over up to 1000 steps, and whether it warned."""
    torch.manual_seed(0)
    model = nn.Linear(64, 64, bias=False).to(dtype)
    nn.init.uniform_(model.weight, 0.5, 2.0)
    before = model.weight.detach().double()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Regularizer(model, L2(share / 2)).attach(optimizer, how=how)
    steps = min(1000, int(5 / share))  # float16 ends at 6e-8
    for _ in range(steps):
        model.weight.grad = torch.zeros_like(model.weight)
        optimizer.step()
    promised = steps * math.log(1 - share)
    found = (model.weight.detach().double() / before).log() / promised
    said = any("cannot hold a decay of" in str(one.message) for one in caught)
    return found.min().item(), found.max().item(), said


@pytest.mark.quick_where(share=[0.02], how=["decoupled"])
@pytest.mark.parametrize("how", ["decoupled", "coupled"])
@pytest.mark.parametrize("share", [0.1, 0.02, 0.01, 0.005])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_what_is_not_warned_of_is_kept(dtype: torch.dtype, share: float, how: str) -> None:
    least, most, said = decayed(dtype, share, how)
    assert not said
    assert 0.9 < least <= most < 1.1


@pytest.mark.quick_where(how=["decoupled"])
@pytest.mark.parametrize("how", ["decoupled", "coupled"])
@pytest.mark.parametrize(("dtype", "share"), [(torch.bfloat16, 0.003), (torch.float16, 0.0002)])
def test_what_is_lost_is_warned_of(dtype: torch.dtype, share: float, how: str) -> None:
    least, _, said = decayed(dtype, share, how)
    assert said
    assert least < 0.1


def test_single_precision_keeps_it_to_the_last_digits() -> None:
    least, most, said = decayed(torch.float32, 1e-4, "decoupled")
    assert not said
    assert least == pytest.approx(1.0, abs=1e-3)
    assert most == pytest.approx(1.0, abs=1e-3)
