"""Adam and AdamW with the penalty inside.

It buys the benchmark's column "AdamW". Adam's own step is defined in `facts.own_step`; the compiled
loops repeat it entry by entry, and `tests/torch_face/fused/test_parity.py` holds them equal.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim.adam import adam as torch_adam
from torch.optim.optimizer import ParamsT

from shrinkage.kernels.kind import Update
from shrinkage.penalties import Penalty
from shrinkage.torch.binding.regularized import Regularized
from shrinkage.torch.facts import own_step
from shrinkage.torch.facts.own_step import Group
from shrinkage.torch.facts.rules import register_step
from shrinkage.torch.fused.base import FusedOptimizer
from shrinkage.torch.fused.parameters import Entry, ensure_state_, is_fused
from shrinkage.torch.fused.rule import State, UpdateRule, leave_state
from shrinkage.torch.tensors.kinds import OwnStep


def _state_names(group: Group) -> tuple[str, ...]:
    names = "exp_avg", "exp_avg_sq", "max_exp_avg_sq"
    return names if group["amsgrad"] else names[:2]


def _prepare(entry: Entry, state: State) -> None:
    """Its state, as torch would make it."""
    group = entry.group
    if "step" not in state:
        on_device = group["capturable"] or group["fused"]
        in_double = torch.get_default_dtype() is torch.float64 and not group["fused"]
        state["step"] = torch.tensor(
            0.0,
            dtype=torch.float64 if in_double else torch.float32,
            device=entry.parameter.device if on_device else "cpu",
        )
    for name in _state_names(group):
        ensure_state_(state, name, entry.parameter)


def numbers(entry: Entry) -> dict[str, float]:
    """Adam's options, as its loops and those of the prox in its metric read them."""
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
        "decay_factor": 1.0 - lr * decay if decoupled else 1.0,
    }


def find_own_step(group: Group, state: State) -> OwnStep:
    """The rule of `facts.own_step` for any Adam; the loops repeat it entry by entry."""
    return own_step.adam(group, state, 1.0)


def _step_by_torch(
    entries: Sequence[Entry],
    states: list[State],
    weights: list[Tensor],
    gradients: list[Tensor],
) -> None:
    group = entries[0].group
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


RULE = UpdateRule(
    name="adam",
    state_names=_state_names,
    prepare=_prepare,
    numbers=numbers,
    own_step=find_own_step,
    count_step=leave_state,
    by_torch=_step_by_torch,
    update=lambda group: Update.AMSGRAD if group["amsgrad"] else Update.ADAM,
    count_name="step",
)


class Adam(FusedOptimizer, torch.optim.Adam):
    """torch.optim.Adam with the penalty inside: a regularized step in one pass over memory.

    ``how="proximal"``: the update of torch.optim.Adam, then ``w ← prox(w, s)`` with the step of
    each entry ``s = lr/(√(v/bc2) + eps)``, which moves no entry (no group: none of its entries) by
    more than 2·lr; it converges to the minimum of data loss + Ω, with exact zeros. "coupled":
    ∂Ω(w) is added to the gradient; the same minimum, no exact zeros. "decoupled":
    ``w ← (1 − 2·scale·lam)·w`` for squares before the update, a threshold of ``scale·lam`` for
    absolute values and groups after it; with ``L2.from_weight_decay(wd)`` that is
    torch.optim.AdamW, and no objective is claimed.

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

    rule = RULE

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
        penalty: Penalty | Regularized | str | None = None,
        how: str = "proximal",
        scale: str = "lr",
        max_norm: float | None = None,
        compile: bool = False,
    ) -> None:
        self._set_options(penalty, how, scale, compile)
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
        self._check_groups(max_norm)


register_step(Adam, own_step.adam)
