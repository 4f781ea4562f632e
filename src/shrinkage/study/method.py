"""A method of a study: a penalty and how it acts, parsed once from its text."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from shrinkage.penalties.base import Penalty, terms
from shrinkage.penalties.text import normalized, parse, split_how
from shrinkage.study.errors import UsageError


@dataclass(frozen=True)
class Method:
    """What is compared with "none": a penalty's text and the way in which it acts."""

    text: str  # in one spelling: "none", "l1@proximal"
    penalty: str  # the text before the "@"; "" for "none"
    how: str  # "loss", "coupled", "decoupled" or "proximal"; "" for "none"
    strength: float | None  # None where the grid gives it; 0 for "none", 1 for a constraint

    def make_penalty(self, strength: float) -> Penalty:
        """The penalty at a strength of the grid."""
        return parse(self.penalty, lam=strength)


@functools.cache
def parse_method(text: str) -> Method:
    """The method that `text` names; without a way after an "@" it is proximal.

    Raises
    ------
    UsageError
        If the penalty or the way is unknown, or the penalty refuses its numbers.

    Examples
    --------
    >>> parse_method("Lasso@coupled")
    Method(text='l1@coupled', penalty='l1', how='coupled', strength=None)
    >>> parse_method("l1:0.01@proximal").strength, parse_method("l1 + l2:0.1@coupled").strength
    (0.01, None)
    >>> parse_method("max_norm:3").strength, parse_method("group_lasso:groups=in").strength
    (1.0, None)
    """
    if text.strip().lower() == "none":
        return Method("none", "", "", 0.0)
    try:
        written, how = split_how(text)
        penalty = normalized(written)
    except (ValueError, TypeError) as error:
        raise UsageError(f"penalty {error}") from None
    how = how or "proximal"
    strength = None
    try:
        stated = terms(parse(penalty))
        strength = next((float(term.lam) for term in stated if hasattr(term, "lam")), 1.0)
    except ValueError:  # a term states no strength
        pass
    return Method(f"{penalty}@{how}", penalty, how, strength)
