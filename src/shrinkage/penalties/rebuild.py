"""The same penalty with other groups or arrays, however deep in sums and distances they stand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field, fields, replace
from typing import Any, TypeVar

from shrinkage.penalties.arrays import Array
from shrinkage.penalties.base import Penalty
from shrinkage.penalties.layout import heads_in

Kind = TypeVar("Kind", bound=Penalty)


def with_groups(penalty: Kind, resolve: Callable[[str], object]) -> Kind:
    """The same penalty with group names such as "out" replaced by what `resolve` returns.

    Only names that depend on a module are: "out", "in" and heads of attention.
    """

    def change(field: Field[Any], value: Any) -> Any:
        if "is_groups" not in field.metadata or not isinstance(value, str):
            return value
        return resolve(value) if value in ("out", "in") or heads_in(value) else value

    return _rebuild(penalty, change)


def with_arrays(penalty: Kind, resolve: Callable[[str, object], Array]) -> Kind:
    """The same penalty with each array that it holds, or what stands for one, as `resolve` says.

    `resolve` takes the argument's name and its value.
    """

    def change(field: Field[Any], value: Any) -> Any:
        return resolve(field.name, value) if "is_array" in field.metadata else value

    return _rebuild(penalty, change)


def _rebuild(penalty: Kind, change: Callable[[Field[Any], Any], Any]) -> Kind:
    changed = {}
    for field in fields(penalty):  # type: ignore[arg-type]
        value = getattr(penalty, field.name)
        if isinstance(value, Penalty):
            new: Any = _rebuild(value, change)
        elif isinstance(value, tuple) and any(isinstance(part, Penalty) for part in value):
            new = tuple(_rebuild(part, change) for part in value)
        else:
            new = change(field, value)
        if new is not value:
            changed[field.name] = new
    return replace(penalty, **changed) if changed else penalty  # type: ignore[type-var]
