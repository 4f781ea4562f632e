"""The arguments of penalties: their ranges, their roles, and other libraries' names for them.

A penalty states the range of an argument in the metadata of its dataclass field, for instance
``gamma: float = field(default=3.0, metadata=above(0.0))``. `check_arguments` reads it.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from math import inf
from typing import Any

from shrinkage.penalties.arrays import (
    Namespace,
    check_number,
    checked_above,
    checked_number,
    checked_strength,
)
from shrinkage.penalties.layout import checked_groups

# What other libraries call an argument.
OTHER_NAMES = {
    **dict.fromkeys(("alpha", "lambda_", "lambd", "lmbda", "l1", "l2", "strength", "reg"), "lam"),
    **dict.fromkeys(("max_value", "max_norm", "c"), "radius"),
    **dict.fromkeys(("axis", "axes", "group"), "groups"),
    **dict.fromkeys(("rho", "l1_wt", "mix"), "l1_ratio"),
    **dict.fromkeys(("min_value", "min", "lower"), "low"),
    **dict.fromkeys(("max", "upper"), "high"),
    **dict.fromkeys(("beta", "threshold"), "delta"),
    "epsilon": "eps",
    "power": "p",
}


@dataclass(frozen=True)
class Range:
    """Which numbers an argument may be; all are finite."""

    low: float = 0.0
    high: float = inf
    is_open: bool = False  # `low` itself is not in the range

    def check(self, name: str, value: object) -> float:
        """`value` as a float of this range."""
        if self.is_open:
            return checked_above(name, value, self.low)
        if self.high == inf:
            return checked_strength(name, value)
        number = checked_number(name, value)
        if not self.low <= number <= self.high:
            raise ValueError(f"{name} must be between {self.low:g} and {self.high:g}, got {number}")
        return number


Metadata = Mapping[str, Any]
STRENGTH: Metadata = {"range": Range()}
SHARE: Metadata = {"range": Range(high=1.0)}
GROUPS: Metadata = {"is_groups": True}  # which entries are a group
GROUP_WEIGHT: Metadata = {"choices": ("sqrt", "none")}
COUNT_WEIGHT: Metadata = {"choices": ("size", "none")}
ARRAY: Metadata = {"is_array": True}  # an array of w's shape, or what stands for one


def above(low: float, *, divides: bool = False) -> Metadata:
    """A number above `low`; one that is divided by must not vanish in the type of the weights."""
    return {"range": Range(low, is_open=True), "divides": divides}


def check_arguments(penalty: Any) -> None:
    """Replace each argument of a new penalty by its checked form, as its metadata says.

    Raises
    ------
    TypeError, ValueError
        With the argument, its value and what it must be.
    """
    for field in fields(penalty):
        value, metadata = getattr(penalty, field.name), field.metadata
        if "range" in metadata:
            value = metadata["range"].check(field.name, value)
        elif "is_groups" in metadata:
            value = checked_groups(value)
        elif "choices" in metadata and value not in metadata["choices"]:
            known = " or ".join(f'"{choice}"' for choice in metadata["choices"])
            raise ValueError(f"{field.name} must be {known}, got {value!r}")
        object.__setattr__(penalty, field.name, value)


def check_range(penalty: Any, xp: Namespace, dtype: Any) -> None:
    """Refuse numbers of one penalty that overflow or vanish in the type of the weights."""
    for field in fields(penalty):
        number = getattr(penalty, field.name)
        if isinstance(number, float):
            check_number(
                xp, dtype, field.name, number, divides=field.metadata.get("divides", False)
            )
        elif hasattr(number, "_check_range"):  # the penalty inside another
            number._check_range(xp, dtype)


def arguments(kind: type) -> tuple[str, ...]:
    """The names of a penalty's arguments.

    Raises
    ------
    TypeError
        If it is no dataclass.
    """
    if not is_dataclass(kind):
        name = kind.__name__
        raise TypeError(f"{name} must be a frozen dataclass: write @dataclass(frozen=True) over it")
    return tuple(field.name for field in fields(kind))


def check_names(kind: type[object], named: Mapping[str, object]) -> None:
    """Refuse a named argument that the penalty does not have, with the name to write.

    Raises
    ------
    TypeError
    """
    known = arguments(kind)
    for name in named:
        if name in known or name in inspect.signature(kind).parameters:
            continue
        if name == "weight_decay" and "lam" in known:
            raise TypeError(
                f"{kind.__name__} takes no weight_decay: write L2.from_weight_decay(...), which is "
                "half of it times Σw², as in torch"
            )
        candidates = [OTHER_NAMES.get(name, ""), *difflib.get_close_matches(name, known, n=1)]
        meant = next((candidate for candidate in candidates if candidate in known), None)
        hint = f"write {meant}=" if meant else f"it takes {', '.join(known) or 'nothing'}"
        raise TypeError(f"{kind.__name__} takes no {name}: {hint}")
