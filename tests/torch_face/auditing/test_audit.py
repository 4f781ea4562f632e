"""Every finding: what triggers it, its number, and that the lines it gives mend it."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import shrinkage
from audit_cases import CASES, Setup, penalized, sgd
from shrinkage import L0, L1, L2, Lp, Penalty, SparseGroupLasso
from shrinkage.torch import Regularizer, audit
from shrinkage.torch.binding.bound_model import attachments_of


@pytest.mark.parametrize("case", CASES)
def test_it_is_found_and_its_remedy_mends_it(case: str) -> None:
    make, kind, severity, parameters, number, words = CASES[case]
    setup = make()
    finding = next(one for one in setup.findings() if one.slug == kind)
    assert (finding.severity, finding.parameters) == (severity, parameters)
    assert math.isclose(finding.number, number, rel_tol=1e-9)
    assert words in finding.sentence
    if finding.remedy.startswith("# nothing to mend"):
        assert severity == "note"
        return
    setup.mend(finding.remedy)
    assert kind not in [one.slug for one in setup.findings()]


HOWS = {
    "bias": "decoupled",
    "bias under SGD": "coupled",
    "Adam": "proximal",
    "slow L2": "coupled",
    "decoupled L2 under momentum": "coupled",
    "decoupled L1 under momentum": "proximal",
    "L1 coupled in an unknown metric": "decoupled",
    "a sum without a prox": "decoupled",
    "MCP coupled": "proximal",
}


@pytest.mark.parametrize("case", HOWS)
def test_the_way_that_a_remedy_goes(case: str) -> None:
    setup = CASES[case][0]()
    setup.mend(setup.findings()[0].remedy)
    assert [one.how for one in attachments_of(setup.optimizer)] == [HOWS[case]]


@pytest.mark.parametrize("case", ["bias", "Adam", "bias under SGD"])
@pytest.mark.usefixtures("torch_operations")
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


def test_what_decays_in_part_is_left_to_the_user() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    groups = [{"params": model[0].parameters()}, {"params": model[1].parameters(), "lr": 0.1}]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.1)
    for spared, second in ((0.0, "0.1"), (0.2, "0.1 or 0.2")):
        optimizer.param_groups[1]["weight_decay"] = spared
        remedy = Setup(model, optimizer).findings()[0].remedy.splitlines()
        assert remedy[0].startswith("for group in optimizer.param_groups:")
        assert remedy[1].startswith("# and on the weights that decayed: Regularizer(model, ")
        assert f"L2.from_weight_decay({second})" in remedy[1]


def test_tied_parameters_under_two_rules() -> None:
    model = nn.Sequential(nn.Embedding(4, 3), nn.Linear(3, 4), nn.Linear(4, 1))
    model[1].weight = model[0].weight
    patterns = {"1.*": L1(0.1), "*": L2(0.2)}
    setup = Setup(model, sgd()(model.parameters()), Regularizer(model, patterns))
    finding = next(one for one in setup.findings() if one.slug.startswith("tied"))
    assert (finding.severity, finding.parameters) == ("warning", ("0.weight",))
    assert "0.weight and 1.weight, which ask for L2(lam=0.2) and L1(lam=0.1)" in finding.sentence
    assert "it gets L1(lam=0.1) under all of them" in finding.sentence
    said = finding.remedy.splitlines()[-1].removeprefix("# ").replace(", ...", "")
    for mended in (eval(said, vars(shrinkage)) | {"*": L2(0.2)}, {"*": L2(0.2)}):
        setup.regularizer = Regularizer(model, mended)
        assert not [one for one in setup.findings() if one.slug.startswith("tied")]


def test_an_average_that_lost_its_zeros() -> None:
    model = nn.Linear(3, 2)
    optimizer = sgd()(model.parameters())
    regularizer = Regularizer(model, L1(0.1))
    regularizer.attach(optimizer, how="proximal")
    averaged = torch.optim.swa_utils.AveragedModel(model)
    with torch.no_grad():
        averaged.module.weight.fill_(1.0)
        model.weight[0] = 0.0
    setup = Setup(averaged, optimizer, regularizer)
    (finding,) = setup.findings()
    assert (finding.slug, finding.severity) == ("average-without-zeros", "warning")
    assert (finding.parameters, finding.number) == (("weight",), 3.0)
    setup.mend(finding.remedy)
    assert setup.findings() == []
    assert averaged.module.weight.tolist() == [[0.0] * 3, [1.0] * 3]


@pytest.mark.parametrize("penalty", [L0(0.1), Lp(0.1, p=0.5), SparseGroupLasso(0.1)])
def test_every_penalty_that_makes_zeros_is_found_where_these_are_divided_by(
    penalty: Penalty,
) -> None:
    model = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
    (finding,) = penalized(sgd(), penalty, "proximal", model).findings()
    assert finding.slug == "zero-denominator"
    assert ("coupled" in finding.remedy) == (penalty.why_not("gradient") is None)


@pytest.mark.slow
def test_an_optimizer_that_was_made_anew_has_lost_its_penalty() -> None:
    model = nn.Linear(3, 2)
    regularizer = Regularizer(model, L2(0.1))
    regularizer.attach(torch.optim.SGD(model.parameters(), lr=0.1), "coupled")
    anew = torch.optim.SGD(model.parameters(), lr=0.1)
    found = audit(model, anew)  # without the regularizer, which is found by itself
    assert [one.slug for one in found.findings] == ["attached-elsewhere"]
    assert found.findings[0].parameters == ("weight",)
    assert audit(model, regularizer.bound.host.optimizer).ok  # type: ignore[union-attr]
    with Regularizer(model, L2(0.1)).attach(anew, "coupled"):
        assert audit(model, anew).ok
    assert "SGD has stepped" not in repr(regularizer)
    model(torch.ones(3)).sum().backward()
    anew.step()
    assert "SGD has stepped these weights since, to which it is not attached" in repr(regularizer)
    regularizer.bound.host.optimizer.step()  # type: ignore[union-attr]
    assert "SGD has stepped" not in repr(regularizer)
    del regularizer
    assert audit(model, anew).ok  # nobody has either any more
