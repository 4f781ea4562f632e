"""Which cases of a grid are run, and which of them in the quick layer."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any

FULL = os.environ.get("SHRINKAGE_GRID") == "full"


def covering(*axes: Iterable[Any]) -> list[tuple[Any, ...]]:
    """Rows in which each value of each axis stands at least once; SHRINKAGE_GRID=full runs all.

    The second axis begins each of its rounds one value later, the third two, and so on, so that
    their values do not always meet the same ones.
    """
    columns = [list(axis) for axis in axes]
    if FULL:
        return list(product(*columns))
    return [
        tuple(
            values[(row + place * (row // len(values))) % len(values)]
            for place, values in enumerate(columns)
        )
        for row in range(max(map(len, columns)))
    ]


def is_quick(parameters: Mapping[str, Any], where: Mapping[str, Any]) -> bool:
    """Whether each parameter that `where` names has one of the values that it lists.

    A value stands for itself, a text also for what it is the name of.
    """

    def matches(value: Any, listed: Any) -> bool:
        if type(value) is type(listed):
            return bool(value == listed)
        return isinstance(listed, str) and listed in (getattr(value, "__name__", ""), str(value))

    return all(
        any(matches(parameters[name], listed) for listed in values)
        for name, values in where.items()
    )
