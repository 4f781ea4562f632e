"""Penalties as text, "l1:1e-4 + l2:1e-3": for the command line, study files and checkpoints."""

from __future__ import annotations

import dataclasses
import difflib
import re

from shrinkage.penalties.balls import L1Ball, L2Ball, MaxNorm
from shrinkage.penalties.base import Penalty, Sum, terms
from shrinkage.penalties.concave import MCP, SCAD, CappedL1, LogSum
from shrinkage.penalties.constraints import Box, NofM, NonNegative, Simplex
from shrinkage.penalties.elementwise import L1, L2, ElasticNet
from shrinkage.penalties.groups import GroupLasso
from shrinkage.penalties.layout import Layout
from shrinkage.penalties.matrix import NuclearNorm, Orthogonality
from shrinkage.penalties.mixed import LInf, SparseGroupLasso
from shrinkage.penalties.powers import L0, Lp

PENALTIES: dict[str, type[Penalty]] = {
    penalty.name: penalty
    for penalty in (
        *(L1, L2, ElasticNet, Lp, L0, MCP, SCAD, CappedL1, LogSum),
        *(GroupLasso, SparseGroupLasso, LInf, NuclearNorm, Orthogonality),
        *(NonNegative, Box, MaxNorm, L1Ball, L2Ball, Simplex, NofM),
    )
}
# What others call them.
OTHER_NAMES = {"lasso": "l1", "ridge": "l2"}
HOWS = ("loss", "coupled", "decoupled", "proximal")


def parse(text: str, lam: float | None = None) -> Penalty:
    """The penalty that `text` stands for: ``name:lam(,key=value)*``, terms joined by ``+``.

    A constraint has no strength: after the colon stands its own first argument, "max_norm:3". Also
    "lasso" and "ridge" are names, of `L1` and `L2`.

    Parameters
    ----------
    text : str
        "l1:1e-4", "elastic_net:0.1,l1_ratio=0.3", "l1:1e-4 + l2:1e-3", "group_lasso:1,groups=in".
    lam : float, optional
        The strength of the terms that state none: "l1", "group_lasso:groups=in".

    Raises
    ------
    ValueError
        For an unknown name or key (with the nearest), a strength that is missing or no number, and
        for what the penalty itself refuses.

    Examples
    --------
    >>> parse("l1:1e-4 + l2:1e-3")
    L1(lam=0.0001) + L2(lam=0.001): 0.0001·Σ|w| + 0.001·Σw²
    >>> parse("elastic_net:l1_ratio=0.9", lam=0.1)
    ElasticNet(lam=0.1, l1_ratio=0.9): 0.09·Σ|w| + 0.005·Σw²
    """
    parts = [_penalty(*_read(part, text), text, lam) for part in _parts(text)]
    return parts[0] if len(parts) == 1 else Sum(tuple(parts))


def split_how(text: str) -> tuple[str, str | None]:
    """A penalty's text and the way after its "@": "l1:1e-3@proximal" → ("l1:1e-3", "proximal").

    Raises
    ------
    ValueError
        If the way is not one of the four.
    """
    penalty, at, how = text.partition("@")
    if not at:
        return penalty.strip(), None
    if how.strip() not in HOWS:
        raise ValueError(f"{text!r}: after @ comes one of {', '.join(HOWS)}, not {how.strip()!r}")
    return penalty.strip(), how.strip()


def normalized(text: str) -> str:
    """`text` in one spelling, strengths that it leaves out still left out.

    Examples
    --------
    >>> normalized("L1:0.0010+elastic-net,l1_ratio=.3+Ridge")
    'l1:0.001 + elastic_net:l1_ratio=0.3 + l2'
    """
    spelled = []
    for part in _parts(text):
        name, values = _read(part, text)
        term = _penalty(name, values, text, 1.0)
        left_out = hasattr(term, "lam") and "lam" not in values
        spelled.append(_term_text(term, without_strength=left_out))
    return " + ".join(spelled)


def to_text(penalty: Penalty) -> str:
    """The text that `parse` turns into `penalty` again.

    Raises
    ------
    ValueError
        If the penalty holds what has no text form, such as lists of indices.

    Examples
    --------
    >>> to_text(L1(1e-4) + ElasticNet(0.1, l1_ratio=0.9))
    'l1:0.0001 + elastic_net:0.1,l1_ratio=0.9'
    """
    return " + ".join(_term_text(term) for term in terms(penalty))


def _parts(text: str) -> list[str]:
    # A plus sign inside a number (1e+3) joins nothing.
    return [part.strip() for part in re.split(r"(?<![\d.][eE])\+", text)]


