"""A penalty in words: the code that makes it, and a row for each of its terms."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from shrinkage.penalties.layout import describe_groups

HEAD = ("penalty", "Ω(w)", "convex", "exact zeros", "how")


def construction(penalty: Any) -> str:
    """The Python code that makes a single penalty: its repr without the formula."""
    return repr(penalty).removesuffix(f": {penalty.formula}")


def describe_arguments(penalty: Any) -> str:
    """The arguments as Python code; what says which groups it is on, only where it is unusual."""
    written = []
    for field in fields(penalty):
        value, of_groups = getattr(penalty, field.name), "is_groups" in field.metadata
        if value != field.default or not (of_groups or "choices" in field.metadata):
            text = describe_groups(value) if of_groups else repr(value)
            written.append(f"{field.name}={text}")
    return ", ".join(written)


def describe_terms(terms: Iterable[Any]) -> list[tuple[str, ...]]:
    """The head and a row for each term."""
    return [HEAD, *map(_describe, terms)]


def _describe(term: Any) -> tuple[str, ...]:
    hows = ["loss", "coupled", "decoupled"] if term.why_not("gradient") is None else []
    hows += ["proximal"] if term.why_not("prox") is None else []
    answers = (term.traits.is_convex, term.traits.makes_zeros and not term.is_zero)
    return (
        construction(term),
        term.formula,
        *("yes" if each else "no" for each in answers),
        ", ".join(hows),
    )
