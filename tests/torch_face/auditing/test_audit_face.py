"""How an audit shows itself, what a printed Regularizer says of itself, and what is refused."""

from __future__ import annotations

import inspect
import re
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from audit_cases import CASES, adam, adamw, penalized, sgd, under
from models import TransformerBlock
from shrinkage import L1, L2
from shrinkage.torch import Regularizer, audit
from shrinkage.torch.auditing import (
    findings_about_models,
    findings_about_optimizers,
    findings_about_penalties,
    findings_about_zeros,
)
from shrinkage.torch.auditing.finding import TITLES


def test_the_text_is_the_headline_the_table_and_the_findings() -> None:
    setup = penalized(adamw(lr=0.001), L1(0.5), "coupled", nn.Linear(3, 2))
    lines = repr(audit(setup.model, setup.optimizer, setup.regularizer)).splitlines()
    assert lines[0] == "Audit of Linear under AdamW: 3 warnings"
    start = lines[1].index("penalty")
    assert lines[2][start:].split("  ") == ["L1(lam=0.5), coupled", "gradient + 0.5·sign(w)"]
    assert lines[3].endswith("0.1: w × (1 − 0.0001) (to 1/e in 10000 steps)")
    assert lines[4] == "warning: decay on biases and gains [decay-on-biases]"
    assert lines[5].startswith("  AdamW's weight_decay=0.1 also acts on 1")
    assert lines[6].startswith("    for group in optimizer.param_groups:")
    assert max(map(len, lines[4:])) <= 100


def test_warnings_come_before_notes() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    setup = penalized(sgd(weight_decay=0.1), L1(0.1), "coupled", model)
    found = audit(model, setup.optimizer)
    severities = [one.severity for one in found.findings]
    assert severities == sorted(severities, reverse=True)
    assert set(severities) == {"note", "warning"}
    assert "2 warnings, 3 notes" in repr(found).splitlines()[0]


def test_nothing_to_mend() -> None:
    setup = under(adam())
    found = audit(setup.model, setup.optimizer)
    assert found.ok
    assert found.findings == ()
    assert repr(found).splitlines()[0] == "Audit of Linear under Adam: nothing to mend"
    assert "<ul>" not in found._repr_html_()


def test_html_is_escaped() -> None:
    class Awkward(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_parameter("<b>bias", nn.Parameter(torch.ones(2)))

    model = Awkward()
    page = audit(model, torch.optim.AdamW(model.parameters()))._repr_html_()
    assert "<b>" not in page
    assert page.count("&lt;b&gt;bias") == 2
    assert page.startswith("<p>Audit of Awkward under AdamW: 1 warning</p><table>")
    assert "<pre>for group in optimizer.param_groups:" in page


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (adamw(), "0.1: w × (1 − 0.01) (to 1/e in 100 steps)"),
        (adam(weight_decay=0.1), "0.1: gradient + 0.1·w"),
        (sgd(weight_decay=0.1), "0.1: gradient + 0.1·w (to 1/e in 100 steps)"),
        (sgd(), ""),
        (lambda p: type("Other", (torch.optim.SGD,), {})(p, weight_decay=0.1), "0.1"),
    ],
)
def test_an_optimizers_own_decay_in_words_and_numbers(make: Any, text: str) -> None:
    setup = under(make)
    assert audit(setup.model, setup.optimizer).table[0].weight_decay == text


def test_frozen_and_unheld_show_in_the_table() -> None:
    model = nn.Linear(3, 2)
    model.weight.requires_grad_(False)
    rows = audit(model, torch.optim.SGD([model.weight])).table
    assert [row.weight_decay for row in rows] == ["frozen", "in no optimizer"]


def test_a_printed_regularizer_ends_with_what_concerns_it() -> None:
    setup = penalized(adamw(), L1(0.5), "coupled", nn.Linear(3, 2))
    lines = repr(setup.regularizer).splitlines()
    assert lines[3].startswith("bias")
    said = "\n".join(lines[4:])
    assert said.startswith("warning: decay beside a penalty [decay-beside-penalty]\n")
    assert "AdamW's weight_decay=0.1 acts beside L1(lam=0.5) on weight" in said
    assert "none of the 6 entries" in said
    assert "bias" not in said  # the optimizer's own business
    assert setup.regularizer is not None
    assert "none of the 6 entries" in setup.regularizer._repr_html_()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        setup.regularizer.detach()
    assert len(repr(setup.regularizer).splitlines()) == 4
    assert "<ul>" not in setup.regularizer._repr_html_()


