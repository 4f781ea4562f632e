"""print(regularizer): who gets what, why, and what a step will do."""

import re
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from shrinkage import L0, L1, L2, ElasticNet, GroupLasso, MaxNorm, NonNegative, Penalty
from shrinkage.torch import Regularizer


def network() -> nn.Module:
    torch.manual_seed(0)
    model = nn.ModuleDict(
        {"conv": nn.Conv2d(1, 2, 3), "bn": nn.BatchNorm2d(2), "fc": nn.Linear(2, 2)}
    )
    model["fc"].weight.requires_grad_(False)
    return model


def cells(regularizer: Regularizer, name: str) -> Any:
    return next(row for row in regularizer.table() if row.parameter == name)


def test_every_parameter_has_a_row_in_the_models_order() -> None:
    model = network()
    regularizer = Regularizer(model, L1(0.1) + L2(0.2))
    assert [row.parameter for row in regularizer.table()] == [
        n for n, _ in model.named_parameters()
    ]
    with torch.no_grad():
        model["conv"].weight[0] = 0.0
    row = cells(regularizer, "conv.weight")
    assert (row.shape, row.penalty, row.strength) == (
        "2×1×3×3",
        "L1(lam=0.1) + L2(lam=0.2)",
        "0.1 + 0.2",
    )
    assert (row.how, row.zeros) == ("loss, by penalty()", "9/18")
    assert row.one_step == "gradient + 0.1·sign(w) + 0.4·w"
    assert cells(regularizer, "conv.bias").penalty == "none: bias"
    assert cells(regularizer, "bn.weight").penalty == "none: a normalization's"
    assert cells(regularizer, "fc.weight").penalty == "none now: frozen"


def test_the_text_has_the_headline_and_aligned_columns() -> None:
    lines = repr(Regularizer(network(), GroupLasso(0.1))).splitlines()
    assert lines[0] == (
        "Regularizer of ModuleDict: 1 of 6 parameters penalized; in the loss by penalty(): "
        "converges to the minimum of J = data loss + Ω; no exact zeros"
    )
    assert lines[1].split()[:3] == ["parameter", "shape", "penalty"]
    start = lines[1].index("penalty")
    assert all(line[start - 1] == " " and line[start] != " " for line in lines[1:])
    assert len(lines) == 8
    assert "0/18, 0/2 groups" in lines[2]


