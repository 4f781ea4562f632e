"""Which cases of a grid are run, and which of them in the quick layer."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any

QUICK = "not slow and not frameworks"  # the markers by which `make test` selects
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


def quick_rows(rows: Sequence[Mapping[str, Any]], where: Mapping[str, Sequence[Any]]) -> list[bool]:
    """Which rows have, for each parameter that `where` names, one of the values that it lists.

    A value stands for itself, a text also for what it is the name of. Each has to stand in one of
    these rows: one that was renamed would otherwise make a whole test slow.
    """

    def matches(row: Mapping[str, Any], name: str, listed: Any) -> bool:
        if name not in row:
            return False
        value = row[name]
        if type(value) is type(listed):
            return bool(value == listed)
        return isinstance(listed, str) and listed in (getattr(value, "__name__", ""), str(value))

    quick = [
        all(any(matches(row, name, listed) for listed in values) for name, values in where.items())
        for row in rows
    ]
    chosen = [row for row, is_quick in zip(rows, quick, strict=True) if is_quick]
    for name, values in where.items():
        for listed in values:
            if not any(matches(row, name, listed) for row in chosen):
                raise ValueError(f"quick_where: no row with {name}={listed!r} is quick")
    return quick
