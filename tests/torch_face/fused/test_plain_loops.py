"""Loops that take seconds to compile, as plain Python beside torch operations.

`test_parity.py` has them compiled, in the slow layer.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.optim import Optimizer

import fused_twins as twins
from plain_loops import plain_loops
from shrinkage import Box, ElasticNet, GroupLasso, Penalty

ADAM: tuple[Any, dict[str, Any]] = torch.optim.Adam, {"lr": 0.1}
MOMENTUM: tuple[Any, dict[str, Any]] = torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}
SHAPES = {"matrix": (3, 4), "vector": (3,), "kernels": (2, 3, 1, 2)}


@pytest.mark.parametrize(
    ("penalty", "how", "kind", "options"),
    [
        (GroupLasso(0.5), "proximal", *ADAM),
        (GroupLasso(0.5), "coupled", *ADAM),
        (GroupLasso(0.5), "decoupled", *MOMENTUM),
        (GroupLasso(0.5, "in"), "proximal", *ADAM),
        (GroupLasso(0.5, "in"), "proximal", *MOMENTUM),
        (GroupLasso(0.5, "in"), "coupled", *MOMENTUM),
        (GroupLasso(0.5, "in"), "decoupled", *ADAM),
        (ElasticNet(0.5), "proximal", *ADAM),
        (Box(-1.0, 1.0), "proximal", *ADAM),
    ],
    ids=str,
)
def test_they_are_torch_operations(
    penalty: Penalty, how: str, kind: type[Optimizer], options: dict[str, Any]
) -> None:
    mine, other, free = (twins.parameters(SHAPES, torch.float64) for _ in range(3))
    with plain_loops():
        one = twins.train(mine, twins.ours(mine, kind, options, penalty, how))
    two = twins.train(other, twins.twin(other, kind, options, penalty, how))
    twins.train(free, twins.twin(free, kind, options, None, how))
    assert twins.served(one) == len(SHAPES)
    twins.assert_same(mine, one, other, two, 1e-10)
    for name, w in mine.items():
        assert (w - free[name]).abs().max() > 1e-9, name
