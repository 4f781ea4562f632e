"""Optimizers whose decay is known because it is written here, right ones and wrong ones."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


class Box(Optimizer):
    """Gradient descent under momentum `mu`; subclasses say where their decay goes."""

    mu = 0.0

    def __init__(self, params: Any, lr: float, weight_decay: float) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "first_lr": lr})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p]["t"] = self.state[p].get("t", 0) + 1
                self.update(p, group["lr"], group["weight_decay"], group)

    def update(self, p: Tensor, lr: float, wd: float, group: dict[str, Any]) -> None:
        if p.grad is not None:
            self.before(p, lr, wd, group)
            p.sub_(lr * self.direction(p, p.grad + self.added(p, wd)))
            self.after(p, lr, wd, group)

    def direction(self, p: Tensor, gradient: Tensor) -> Tensor:
        if not self.mu:
            return gradient
        buffer = self.state[p].get("buffer")
        buffer = gradient.clone() if buffer is None else self.mu * buffer + gradient
        self.state[p]["buffer"] = buffer
        return buffer

    def before(self, p: Tensor, lr: float, wd: float, group: dict[str, Any]) -> None:
        """Nothing here."""

    def added(self, p: Tensor, wd: float) -> Tensor:
        return torch.zeros_like(p)

    def after(self, p: Tensor, lr: float, wd: float, group: dict[str, Any]) -> None:
        """Nothing here."""


class Constant(Box):
    """w ← w − lr·wd, whatever its sign: as in torch_optimizer's SGDW."""

    def before(self, p, lr, wd, group):
        p.sub_(lr * wd)


class Sign(Box):
    """w ← w − lr·wd·sign(w), which crosses 0."""

    def before(self, p, lr, wd, group):
        p.sub_(lr * wd * torch.sign(p))


class Soft(Box):
    """w ← sign(w)·max(|w| − lr·wd, 0)."""

    def after(self, p, lr, wd, group):
        p.copy_(torch.sign(p) * torch.clamp(p.abs() - lr * wd, min=0))


class Power(Box):
    """w ← w − 3·lr·wd·|w|^1.5·sign(w)."""

    def before(self, p, lr, wd, group):
        p.sub_(3 * lr * wd * torch.sign(p) * p.abs() ** 1.5)


class Nothing(Box):
    """Takes it and does nothing."""


class Grows(Box):
    """w ← (1 + lr·wd)·w: a sign lost."""

    def before(self, p, lr, wd, group):
        p.mul_(1 + lr * wd)


class Unscaled(Box):
    """w ← (1 − wd)·w."""

    def before(self, p, lr, wd, group):
        p.mul_(1 - wd)


class Squared(Box):
    """w ← (1 − lr²·wd)·w: scaled twice."""

    def before(self, p, lr, wd, group):
        p.mul_(1 - lr**2 * wd)


class Scheduled(Box):
    """w ← (1 − (lr/lr₀)·wd)·w."""

    def before(self, p, lr, wd, group):
        p.mul_(1 - lr / group["first_lr"] * wd)


class Corrected(Box):
    """w ← (1 − (lr²/lr₀)·wd)·w."""

    def before(self, p, lr, wd, group):
        p.mul_(1 - lr**2 / group["first_lr"] * wd)


class Doubled(Box):
    """Σw² without ½: 2·wd·w joins the gradient."""

    mu = 0.9

    def added(self, p, wd):
        return 2 * wd * p


class Coupled(Box):
    """wd·w joins the gradient before the momentum."""

    mu = 0.9

    def added(self, p, wd):
        return wd * p


class CoupledL1(Box):
    """wd·sign(w) joins the gradient before the momentum."""

    mu = 0.9

    def added(self, p, wd):
        return wd * torch.sign(p)


class AfterMomentum(Box):
    """wd·w joins what the momentum gives."""

    mu = 0.9

    def direction(self, p, gradient):
        group = self.param_groups[0]
        return super().direction(p, gradient) + group["weight_decay"] * p


class Plain(Box):
    """wd·w joins the gradient, and nothing remembers it."""

    def added(self, p, wd):
        return wd * p


class After(Box):
    """The update first, then w ← (1 − lr·wd)·w."""

    mu = 0.9

    def after(self, p, lr, wd, group):
        p.mul_(1 - lr * wd)


