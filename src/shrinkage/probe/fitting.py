"""Fit a law to moves of weights: which function of a weight and of the tensor a decay is.

One tensor of 24 entries cannot distinguish ‖w‖ from √24·RMS(w), so a decay is observed on tensors
of several shapes. The simplest factor that explains all of them is taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

CLOSE = 0.02  # the share of an effect that a fitting form may leave unexplained
NOTHING = 1e-12  # relative to the weights; smaller changes are rounding
SNAP = 0.03  # exponents this near to a multiple of ½ are rounded to it


@dataclass(frozen=True)
class Shape:
    """``effect = −coefficient·basis(w)``."""

    form: str
    coefficient: float
    misfit: float  # ‖effect − fitted‖/‖effect‖
    weight_exponent: float | None = None  # the power of a weight with which its effect grows
    terms: tuple[tuple[str, float], ...] = ()  # of a mixture: basis -> its coefficient
    clipped: bool = False  # entries smaller than the threshold go to 0 and stop there

    def basis(self, w: Tensor) -> Tensor:
        """The function of the weights that the coefficient multiplies."""
        if self.form == "mixture":
            parts = [
                share / self.coefficient * _evaluate_basis(name, w) for name, share in self.terms
            ]
            return torch.stack(parts).sum(dim=0)
        return _evaluate_basis(self.form, w, self.weight_exponent or 0.0)

    def amount(self, effect: Tensor, w: Tensor) -> float:
        """The coefficient that another effect has in this form."""
        if self.clipped:
            return float(effect.abs().max())
        basis = self.basis(w)
        square = float((basis * basis).sum())
        return -float((effect * basis).sum()) / square if square else 0.0

    def effect(self, w: Tensor, factor: float = 1.0) -> Tensor:
        """What the decay adds to the weights, its coefficient times `factor`."""
        moved = -self.coefficient * factor * self.basis(w)
        return torch.where(moved.abs() > w.abs(), -w, moved) if self.clipped else moved


def _evaluate_basis(form: str, w: Tensor, exponent: float = 0.0) -> Tensor:
    if form == "proportional":
        return w
    if form == "sign":
        return torch.sign(w)
    if form == "constant":
        return torch.ones_like(w)
    if form == "power":
        return torch.sign(w) * w.abs() ** exponent
    if form == "matrix":
        left, values, right = torch.linalg.svd(w, full_matrices=False)
        whole: Tensor = (left * values**exponent) @ right
        return whole
    return torch.zeros_like(w)


def fit(effect: Tensor, w: Tensor) -> Shape:
    """Fit the form of an effect on weights: the simplest that explains nearly all of it.

    Parameters
    ----------
    effect, w : Tensor
        What was added to the weights, and what they were: of sizes that vary, of both signs, and
        some 0; two-dimensional, or no form of a whole matrix is found.
    """
    size = float(effect.norm())
    if not size > NOTHING * float(w.norm()):
        return Shape("none", 0.0, 0.0)
    simple = [
        *(_fit_basis(form, effect, w) for form in ("proportional", "sign", "constant")),
        # A step along the sign that stops at 0.
        _with_misfit(Shape("sign", float(effect.abs().max()), 1.0, 0.0, clipped=True), effect, w),
    ]
    others = [fit_form(effect, w) for fit_form in (_fit_power, _fit_singular_values, _fit_mixture)]
    candidates = [min(simple, key=lambda shape: shape.misfit), *others]
    nearest = min(candidates, key=lambda shape: shape.misfit)
    return next((shape for shape in candidates if shape.misfit < CLOSE), nearest)


def _with_misfit(shape: Shape, effect: Tensor, w: Tensor) -> Shape:
    return replace(shape, misfit=float((effect - shape.effect(w)).norm() / effect.norm()))


def _fit_basis(form: str, effect: Tensor, w: Tensor) -> Shape:
    basis = _evaluate_basis(form, w)
    coefficient = -float((effect * basis).sum() / (basis * basis).sum())
    exponent = 1.0 if form == "proportional" else 0.0
    return _with_misfit(Shape(form, coefficient, 1.0, exponent), effect, w)


def _fit_line(sizes: Tensor, amounts: Tensor) -> tuple[float, Tensor, Tensor]:
    """The slope of log(amounts) over log(sizes), and both logarithms."""
    logs, heights = sizes.log(), amounts.log()
    centred = logs - logs.mean()
    return float((centred * heights).sum() / (centred * centred).sum()), logs, heights


def _fit_power(effect: Tensor, w: Tensor) -> Shape:
    nonzero = w != 0
    moved = effect[nonzero]
    if bool((moved == 0).any()) or bool((effect[~nonzero].abs() > NOTHING).any()):
        return Shape("power", 0.0, 1.0)
    exponent, logs, heights = _fit_line(w[nonzero].abs(), moved.abs())
    sign = -torch.sign((moved * w[nonzero]).sum())
    level = float((heights.mean() - exponent * logs.mean()).exp() * sign)
    return _with_misfit(Shape("power", level, 1.0, snap(exponent)), effect, w)


def _fit_singular_values(effect: Tensor, w: Tensor) -> Shape:
    """Fit a power of the singular values: U·f(S)·Vᵀ."""
    if w.ndim != 2:
        return Shape("matrix", 0.0, 1.0)
    left, values, right = torch.linalg.svd(w, full_matrices=False)
    turned = -(left.T @ effect @ right.T).diagonal()
    if bool((turned <= 0).any()):
        return Shape("matrix", 0.0, 1.0)
    slope, logs, heights = _fit_line(values, turned)
    level = float((heights - snap(slope) * logs).mean().exp())
    return _with_misfit(Shape("matrix", level, 1.0, snap(slope)), effect, w)


def _fit_mixture(effect: Tensor, w: Tensor) -> Shape:
    names = ("proportional", "sign", "constant")
    columns = torch.stack([_evaluate_basis(name, w).flatten() for name in names], dim=1)
    solved = -torch.linalg.lstsq(columns, effect.flatten().unsqueeze(1)).solution.flatten()
    shares = {
        name: float(share)
        for name, share, column in zip(names, solved, columns.T, strict=True)
        if float(abs(share) * column.norm()) > 1e-6 * float(effect.norm())
    }
    if not shares:
        return Shape("mixture", 0.0, 1.0)
    total = sum(abs(share) for share in shares.values())
    return _with_misfit(Shape("mixture", total, 1.0, None, tuple(shares.items())), effect, w)


def snap(exponent: float) -> float:
    """The nearest half where it is near, else two decimals."""
    if not math.isfinite(exponent):
        return math.nan
    near = round(2 * exponent) / 2
    return near + 0.0 if abs(exponent - near) < SNAP else round(exponent, 2)


Factors = tuple[tuple[str, float], ...]  # names in SIZES, with their exponents
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


def _draw(seed: int, *shape: int) -> Tensor:
    """Weights of both signs, of sizes that vary, one of them 0."""
    generator = torch.Generator().manual_seed(seed)
    w = torch.randn(shape, generator=generator, dtype=torch.float64)
    w = w + 0.2 * torch.sign(w)
    w[-1, -1] = 0.0
    return w


OTHERS = (_draw(1, 9, 4), _draw(2, 3, 7))  # to find the factors
UNLIKE = 1.3 * _draw(3, 20, 11)  # to see whether they hold


def evaluate_factors(factors: Factors, w: Tensor) -> float:
    """The product of the factors of `w`."""
    return float(math.prod((SIZES[name](w) or math.nan) ** power for name, power in factors))


def find_factors(exponent: float, seen: Sequence[tuple[Tensor, float]]) -> Factors:
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
        Names in SIZES with exponents; a power of ‖w‖ where none explains the amounts.
    """
    of_norms: list[Factors] = [((name, exponent),) for name in NORMS] if exponent else [()]
    of_counts: list[Factors] = [((name, half),) for name in COUNTS for half in HALVES]
    candidates = [*of_norms, *((*norm, *count) for norm in of_norms for count in of_counts)]
    missed = [_measure_miss(factors, seen) for factors in candidates]
    least = min(missed)
    if not least < CLOSE:
        return (("‖w‖", exponent),) if exponent else ()
    return next(
        factors
        for factors, each in zip(candidates, missed, strict=True)
        if each <= max(ROUNDING, 1.1 * least)
    )


def _measure_miss(factors: Factors, seen: Sequence[tuple[Tensor, float]]) -> float:
    """The largest share of an amount that the factors leave unexplained."""
    (first, amount), *others = seen
    level = amount / evaluate_factors(factors, first)
    shares = (
        abs(level * evaluate_factors(factors, w) / other - 1) if other else 1.0
        for w, other in others
    )
    return max(share if math.isfinite(share) else 1.0 for share in shares)
