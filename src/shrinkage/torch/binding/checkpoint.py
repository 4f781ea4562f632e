"""A regularizer as numbers and text, for a run that is interrupted and goes on."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from shrinkage.torch.binding.core import BoundModel


def state(bound: BoundModel) -> dict[str, Any]:
    """Factor, step, penalties as text, where weights began, and what the optimizer does not say."""
    return {
        "factor": bound.factor,
        "step": bound.steps,
        "penalties": {binding.name: binding.text for binding in bound.bindings},
        "starts": {name: start.clone() for name, start in bound.starts.items()},
        **bound.momentum.state_dict(),
    }


def restore(bound: BoundModel, saved: Mapping[str, Any]) -> None:
    """Go on from `saved`; the present penalties are kept, and a difference is warned of.

    Raises
    ------
    ValueError
        If `saved` lacks a part; nothing is changed then.
    """
    now = state(bound)
    missing = [key for key in now if key not in saved]
    if missing:
        raise ValueError(
            f"state has no {missing[0]!r}: it was not made by Regularizer.state_dict()"
        )
    warn_of_other_penalties(now["penalties"], saved["penalties"])
    bound.factor = saved["factor"]
    bound.steps = int(saved["step"])
    bound.momentum.load_state_dict(saved)
    bound.unknown_starts.clear()
    for name, start in bound.starts.items():
        if name in saved["starts"]:
            start.copy_(saved["starts"][name])  # in place: the penalties hold it


def warn_of_other_penalties(now: Mapping[str, str], saved: Mapping[str, str]) -> None:
    """Warn where penalties, by name and as text, are not those of the saved run."""
    changed = sorted(name for name in {*now, *saved} if now.get(name) != saved.get(name))
    if changed:
        first = changed[0]
        warnings.warn(
            f"the saved run had other penalties, for example {first}: {saved.get(first, 'none')} "
            f"then, {now.get(first, 'none')} now; the present ones are kept",
            stacklevel=4,
        )
