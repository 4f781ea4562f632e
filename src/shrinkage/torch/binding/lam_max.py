"""The strength from which on nothing leaves zero."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import array_api_compat.torch as xp
import torch
from torch import Tensor

from shrinkage.penalties import Penalty
from shrinkage.penalties.base import terms
from shrinkage.torch.binding.bound_model import BoundModel
from shrinkage.torch.tensors.kinds import gather_shards

LossClosure = Callable[[], Tensor]
LARGEST = 1e30  # a factor that is not enough for a penalty that makes no zeros
HALVINGS = 200  # at most: of a bisection that ends where no number lies between


def find_lam_max(bound: BoundModel, closure: LossClosure) -> float:
    """See `Regularized.lam_max`."""
    if not callable(closure):
        raise TypeError(
            "loss_closure must be a function that returns the data loss, got a "
            f"{type(closure).__name__}: pass lambda: criterion(model(x), y), since it is evaluated "
            "at other weights"
        )
    bound.refresh()
    bindings = bound.active
    for binding in bindings:
        if not binding.penalty.traits.is_continuous:
            raise ValueError(
                f"{binding.name}: under {binding.written!r} zero is a local minimum at any "
                "strength, so there is no lam_max; L1 or GroupLasso on the same groups have one"
            )
    every_term = (term for binding in bindings for term in terms(binding.penalty))
    strengths = [lam for term in every_term if (lam := float(getattr(term, "lam", 0.0))) > 0.0]
    if not bindings:
        raise ValueError("lam_max needs a penalized weight to train, but all of them are frozen")
    if not strengths:
        raise ValueError("lam_max needs a penalty with a strength lam above 0")
    with _at_zero(bound, closure):
        trained = dict(bound.named_parameters())
        gradients = {part.name: torch.zeros_like(part.parameter) for part in bound.parts}
        gradients |= torch.autograd.grad(_evaluate_loss(closure), trained, materialize_grads=True)
        factors = [
            _find_least_factor(binding.penalty, gather_shards(binding.read_array(gradients)))
            for binding in bindings
        ]
    return max(factors) * strengths[0]


@contextmanager
def _at_zero(bound: BoundModel, closure: LossClosure) -> Iterator[None]:
    """Penalized weights at 0 and the others where the loss is then least; everything restored."""
    penalized = {id(part.parameter) for part in bound.parts}
    everything = list(bound.model.parameters())
    before = [parameter.detach().clone() for parameter in everything]
    try:
        with torch.no_grad():
            for part in bound.parts:
                part.parameter.zero_()
        others = [p for p in everything if p.requires_grad and id(p) not in penalized]
        if others:
            _minimize_(others, closure)
        yield
    finally:
        with torch.no_grad():
            for parameter, value in zip(everything, before, strict=True):
                parameter.copy_(value)


def _minimize_(parameters: Sequence[Tensor], closure: LossClosure) -> None:
    """Bring these parameters to where the loss is least, leaving all gradients as they are."""
    kept = [parameter.grad for parameter in parameters]
    optimizer = torch.optim.LBFGS(
        parameters,
        max_iter=200,
        tolerance_grad=1e-12,
        tolerance_change=1e-14,
        line_search_fn="strong_wolfe",
    )

    def evaluate() -> Tensor:
        loss = _evaluate_loss(closure)
        gradients = torch.autograd.grad(loss, parameters, materialize_grads=True)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        return loss

    try:
        optimizer.step(evaluate)  # type: ignore[no-untyped-call]
    finally:
        for parameter, gradient in zip(parameters, kept, strict=True):
            parameter.grad = gradient


def _evaluate_loss(closure: LossClosure) -> Tensor:
    with torch.enable_grad():
        loss = closure()
    if not isinstance(loss, Tensor) or not loss.requires_grad:
        raise ValueError(
            "loss_closure must return the data loss as a tensor with a graph, such as "
            f"lambda: criterion(model(x), y), without calling backward(); got {loss!r}"
        )
    return loss


def _find_least_factor(penalty: Penalty, gradient: Tensor) -> float:
    """The least f at which a small step against the gradient from 0 is undone by f·Ω's prox."""
    gradient = gradient.to(torch.promote_types(gradient.dtype, torch.float64))
    largest = float(gradient.abs().max()) if gradient.numel() else 0.0
    if largest == 0.0:
        return 0.0
    step = 1e-6 / largest  # so near to 0 concave penalties are what they are at 0

    def stays(factor: float) -> bool:
        return not bool(torch.any(penalty._prox(xp, -step * gradient, step * factor) != 0))

    high = 1.0
    while not stays(high):
        high *= 2.0
        if high > LARGEST:
            return math.inf
    low = 0.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2.0
        if not low < middle < high:
            break
        low, high = (low, middle) if stays(middle) else (middle, high)
    return high
