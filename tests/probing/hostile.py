"""Optimizers that fail, never end, or are none, and decays that depend on a tensor's size."""

from __future__ import annotations

import random
import sys
from typing import Any

import torch
from torch.optim import SGD, Optimizer

from probing.black_boxes import Box, Plain


class Raises(Plain):
    """As many homemade ones do, it ignores the closure."""

    def step(self, closure=None):
        if any(p.grad is not None for group in self.param_groups for p in group["params"]):
            raise RuntimeError("a bug")


class RaisesInTheClosure(Plain):
    def step(self, closure=None):
        if closure is None:
            raise RuntimeError("a closure is required")
        raise ValueError("a bug behind it")


class RaisesAtTheSecondStep(Plain):
    def before(self, p, lr, wd, group):
        if self.state[p]["t"] == 2:
            raise RuntimeError("the second step")


class RaisesWithDecay(Plain):
    def before(self, p, lr, wd, group):
        if wd:
            raise RuntimeError("no decay, please")


class MakesNaN(Raises):
    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.fill_(float("nan"))


class DoesNothingAtAll(Plain):
    def step(self, closure=None):
        """Nothing here."""


class DecaysAlone(Plain):
    """No gradient arrives."""

    def update(self, p, lr, wd, group):
        p.mul_(1 - lr * wd)


class StepsAnother(Plain):
    """It puts new parameters in the place of the given ones, so that the model stays."""

    def update(self, p, lr, wd, group):
        if p.grad is not None:
            after = torch.nn.Parameter((1 - lr * wd) * p - lr * p.grad)
            after.grad = p.grad
            group["params"] = [after]


class Exits(Plain):
    def before(self, p, lr, wd, group):
        sys.exit(0)


class NeverEnds(Plain):
    def before(self, p, lr, wd, group):
        while True:
            pass


class CatchesWhatEndsIt(Plain):
    """Once; the alarm rings again."""

    caught = False

    def before(self, p, lr, wd, group):
        try:
            while True:
                pass
        except BaseException:
            if type(self).caught:
                raise
            type(self).caught = True


class Random(Plain):
    """Of the system's random numbers, which no seed repeats."""

    def after(self, p, lr, wd, group):
        p.add_(0.01 * random.SystemRandom().random())


class VectorsAlone(Box):
    def before(self, p, lr, wd, group):
        if p.ndim == 1:
            p.mul_(1 - lr * wd)


class LargeAlone(Box):
    def before(self, p, lr, wd, group):
        if p.numel() > 100:
            p.mul_(1 - lr * wd)


class SmallAlone(Box):
    def before(self, p, lr, wd, group):
        if p.numel() < 100:
            p.mul_(1 - lr * wd)


class PositiveAlone(Box):
    def before(self, p, lr, wd, group):
        p.sub_(lr * wd * p * (p > 0))


class OfTheGradient(Box):
    """It acts more strongly where the gradient is larger."""

    def before(self, p, lr, wd, group):
        p.mul_(1 - lr * wd * p.grad.norm())


class OfTheMedian(Box):
    def before(self, p, lr, wd, group):
        p.mul_(1 - lr * wd * p.abs().median())


class OfRMS(Box):
    def before(self, p, lr, wd, group):
        p.mul_(1 - 0.01 * wd * p.square().mean().sqrt())


class OfTheMean(Box):
    def before(self, p, lr, wd, group):
        p.mul_(1 - lr * wd * p.abs().mean())


class OfTheLargest(Box):
    def before(self, p, lr, wd, group):
        p.mul_(1 - lr * wd / p.abs().max())


class OfTheCount(Box):
    def before(self, p, lr, wd, group):
        p.sub_(lr * wd * torch.sign(p) / p.numel())


class OfTheRows(Box):
    def before(self, p, lr, wd, group):
        p.mul_(1 - 2 * lr * wd / sum(p.shape))


class EveryThird(Box):
    def before(self, p, lr, wd, group):
        if self.state[p]["t"] % 3 == 0:
            p.mul_(1 - lr * wd)


class WarmedUp(Box):
    """From a fiftieth of the strength to all of it."""

    def before(self, p, lr, wd, group):
        p.sub_(lr * wd * min(1, self.state[p]["t"] / 50) * torch.sign(p))


class CalledWd(Plain):
    def __init__(self, params: Any, learning_rate: float = 0.1, wd: float = 0.0) -> None:
        super().__init__(params, learning_rate, wd)


class CalledL2(Plain):
    def __init__(self, params: Any, lr: float = 0.1, *, l2_reg: float = 0.0) -> None:
        super().__init__(params, lr, l2_reg)


class CalledLambda(Plain):
    def __init__(self, params: Any, step_size: float, lambda_: float) -> None:
        super().__init__(params, step_size, lambda_)


class ByPosition(Plain):
    def __init__(self, params: Any, lr: float = 0.1, nu: float = 0.5, decay: float = 0.0, /):
        super().__init__(params, lr, decay)


class ByKeyword(Plain):
    def __init__(self, *, params: Any, lr: float, weight_decay_rate: float = 0.0) -> None:
        super().__init__(params, lr, weight_decay_rate)


class DecayOfTheRate(Plain):
    """Its `decay` is one of the learning rate, and moves no weight by itself."""

    def __init__(self, params: Any, lr: float = 0.1, decay: float = 0.0) -> None:
        super().__init__(params, lr, 0.0)
        self.decay = decay

    def direction(self, p, gradient):
        return gradient / (1 + self.decay * self.state[p]["t"])


class Nameless(Plain):
    def __init__(self, params: Any, *args: float) -> None:
        super().__init__(params, *args)


class Homemade:
    """No subclass of torch's, and without param_groups."""

    def __init__(self, params: Any, lr: float, weight_decay: float) -> None:
        self.params, self.lr, self.weight_decay = list(params), lr, weight_decay

    def zero_grad(self) -> None:
        """Nothing here."""

    def step(self) -> None:
        for p in self.params:
            if p.grad is not None:
                p.data = p.data - self.lr * (p.grad + self.weight_decay * p.data)


def returns_a_list(params, lr, weight_decay):
    return [SGD(params, lr)]


def returns_a_class(params, lr, weight_decay):
    return SGD


def trains(model):
    raise AssertionError("this must not be called")


def runs(*arguments, **options):
    raise AssertionError("this must not be called")


def deletes(path, lr_unknown=None, **options):
    raise AssertionError("this must not be called")


FOREIGN = torch.nn.Parameter(torch.ones(3))


def of_other_weights(params, lr, weight_decay) -> Optimizer:
    return SGD([FOREIGN], lr, weight_decay=weight_decay)


KEPT: list[Optimizer] = []


def made_only_once(params, lr, weight_decay) -> Optimizer:
    if not KEPT:
        KEPT.append(SGD(params, lr, weight_decay=weight_decay))
    return KEPT[0]