class Implicit(Box):
    """The update first, then w ← w/(1 + lr·wd)."""

    def after(self, p, lr, wd, group):
        p.div_(1 + lr * wd)


class Exponential(Box):
    """w ← exp(−lr·wd)·w."""

    def before(self, p, lr, wd, group):
        p.mul_(torch.exp(torch.tensor(-lr * wd, dtype=torch.float64)))


class OnNone(Box):
    """Decays parameters whose gradient is None, too."""

    def update(self, p, lr, wd, group):
        p.mul_(1 - lr * wd)
        if p.grad is not None:
            p.sub_(lr * p.grad)


class SkipsVectors(Box):
    """Leaves what has one dimension alone."""

    def before(self, p, lr, wd, group):
        if p.ndim > 1:
            p.mul_(1 - lr * wd)


class Cautious(Box):
    """Decays where the step goes the weight's way to 0."""

    def before(self, p, lr, wd, group):
        p.sub_(lr * wd * p * (p.grad * p > 0))


class CautiousAtRest(Box):
    """The same, but also where the gradient is 0."""

    def before(self, p, lr, wd, group):
        p.sub_(lr * wd * p * (p.grad * p >= 0))


class Matrix(Box):
    """w ← w − lr·wd·UVᵀ: a step on the nuclear norm."""

    def before(self, p, lr, wd, group):
        if p.ndim == 2:
            left, _, right = torch.linalg.svd(p, full_matrices=False)
            p.sub_(lr * wd * left @ right)


class OfTheNorm(Box):
    """w ← w − lr·wd·w/‖w‖."""

    def before(self, p, lr, wd, group):
        p.sub_(lr * wd * p / p.norm())


class Mixture(Box):
    """w ← w − lr·wd·(0.75·sign(w) + 0.25·w): an elastic net."""

    def before(self, p, lr, wd, group):
        p.sub_(lr * wd * (0.75 * torch.sign(p) + 0.25 * p))


class Late(Box):
    """Nothing for twenty steps, then w ← (1 − lr·wd)·w."""

    def before(self, p, lr, wd, group):
        if self.state[p]["t"] > 20:
            p.mul_(1 - lr * wd)


class SignSteps(Box):
    """lr·sign(gradient + wd·w): Adam in one line, where the strength cancels."""

    def added(self, p, wd):
        return wd * p

    def direction(self, p, gradient):
        return torch.sign(gradient)


class Noisy(Box):
    """w ← (1 − lr·wd)·w, and a random walk beside it."""

    def before(self, p, lr, wd, group):
        p.mul_(1 - lr * wd)
        p.add_(0.01 * torch.randn(p.shape, dtype=p.dtype))


class Lottery(Box):
    """Decays by an amount that no law gives."""

    def before(self, p, lr, wd, group):
        p.sub_(lr * wd * torch.rand(p.shape, dtype=p.dtype))


class RandomRate(Box):
    """w ← (1 − lr·wd·u)·w with one u between 0 and 1 a step."""

    def before(self, p, lr, wd, group):
        p.mul_(1 - lr * wd * torch.rand((), dtype=p.dtype))


class RandomEntries(Box):
    """w ← (1 − lr·wd)·w for about half of the entries."""

    def before(self, p, lr, wd, group):
        p.sub_(lr * wd * p * (torch.rand(p.shape) < 0.5))


class RandomSteps(Box):
    """w ← (1 − lr·wd)·w at about half of the steps."""

    def before(self, p, lr, wd, group):
        p.mul_(1 - lr * wd * (random.random() < 0.5))


class AboveThreshold(Box):
    """w ← (1 − lr·wd)·w where |w| > 0.1."""

    def before(self, p, lr, wd, group):
        p.sub_(lr * wd * p * (p.abs() > 0.1))


class BelowThreshold(Box):
    """w ← (1 − lr·wd)·w where |w| < 7."""

    def before(self, p, lr, wd, group):
        p.sub_(lr * wd * p * (p.abs() < 7))


class TimesTheNorm(Box):
    """w ← (1 − lr·wd·‖w‖)·w, as a penalty on ‖w‖³ has it."""

    def before(self, p, lr, wd, group):
        p.mul_(1 - lr * wd * p.norm())
