"""From how weights moved to a form: which function of a weight a decay is, and how well it fits."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

CLOSE = 0.02  # of what is seen, left unexplained by a form that is said to fit
NOTHING = 1e-12  # relative to the weights: a change that is no more than rounding
SNAP = 0.03  # an exponent this near to a half is that half


@dataclass(frozen=True)
class Shape:
    """``effect = −coefficient·basis(w)``."""

    form: str
    coefficient: float
    misfit: float  # ‖effect − fitted‖/‖effect‖
    weight_exponent: float | None = None
    terms: tuple[tuple[str, float], ...] = ()  # of a mixture: basis -> its coefficient
    clipped: bool = False  # entries smaller than the threshold go to 0 and stop there

    def basis(self, w: Tensor) -> Tensor:
        """What the coefficient multiplies."""
        if self.form == "mixture":
            whole = [share / self.coefficient * _basis(name, w, 0.0) for name, share in self.terms]
            return torch.stack(whole).sum(dim=0)
        return _basis(self.form, w, self.weight_exponent or 0.0)

    def effect(self, w: Tensor, factor: float = 1.0) -> Tensor:
        """What the decay adds to the weights, its coefficient times `factor`."""
        moved = -self.coefficient * factor * self.basis(w)
        return torch.where(moved.abs() > w.abs(), -w, moved) if self.clipped else moved


def _basis(form: str, w: Tensor, exponent: float) -> Tensor:
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
    """The form of an effect on weights: the simplest that leaves next to nothing unexplained.

    Parameters
    ----------
    effect, w : Tensor
        What was added to the weights, and what they were: of sizes that vary, of both signs, and
        some 0; two-dimensional, or no form of a whole matrix is found.
    """
    size = float(effect.norm())
    if not size > NOTHING * float(w.norm()):
        return Shape("none", 0.0, 0.0)
    simple = [_one(form, effect, w) for form in ("proportional", "sign", "constant")]
    simple.append(_soft(effect, w))
    candidates = [simple, [_power(effect, w)], [_spectral(effect, w)], [_mixture(effect, w)]]
    for some in candidates:
        best = min(some, key=lambda shape: shape.misfit)
        if best.misfit < CLOSE:
            return best
    return min((shape for some in candidates for shape in some), key=lambda shape: shape.misfit)


def _judged(shape: Shape, effect: Tensor, w: Tensor) -> Shape:
    misfit = float((effect - shape.effect(w)).norm() / effect.norm())
    return Shape(**{**shape.__dict__, "misfit": misfit})


def _one(form: str, effect: Tensor, w: Tensor) -> Shape:
    basis = _basis(form, w, 0.0)
    coefficient = -float((effect * basis).sum() / (basis * basis).sum())
    exponent = {"proportional": 1.0, "sign": 0.0}.get(form)
    return _judged(Shape(form, coefficient, 1.0, exponent), effect, w)


def _soft(effect: Tensor, w: Tensor) -> Shape:
    """A sign whose step stops at 0."""
    threshold = float(effect.abs().max())
    return _judged(Shape("sign", threshold, 1.0, 0.0, clipped=True), effect, w)


def _power(effect: Tensor, w: Tensor) -> Shape:
    there = w != 0
    moved, sizes = effect[there], w[there].abs()
    if bool((moved == 0).any()) or bool((effect[~there].abs() > NOTHING).any()):
        return Shape("power", 0.0, 1.0)
    heights, logs = moved.abs().log(), sizes.log()
    centred = logs - logs.mean()
    exponent = float((centred * heights).sum() / (centred * centred).sum())
    sign = -torch.sign((moved * w[there]).sum())
    level = float((heights.mean() - exponent * logs.mean()).exp() * sign)
    return _judged(Shape("power", level, 1.0, snapped(exponent)), effect, w)


def _spectral(effect: Tensor, w: Tensor) -> Shape:
    """A function of the singular values alone: U·f(S)·Vᵀ, with f a power."""
    if w.ndim != 2:
        return Shape("matrix", 0.0, 1.0)
    left, values, right = torch.linalg.svd(w, full_matrices=False)
    turned = -(left.T @ effect @ right.T).diagonal()
    if bool((turned <= 0).any()):
        return Shape("matrix", 0.0, 1.0)
    heights, logs = turned.log(), values.log()
    centred = logs - logs.mean()
    exponent = snapped(float((centred * heights).sum() / (centred * centred).sum()))
    level = float((heights - exponent * logs).mean().exp())
    return _judged(Shape("matrix", level, 1.0, exponent), effect, w)


def _mixture(effect: Tensor, w: Tensor) -> Shape:
    names = ("proportional", "sign", "constant")
    columns = torch.stack([_basis(name, w, 0.0).flatten() for name in names], dim=1)
    solved = -torch.linalg.lstsq(columns, effect.flatten().unsqueeze(1)).solution.flatten()
    shares = {
        name: float(share)
        for name, share, column in zip(names, solved, columns.T, strict=True)
        if float(abs(share) * column.norm()) > 1e-6 * float(effect.norm())
    }
    if not shares:
        return Shape("mixture", 0.0, 1.0)
    total = sum(abs(share) for share in shares.values())
    return _judged(Shape("mixture", total, 1.0, None, tuple(shares.items())), effect, w)


def snapped(exponent: float) -> float:
    """The nearest half where it is near, else two decimals."""
    if not math.isfinite(exponent):
        return math.nan
    near = round(2 * exponent) / 2
    return near + 0.0 if abs(exponent - near) < SNAP else round(exponent, 2)
