"""The registry: what each penalty declares, and the tables that are made from it."""

from __future__ import annotations

import inspect
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import numpy as np

import shrinkage
from cases import CASES
from penalties.laws import each
from shrinkage import Penalty, Sum
from shrinkage.penalties.registry import KINDS, NAMES

PAGE = Path(__file__).parents[2] / "docs" / "penalties.md"
HEAD = ["| penalty | as text | Ω(w) | how |", "|---|---|---|---|"]
# Separable, but in no compiled loop: the root of a power takes Newton's method.
WITHOUT_SCALAR_FORM = {"Lp"}


def signature(kind: Any) -> str:
    """How it is called: ``MCP(lam, gamma=3)``."""
    written = []
    for field in fields(kind):
        default = "" if field.default is MISSING else f"={field.default!r}".removesuffix(".0")
        written.append(field.name + default.replace("'", '"'))
    return f"{kind.__name__}({', '.join(written)})"


def ways(kind: Any) -> str:
    """How it can be applied."""
    case = next((case for case in CASES if type(case.penalty) is kind), None)
    assert case is not None, f"add a row of {kind.__name__} to tests/cases.py"
    if case.penalty.traits.is_indicator:
        return "proximal; holds after every step"
    if not case.has_gradient:
        return "proximal"
    return "all" if case.takes_metric else "all; proximal under SGD"


def row(kind: Any) -> str:
    """Its row in the page's table; the third cell is the first paragraph of its docstring."""
    text = f"`{NAMES[kind]}`" if kind in NAMES else ""
    summary = " ".join(inspect.getdoc(kind).partition("\n\n")[0].split())
    summary = summary.replace("``", "").replace("Ω(w) = ", "").replace("Ω(W) = ", "")
    escaped = summary.removesuffix(".").replace("|", r"\|")
    return f"| `{signature(kind)}` | {text} | {escaped} | {ways(kind)} |"


def test_the_table_of_the_page_is_the_registrys() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    begin = lines.index(HEAD[0])
    table = lines[begin : lines.index("", begin)]
    expected = [*HEAD, *(row(kind) for name, kind in KINDS.items() if name != "Sum")]
    assert table == expected, "paste this into docs/penalties.md:\n" + "\n".join(expected)


def test_the_package_exports_every_penalty() -> None:
    others = {"Penalty", "Traits", "convert", "parse", "to_text"}
    assert set(shrinkage.__all__) == {*KINDS, *others}
    for name in each(shrinkage.__all__):
        assert getattr(shrinkage, name).__doc__


def test_every_penalty_has_a_case_for_the_laws() -> None:
    rows = {type(case.penalty) for case in CASES}
    assert rows == set(KINDS.values()), "tests/cases.py has a row for every penalty"


def test_every_separable_penalty_has_a_scalar_form() -> None:
    """Which compiled loops step by; `WITHOUT_SCALAR_FORM` are stepped by torch operations."""
    without = set()
    for case in each([case for case in CASES if not isinstance(case.penalty, Sum)]):
        if case.penalty.traits.is_separable and case.penalty._scalar_form() is None:
            without.add(type(case.penalty).__name__)
    assert without == WITHOUT_SCALAR_FORM


def test_scalar_forms_have_names_of_their_own() -> None:
    """By which their machine code is told apart on the disk."""
    forms = {case.penalty._scalar_form()[0] for case in CASES if case.penalty._scalar_form()}
    assert len({form.name for form in forms}) == len(forms) > 8


def test_every_penalty_states_the_ranges_of_its_numbers() -> None:
    own = {"Box", "NofM"}  # whose numbers depend on each other
    for name, kind in each(KINDS.items()):
        numbers = [field for field in fields(kind) if field.type in ("float", "int")]
        assert name in own or all("range" in field.metadata for field in numbers)


def test_what_a_penalty_shows_is_little() -> None:
    """The public contract of a penalty of one's own; what has an underscore takes wide arrays."""
    public = [name for name in vars(Penalty) if not name.startswith("_")]
    assert len(public) <= 19, public


def test_makes_zeros_is_so() -> None:
    """A penalty that says that it makes zeros sets weights near zero, of either sign, to zero."""
    for case in each(CASES):
        if case.takes_metric and case.penalty.traits.fixes_zero and case.is_free:
            for size in (1e-6, -1e-6):
                moved = case.penalty.prox(np.full(case.shape, size), 0.5)
                assert np.any(moved == 0) == case.penalty.traits.makes_zeros
