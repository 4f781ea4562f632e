"""An optimizer's own step as measured from its moves, for optimizers whose state is not known.

With Δ the optimizer's own move of an entry, g its gradient and ⟨·⟩ an average over about ten steps,
s = lr·√(⟨⟨Δ/lr⟩²⟩/⟨⟨g⟩²⟩). At the minimum of J the gradient is constant, so that s·g is the move
whatever the optimizer does, and a prox of step s undoes it exactly. The inner averages keep
momentum, which follows the gradient late, and the noise of batches from making s too small; the
division by lr keeps a schedule from making it late.

The averages stand in the optimizer's own state, so they are saved and resumed with it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from shrinkage.torch.facts.own_step import Group, sign_of
from shrinkage.torch.facts.special_steps import grad_scale_of
from shrinkage.torch.tensors.kinds import OwnStep, local_shard

KEEP = 0.9  # of an average at each step
MEAN_MOVE, MEAN_GRADIENT = "shrinkage_move", "shrinkage_gradient"  # of Δ/lr and of g
MOVES, GRADIENTS = "shrinkage_moves", "shrinkage_gradients"  # of their squares
LARGEST = "shrinkage_largest"  # |Δ/lr| in the last step, over all entries
KEYS = (MEAN_MOVE, MEAN_GRADIENT, MOVES, GRADIENTS, LARGEST)
DEAD = 1e8  # s/lr of an entry that never had a gradient: Adam's, whose ε is 1e-8


def measured(group: Group, state: dict[str, Any], buffered: float) -> OwnStep:
    """lr·√(⟨⟨Δ/lr⟩²⟩/⟨⟨g⟩²⟩), from the averages that `Measurement` keeps; 0 before the first."""
    if MOVES not in state:
        return OwnStep(0.0, math.inf)
    moves, gradients, lr = state[MOVES], state[GRADIENTS], rate_of(group)
    ratio = torch.where(gradients > 0, (moves / gradients).sqrt_(), DEAD)
    return OwnStep(ratio.mul_(lr), state[LARGEST] * (2.0 * lr))


def rate_of(group: Group) -> float:
    """The group's learning rate; 1 where it has none."""
    lr = group.get("lr")
    return 1.0 if lr is None else float(lr)


class Measurement:
    """Watches an optimizer's moves and gradients, and keeps the averages in its state."""

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        self._before: dict[int, Tensor] = {}  # weights before the step, by id
        self._gradients: dict[int, Tensor] = {}

    def note_weights(self, parameters: Iterable[Tensor]) -> None:
        """Before a step: remember where the weights are."""
        self._gradients.clear()
        self._before = {id(w): w.detach().clone() for w in parameters}

    def note_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Before a step, after any clipping: remember the gradients, which a step may overwrite."""
        scale = grad_scale_of(self._optimizer)
        for w in parameters:
            if w.grad is None:
                continue
            if w.grad.is_sparse:
                raise ValueError(
                    f"{type(self._optimizer).__name__}'s own step is measured for dense gradients "
                    "alone; use sparse=False in the Embedding, or torch.optim.SparseAdam"
                )
            self._gradients[id(w)] = _widen(w.grad.detach()) / scale

    def take(self, moved: Iterable[tuple[Group, Tensor]]) -> None:
        """After the step: take its moves and gradients into the averages."""
        for group, w in moved:
            before, gradient = self._before.get(id(w)), self._gradients.get(id(w))
            lr = rate_of(group)
            if before is not None and gradient is not None and lr != 0.0:
                move = _widen(torch.sub(w.detach(), before, out=before)).div_(lr)
                _update_averages(self._optimizer.state[w], move, gradient)
        self._before.clear()
        self._gradients.clear()

    def forget(self, parameters: Iterable[Tensor]) -> None:
        """Take the averages of these out of the optimizer's state."""
        for w in parameters:
            state = self._optimizer.state.get(w, {})
            for key in KEYS:
                state.pop(key, None)

    def misfit(self, pairs: Iterable[tuple[Group, Tensor]]) -> float:
        """‖⟨Δ⟩ + s·⟨g⟩‖/‖⟨Δ⟩‖: 0 where every entry moves against its own gradient; else up to 2."""
        excess = total = 0.0
        for group, w in pairs:
            state = self._optimizer.state.get(w, {})
            if MOVES in state and (lr := rate_of(group)):
                step = measured(group, state, 1.0).step / lr
                move = local_shard(state[MEAN_MOVE])
                left = move + local_shard(step * state[MEAN_GRADIENT]) * sign_of(group)
                excess += float(left.square().sum())
                total += float(move.square().sum())
        return math.sqrt(excess / total) if total else math.nan


def _update_averages(state: dict[str, Any], move: Tensor, gradient: Tensor) -> None:
    """Take a move and a gradient into the averages of one parameter."""
    for key in (MEAN_MOVE, MEAN_GRADIENT, MOVES, GRADIENTS):  # loaded ones have the weights' type
        state[key] = _widen(state[key]) if key in state else torch.zeros_like(move)
    for mean, square, value in ((MEAN_MOVE, MOVES, move), (MEAN_GRADIENT, GRADIENTS, gradient)):
        state[mean].mul_(KEEP).add_(value, alpha=1 - KEEP)
        state[square].mul_(KEEP).addcmul_(state[mean], state[mean], value=1 - KEEP)
    state[LARGEST] = move.abs().max() if move.numel() else move.new_zeros(())


def _widen(w: Tensor) -> Tensor:
    """At least float32: the square of a small gradient is 0 in float16, and bfloat16 rounds it."""
    return w.to(torch.promote_types(w.dtype, torch.float32))
