"""`engine_report()` says what a step did, and what the first one will do."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from shrinkage import L1, GroupLasso, NuclearNorm
from shrinkage.torch import SGD


def test_it_says_how_each_parameter_is_stepped_and_why() -> None:
    class Own(torch.Tensor):
        pass

    w = {name: nn.Parameter(torch.ones(4, 3)) for name in "abcdef"}
    w["b"].data = torch.ones(3, 4).t()
    w["c"].data = torch.ones(4, 6)[:, ::2]
    w["d"].requires_grad_(False)
    w["f"].data = w["e"].data
    named = [*w.items(), ("g", nn.Parameter(torch.ones(3, dtype=torch.float16)))]
    named.append(("h", torch.ones(2).as_subclass(Own).requires_grad_()))
    optimizer = SGD(named, lr=0.1, momentum=0.9, penalty=L1(0.1))
    assert not optimizer.state  # a report makes none
    assert optimizer.engine_report().in_one_pass == ("a", "b", "e", "f")
    for _, parameter in named:
        parameter.grad = torch.ones_like(parameter) if parameter.requires_grad else None
    w["a"].grad = torch.ones(3, 4).t()
    optimizer.step()
    why = {row.parameter: row.why for row in optimizer.engine_report().rows}
    assert why == {
        "a": "its gradient has another type or layout",
        "b": "sgd, proximal, float32",
        "c": "gaps or repetitions in its memory",
        "d": "frozen",
        "e": "it shares memory with another parameter",
        "f": "it shares memory with another parameter",
        "g": "no loop for torch.float16",
        "h": "no loop for a Own",
    }
    assert optimizer.engine_report().by_torch == tuple("acdefgh")
    assert "a          torch operations  its gradient" in str(optimizer.engine_report())
    assert ">frozen</td>" in optimizer.engine_report()._repr_html_()


@pytest.mark.parametrize("penalty", [NuclearNorm(0.1), GroupLasso(0.1, [[0, 1], [2, 3]])], ids=str)
def test_penalties_without_a_loop_are_named(penalty: Any) -> None:
    (row,) = SGD([nn.Parameter(torch.ones(2, 2))], penalty=penalty).engine_report().rows
    assert (row.step, row.why) == ("torch operations", "no loop for its penalty")
