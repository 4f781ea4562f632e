"""The names of a penalty's arguments, here and elsewhere."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from dataclasses import fields, is_dataclass

# What others call an argument.
OTHER_NAMES = {
    **dict.fromkeys(("alpha", "lambda_", "lambd", "lmbda", "l1", "l2", "strength", "reg"), "lam"),
    **dict.fromkeys(("max_value", "max_norm", "c"), "radius"),
    **dict.fromkeys(("axis", "axes", "group"), "groups"),
    **dict.fromkeys(("rho", "l1_wt", "mix"), "l1_ratio"),
    **dict.fromkeys(("min_value", "min", "lower"), "low"),
    **dict.fromkeys(("max", "upper"), "high"),
    "epsilon": "eps",
    "power": "p",
}


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
        near = [OTHER_NAMES.get(name, ""), *difflib.get_close_matches(name, known, n=1)]
        found = next((one for one in near if one in known), None)
        hint = f"write {found}=" if found else f"it takes {', '.join(known) or 'nothing'}"
        raise TypeError(f"{kind.__name__} takes no {name}: {hint}")