def test_html_is_escaped() -> None:
    class Awkward(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_parameter("<script>alert(1)</script>", nn.Parameter(torch.ones(2, 2)))

    page = Regularizer(Awkward(), L1(0.1))._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert page.count("<tr>") == 2
    assert page.startswith("<p>Regularizer of Awkward: 1 of 1 parameters penalized")


def test_a_wholly_frozen_model_still_has_a_table() -> None:
    model = nn.Linear(1, 1, bias=False)
    model.weight.requires_grad_(False)
    assert "0 of 1 parameters penalized" in repr(Regularizer(model, L1(0.1)))


ATTACHED: list[tuple[Any, str, dict[str, str], Penalty, str, str]] = [
    (
        partial(torch.optim.SGD, lr=0.1),
        "coupled",
        {},
        L2(0.25),
        "gradient + 0.5·w (to 1/e in 20 steps)",
        "converges to the minimum of J = data loss + Ω; no exact zeros",
    ),
    (
        partial(torch.optim.SGD, lr=0.1, momentum=0.9),
        "coupled",
        {},
        L2(0.25),
        "gradient + 0.5·w (to 1/e in 2 steps)",
        "converges to the minimum of J",
    ),
    (
        partial(torch.optim.SGD, lr=0.1),
        "decoupled",
        {},
        L2(0.25),
        "w × (1 − 0.05) (to 1/e in 20 steps)",
        "converges to the minimum of J = data loss + Ω",
    ),
    (
        partial(torch.optim.Adam, lr=0.1),
        "decoupled",
        {"scale": "none"},
        ElasticNet(0.2),
        "w × (1 − 0.1) (to 1/e in 10 steps); |w| − 0.1, at least 0",
        "no objective is claimed",
    ),
    (
        partial(torch.optim.SGD, lr=0.1),
        "proximal",
        {},
        L1(0.5) + GroupLasso(0.25),
        "|w| − 0.05, at least 0; ‖w_g‖ − 0.025·√p_g, at least 0",
        "converges to the minimum of J = data loss + Ω; exact zeros",
    ),
    (
        partial(torch.optim.SGD, lr=0.1),
        "proximal",
        {},
        L2(0.5),
        "w / (1 + 0.1) (to 1/e in 10 steps)",
        "exact zeros",
    ),
    (
        partial(torch.optim.Adam, lr=0.1),
        "proximal",
        {},
        L1(0.5),
        "by the optimizer's own step, known after its first",
        "exact zeros",
    ),
]


@pytest.mark.parametrize(("make", "how", "options", "penalty", "one_step", "said"), ATTACHED)
def test_the_effect_of_one_step_in_words_and_numbers(
    make: Any, how: str, options: dict[str, str], penalty: Penalty, one_step: str, said: str
) -> None:
    model = nn.Linear(3, 2)
    regularizer = Regularizer(model, penalty)
    attachment = regularizer.attach(make(model.parameters()), how=how, **options)
    assert cells(regularizer, "weight").one_step == one_step
    assert cells(regularizer, "weight").how == how
    assert said in repr(attachment)
    assert said in repr(regularizer).splitlines()[0]


@pytest.mark.parametrize(
    "make",
    [
        partial(torch.optim.SGD, lr=0.1),
        partial(torch.optim.SGD, lr=0.1, momentum=0.9),
        partial(torch.optim.SGD, lr=0.1, momentum=0.9, nesterov=True),
    ],
)
@pytest.mark.parametrize("how", ["decoupled", "proximal"])
def test_the_next_step_does_what_the_table_says(make: Any, how: str) -> None:
    model = nn.ParameterDict({"w": nn.Parameter(torch.full((1, 1), 100.0).double())})
    optimizer = make(model.parameters())
    regularizer = Regularizer(model, L1(0.5))
    regularizer.attach(optimizer, how=how)
    said = []
    for _ in range(3):
        threshold = float(re.match(r"\|w\| − ([\d.]+)", cells(regularizer, "w").one_step)[1])
        before = model["w"].item()
        model["w"].grad = torch.zeros(1, 1).double()
        optimizer.step()
        assert before - model["w"].item() == pytest.approx(threshold, rel=5e-3)  # three digits
        said.append(threshold)
    assert (len(set(said)) > 1) == (how == "proximal" and "momentum" in make.keywords)


def test_adams_row_tells_the_median_step_and_the_limit() -> None:
    model = nn.ParameterDict({"w": nn.Parameter(torch.full((1, 1), 100.0).double())})
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    regularizer = Regularizer(model, L1(0.5))
    regularizer.attach(optimizer, how="proximal")
    model["w"].grad = torch.full((1, 1), 4.0).double()
    optimizer.step()
    said = "|w| − 0.0125, at least 0 (median step 0.025, no entry by more than 0.2)"
    assert cells(regularizer, "w").one_step == said


def test_the_factor_and_the_learning_rate_show() -> None:
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    regularizer = Regularizer(model, L1(0.5))
    regularizer.attach(optimizer, how="proximal")
    regularizer.factor = 0.5
    optimizer.param_groups[0]["lr"] = 0.4
    row = cells(regularizer, "weight")
    assert (row.strength, row.one_step) == ("0.25", "|w| − 0.1, at least 0")
    assert "strengths times 0.5" in repr(regularizer)


def test_momentum_shows_in_what_a_decoupled_strength_solves() -> None:
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    attachment = Regularizer(model, L1(0.5)).attach(optimizer, how="decoupled")
    assert repr(attachment).endswith("with every strength times 0.1 (momentum)")
    optimizer.param_groups[0]["momentum"] = 0.0
    assert repr(attachment).endswith("converges to the minimum of J = data loss + Ω")


def test_where_nothing_is_steady_no_objective_is_claimed() -> None:
    for options in ({"momentum": 0.9, "dampening": 1.0}, {"momentum": 1.0}):
        model = nn.Linear(3, 2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, **options)
        with Regularizer(model, L2(0.5)).attach(optimizer, how="decoupled") as attachment:
            assert repr(attachment).endswith("no objective is claimed for what it converges to")
        regularizer = Regularizer(model, L2(0.5))
        regularizer.attach(optimizer, how="coupled")
        assert cells(regularizer, "weight").one_step == "gradient + 1·w"


@pytest.mark.parametrize("penalty", [MaxNorm(1.0), L0(0.1), L1(0.1) + NonNegative()], ids=str)
def test_what_has_no_gradient_is_not_said_to_be_in_the_loss(penalty: Penalty) -> None:
    model = torch.nn.Linear(2, 2)
    regularizer = Regularizer(model, penalty)
    printed = repr(regularizer)
    assert "not attached: without a gradient it acts by attach(optimizer, how=" in printed
    assert "loss" not in printed
    (row,) = [row for row in regularizer.table() if row.parameter == "weight"]
    assert (row.how, row.one_step) == ("none yet: attach it", "nothing")
    regularizer.attach(torch.optim.SGD(model.parameters(), lr=0.1), how="proximal")
    assert "not attached" not in repr(regularizer)


def test_what_was_detached_does_not_claim_to_be_in_the_loss() -> None:
    model = nn.Linear(3, 2)
    regularizer = Regularizer(model, L1(0.1))
    assert "in the loss by penalty()" in repr(regularizer)
    with regularizer.attach(torch.optim.SGD(model.parameters(), lr=0.1), how="proximal"):
        assert "detached" not in repr(regularizer)
    assert "detached: nothing acts, unless penalty() is added" in repr(regularizer)
    row = regularizer.table()[0]
    assert (row.how, row.one_step) == ("none: detached", "nothing")


def test_a_model_without_numbers_has_a_table_and_no_values() -> None:
    regularizer = Regularizer(nn.Linear(3, 2, device="meta"), GroupLasso(0.1))
    assert regularizer.table()[0].zeros == "no numbers yet, of 6"
    for measure in (regularizer.sparsity, regularizer.value):
        with pytest.raises(ValueError, match="weight is on the meta device, so that it has no"):
            measure()


@pytest.mark.filterwarnings("ignore:.*torch.jit.script. is deprecated")
def test_a_scripted_model_has_a_table() -> None:
    regularizer = Regularizer(torch.jit.script(nn.Linear(3, 2)), GroupLasso(0.1))
    assert regularizer.table()[0].zeros == "0/6, 0/2 groups"
