"""The argument `penalty` of an estimator: as text or as a penalty, and its numbers by name.

Penalties are frozen: a number is set by putting a new penalty in place.

>>> from shrinkage import L1, L2
>>> numbers("elastic_net:0.1")
{'lam': 0.1, 'l1_ratio': 0.5}
>>> numbers("l1")
{'lam': None}
>>> with_number("l1", "lam", 0.5)
L1(lam=0.5): 0.5·Σ|w|
>>> numbers(L1(1.0) + L2(0.5))
{'0__lam': 1.0, '1__lam': 0.5}
>>> with_number(L1(1.0) + L2(0.5), "1__lam", 2.0)
L1(lam=1.0) + L2(lam=2.0): 1·Σ|w| + 2·Σw²
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

from shrinkage.penalties import Penalty, Sum, parse

PenaltyArgument = Penalty | str | None


def make_penalty(argument: PenaltyArgument, lam: float | None = None) -> Penalty | None:
    """The penalty that an argument stands for; `lam` is for text that states no strength.

    Raises
    ------
    TypeError, ValueError
        If it stands for none.
    """
    if isinstance(argument, str):
        if argument.strip().lower() == "none":
            raise ValueError(f"penalty={argument!r} is no penalty: write None, without quotes")
        return parse(argument, lam)
    if argument is None or isinstance(argument, Penalty):
        return argument
    raise TypeError(
        f'penalty must be a penalty such as L1(1e-3), text such as "l1:1e-3", or None, '
        f"got {argument!r}"
    )


def states_strength(text: str) -> bool:
    """Whether each term of a penalty's text that needs a strength has one."""
    try:
        parse(text)
    except ValueError:
        return False
    return True


def numbers(argument: PenaltyArgument) -> dict[str, Any]:
    """Each argument of the penalty by name; {} where there is no penalty, or a mistake in it."""
    if not isinstance(argument, str):
        return dict(_walk(argument, "")) if isinstance(argument, Penalty) else {}
    try:
        found = dict(_walk(parse(argument, 1.0), ""))
    except ValueError:
        return {}
    return found if states_strength(argument) else found | {"lam": None}


def with_number(argument: PenaltyArgument, name: str, value: Any) -> Penalty:
    """The penalty with another value of one of its arguments.

    Raises
    ------
    ValueError
        If there is no argument of that name.
    """
    known = numbers(argument)
    if name not in known:
        have = f"has {', '.join(known)}" if known else "has no arguments"
        raise ValueError(
            f"penalty__{name} names no argument of penalty={argument!r}, which {have}: set "
            "penalty to another penalty first"
        )
    if isinstance(argument, str):
        if name == "lam" and not states_strength(argument):
            return parse(argument, value)
        argument = parse(argument)
    assert argument is not None
    return _replace(argument, name.split("__"), value)


def with_strength(argument: PenaltyArgument, lam: float) -> Penalty:
    """The penalty at that strength: of the terms that state none, or of its one `lam`.

    Raises
    ------
    ValueError
        If it has no strength, or several.
    """
    known = numbers(argument)
    if "lam" in known:
        return with_number(argument, "lam", lam)
    nested = [name for name in known if name.endswith("__lam")]
    if len(nested) == 1:
        return with_number(argument, nested[0], lam)
    make_penalty(argument)  # says what is wrong with the text
    raise ValueError(
        f"penalty={argument!r} has {len(nested)} strengths to choose: write it as text, in which "
        'the terms that state no strength take it, for example "l1 + l2:1e-3"'
    )


def _walk(penalty: Penalty, prefix: str) -> Iterator[tuple[str, Any]]:
    for field in fields(penalty):  # type: ignore[arg-type]
        value = getattr(penalty, field.name)
        if isinstance(value, Penalty):
            yield from _walk(value, f"{prefix}{field.name}__")
        elif isinstance(penalty, Sum):
            for index, term in enumerate(value):
                yield from _walk(term, f"{prefix}{index}__")
        else:
            yield prefix + field.name, value


def _replace(penalty: Penalty, path: list[str], value: Any) -> Penalty:
    name, *rest = path
    if isinstance(penalty, Sum):
        index, terms = int(name), list(penalty.terms)
        terms[index] = _replace(terms[index], rest, value)
        return Sum(tuple(terms))
    if rest:
        value = _replace(getattr(penalty, name), rest, value)
    changed: Penalty = replace(penalty, **{name: value})  # type: ignore[type-var]
    return changed
