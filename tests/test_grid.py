"""The rows of a grid that the quick layer runs."""

from itertools import product
from math import prod
from pathlib import Path

import pytest

from grid import FULL, QUICK, covering, quick_rows

ROWS = [{"how": how, "kind": kind} for how, kind in product(("coupled", "loss"), (int, str))]


def test_the_quick_layer_is_what_make_test_runs() -> None:
    makefile = Path(__file__).parents[1] / "Makefile"
    assert f'-m "{QUICK}"' in makefile.read_text(encoding="utf-8")


def test_each_value_stands_in_a_row() -> None:
    axes = "ab", range(3), range(5)
    rows = covering(*axes)
    assert len(rows) == (prod(map(len, axes)) if FULL else 5)
    assert [set(column) for column in zip(*rows, strict=True)] == [set(axis) for axis in axes]


def test_a_text_stands_for_what_it_is_the_name_of() -> None:
    assert quick_rows(ROWS, {"kind": ["int"]}) == [True, False, True, False]
    assert quick_rows(ROWS, {"kind": [int], "how": ["loss"]}) == [False, False, True, False]


@pytest.mark.parametrize("where", [{"how": ["proximal"]}, {"how": ["loss", "x"]}, {"way": [None]}])
def test_a_value_of_no_row_is_an_error(where: dict[str, list[object]]) -> None:
    with pytest.raises(ValueError, match="quick_where: no row with"):
        quick_rows(ROWS, where)
