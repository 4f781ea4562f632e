"""Stochastic gradient descent with the penalty inside.

It buys the benchmark's column "SGD momentum".
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT
from torch.optim.sgd import sgd as torch_sgd

from shrinkage.kernels.kind import Update
from shrinkage.penalties import Penalty
from shrinkage.torch.binding.regularized import Regularized
from shrinkage.torch.facts import own_step
from shrinkage.torch.facts.own_step import Group, buffer_share, full_buffer_share
from shrinkage.torch.facts.rules import register_step
from shrinkage.torch.fused.base import FusedOptimizer
from shrinkage.torch.fused.parameters import Entry, ensure_state_, is_fused
from shrinkage.torch.fused.rule import State, UpdateRule
from shrinkage.torch.tensors.kinds import OwnStep


def _state_names(group: Group) -> tuple[str, ...]:
    return ("momentum_buffer",) if group["momentum"] else ()


def _prepare(entry: Entry, state: State) -> None:
    """The buffer, as torch would make it, and for a prox its share: how full the buffer is."""
    if not entry.group["momentum"]:
        return
    if state.get("momentum_buffer") is None:
        state.pop("momentum_share", None)
        entry.is_new_state = True
    ensure_state_(state, "momentum_buffer", entry.parameter)
    share = state.get("momentum_share")
    if entry.how != "proximal":
        state.pop("momentum_share", None)
    elif share is None or share.dtype is not torch.float64:
        unknown = 0.0 if entry.is_new_state else full_buffer_share(entry.group)
        known = unknown if share is None else float(share)
        state["momentum_share"] = torch.tensor(known, dtype=torch.float64)


def _numbers(entry: Entry) -> dict[str, float]:
    group = entry.group
    lr = float(group["lr"])
    return {
        "sign": -1.0 if group["maximize"] else 1.0,
        "lr": lr,
        "factor": entry.factor,
        "decay": float(group["weight_decay"]),
        "limit": math.inf,
        "step": lr,
        "momentum": float(group["momentum"]),
        "undamped": 1.0 - group["dampening"],
        "nesterov": float(group["nesterov"]),
    }


def _own_step(group: Group, state: State) -> OwnStep:
    return own_step.sgd(group, state, float(state.get("momentum_share", 1.0)))


def _count_step(entry: Entry, state: State) -> None:
    """One step more in the share, which torch does not know."""
    if "momentum_share" in state:
        share = state["momentum_share"]
        share.fill_(buffer_share(entry.group, None if entry.is_new_state else float(share)))


def _step_by_torch(
    entries: Sequence[Entry],
    states: list[State],
    weights: list[Tensor],
    gradients: list[Tensor],
) -> None:
    group = entries[0].group
    has_buffers = bool(group["momentum"])
    moving = list(zip(entries, states, strict=True)) if has_buffers else []
    buffers = [None if entry.is_new_state else state["momentum_buffer"] for entry, state in moving]
    torch_sgd(
        weights,
        gradients,
        buffers,
        has_sparse_grad=any(gradient.is_sparse for gradient in gradients),
        foreach=group["foreach"],
        fused=is_fused(group, weights),
        weight_decay=group["weight_decay"],
        momentum=group["momentum"],
        lr=group["lr"],
        dampening=group["dampening"],
        nesterov=group["nesterov"],
        maximize=group["maximize"],
    )
    for (_, state), buffer in zip(moving, buffers, strict=True):
        state["momentum_buffer"] = buffer


RULE = UpdateRule(
    name="sgd",
    state_names=_state_names,
    prepare=_prepare,
    numbers=_numbers,
    own_step=_own_step,
    count_step=_count_step,
    by_torch=_step_by_torch,
    update=lambda group: Update.MOMENTUM if group["momentum"] else Update.SGD,
    count_name="momentum_share",
    is_euclidean=True,
)


class SGD(FusedOptimizer, torch.optim.SGD):
    """torch.optim.SGD with the penalty inside: a regularized step in one pass over memory.

    ``how="proximal"``: the update of torch.optim.SGD, then ``w ← prox(w, s)`` with the optimizer's
    own step ``s = lr·b``, where the momentum buffer holds b·g for a constant gradient g; it
    converges to the minimum of data loss + Ω, with exact zeros, at any momentum. "coupled": ∂Ω(w)
    is added to the gradient; the same minimum, no exact zeros. "decoupled":
    ``w ← (1 − 2·scale·lam)·w`` for squares before the update, a threshold of ``scale·lam`` for
    absolute values and groups after it; without momentum and with ``scale="lr"`` the same minimum.

    Parameters
    ----------
    params : iterable of parameters, of named parameters or of groups
        A group may have `penalty`, `how` and `scale` of its own.
    lr, momentum, dampening, weight_decay, nesterov, maximize, foreach, differentiable, fused
        As in torch.optim.SGD, with its defaults. `foreach` and `fused` choose among torch's own
        ways for parameters that are not stepped in one pass: on other devices, complex, sparse, not
        dense; `fused` on other devices alone. `differentiable` needs ``how="coupled"``.
    penalty : Penalty, Regularizer, text or None
        A penalty reaches every parameter of the group, biases too, as `weight_decay` does; a
        `Regularizer` the weights that it selects.
    how : {"proximal", "coupled", "decoupled"}, default "proximal"
        The way the penalty reaches the weights.
    scale : {"lr", "schedule", "none"}, default "lr"
        For "decoupled": strengths times lr, times lr/lr₀, or as they are.
    max_norm : float, optional
        Above 0: each step first clips the gradients of all groups to this norm, as
        torch.nn.utils.clip_grad_norm_ would, and the strengths by the same c (decoupled ones only
        with ``scale="lr"``, and in `Adam` not): see `Regularizer.clip_grad_norm_`. It is not saved.
    compile : bool, default False
        Let `torch.compile` fuse the step of parameters that are not stepped in one pass.

    Raises
    ------
    TypeError, ValueError
        As torch.optim.SGD, and for a penalty that cannot go that way.

    Notes
    -----
    bfloat16 and float16 weights are stepped in float32, with float32 state, and rounded once. The
    first step of each kind compiles its loop in some seconds, or takes it from disk.

    Examples
    --------
    >>> from shrinkage import L1
    >>> w = torch.nn.Parameter(torch.tensor([1.0, 0.04]))
    >>> w.grad = torch.zeros(2)
    >>> SGD([w], lr=0.1, penalty=L1(0.5)).step()
    >>> [round(x, 6) for x in w.tolist()]
    [0.95, 0.0]
    """

    rule = RULE

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float | Tensor = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
        penalty: Penalty | Regularized | str | None = None,
        how: str = "proximal",
        scale: str = "lr",
        max_norm: float | None = None,
        compile: bool = False,
    ) -> None:
        self._set_options(penalty, how, scale, compile)
        torch.optim.SGD.__init__(
            self,
            params,
            lr,
            momentum,
            dampening,
            weight_decay,
            nesterov,
            maximize=maximize,
            foreach=foreach,
            differentiable=differentiable,
            fused=fused,
        )
        self._check_groups(max_norm)


register_step(SGD, own_step.sgd)
