"""What the text of a model says, without torch: the widths of its layers, or a user's function."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

from shrinkage.study.errors import UsageError, suggest

KNOWN = 'write "linear", "mlp:64", "mlp:64,32" or "package.module:function"'
MOST_WEIGHTS = 100_000_000  # the trained weights of every trial are kept


def names_function(text: str) -> bool:
    """Whether the text of a model names a user's function, and not a dense network.

    Raises
    ------
    UsageError
        If it names neither.

    Examples
    --------
    >>> names_function("linear"), names_function("mlp:64"), names_function("nets:make")
    (False, False, True)
    """
    name, colon, _ = text.partition(":")
    if text == "linear" or name == "mlp":
        return False
    if not colon:
        raise UsageError(f"model {text!r} is unknown{suggest(text, ('linear', 'mlp:64'))}: {KNOWN}")
    return True


def parse_widths(text: str, features: int, outputs: int) -> list[int]:
    """The widths of a dense network's layers, from its inputs to its outputs.

    Raises
    ------
    UsageError
        For widths that are no positive integers, and for a network that is too large.

    Examples
    --------
    >>> parse_widths("mlp:64,32", features=10, outputs=3), parse_widths("linear", 10, 3)
    ([10, 64, 32, 3], [10, 3])
    """
    hidden: list[int] = []
    if text != "linear":
        with suppress(ValueError):
            hidden = [int(width) for width in text.partition(":")[2].split(",")]
        if not hidden or min(hidden) < 1:
            raise UsageError(f'model {text!r}: after mlp: come widths from 1 up, as in "mlp:64,32"')
    widths = [features, *hidden, outputs]
    check_size(text, sum(inner * outer for inner, outer in pairwise(widths)))
    return widths


def check_size(text: str, weights: int) -> None:
    """Refuse a model with too many weights."""
    if weights > MOST_WEIGHTS:
        raise UsageError(
            f"model {text!r} has {weights:,} weights: a study takes at most {MOST_WEIGHTS:,}, "
            "as it keeps those of every trial"
        )