def test_a_printed_regularizer_says_nothing_of_another() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    good = Regularizer(model, {"0.*": L1(0.1)})
    good.attach(optimizer, how="proximal")
    other = Regularizer(model, {"1.*": L1(0.1)})
    other.attach(optimizer, how="coupled")
    assert "warning" not in repr(good)
    assert "brings 1.weight near 0" in repr(other)


def test_penalties_attached_to_the_optimizer_are_found_by_themselves() -> None:
    setup = penalized(sgd(), L1(0.1), "proximal", TransformerBlock())
    alone, told = (audit(setup.model, setup.optimizer, r) for r in (None, setup.regularizer))
    assert alone == told
    assert [row.penalty for row in alone.table].count("L1(lam=0.1), proximal") == 4


def test_a_layer_that_was_replaced_is_seen_as_it_is_now() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    regularizer = Regularizer(model, L2(0.1))
    model[1] = nn.Linear(2, 5)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    rows = {row.parameter: row for row in audit(model, optimizer, regularizer).table}
    assert rows["1.weight"].shape == "5×2"
    assert rows["1.weight"].penalty == "L2(lam=0.1), loss"


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (
            ("model", "optimizer"),
            {"steps": 0},
            ValueError,
            "steps must be a whole number >= 1, got 0",
        ),
        (
            ("model", "optimizer"),
            {"steps": 1.5},
            ValueError,
            "steps must be a whole number >= 1, got 1.5",
        ),
        (("model", "optimizer"), {"steps": "9"}, TypeError, "steps must be a number"),
        (
            ("model", "optimizer"),
            {"steps_per_epoch": -1},
            ValueError,
            "steps_per_epoch must be a whole number >= 1, got -1",
        ),
        ((None, "optimizer"), {}, TypeError, r"model must be a torch.nn.Module, got NoneType"),
        (("model", ["x"]), {}, TypeError, "optimizer must be a torch.optim.Optimizer, got 'x'"),
        (("model", None), {}, TypeError, "optimizer must be a torch.optim.Optimizer, got None"),
        (("model", []), {}, ValueError, "optimizer must be one or more, got none"),
        (
            ("model", "optimizer", L1(0.1)),
            {},
            TypeError,
            "regularizer must be a Regularizer, got L1",
        ),
        (
            ("model", "optimizer", Regularizer(nn.Linear(1, 1), L2(0.1))),
            {},
            ValueError,
            "penalizes no parameter of this model: build it from the same model",
        ),
    ],
)
def test_what_is_refused(
    arguments: tuple[Any, ...], options: Any, error: type[Exception], message: str
) -> None:
    setup = under(sgd())
    known = {"model": setup.model, "optimizer": setup.optimizer}
    given = [known[one] if isinstance(one, str) else one for one in arguments]
    with pytest.raises(error, match=message):
        audit(*given, **options)


def test_a_scripted_model_is_refused_with_the_remedy() -> None:
    with pytest.warns(DeprecationWarning, match="torch.jit.script"):
        model = torch.jit.script(nn.Linear(3, 2))
    with pytest.raises(TypeError, match="audit the module that was scripted"):
        audit(model, torch.optim.SGD(model.parameters()))


CHECKS = {
    findings_about_models: findings_about_models.ABOUT_MODELS,
    findings_about_optimizers: findings_about_optimizers.ABOUT_OPTIMIZERS,
    findings_about_penalties: findings_about_penalties.ABOUT_PENALTIES,
    findings_about_zeros: (
        *findings_about_zeros.ABOUT_ZEROS,
        findings_about_zeros.find_average_without_zeros,
    ),
}


@pytest.mark.parametrize("module", CHECKS, ids=lambda module: module.__name__)
def test_every_check_is_in_the_list(module: Any) -> None:
    written = {
        value
        for name, value in vars(module).items()
        if name.startswith("find_") and inspect.isgeneratorfunction(value)
    }
    assert written == set(CHECKS[module])


def test_the_page_lists_every_finding_with_its_title_and_severity() -> None:
    page = Path(__file__).parents[3] / "docs" / "audit.md"
    rows = re.findall(
        r"^\| `([a-z-]+)` \| (.+?) \| (.+?) \|", page.read_text("utf-8"), re.MULTILINE
    )
    assert {slug: title for slug, title, _ in rows} == TITLES
    assert len(rows) == len(TITLES)
    severities = {slug: set(severity.split(" or ")) for slug, _, severity in rows}
    for _, slug, severity, *_ in CASES.values():
        assert severity in severities[slug]
    about_itself = {"tied-under-two-rules", "average-without-zeros"}  # tests of their own
    assert {slug for _, slug, *_ in CASES.values()} | about_itself == set(TITLES)
