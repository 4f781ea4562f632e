"""Sentences on what a penalty does in a step, and on what its weights converge to."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from shrinkage.penalties import Penalty
from shrinkage.torch.binding.bindings import BoundParameter
from shrinkage.torch.binding.bound_model import BoundModel, Host
from shrinkage.torch.facts.own_step import Group, buffer_share, full_buffer_share, sgd
from shrinkage.torch.facts.weight_decay import decay_on, in_steps, steady_step
from shrinkage.torch.tensors.kinds import local_shard

ZEROS_ARE_HELD = "zeros are held, and no strength acts until release()"
MINIMUM_OF_J = "the minimum of J = data loss + Ω"


def describe_objective(host: Host) -> str:
    """What weights converge to under this host, in a clause that claims no more than is proved."""
    if host.bound.held is not None:
        return ZEROS_ARE_HELD
    parameters = (parameter for _, parameter in host.bound.named_parameters())
    goal, decay = describe_goal(host.bound), decay_on(host.optimizer, parameters)
    if decay is not None and not decay.joins_gradient:
        own = f"{decay.name}={decay.strength:g}"
        return f"no objective is claimed beside the optimizer's own {own}"
    if decay is not None:
        goal += f" + ½·{decay.strength:g}·Σw² (weight_decay)"
    if host.how == "coupled":
        return f"converges to {goal}; no exact zeros"
    if host.how == "proximal":
        known = "" if host.metric is None else " if metric= is the optimizer's own step"
        if host.metric == "measured":
            known = " where each entry moves against its own gradient"
        return f"converges to {goal}{known}; exact zeros"
    unclaimed = "decoupled from the loss: no objective is claimed for what it converges to"
    if host.scale != "lr":
        return unclaimed
    steadies = [steady_step(host.optimizer, group, 1.0) for group in host.optimizer.param_groups]
    if not all(steadies):
        return unclaimed
    shares = {1.0 / steady for steady in steadies if steady}
    if shares == {1.0}:
        return f"converges to {goal}"
    times = " or ".join(f"{share:g}" for share in sorted(shares))
    return f"converges to {goal}, with every strength times {times} (momentum)"


def describe_goal(bound: BoundModel) -> str:
    """What the weights converge to: a stationary point only, where a penalty is not convex."""
    if all(binding.penalty.traits.is_convex for binding in bound.active):
        return MINIMUM_OF_J
    return MINIMUM_OF_J.replace("the minimum", "a stationary point")


def describe_step(bound: BoundModel, penalty: Penalty, part: BoundParameter) -> str:
    """A clause on what a penalty does to a parameter in a step, at the present learning rate."""
    if bound.held is not None and not penalty.traits.is_constrained:
        return "nothing: its zeros are held"
    host = bound.host
    if host is None:
        if bound.was_attached or penalty.why_not("gradient") is not None:
            return "nothing"
        return _describe_gradient(penalty, bound.multiplier)
    groups = host.optimizer.param_groups
    group_of = {id(parameter): group for group in groups for parameter in group["params"]}
    group = group_of.get(id(part.parameter))
    if group is None:
        return "not in the optimizer"
    if host.how == "coupled":
        steady = steady_step(host.optimizer, group, float(group["lr"])) or 0.0
        speed = 2.0 * steady * bound.multiplier * penalty.split().square
        return _describe_gradient(penalty, bound.multiplier) + _describe_timescale(speed)
    if host.how == "decoupled":
        return _describe_move(penalty, float(host.amount(group)), decay=True)
    target = bound.target
    if target is not None and not target.is_reached and target.find_pattern(part.aliases):
        if target.done < target.start:
            return f"nothing before step {target.start}, where its target begins"
        if penalty.traits.is_count:
            return "sets the smallest to 0, as many as its target asks for"
    return _describe_prox(host, group, penalty, part)


def _describe_gradient(penalty: Penalty, factor: float) -> str:
    """The clause on what is added to the gradient."""
    absolute, square, others = penalty.split()
    parts = [f"{factor * absolute:.3g}·sign(w)"] * bool(absolute)
    parts += [f"{factor * 2 * square:.3g}·w"] * bool(square)
    times = "" if factor == 1.0 else f"{factor:.3g}·"
    parts += [f"{times}∂({term.formula})" for term in others]
    return "gradient + " + " + ".join(parts or ["0"])


def _describe_move(penalty: Penalty, step: float, *, decay: bool) -> str:
    """The clause on what a step of this size does to a weight outside the gradient."""
    absolute, square, others = penalty.split()
    parts = []
    if square:
        speed = 2 * step * square
        shrunk = f"w × (1 − {min(speed, 1.0):.3g})" if decay else f"w / (1 + {speed:.3g})"
        parts.append(shrunk + _describe_timescale(speed))
    if absolute:
        parts.append(f"|w| − {step * absolute:.3g}, at least 0")
    for term in others:
        kind = f"− {step:.3g}·∂" if decay else f"prox of {step:.3g}·"
        parts.append(term._step_text(step) or f"{kind}({term.formula})")
    return "; ".join(parts) or "nothing"


def _describe_prox(host: Host, group: Group, penalty: Penalty, part: BoundParameter) -> str:
    state = host.optimizer.state.get(part.parameter, {})
    if isinstance(host.optimizer, torch.optim.SGD) and host.metric is None:
        seen = host.bound.momentum.buffers.get(part.name, full_buffer_share(group))
        coming = buffer_share(group, seen if "momentum_buffer" in state else None)
        coming_step = float(sgd(group, {}, coming).step)
        return _describe_move(penalty, coming_step * host.bound.multiplier, decay=False)
    unknown = "by the optimizer's own step, known after its first"
    if not callable(host.metric) and not (state and float(state.get("step", 1)) > 0):
        return unknown
    step, limit = host.own_step(group, part)
    if not callable(host.metric) and not isinstance(step, Tensor) and step == 0.0:
        return unknown
    local_step = local_shard(step) if isinstance(step, Tensor) else torch.tensor(step)
    middle = float(local_step.median()) if local_step.numel() else 0.0
    words = _describe_move(penalty, middle * host.bound.multiplier, decay=False)
    most = float(limit.max()) if isinstance(limit, Tensor) else float(limit)
    is_free = penalty.traits.is_constrained or most == math.inf
    capped = "" if is_free else f", no entry by more than {most:.3g}"
    return f"{words} (median step {middle:.3g}{capped})"


def _describe_timescale(speed: float) -> str:
    return f" ({in_steps(speed)})" if speed > 0 else ""
