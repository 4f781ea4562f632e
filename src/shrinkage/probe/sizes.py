"""How the size of a whole tensor enters a decay: by its norm, its mean, or its number of entries.

One tensor cannot tell ‖w‖ from √24·RMS(w) where it has 24 entries, so a decay is looked at on
tensors of several shapes. The factor that explains all of them is taken, the simplest first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Factors = tuple[tuple[str, float], ...]  # names in SIZES, with their exponents
CLOSE = 0.02  # of an amount, left unexplained by factors that are said to fit
ROUNDING = 1e-6
HALVES = (-1.0, -0.5, 0.5, 1.0)

NORMS: dict[str, Callable[[Tensor], float]] = {
    "RMS(w)": lambda w: float(w.norm()) / math.sqrt(w.numel()),
    "‖w‖": lambda w: float(w.norm()),
    "mean|w|": lambda w: float(w.abs().mean()),
    "max|w|": lambda w: float(w.abs().max()),
    "Σ|w|": lambda w: float(w.abs().sum()),
    "σ_max(w)": lambda w: float(torch.linalg.matrix_norm(w, 2)) if w.ndim == 2 else float(w.norm()),
}
COUNTS: dict[str, Callable[[Tensor], float]] = {
    "n": lambda w: w.numel(),
    "(rows + columns)": lambda w: w.shape[0] + w.numel() / w.shape[0],
    "rows": lambda w: w.shape[0],
    "columns": lambda w: w.numel() / w.shape[0],
    "max(rows, columns)": lambda w: max(w.shape[0], w.numel() / w.shape[0]),
    "min(rows, columns)": lambda w: min(w.shape[0], w.numel() / w.shape[0]),
}
SIZES = NORMS | COUNTS


def _drawn(seed: int, *shape: int) -> Tensor:
    """Weights of both signs, of sizes that vary, one of them 0."""
    generator = torch.Generator().manual_seed(seed)
    w = torch.randn(shape, generator=generator, dtype=torch.float64)
    w = w + 0.2 * torch.sign(w)
    w[-1, -1] = 0.0
    return w


OTHERS = (_drawn(1, 9, 4), _drawn(2, 3, 7))  # to find the factors
UNLIKE = 1.3 * _drawn(3, 20, 11)  # to see whether they hold


def size(factors: Factors, w: Tensor) -> float:
    """The product of the factors of `w`."""
    return float(math.prod((SIZES[name](w) or math.nan) ** power for name, power in factors))


def factors_of(exponent: float, seen: Sequence[tuple[Tensor, float]]) -> Factors:
    """The factors by which amounts differ from tensor to tensor.

    Parameters
    ----------
    exponent : float
        By how much the amount grows with the weights of one tensor: 0 where norms do not enter.
    seen : sequence of (Tensor, float)
        Weights of several shapes, and the amount on each, the first above 0 or below it.

    Returns
    -------
    tuple of (str, float)
        Names in SIZES with exponents; where none explains what was seen, a power of ‖w‖.
    """
    of_norms: list[Factors] = [((name, exponent),) for name in NORMS] if exponent else [()]
    of_counts: list[Factors] = [((name, half),) for name in COUNTS for half in HALVES]
    found = [*of_norms, *((*norm, *count) for norm in of_norms for count in of_counts)]
    missed = [_missed(factors, seen) for factors in found]
    least = min(missed)
    if not least < CLOSE:
        return (("‖w‖", exponent),) if exponent else ()
    return next(
        factors
        for factors, each in zip(found, missed, strict=True)
        if each <= max(ROUNDING, 1.1 * least)
    )


def _missed(factors: Factors, seen: Sequence[tuple[Tensor, float]]) -> float:
    """The largest share of an amount that the factors leave unexplained."""
    (first, amount), *others = seen
    level = amount / size(factors, first)
    shares = [abs(level * size(factors, w) / other - 1) if other else 1.0 for w, other in others]
    return max((share if math.isfinite(share) else 1.0 for share in shares), default=0.0)
