"""Adam and AdamW with the penalty inside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.adam import adam as torch_adam
from torch.optim.optimizer import ParamsT, _get_scalar_dtype

from shrinkage.kernels.how import Kind, Update
from shrinkage.penalties import Penalty
from shrinkage.torch.facts import own_step
from shrinkage.torch.facts.own_step import Group, OwnStep
from shrinkage.torch.fused.base import Inside
from shrinkage.torch.fused.parameters import Entry, is_fused, settle_
from shrinkage.torch.regularizer import Regularizer


class Adam(Inside, torch.optim.Adam):
    """torch.optim.Adam with the penalty inside: a regularized step in one pass over memory.

    ``how="proximal"``: the update of torch.optim.Adam, then ``w ← prox(w, s)`` with the step of
    each entry ``s = lr/(√(v/bc2) + eps)``, which moves no entry (no group: none of its entries) by
    more than 2·lr; it rests where data loss + Ω is least, with exact zeros. "coupled": ∂Ω(w) joins
    the gradient; the same rest, no exact zeros. "decoupled": ``w ← (1 − 2·scale·lam)·w`` for
    squares before the update, a threshold of ``scale·lam`` for absolute values and groups after it;
    with ``L2.from_weight_decay(wd)`` that is torch.optim.AdamW, and no objective is claimed.

    Parameters
    ----------
    params : iterable of parameters, of named parameters or of groups
        A group may have `penalty`, `how` and `scale` of its own.
    lr, betas, eps, weight_decay, amsgrad, foreach, maximize, capturable, differentiable, fused
        As in torch.optim.Adam, with its defaults. `foreach` and `fused` choose among torch's own
        ways for parameters that are not stepped in one pass: on other devices, complex, not dense;
        `fused` on other devices alone. `differentiable` needs ``how="coupled"``.
    decoupled_weight_decay : bool, default False
        As in torch.optim.Adam: True makes `weight_decay` that of torch.optim.AdamW.
    penalty, how, scale, max_norm, compile
        As in `SGD`.

    Raises
    ------
    TypeError, ValueError
        As torch.optim.Adam, and for a penalty that cannot go that way.

    Notes
    -----
    bfloat16 and float16 weights are stepped in float32, with float32 state, and rounded once. The
    first step of each kind compiles its loop in some seconds, or takes it from disk.

    Examples
    --------
    >>> from shrinkage import L1
    >>> w = torch.nn.Parameter(torch.tensor([1.0, 0.001]))
    >>> w.grad = torch.tensor([0.1, 0.1])
    >>> Adam([w], lr=0.01, penalty=L1(0.05)).step()
    >>> [round(x, 6) for x in w.tolist()]
    [0.985, -0.004]
    """

    _counts = "step"

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
        penalty: Penalty | Regularizer | str | None = None,
        how: str = "proximal",
        scale: str = "lr",
        max_norm: float | None = None,
        compile: bool = False,
    ) -> None:
        self._begin(penalty, how, scale, compile)
        torch.optim.Adam.__init__(
            self,
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=decoupled_weight_decay,
        )
        self._end(max_norm)

    def _kind(self, entry: Entry) -> Kind:
        return entry.kind(Update.AMSGRAD if entry.group["amsgrad"] else Update.ADAM)

    def _names(self, group: Group) -> tuple[str, ...]:
        names = "exp_avg", "exp_avg_sq", "max_exp_avg_sq"
        return names if group["amsgrad"] else names[:2]

    def _prepare(self, entry: Entry) -> None:
        """Its state, as torch would make it."""
        state, group = self.state[entry.parameter], entry.group
        if "step" not in state:
            on_device = group["capturable"] or group["fused"]
            state["step"] = torch.tensor(
                0.0,
                dtype=_get_scalar_dtype(is_fused=group["fused"]),  # type: ignore[no-untyped-call]
                device=entry.parameter.device if on_device else "cpu",
            )
        for name in self._names(group):
            settle_(state, name, entry.parameter)

    def _numbers(self, entry: Entry) -> dict[str, float]:
        group = entry.group
        lr, decay = float(group["lr"]), float(group["weight_decay"])
        decoupled = group["decoupled_weight_decay"]
        return {
            "sign": -1.0 if group["maximize"] else 1.0,
            "lr": lr,
            "factor": entry.factor,
            "decay": 0.0 if decoupled else decay,
            "limit": 2.0 * lr,
            "step": lr,
            "beta1": float(group["betas"][0]),
            "beta2": float(group["betas"][1]),
            "eps": group["eps"],
            "kept": 1.0 - lr * decay if decoupled else 1.0,
        }

    def _own_step(self, group: Group, state: dict[str, Any]) -> OwnStep:
        return own_step.adam(group, state, 1.0)

    def _step_by_torch(
        self, entries: Sequence[Entry], weights: list[Tensor], gradients: list[Tensor]
    ) -> None:
        group = entries[0].group
        states = [self.state[entry.parameter] for entry in entries]
        if any(gradient.is_sparse for gradient in gradients):
            raise RuntimeError("Adam does not support sparse gradients; use torch.optim.SparseAdam")
        torch_adam(
            weights,
            gradients,
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [state["max_exp_avg_sq"] for state in states] if group["amsgrad"] else [],
            [state["step"] for state in states],
            foreach=group["foreach"],
            capturable=group["capturable"],
            differentiable=group["differentiable"],
            fused=is_fused(group, weights),
            has_complex=any(w.is_complex() for w in weights),
            amsgrad=group["amsgrad"],
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=group["maximize"],
            decoupled_weight_decay=group["decoupled_weight_decay"],
        )


own_step.RULES[Adam] = own_step.adam
