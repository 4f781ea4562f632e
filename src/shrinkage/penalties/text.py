"""Penalties as text, "l1:1e-4 + l2:1e-3": for the command line, study files and checkpoints."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import MISSING, fields
from typing import Any

from shrinkage.penalties.base import Penalty, terms
from shrinkage.penalties.layout import Layout, is_index_lists
from shrinkage.penalties.registry import NAMES
from shrinkage.penalties.sums import Sum

PENALTIES: dict[str, Any] = {name: kind for kind, name in NAMES.items()}
OTHER_NAMES = {"lasso": "l1", "ridge": "l2", "bridge": "lp"}  # what others call them
HOWS = ("loss", "coupled", "decoupled", "proximal")


def parse(text: str, lam: float | None = None) -> Penalty:
    """The penalty that `text` stands for: ``name:lam(,key=value)*``, terms joined by ``+``.

    A constraint has no strength: after the colon comes its own first argument, "max_norm:3".
    "lasso" is another name of "l1", "ridge" of "l2" and "bridge" of "lp".

    Parameters
    ----------
    text : str
        "l1:1e-4", "elastic_net:0.1,l1_ratio=0.3", "l1:1e-4 + l2:1e-3", "group_lasso:1,groups=in".
    lam : float, optional
        The strength of the terms that state none: "l1", "group_lasso:groups=in".

    Raises
    ------
    TypeError
        If `text` is no text.
    ValueError
        For an unknown name or key (with the nearest), for a strength that is missing or no number,
        and for what the penalty itself refuses.

    Examples
    --------
    >>> parse("l1:1e-4 + l2:1e-3")
    L1(lam=0.0001) + L2(lam=0.001): 0.0001·Σ|w| + 0.001·Σw²
    >>> parse("elastic_net:l1_ratio=0.9", lam=0.1)
    ElasticNet(lam=0.1, l1_ratio=0.9): 0.09·Σ|w| + 0.005·Σw²
    """
    if not isinstance(text, str):
        raise TypeError(f'text must be a str such as "l1:1e-4", got {text!r}')
    if "@" in text:
        raise ValueError(
            f"{text!r} says how the penalty acts, after the @: leave that out here, and write it "
            'where the penalty is used, as in attach(optimizer, how="proximal")'
        )
    parsed = [_make(*_read_term(term, text), text, lam) for term in _split_terms(text)]
    return parsed[0] if len(parsed) == 1 else Sum(tuple(parsed))


def split_how(text: str, hows: Sequence[str] = HOWS) -> tuple[str, str | None]:
    """A penalty's text and the `how` after its "@": "l1:1e-3@proximal" → ("l1:1e-3", "proximal").

    Raises
    ------
    ValueError
        If `how` is not one of `hows`.
    """
    penalty, at, how = text.partition("@")
    if not at:
        return penalty.strip(), None
    if how.strip() not in hows:
        raise ValueError(f"{text!r}: after @ comes one of {', '.join(hows)}, not {how.strip()!r}")
    return penalty.strip(), how.strip()


def normalized(text: str) -> str:
    """`text` in its one normal spelling; strengths that it leaves out stay left out.

    Examples
    --------
    >>> normalized("L1:0.0010+elastic-net,l1_ratio=.3+Ridge")
    'l1:0.001 + elastic_net:l1_ratio=0.3 + l2'
    """
    spelled = []
    for term in _split_terms(text):
        name, arguments = _read_term(term, text)
        penalty = _make(name, arguments, text, 1.0)
        without = hasattr(penalty, "lam") and "lam" not in arguments
        spelled.append(_write_term(penalty, without_strength=without))
    return " + ".join(spelled)


def to_text(penalty: Penalty) -> str:
    """The text that `parse` turns into `penalty` again.

    Raises
    ------
    ValueError
        If the penalty holds something that has no text form, such as lists of indices.

    Examples
    --------
    >>> from shrinkage import L1, ElasticNet
    >>> to_text(L1(1e-4) + ElasticNet(0.1, l1_ratio=0.9))
    'l1:0.0001 + elastic_net:0.1,l1_ratio=0.9'
    """
    return " + ".join(_write_term(term) for term in terms(penalty))


def _split_terms(text: str) -> list[str]:
    # The plus sign inside a number (1e+3) separates nothing.
    return [term.strip() for term in re.split(r"(?<![\d.][eE])\+", text)]


def _read_term(term: str, text: str) -> tuple[str, dict[str, object]]:
    """The name of one term of `text`, and the arguments that it states."""
    head, *options = (piece.strip() for piece in term.split(","))
    written, colon, first = (piece.strip() for piece in head.partition(":"))
    if _fold(written) == "weightdecay":
        raise ValueError(
            f"{text!r}: torch's weight_decay=c is half of c·Σw²; write l2 with half its strength"
        )
    name = _match(written, [*PENALTIES, *OTHER_NAMES], f"{text!r}: unknown penalty {written!r}")
    name = OTHER_NAMES.get(name, name)
    keys = [field.name for field in fields(PENALTIES[name])]
    arguments: dict[str, object] = {}
    if colon and "=" in first:
        options.insert(0, first)
    elif colon:
        if not keys:
            raise ValueError(f"{text!r}: {name} takes no number; write {name}")
        what = "strength" if "lam" in keys else keys[0]
        arguments[keys[0]] = _read_number(first, f"{text!r}: the {what} of {name}")
    for option in options:
        key, equals, value = (piece.strip() for piece in option.partition("="))
        key = _match(key, keys, f"{text!r}: {name} has no {key!r}")
        if not equals:
            raise ValueError(f"{text!r}: {key} needs a value, {key}=...")
        if key in arguments:
            raise ValueError(f"{text!r}: {key} is given twice")
        arguments[key] = _read_value(key, value, text)
    return name, arguments


def _make(name: str, arguments: dict[str, object], text: str, lam: float | None) -> Penalty:
    """The penalty of that name with these arguments, and `lam` where they state none."""
    needed = [field.name for field in fields(PENALTIES[name]) if field.default is MISSING]
    if "lam" in needed and "lam" not in arguments:
        if lam is None:
            raise ValueError(f"{text!r}: {name} has no strength; write for example {name}:1e-4")
        arguments = arguments | {"lam": lam}
    missing = [key for key in needed if key not in arguments]
    if missing:
        raise ValueError(f"{text!r}: {name} needs {missing[0]}=...")
    try:
        penalty: Penalty = PENALTIES[name](**arguments)
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}") from None
    return penalty


def _fold(written: str) -> str:
    return re.sub(r"[-_\s]", "", written.lower())


def _match(written: str, names: list[str], complaint: str) -> str:
    """The name among `names` that matches, ignoring case, hyphens and underscores."""
    by_fold = {_fold(name): name for name in names}
    key = _fold(written)
    if key in by_fold:
        return by_fold[key]
    nearest = difflib.get_close_matches(key, by_fold, n=1, cutoff=0.5)
    hint = f"; did you mean {by_fold[nearest[0]]}?" if nearest else ""
    if names == ["lam"]:
        known = "it takes a strength alone"
    else:
        known = f"there are {', '.join(names)}" if names else "it takes nothing"
    raise ValueError(f"{complaint}{hint} ({known})")


def _read_number(written: str, what: str) -> float:
    try:
        return float(written)
    except ValueError:
        raise ValueError(f"{what} must be a number, got {written!r}") from None


def _read_value(key: str, written: str, text: str) -> object:
    if key == "weight":
        return written
    if key == "groups":
        if re.fullmatch(r"-?\d+", written):
            return int(written)
        if re.fullmatch(r"-?\d+(/-?\d+)+", written):
            return tuple(int(axis) for axis in written.split("/"))
        return written
    return _read_number(written, f"{text!r}: {key}")


def _write_term(term: Penalty, *, without_strength: bool = False) -> str:
    name = NAMES.get(type(term))
    if name is None:
        raise ValueError(f"{term!r} has no text form: it is not of this library, or holds an array")
    pieces = []
    for place, field in enumerate(fields(term)):  # type: ignore[arg-type]
        value = getattr(term, field.name)
        if place == 0:
            pieces += [] if without_strength else [_write_value(value)]
        elif isinstance(value, Layout) or is_index_lists(value):
            raise ValueError(f"{term!r} has no text form: a text can name axes and blocks only")
        elif value != field.default:
            pieces.append(f"{field.name}={_write_value(value)}")
    return name + ":" * bool(pieces) + ",".join(pieces)


def _write_value(value: object) -> str:
    if isinstance(value, tuple):
        return "/".join(map(str, value))
    if isinstance(value, float):
        short = f"{value:g}"
        return short if float(short) == value else repr(value)
    return str(value)
