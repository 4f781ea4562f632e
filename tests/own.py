"""Penalties that somebody writes, by the docstring of `Penalty` alone."""

from dataclasses import dataclass
from typing import Any

from shrinkage import Penalty, Traits


@dataclass(frozen=True)
class TowardOne(Penalty):
    """lam·Σ(w − 1)²: its gradient is 2·lam·(w − 1), its prox (w + 2·step·lam)/(1 + 2·step·lam)."""

    lam: float
    traits = Traits(is_separable=True)

    def _entries(self, xp: Any, w: Any) -> Any:
        return self.lam * (w - 1.0) ** 2

    def _gradient(self, xp: Any, w: Any) -> Any:
        return 2.0 * self.lam * (w - 1.0)

    def _prox(self, xp: Any, w: Any, step: Any) -> Any:
        return (w + 2.0 * self.lam * step) / (1.0 + 2.0 * self.lam * step)


@dataclass(frozen=True)
class UnitNorm(Penalty):
    """‖row‖ = 1."""

    traits = Traits(is_indicator=True, is_by_row=True)

    def _value(self, xp: Any, w: Any) -> Any:
        return xp.where(xp.all(xp.abs(self._norm(xp, w) - 1.0) < 1e-5), 0.0, float("inf"))

    def _prox(self, xp: Any, w: Any, step: Any) -> Any:
        return w / self._norm(xp, w)

    def _norm(self, xp: Any, w: Any) -> Any:
        return xp.sqrt(xp.sum(w * w, axis=1, keepdims=True))


@dataclass(frozen=True)
class ZeroMean(Penalty):
    """Σ row = 0; its prox is right for one step alone."""

    traits = Traits(is_indicator=True, takes_metric=False)

    def _value(self, xp: Any, w: Any) -> Any:
        return xp.where(xp.all(xp.abs(xp.sum(w, axis=1)) < 1e-5), 0.0, float("inf"))

    def _prox(self, xp: Any, w: Any, step: Any) -> Any:
        return w - xp.mean(w, axis=1, keepdims=True)


@dataclass(frozen=True)
class GradientAlone(Penalty):
    """lam·Σw⁴."""

    lam: float

    def _value(self, xp: Any, w: Any) -> Any:
        return self.lam * xp.sum(w**4)

    def _gradient(self, xp: Any, w: Any) -> Any:
        return 4.0 * self.lam * w**3


@dataclass(frozen=True)
class ProxAlone(Penalty):
    """lam times the number of entries that are not 0."""

    lam: float

    def _value(self, xp: Any, w: Any) -> Any:
        return self.lam * xp.sum(xp.where(w != 0, xp.ones_like(w), 0.0))

    def _prox(self, xp: Any, w: Any, step: Any) -> Any:
        return xp.where(w * w > 2.0 * self.lam * step, w, 0.0)
