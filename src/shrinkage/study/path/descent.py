"""Accelerated proximal gradient descent, for a batch of networks at once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from shrinkage.study.path.networks import Parameters

FIRST_STEP = 0.05
GROWTH = 1.05  # of the step from one iteration to the next, at most
CAUTION = 0.7  # of the step that the curvature along the last move allows
LONGEST_MEMORY = 60  # steps after which the momentum, k/(k + 3), grows no more

Gradients = Callable[[Parameters], Parameters]
Prox = Callable[[Parameters, Tensor], None]  # in place, with a step for each network


class Descent:
    """The state of the method: where each network is, where it was, and its step.

    y = x + k/(k + 3)·(x − x₋), then x ← prox(y − s·∇f(y)), the method of Beck and Teboulle (2009)
    with the memory k of each network set to 0 where the last move points uphill (O'Donoghue and
    Candès 2015, *Adaptive restart*), and with the step s = 0.7·‖Δy‖/‖Δ∇f‖, which is an estimate of
    the inverse curvature where the network now is (after Malitsky and Mishchenko 2020).
    """

    def __init__(self, parameters: Parameters) -> None:
        self._shapes = [parameter.shape for parameter in parameters]
        self._sizes = [parameter[0].numel() for parameter in parameters]
        self.step = torch.full((len(parameters[0]), 1), FIRST_STEP, dtype=parameters[0].dtype)
        self.restart(parameters)

    @property
    def x(self) -> Parameters:
        """Where the networks are, as views."""
        return self._split(self._x)

    def restart(self, parameters: Parameters, step: Tensor | None = None) -> None:
        """Go on from other parameters, without momentum."""
        self.step = self.step if step is None else step
        # All of a network lies in one row, (S, parameters): a step is few calls on long rows.
        self._x = self._before = _join(parameters)
        self._memory = torch.zeros_like(self.step)
        self._last: tuple[Tensor, Tensor] | None = None

    def advance(self, gradients: Gradients, prox: Prox) -> None:
        """Take one step."""
        momentum = self._memory / (self._memory + 3)
        y = torch.addcmul(self._x, momentum, self._x - self._before)
        slope = _join(gradients(self._split(y)))
        if self._last is not None:
            moved, turned = _size(y - self._last[0]), _size(slope - self._last[1])
            curvature = turned / moved.clamp(min=1e-12)
            self.step = torch.minimum(self.step * GROWTH, CAUTION / curvature.clamp(min=1e-3))
        new = torch.addcmul(y, self.step, slope, value=-1)
        prox(self._split(new), self.step[:, 0])
        uphill = ((new - y) * (new - self._x)).sum(dim=1, keepdim=True) < 0
        self._memory = torch.where(uphill, 0.0, (self._memory + 1).clamp(max=LONGEST_MEMORY))
        self._before, self._x, self._last = self._x, new, (y, slope)

    def measure_rest(self) -> float:
        """‖x − x₋‖/(s·‖x‖) of the network that is least at rest."""
        size = self.step * _size(self._x).clamp(min=1e-12)
        return float((_size(self._x - self._before) / size).max())

    def _split(self, flat: Tensor) -> Parameters:
        pieces = torch.split_with_sizes(flat, self._sizes, dim=1)
        return [piece.view(shape) for piece, shape in zip(pieces, self._shapes, strict=True)]


def _join(parameters: Parameters) -> Tensor:
    return torch.cat([parameter.flatten(1) for parameter in parameters], dim=1)


def _size(flat: Tensor) -> Tensor:
    """Each network's norm, (S, 1)."""
    norms: Tensor = torch.linalg.vector_norm(flat, dim=1, keepdim=True)
    return norms
