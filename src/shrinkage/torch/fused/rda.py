"""Regularized dual averaging: the zeros of the penalized minimum, also under mini-batch noise.

A proximal step answers to one noisy gradient, so weights near the threshold come and go from step
to step. Dual averaging answers to the mean of all gradients so far, whose noise dies out: a weight
is zero where that mean stays within the penalty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from shrinkage.penalties import Penalty, Toward
from shrinkage.penalties.arrays import checked_above
from shrinkage.torch.binding.bindings import SingleBinding
from shrinkage.torch.binding.bound_model import BoundModel
from shrinkage.torch.binding.checkpoint import carry, stop_carrying
from shrinkage.torch.binding.checkpoint_records import store_starts
from shrinkage.torch.binding.clipping import clipped_share, forget_clipping
from shrinkage.torch.binding.max_norm import SelfClipping, check_group_has_no_norm
from shrinkage.torch.binding.regularized import Regularized
from shrinkage.torch.facts.special_steps import is_initializing
from shrinkage.torch.tensors.kinds import OwnStep
from shrinkage.torch.tensors.updates import is_active, limited_prox


class RDA(SelfClipping, Optimizer):
    """Regularized dual averaging in AdaGrad's metric.

    After t steps with gradients g₁ ... g_t, from the weights w₀ where it began,

        w = argmin over u of  ⟨Σg, u⟩ + t·Ω(u) + Σᵢ hᵢ·(uᵢ − w₀ᵢ)²/(2·lr),    h = √Σg² + eps

    which is ``prox(w₀ − lr·Σg/h, t·lr/h)``. It converges to the minimum of data loss + Ω for
    convex data losses, more slowly than SGD or Adam, but with the right zeros under noise. It is
    best used at the end of a training, for networks too, since it is drawn to the weights w₀ where
    it began.

    Parameters
    ----------
    params : iterable of tensors or of groups
        As for any torch optimizer.
    lr : float, default 0.1
        Above 0, and best constant: it weighs the distance from w₀ at all steps, past ones too.
    penalty : Penalty or Regularizer
        A penalty reaches every parameter; a `Regularizer` those that it selects, the others move
        without one. It must have a prox in a diagonal metric.
    eps : float, default 1e-10
        Above 0.
    max_norm : float, optional
        Above 0: each step first clips the gradients to this norm. A step with gradients that are
        clipped to c·g, here or by `Regularizer.clip_grad_norm_`, counts as c of one in t.

    Raises
    ------
    TypeError, ValueError
        For numbers out of range, and for a penalty without such a prox.

    Notes
    -----
    References: Xiao (2010); Duchi, Hazan and Singer (2011), section 5; for networks Huang and Lee
    (2022), arXiv 2112.02612.

    Examples
    --------
    >>> from shrinkage import L1
    >>> w = torch.nn.Parameter(torch.tensor([1.0, 1.0]))
    >>> optimizer = RDA([w], lr=1.0, penalty=L1(0.5))
    >>> for _ in range(2):
    ...     w.grad = torch.tensor([1.0, 0.25])
    ...     optimizer.step()
    >>> w.detach().tolist()
    [0.0, 0.0]
    """

    has_penalty_in_groups = False
    _carried: BoundModel | None = None  # the one that is saved in the state

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.1,
        *,
        penalty: Penalty | Regularized,
        eps: float = 1e-10,
        max_norm: float | None = None,
    ) -> None:
        if not isinstance(penalty, Penalty | Regularized):
            raise TypeError(f"penalty must be a Penalty or a Regularizer, got {penalty!r}")
        checked_above("lr", lr, 0.0)
        checked_above("eps", eps, 0.0)
        super().__init__(params, {"lr": lr, "eps": eps})
        self.max_norm = max_norm
        self.penalty = penalty
        if isinstance(penalty, Regularized):
            held = {p for group in self.param_groups for p in group["params"]}
            for binding, part in penalty.bound.active_parts:
                if not isinstance(binding, SingleBinding):
                    raise ValueError(
                        f"RDA moves one parameter at a time, so {binding.name} cannot be a Joint "
                        'there; use another optimizer with how="proximal"'
                    )
                if part.parameter not in held:
                    raise ValueError(f"RDA does not hold {part.name}, which is penalized")
        for single in [penalty] if isinstance(penalty, Penalty) else penalty.bound.bindings:
            reason = single.why_not("metric")
            if reason is not None:
                raise ValueError(f"penalty: {reason}")
        if isinstance(penalty, Toward) and not isinstance(penalty.reference, Tensor):
            raise ValueError("penalty: a reference by name needs a Regularizer around it")
        if isinstance(penalty, Regularized):
            self._carry(penalty.bound)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """As in torch; `max_norm` belongs to the whole optimizer and not to a group."""
        check_group_has_no_norm(self, param_group)
        super().add_param_group(param_group)
        self.param_groups[-1].pop("max_norm", None)  # torch copies it from the defaults

    def penalty_of(self, group: dict[str, Any]) -> Penalty | Regularized:
        """The one penalty of all groups."""
        return self.penalty

    def __getstate__(self) -> dict[str, Any]:
        """Keep the penalty in copies, since torch does not know it."""
        state: dict[str, Any] = super().__getstate__()
        return {**state, "penalty": self.penalty}

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step for each parameter that has a gradient; returns what `closure` returns."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self._clip()
        penalties, factor = self._penalties()
        initializes = is_initializing(self)
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._begin(parameter)
                    if not initializes:
                        self._move_(parameter, group, penalties.get(parameter), factor)
        forget_clipping(penalties)
        if isinstance(self.penalty, Regularized):
            store_starts(self.penalty.bound, self)
            if not initializes:
                self.penalty.bound.advance()
        return loss

    def _penalties(self) -> tuple[dict[Tensor, Penalty], float]:
        """The penalty of each parameter, and the factor that multiplies all of them."""
        if isinstance(self.penalty, Penalty):
            everything = (p for group in self.param_groups for p in group["params"])
            return dict.fromkeys(everything, self.penalty), 1.0
        bound = self.penalty.bound
        self._carry(bound)
        bound.begin_step()
        return {
            part.parameter: binding.penalty for binding, part in bound.active_parts
        }, bound.multiplier

    def _carry(self, bound: BoundModel) -> None:
        """Save the regularizer in this optimizer's state, from its first use on."""
        if self._carried is not bound:
            if self._carried is not None:
                stop_carrying(self, self._carried)
            carry(self, bound)
            self._carried = bound

    def _begin(self, parameter: Tensor) -> None:
        """Make its state where it is missing."""
        assert parameter.grad is not None
        if parameter.grad.is_sparse:
            raise RuntimeError("RDA averages dense gradients, but one of these is sparse")
        if parameter.dtype in (torch.float16, torch.bfloat16):
            raise TypeError(
                f"RDA sums gradients over all steps, which {parameter.dtype} cannot hold: keep "
                "float32 weights, and let autocast do the rest"
            )
        state = self.state[parameter]
        if not state:
            state["step"] = torch.tensor(0.0)
            state["gradient_sum"] = torch.zeros_like(parameter)
            state["square_sum"] = torch.zeros_like(parameter.abs())
            state["start"] = parameter.clone()

    def _move_(
        self, parameter: Tensor, group: dict[str, Any], penalty: Penalty | None, factor: float
    ) -> None:
        gradient = parameter.grad
        assert gradient is not None
        state = self.state[parameter]
        state["step"] += clipped_share(parameter)
        state["gradient_sum"] += gradient
        state["square_sum"] += gradient.abs() ** 2
        own_step = group["lr"] / (state["square_sum"].sqrt() + group["eps"])
        parameter.copy_(state["start"] - own_step * state["gradient_sum"])
        if penalty is not None and is_active(penalty, factor):
            steps = OwnStep(float(state["step"]) * own_step, float("inf"))
            parameter.copy_(limited_prox(parameter, penalty, steps, factor))
