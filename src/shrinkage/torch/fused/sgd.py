"""Stochastic gradient descent with the penalty inside."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT
from torch.optim.sgd import sgd as torch_sgd

from shrinkage.kernels.how import Kind, Update
from shrinkage.penalties import L1, L2, Penalty
from shrinkage.penalties.arrays import checked_strength
from shrinkage.torch.facts import own_step
from shrinkage.torch.facts.own_step import Group, OwnStep, full_buffer_share
from shrinkage.torch.fused.base import Inside
from shrinkage.torch.fused.parameters import Entry, is_fused, settle_
from shrinkage.torch.regularizer import Regularizer
from shrinkage.torch.tensors.updates import decay_, threshold_


class SGD(Inside, torch.optim.SGD):
    """torch.optim.SGD with the penalty inside: a regularized step in one pass over memory.

    ``how="proximal"``: the update of torch.optim.SGD, then ``w ← prox(w, s)`` with the optimizer's
    own step ``s = lr·b``, where the momentum buffer holds b·g for a constant gradient g; it rests
    where data loss + Ω is least, with exact zeros, at any momentum. "coupled": ∂Ω(w) joins the
    gradient; the same rest, no exact zeros. "decoupled": ``w ← (1 − 2·scale·lam)·w`` for squares
    before the update, a threshold of ``scale·lam`` for absolute values and groups after it; without
    momentum and with ``scale="lr"`` the same rest.

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

    _counts = "momentum_share"

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
        penalty: Penalty | Regularizer | str | None = None,
        how: str = "proximal",
        scale: str = "lr",
        max_norm: float | None = None,
        compile: bool = False,
    ) -> None:
        self._begin(penalty, how, scale, compile)
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
        self._end(max_norm)

    def _kind(self, entry: Entry) -> Kind:
        assert entry.form is not None
        return entry.kind(Update.MOMENTUM if entry.group["momentum"] else Update.SGD)

    def _names(self, group: Group) -> tuple[str, ...]:
        return ("momentum_buffer",) if group["momentum"] else ()

    def _prepare(self, entry: Entry) -> None:
        """Its state, as torch would make it, and how full the buffer is."""
        if not entry.group["momentum"]:
            return
        state = self.state[entry.parameter]
        if state.get("momentum_buffer") is None:
            state.pop("momentum_share", None)
            entry.begins = True
        settle_(state, "momentum_buffer", entry.parameter)
        share = state.get("momentum_share")
        if entry.how != "proximal":
            state.pop("momentum_share", None)
        elif share is None or share.dtype is not torch.float64:
            unknown = 0.0 if entry.begins else full_buffer_share(entry.group)
            known = unknown if share is None else float(share)
            state["momentum_share"] = torch.tensor(known, dtype=torch.float64)

    def _count(self, entry: Entry) -> None:
        share = self.state[entry.parameter].get("momentum_share")
        if entry.group["momentum"] and share is not None:
            before = None if entry.begins else float(share)
            share.fill_(own_step.buffer_share(entry.group, before))

    def _see_empty(self) -> None:
        for state in self.state.values():
            if "momentum_share" in state:
                state["momentum_share"].zero_()

    def _numbers(self, entry: Entry) -> dict[str, float]:
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
            "keep": 1.0 - group["dampening"],
            "nesterov": float(group["nesterov"]),
        }

    def _own_step(self, group: Group, state: dict[str, Any]) -> OwnStep:
        return own_step.sgd(group, state, float(state.get("momentum_share", 1.0)))

    def _step_by_torch(
        self, entries: Sequence[Entry], weights: list[Tensor], gradients: list[Tensor]
    ) -> None:
        group = entries[0].group
        states = [self.state[entry.parameter] for entry in entries] if group["momentum"] else []
        buffers = [
            None if entry.begins else state["momentum_buffer"]
            for entry, state in zip(entries, states, strict=False)
        ]
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
        for state, buffer in zip(states, buffers, strict=True):
            state["momentum_buffer"] = buffer


own_step.RULES[SGD] = own_step.sgd


class SGDW(Optimizer):
    """SGD with decoupled weight decay (Loshchilov and Hutter 2019), by the L2 or the L1 norm.

    With ``weight_norm=2`` a step is ``w ← (1 − scale·weight_decay)·w``, then SGD's update: the
    decoupled ``L2(weight_decay/2)``. With ``weight_norm=1`` it is SGD's update, then ``|w|`` less
    ``scale·weight_decay``, stopping at 0: the decoupled ``L1(weight_decay)``.

    Parameters
    ----------
    params : iterable of parameters or of groups
        Every one of them decays, biases too, as in torch.optim.
    lr : float
        The learning rate, at least 0.
    momentum : float, default 0
        From 0 to below 1; ``buffer ← momentum·buffer + gradient``.
    weight_decay : float, default 0
        The strength, at least 0.
    weight_norm : {2, 1}, default 2
        Which norm decays.
    scale : {"none", "lr"}, default "none"
        Whether the strength is taken as it is, or times the learning rate as in
        ``torch.optim.AdamW``.

    Examples
    --------
    >>> w = torch.nn.Parameter(torch.tensor([1.0, -1.5]))
    >>> w.grad = torch.zeros(2)
    >>> SGDW([w], lr=0.1, weight_decay=0.1).step()
    >>> [round(x, 6) for x in w.tolist()]
    [0.9, -1.35]
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        weight_norm: int = 2,
        scale: str = "none",
    ) -> None:
        options = {
            "lr": lr,
            "momentum": momentum,
            "weight_decay": weight_decay,
            "weight_norm": weight_norm,
            "scale": scale,
        }
        super().__init__(params, options)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """As in torch; options of the group's own are checked like those of the constructor."""
        _check_options({**self.defaults, **param_group})
        super().add_param_group(param_group)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; `closure`, if given, evaluates the loss and its gradients again."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            penalty = _penalty(group)
            amount = group["lr"] if group["scale"] == "lr" else 1.0
            for parameter in group["params"]:
                if parameter.grad is not None:
                    decay_(parameter, penalty, amount)
                    parameter.add_(self._direction(parameter, group), alpha=-float(group["lr"]))
                    threshold_(parameter, penalty, amount)
        return loss

    def _direction(self, parameter: torch.Tensor, group: dict[str, Any]) -> torch.Tensor:
        """The gradient, or the momentum buffer that it has joined."""
        gradient = parameter.grad
        assert gradient is not None
        if not group["momentum"]:
            return gradient
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = gradient.clone()
        else:
            state["momentum_buffer"].mul_(group["momentum"]).add_(gradient)
        buffer: torch.Tensor = state["momentum_buffer"]
        return buffer


def _check_options(options: dict[str, Any]) -> None:
    lr, momentum, norm = options["lr"], options["momentum"], options["weight_norm"]
    if not 0.0 <= lr < math.inf:
        raise ValueError(f"lr must be >= 0 and finite, got {lr}")
    if not 0.0 <= momentum < 1.0:
        raise ValueError(f"momentum must be >= 0 and < 1, got {momentum}")
    checked_strength("weight_decay", options["weight_decay"])
    if norm not in (1, 2):
        raise ValueError(f"weight_norm must be 1 or 2, got {norm!r}")
    if options["scale"] not in ("none", "lr"):
        raise ValueError(f'scale must be "none" or "lr", got {options["scale"]!r}')


def _penalty(group: dict[str, Any]) -> Penalty:
    if group["weight_norm"] == 1:
        return L1(group["weight_decay"])
    return L2.from_weight_decay(group["weight_decay"])
