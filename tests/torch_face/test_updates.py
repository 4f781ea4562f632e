"""The fast forms, in place and in blocks, equal the slow ones."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor

from shrinkage import L1, L2, GroupLasso, Penalty
from shrinkage.torch.tensors.kinds import OwnStep
from shrinkage.torch.tensors.updates import BLOCK, limited_prox, prox_

pytestmark = pytest.mark.slow

PENALTIES = [L1(0.1), GroupLasso(0.1), L1(0.05) + GroupLasso(0.1) + L2(0.1)]


def tensors(dtype: torch.dtype, *, small: bool) -> tuple[Tensor, Tensor]:
    shape = (7, 5) if small else (BLOCK // 100, 250)  # in one block, or in three
    generator = torch.Generator().manual_seed(0)
    w = torch.randn(shape, generator=generator, dtype=torch.float64)
    spread = torch.rand(shape, generator=generator, dtype=torch.float64)
    return w.to(dtype), (10 ** (3 * spread - 2)).to(dtype)


@pytest.mark.parametrize("penalty", PENALTIES, ids=str)
@pytest.mark.parametrize("step", ["entries", "number"])
def test_in_blocks_and_whole(penalty: Penalty, step: str) -> None:
    for dtype, small, limit in product(
        (torch.float32, torch.float64), (True, False), (0.05, float("inf"))
    ):
        check_equals_whole(penalty, dtype, small, limit, step)


def check_equals_whole(
    penalty: Penalty, dtype: torch.dtype, small: bool, limit: float, step: str
) -> None:
    w, steps = tensors(dtype, small=small)
    whole = OwnStep(steps if step == "entries" else 0.7, limit)
    expected = limited_prox(w, penalty, whole, 0.5)
    parameter, state = w.clone(), {"s": steps.clone()}
    rule = lambda part: OwnStep(part["s"].clone() if step == "entries" else 0.7, limit)  # noqa: E731
    prox_(parameter, penalty, rule, state, 0.5)
    assert (expected - w).abs().max() > 1e-2
    tolerance = 1e-12 if dtype == torch.float64 else 1e-6
    torch.testing.assert_close(parameter, expected, rtol=tolerance, atol=tolerance)
    assert torch.equal(parameter == 0, expected == 0)
    assert torch.equal(state["s"], steps)
