"""Every finding: what triggers it, its number, and that the lines it gives mend it."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import shrinkage
from audit_cases import CASES, Setup, sgd
from shrinkage import L1, L2
from shrinkage.torch import Regularizer


@pytest.mark.parametrize("case", CASES)
def test_it_is_found_and_its_remedy_mends_it(case: str) -> None:
    make, kind, severity, parameters, number, words = CASES[case]
    setup = make()
    finding = next(one for one in setup.findings() if one.kind == kind)
    assert (finding.severity, finding.parameters) == (severity, parameters)
    assert math.isclose(finding.number, number, rel_tol=1e-9)
    assert words in finding.sentence
    if kind == "decay of what has no scale":
        assert finding.remedy.startswith("# nothing to mend")
        return
    setup.mend(finding.remedy)
    assert kind not in [one.kind for one in setup.findings()]


@pytest.mark.parametrize("case", ["bias", "Adam", "bias under SGD"])
def test_a_remedy_for_decay_leaves_nothing_to_mend(case: str) -> None:
    setup = CASES[case][0]()
    setup.mend(setup.findings()[0].remedy)
    assert setup.findings() == []
    weights = Regularizer(setup.model, L2(0.0)).named_parameters()
    moved = [name for name, p in setup.model.named_parameters() if decays(setup, p)]
    assert moved == [name for name, _ in weights]


def decays(setup: Setup, parameter: torch.Tensor) -> bool:
    with torch.no_grad():
        parameter.fill_(1.0)
    for one in setup.model.parameters():
        one.grad = torch.zeros_like(one)
    setup.optimizer.step()
    return bool((parameter < 1.0).all())


def test_tied_parameters_under_two_rules() -> None:
    model = nn.Sequential(nn.Embedding(4, 3), nn.Linear(3, 4), nn.Linear(4, 1))
    model[1].weight = model[0].weight
    patterns = {"1.*": L1(0.1), "*": L2(0.2)}
    setup = Setup(model, sgd()(model.parameters()), Regularizer(model, patterns))
    finding = next(one for one in setup.findings() if one.kind.startswith("tied"))
    assert (finding.severity, finding.parameters) == ("warning", ("0.weight",))
    assert "0.weight and 1.weight, which ask for L2(lam=0.2) and L1(lam=0.1)" in finding.sentence
    assert "it gets L1(lam=0.1) under all of them" in finding.sentence
    said = finding.remedy.splitlines()[-1].removeprefix("# ").replace(", ...", "")
    for mended in (eval(said, vars(shrinkage)) | {"*": L2(0.2)}, {"*": L2(0.2)}):
        setup.regularizer = Regularizer(model, mended)
        assert not [one for one in setup.findings() if one.kind.startswith("tied")]
