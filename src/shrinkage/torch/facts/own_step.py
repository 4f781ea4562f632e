"""An optimizer's own step: how far it moves an entry for each unit of its gradient.

After convergence the gradient g is constant, and an optimizer moves an entry by −s·g. With a prox
of step s after that move it converges exactly to the minimum of data loss + Ω. Each rule below
reads s from the optimizer's state after `step()`; bcK stands for 1 − βK^t.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor
from torch.optim import Optimizer

from shrinkage.torch.tensors.kinds import OwnStep

Group = dict[str, Any]
UserMetric = Callable[[Optimizer, Group, Tensor], "float | Tensor"]
Metric = UserMetric | Literal["measured"]


Rule = Callable[[Group, dict[str, Any], float], OwnStep]


def sgd(group: Group, state: dict[str, Any], buffered: float) -> OwnStep:
    """lr·b, where the momentum buffer holds b·g (`buffer_share`); Nesterov lr·(1 + μb)."""
    momentum, lr = group["momentum"], group["lr"]
    if momentum == 0:
        return OwnStep(lr, math.inf)
    share = 1.0 + momentum * buffered if group["nesterov"] else buffered
    return OwnStep(lr * share, math.inf)


def adam(group: Group, state: dict[str, Any], buffered: float) -> OwnStep:
    """lr/(√(v/bc2) + ε), with the running maximum of v under amsgrad."""
    v = state["max_exp_avg_sq"] if group["amsgrad"] else state["exp_avg_sq"]
    return _step_as_adam(v, state["step"], group, 1.0)


def nadam(group: Group, state: dict[str, Any], buffered: float) -> OwnStep:
    """Adam's step, times what Nesterov's momentum makes of a constant gradient."""
    beta1, decay = group["betas"][0], group["momentum_decay"]
    count, product = _number(state["step"]), _number(state["mu_product"])
    current = beta1 * (1.0 - 0.5 * 0.96 ** (count * decay))
    following = beta1 * (1.0 - 0.5 * 0.96 ** ((count + 1) * decay))
    share = (1 - current) / (1 - product) + following * (1 - beta1**count) / (
        1 - product * following
    )
    return _step_as_adam(state["exp_avg_sq"], state["step"], group, share)


def radam(group: Group, state: dict[str, Any], buffered: float) -> OwnStep:
    """lr·rect·√bc2/(√v + ε) once the variance is known well enough, before that lr."""
    beta2, count = group["betas"][1], _number(state["step"])
    correction = 1 - beta2**count
    longest = 2 / (1 - beta2) - 1
    length = longest - 2 * count * beta2**count / correction
    if not length > 5.0:
        return OwnStep(group["lr"], math.inf)
    rectification = (
        (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
    ) ** 0.5
    scale = group["lr"] * rectification
    return OwnStep(
        _divide(scale * correction**0.5, state["exp_avg_sq"].sqrt().add_(group["eps"])), 2.0 * scale
    )


def adamax(group: Group, state: dict[str, Any], buffered: float) -> OwnStep:
    """lr/u, where the running maximum u has its ε inside."""
    return OwnStep(group["lr"] / state["exp_inf"], 2.0 * group["lr"])


def rmsprop(group: Group, state: dict[str, Any], buffered: float) -> OwnStep:
    """lr/((1 − μ)(√v + ε))."""
    scale = group["lr"] / (1 - group["momentum"])
    return OwnStep(_divide(scale, state["square_avg"].sqrt().add_(group["eps"])), 2.0 * scale)


def adagrad(group: Group, state: dict[str, Any], buffered: float) -> OwnStep:
    """lr/(1 + (t − 1)·decay)/(√Σg² + ε)."""
    count = _number(state["step"])
    scale = group["lr"] / (1 + (count - 1) * group["lr_decay"])
    step = _divide(scale, state["sum"].sqrt().add_(group["eps"]))
    return OwnStep(step, 2.0 * scale / count**0.5)  # √(Σg²/t) is the gradient's mean size


def adadelta(group: Group, state: dict[str, Any], buffered: float) -> OwnStep:
    """lr·√(A + ε)/√(v + ε), where A is the mean squared move before the latest one joined it."""
    rho, eps = group["rho"], group["eps"]
    v, after = state["square_avg"], state["acc_delta"]
    ratio = v / (v + eps)
    before = (after - (1 - rho) * eps * ratio) / (rho + (1 - rho) * ratio)
    size = (before.clamp_(min=0.0) + eps).sqrt_().mul_(group["lr"])
    return OwnStep(size / (v + eps).sqrt_(), 2.0 * size)


def sparse_adam(group: Group, state: dict[str, Any], buffered: float) -> OwnStep:
    """lr·√bc2/(√v + ε), of the rows in the gradient."""
    beta2 = group["betas"][1]
    scale = group["lr"] * (1 - beta2 ** _number(state["step"])) ** 0.5
    denominator = state["exp_avg_sq"].sqrt().add_(group["eps"])
    return OwnStep(_divide(scale, denominator), 2.0 * group["lr"])


def check_group(optimizer: Optimizer, group: Group) -> None:
    """Refuse the options under which a constant gradient makes no steady step."""
    name = type(optimizer).__name__
    if group.get("centered"):
        raise ValueError(
            f"proximal does not work with {name}(centered=True): a constant gradient has variance "
            '0, so at a minimum there is no step; use centered=False or how="coupled"'
        )
    momentum = group.get("momentum")
    if not isinstance(momentum, int | float | Tensor):  # a flag or nothing, outside of torch
        return
    if not momentum < 1.0:
        raise ValueError(f"momentum must be < 1 for proximal, got {momentum}")
    if momentum and not float(group.get("dampening", 0.0)) < 1.0:
        raise ValueError(
            f"dampening must be < 1 for proximal, got {group['dampening']}: the buffer forgets the "
            "gradient, so at a minimum there is no step"
        )


def sign_of(group: Group) -> float:
    """-1 where the optimizer maximizes, so that it steps along the gradient; else 1."""
    return -1.0 if group.get("maximize") else 1.0


def buffer_share(group: Group, before: float | None) -> float:
    """b after this step, where SGD's momentum buffer holds b·g for a constant gradient g.

    Torch fills the buffer with g at first, then with μ·buffer + (1 − dampening)·g.
    """
    if before is None:
        return 1.0
    return float(group["momentum"] * before + 1.0 - group["dampening"])


def full_buffer_share(group: Group) -> float:
    """The b that the buffer comes to: (1 − dampening)/(1 − μ)."""
    return float((1.0 - group["dampening"]) / (1.0 - group["momentum"]))


def _step_as_adam(v: Tensor, step: Any, group: Group, share: float | Tensor) -> OwnStep:
    root = (1 - group["betas"][1] ** _number(step)) ** 0.5  # of bc2
    scale = group["lr"] * share
    return OwnStep(_divide(scale * root, v.sqrt().add_(group["eps"] * root)), 2.0 * scale)


def _divide(scale: float | Tensor, denominator: Tensor) -> Tensor:
    """scale/denominator; the denominator is overwritten."""
    return torch.reciprocal(denominator, out=denominator).mul_(scale)


def _number(value: Any) -> Any:
    """A count that torch keeps as a tensor: a float where reading it waits for nothing."""
    if isinstance(value, Tensor) and value.device.type != "cpu":
        return value
    return float(value)
