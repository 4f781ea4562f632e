"""The factor on a decoupled strength: the only file that knows "lr", "schedule" and "none"."""

from __future__ import annotations

import difflib

from torch import Tensor

HOWS = ("coupled", "decoupled", "proximal")
SCALES = ("lr", "schedule", "none")


def check_how(how: object) -> None:
    """Refuse anything that is not the name of a `how`."""
    if how not in HOWS:
        near = difflib.get_close_matches(str(how), HOWS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f'how must be "coupled", "decoupled" or "proximal", got {how!r}{hint}')


def check_scale(scale: object, how: str) -> None:
    """Refuse a scale that does not exist, or that is given with another `how` than "decoupled"."""
    if scale is not None and how != "decoupled":
        raise ValueError(f'scale={scale!r} goes with how="decoupled" alone, not with {how!r}')
    if scale is not None and scale not in SCALES:
        raise ValueError(f'scale must be "lr", "schedule" or "none", got {scale!r}')


def decoupled_amount(
    scale: str | None, factor: float, lr: float | Tensor, first_lr: float
) -> float | Tensor:
    """factor, times lr or lr/lr₀ as `scale` says; None counts as "lr"."""
    if scale == "none":
        return factor
    amount = lr if factor == 1.0 else factor * lr
    return amount / first_lr if scale == "schedule" else amount
