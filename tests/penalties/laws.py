"""What the laws are tested on: every penalty, each with all of its cases."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import note
from hypothesis import strategies as st

from cases import CASES, Case
from flavours import steps, weights


def each_kind(
    applies: Callable[[Case], bool] = lambda case: True, cases: Iterable[Case] = CASES
) -> pytest.MarkDecorator:
    """One test item for each class of penalty, with those of its cases that a law applies to."""
    kinds: dict[str, list[Case]] = {}
    for case in filter(applies, cases):
        kinds.setdefault(type(case.penalty).__name__, []).append(case)
    return pytest.mark.parametrize("cases", kinds.values(), ids=kinds)


def draw(
    data: st.DataObject, cases: Iterable[Case], sizes: Any = steps
) -> Iterator[tuple[Case, np.ndarray, Any]]:
    """Each case with weights and a step that it takes; cases of one shape share them."""
    drawn: dict[object, tuple[np.ndarray, Any]] = {}
    for case in cases:
        key = case.shape, case.takes_metric
        if key not in drawn:
            step = sizes(case.shape) if case.takes_metric else sizes(()).map(float)
            drawn[key] = data.draw(weights(case.shape)), data.draw(step)
        note(str(case))
        yield case, *drawn[key]


def each(items: Iterable[Any]) -> Iterator[Any]:
    """The items of a loop; the one at which an assertion fails is printed."""
    for item in items:
        print(item)  # pytest shows it for a test that fails
        yield item
