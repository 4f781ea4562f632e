"""Walk a batch of networks along strengths, each from where the last strength left it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from shrinkage.study.errors import StoppedError
from shrinkage.study.path.descent import FIRST_STEP, Descent
from shrinkage.study.path.networks import Batch, Parameters, differentiate
from shrinkage.study.path.shrinking import Shrinker

STEPS = 40  # of a network at each strength
SPARSE_STEPS = 100  # of a network on the way from sparse to dense, which starts again each time
LINEAR_STEPS = 300  # of a linear model at most: it ends where it rests
REST = 1e-7  # the relative move of a linear model that rests
FLAT = 1e6  # a factor that keeps an input out
BISECTIONS = 60


@dataclass(frozen=True)
class Walk:
    """What the networks are fitted to, and how their weights are penalized."""

    batch: Batch
    shrinker: Shrinker
    initial: Parameters
    factors: Tensor  # (S, inputs): of the strength on each input

    @property
    def is_linear(self) -> bool:
        return len(self.initial) == 2

    def settle(self, descent: Descent, lam: float, steps: int | None = None) -> None:
        """Train at one strength for some steps; a linear model ends earlier where it rests.

        Raises
        ------
        StoppedError
            If a number is no longer finite.
        """
        penalty = self.shrinker.method.make_penalty(lam) if lam else None
        for _ in range(steps or (LINEAR_STEPS if self.is_linear else STEPS)):
            descent.advance(
                lambda x: differentiate(x, self.batch),
                lambda x, step: self.shrinker.shrink_(x, step, penalty, self.factors),
            )
            if self.is_linear and descent.measure_rest() < REST:
                break
        if not all(bool(parameter.isfinite().all()) for parameter in descent.x):
            raise StoppedError(
                f"the training diverged at strength {lam:.3g}: look for extreme values in the data"
            )

    def follow(self, descent: Descent, strengths: Iterable[float], start: str) -> Iterator[float]:
        """Settle at each strength in turn, from the weights of the last one.

        On the way from sparse to dense the weights of a network that are 0 start again from their
        initial values: where all layers are penalized, zero is stationary at every strength, so
        nothing would enter. A linear model needs no such help, as its problem is convex.
        """
        for lam in strengths:
            if start == "sparse" and not self.is_linear:
                pairs = zip(descent.x, self.initial, strict=True)
                # The step of a network at rest is far too long for one that begins.
                step = descent.step.clamp(max=FIRST_STEP)
                descent.restart([torch.where(p == 0, begin, p) for p, begin in pairs], step)
                self.settle(descent, lam, SPARSE_STEPS)
            else:
                self.settle(descent, lam)
            yield lam

    def find_vanishing_strength(self) -> float:
        """The least strength at which a step from the model without inputs admits no input.

        For the group lasso it is max_g ‖∇_g f‖/√p_g, with the gradient by the first layer where
        that is 0 and the outputs are the best constants. For a linear model nothing is left from
        this strength on; a network, whose problem is not convex, may keep something.
        """
        x = [torch.zeros_like(self.initial[0]), *self.initial[1:]]
        if self.is_linear:  # the gradient is that at the best constants
            x = _fit_constants(x, self.batch)
        gradients = differentiate(x, self.batch)
        step = torch.ones(len(x[0]), dtype=x[0].dtype)

        def is_empty(lam: float) -> bool:
            moved = [-gradients[0], *(torch.zeros_like(p) for p in x[1:])]
            self.shrinker.shrink_(moved, step, self.shrinker.method.make_penalty(lam), self.factors)
            return not bool(moved[0].any())

        low, high = 0.0, max(float(gradients[0].abs().max()), 1e-12)
        while not is_empty(high):
            low, high = high, 2 * high
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            low, high = (low, middle) if is_empty(middle) else (middle, high)
        return high


def find_kept(parameters: Parameters, walk: Walk) -> tuple[Tensor, Tensor]:
    """Which inputs each network keeps, (S, inputs), and the norms of their weights.

    An input is dropped when all of its weights in the first layer are exactly 0.
    """
    first = parameters[0]
    norms = []
    for block in walk.shrinker.inputs.blocks:
        inside = first[:, block.start : block.stop]
        groups = inside.reshape(len(first), block.inputs, block.width * first.shape[2])
        norms.append(torch.linalg.vector_norm(groups, dim=2))
    sizes = torch.cat(norms, dim=1)
    return sizes > 0, sizes


def weigh_by_norm(norms: Tensor, widths: Tensor) -> Tensor:
    """The factors of the adaptive group lasso: 1/‖w_g‖, relative to each network's largest.

    Norms are per column. An input with weight 0 stays out (Zou 2006, *The adaptive lasso*;
    Wang and Leng 2008 for groups).
    """
    sizes = norms / widths.to(norms.dtype).sqrt()
    largest = sizes.max(dim=1, keepdim=True).values
    return (largest / sizes.clamp(min=1e-30)).clamp(max=FLAT)


def _fit_constants(x: Parameters, batch: Batch) -> Parameters:
    """A linear model's biases where its weights are 0: the mean, or the logits of the shares."""
    share, y = batch.share[..., 0], batch.y
    if batch.task == "numbers":
        constants = (share * y).sum(dim=1, keepdim=True)
    else:
        classes = torch.arange(max(x[1].shape[2], 2))
        shares = (share[..., None] * (y[..., None] == classes)).sum(dim=1).clamp(min=1e-12)
        constants = shares.log()
        if x[1].shape[2] == 1:
            constants = constants[:, 1:] - constants[:, :1]
    return [x[0], constants[:, None].to(x[1].dtype)]