def _read(part: str, text: str) -> tuple[str, dict[str, object]]:
    """The name of one term of `text`, and the arguments that it states."""
    head, *options = (piece.strip() for piece in part.split(","))
    written, colon, first = (piece.strip() for piece in head.partition(":"))
    name = _known(
        _renamed(written, text), list(PENALTIES), f"{text!r}: unknown penalty {written!r}"
    )
    names = [field.name for field in dataclasses.fields(PENALTIES[name])]  # type: ignore[arg-type]
    values: dict[str, object] = {}
    if colon and "=" in first:
        options.insert(0, first)
    elif colon:
        what = "strength" if "lam" in names else names[0] if names else "number"
        if not names:
            raise ValueError(f"{text!r}: {name} takes no number; write {name}")
        values[names[0]] = _number(first, f"{text!r}: the {what} of {name}")
    for option in options:
        key, equals, value = (piece.strip() for piece in option.partition("="))
        key = _known(key, names, f"{text!r}: {name} has no {key!r}")
        if not equals:
            raise ValueError(f"{text!r}: {key} needs a value, {key}=...")
        if key in values:
            raise ValueError(f"{text!r}: {key} stands there twice")
        values[key] = _value(key, value, text)
    return name, values


def _penalty(name: str, values: dict[str, object], text: str, lam: float | None) -> Penalty:
    """The penalty of that name with these arguments, and `lam` where they state none."""
    fields = dataclasses.fields(PENALTIES[name])  # type: ignore[arg-type]
    given = dict(values)
    if any(field.name == "lam" for field in fields) and "lam" not in given:
        if lam is None:
            raise ValueError(f"{text!r}: {name} has no strength; write for example {name}:1e-4")
        given["lam"] = lam
    missing = [f.name for f in fields if f.default is dataclasses.MISSING and f.name not in given]
    if missing:
        raise ValueError(f"{text!r}: {name} needs {missing[0]}=...")
    try:
        return PENALTIES[name](**given)
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}") from None


def _renamed(written: str, text: str) -> str:
    """The name here of what others call by that name."""
    key = _folded(written)
    if key == "weightdecay":
        raise ValueError(
            f"{text!r}: torch's weight_decay=c is half of c·Σw²; write l2 with half its strength"
        )
    return OTHER_NAMES.get(key, written)


def _folded(written: str) -> str:
    return re.sub(r"[-_\s]", "", written.lower())


def _known(written: str, names: list[str], complaint: str) -> str:
    folded = {name.replace("_", ""): name for name in names}
    key = _folded(written)
    if key in folded:
        return folded[key]
    nearest = difflib.get_close_matches(key, folded, n=1, cutoff=0.5)
    hint = f"; did you mean {folded[nearest[0]]}?" if nearest else ""
    known = f"there are {', '.join(names)}" if names else "it takes nothing"
    known = "it takes a strength alone" if names == ["lam"] else known
    raise ValueError(f"{complaint}{hint} ({known})")


def _number(written: str, what: str) -> float:
    try:
        return float(written)
    except ValueError:
        raise ValueError(f"{what} must be a number, got {written!r}") from None


def _value(key: str, written: str, text: str) -> object:
    if key == "weight":
        return written
    if key == "groups":
        if re.fullmatch(r"-?\d+", written):
            return int(written)
        if re.fullmatch(r"-?\d+(/-?\d+)+", written):
            return tuple(int(axis) for axis in written.split("/"))
        return written
    return _number(written, f"{text!r}: {key}")


def _term_text(term: Penalty, *, without_strength: bool = False) -> str:
    if PENALTIES.get(term.name) is not type(term):
        raise ValueError(f"{term!r} has no text form: it is not of this library, or holds an array")
    pieces = []
    for place, field in enumerate(dataclasses.fields(term)):  # type: ignore[arg-type]
        value = getattr(term, field.name)
        if place == 0:
            pieces += [] if without_strength else [_written(value)]
            continue
        if value == field.default:
            continue
        if isinstance(value, Layout) or (isinstance(value, tuple) and isinstance(value[0], tuple)):
            raise ValueError(f"{term!r} has no text form: a text can name axes and blocks only")
        pieces.append(f"{field.name}={_written(value)}")
    return term.name + ":" * bool(pieces) + ",".join(pieces)


def _written(value: object) -> str:
    if isinstance(value, tuple):
        return "/".join(map(str, value))
    if isinstance(value, float):
        short = f"{value:g}"
        return short if float(short) == value else repr(value)
    return str(value)
