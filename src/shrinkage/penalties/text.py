"""Penalties as text, "l1:1e-4 + l2:1e-3": for the command line, study files and checkpoints."""

from __future__ import annotations

import dataclasses
import difflib
import re

from shrinkage.penalties.base import Penalty, Sum, terms
from shrinkage.penalties.elementwise import L1, L2, ElasticNet
from shrinkage.penalties.groups import GroupLasso
from shrinkage.penalties.layout import Layout

PENALTIES: dict[str, type[Penalty]] = {
    penalty.name: penalty for penalty in (L1, L2, ElasticNet, GroupLasso)
}
HOWS = ("loss", "coupled", "decoupled", "proximal")


def parse(text: str, lam: float | None = None) -> Penalty:
    """The penalty that `text` stands for: ``name:lam(,key=value)*``, terms joined by ``+``.

    Parameters
    ----------
    text : str
        "l1:1e-4", "elastic_net:0.1,l1_ratio=0.3", "l1:1e-4 + l2:1e-3", "group_lasso:1,groups=in".
    lam : float, optional
        The strength of the terms that state none ("l1").

    Raises
    ------
    ValueError
        For an unknown name or key (with the nearest), a strength that is missing or no number, and
        for what the penalty itself refuses.

    Examples
    --------
    >>> parse("l1:1e-4 + l2:1e-3")
    L1(lam=0.0001) + L2(lam=0.001): 0.0001·Σ|w| + 0.001·Σw²
    >>> parse("elastic_net,l1_ratio=0.9", lam=0.1)
    ElasticNet(lam=0.1, l1_ratio=0.9): 0.09·Σ|w| + 0.005·Σw²
    """
    parts = [_term(part, text, lam) for part in _parts(text)]
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
    >>> normalized("L1:0.0010+elastic-net,l1_ratio=.5")
    'l1:0.001 + elastic_net'
    """
    spelled = []
    for part in _parts(text):
        term = _term(part, text, 1.0)
        stated = ":" in part.partition(",")[0]
        written = _term_text(term)
        spelled.append(written if stated else written.replace(":1", "", 1))
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


def _term(part: str, text: str, lam: float | None) -> Penalty:
    head, *options = (piece.strip() for piece in part.split(","))
    written, colon, strength = (piece.strip() for piece in head.partition(":"))
    name = _known(written, list(PENALTIES), f"{text!r}: unknown penalty {written!r}")
    values: dict[str, object] = {}
    if colon:
        values["lam"] = _number(strength, f"{text!r}: the strength of {name}")
    elif lam is not None:
        values["lam"] = lam
    else:
        raise ValueError(f"{text!r}: {name} has no strength; write for example {name}:1e-4")
    fields = [field.name for field in dataclasses.fields(PENALTIES[name])]  # type: ignore[arg-type]
    for option in options:
        key, equals, value = (piece.strip() for piece in option.partition("="))
        key = _known(key, fields[1:], f"{text!r}: {name} has no {key!r}")
        if not equals:
            raise ValueError(f"{text!r}: {key} needs a value, {key}=...")
        if key in values:
            raise ValueError(f"{text!r}: {key} stands there twice")
        values[key] = _value(key, value, text)
    try:
        return PENALTIES[name](**values)
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}") from None


def _known(written: str, names: list[str], complaint: str) -> str:
    folded = {name.replace("_", ""): name for name in names}
    key = re.sub(r"[-_\s]", "", written.lower())
    if key in folded:
        return folded[key]
    nearest = difflib.get_close_matches(key, folded, n=1, cutoff=0.5)
    hint = f"; did you mean {folded[nearest[0]]}?" if nearest else ""
    known = f"there are {', '.join(names)}" if names else "it takes a strength alone"
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


def _term_text(term: Penalty) -> str:
    options = []
    for field in dataclasses.fields(term):  # type: ignore[arg-type]
        value = getattr(term, field.name)
        if field.name == "lam" or value == field.default:
            continue
        if isinstance(value, Layout) or (isinstance(value, tuple) and isinstance(value[0], tuple)):
            raise ValueError(f"{term!r} has no text form: a text can name axes and blocks only")
        written = "/".join(map(str, value)) if isinstance(value, tuple) else value
        options.append(f",{field.name}={written}")
    lam: float = getattr(term, "lam")  # noqa: B009 - every single penalty has one
    short = f"{lam:g}"
    return f"{term.name}:{short if float(short) == lam else repr(lam)}{''.join(options)}"
