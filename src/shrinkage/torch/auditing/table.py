"""Who gets what: the table that a Regularizer prints."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from shrinkage.penalties import GroupLasso, Penalty, Toward, Weighted
from shrinkage.penalties.base import terms
from shrinkage.torch.attaching.checks import weight_decay
from shrinkage.torch.auditing.finding import Finding, construct, sort_by_severity, to_html_list
from shrinkage.torch.auditing.findings_about_models import ABOUT_MODELS
from shrinkage.torch.auditing.findings_about_penalties import ABOUT_PENALTIES
from shrinkage.torch.auditing.findings_about_zeros import ABOUT_ZEROS
from shrinkage.torch.auditing.snapshot import AppliedPenalty, take_snapshot
from shrinkage.torch.binding.bound import here, is_sharded
from shrinkage.torch.binding.sparsity import zeros_of
from shrinkage.torch.facts.own_step import buffer_share, full_buffer_share, sgd
from shrinkage.torch.facts.weight_decay import in_steps, steady_step
from shrinkage.torch.models.units import units_note
from shrinkage.torch.wording.text_table import as_columns, as_html_table

if TYPE_CHECKING:
    from shrinkage.torch.attaching.attachment import Attachment
    from shrinkage.torch.binding.bound import Bound, Part
    from shrinkage.torch.fused.host import Tie
    from shrinkage.torch.models.selection import Selected
    from shrinkage.torch.regularizer import Regularizer

MINIMUM_OF_J = "the minimum of J = data loss + Ω"


@dataclass(frozen=True)
class Row:
    """What one parameter gets."""

    parameter: str
    shape: str
    penalty: str  # or why there is none
    strength: str
    how: str
    one_step: str  # the effect of one step at the present learning rate
    zeros: str


def rows(regularizer: Regularizer) -> list[Row]:
    """One row a parameter of the model, in the model's order."""
    regularizer._refresh()
    bound = {
        id(part.parameter): (binding, part)
        for binding in regularizer.bindings
        for part in binding.parts
    }
    table = []
    for selected in regularizer.selected:
        parameter = selected.candidate.parameter
        tied = selected.candidate.owners[1:]
        name = selected.owner.name + (" (tied)" if tied else "")
        shape = "×".join(str(size) for size in parameter.shape) or "number"
        if id(parameter) not in bound:
            table.append(Row(name, shape, f"none: {selected.why}", "", "", "", ""))
        elif not parameter.requires_grad:
            table.append(Row(name, shape, "none now: frozen", "", "", "", ""))
        else:
            row = _row(regularizer, *bound[id(parameter)], name, shape)
            note = _note(bound[id(parameter)][0], selected)
            table.append(replace(row, penalty=row.penalty + note))
    return table


def _note(binding: Bound, selected: Selected) -> str:
    """What is not certain of the units that a penalty has for groups."""
    if len(binding.parts) > 1:
        return ""
    noted = (
        units_note(getattr(term, "groups", None), selected.owner, selected.candidate.parameter)
        for term in terms(binding.written)
    )
    return next(filter(None, noted), "")


def _row(regularizer: Regularizer, binding: Bound, part: Part, name: str, shape: str) -> Row:
    attachment = regularizer._attachment
    how = _unattached(binding.penalty) if attachment is None else attachment.how
    strengths = _strengths(binding.written)
    strength = " + ".join(f"{regularizer.factor * lam:.3g}" for lam in strengths) or "–"
    penalty = construct(binding.written)
    if len(binding.parts) > 1:
        penalty += f" on {binding.name}"
    one_step = _one_step(regularizer, binding.penalty, part)
    return Row(name, shape, penalty, strength, how, one_step, _zeros(binding, part))


def _unattached(penalty: Penalty) -> str:
    """How a penalty acts that is attached to no optimizer; one without a gradient does not."""
    return "loss, by penalty()" if penalty.why_no_gradient() is None else "none yet: attach it"


def _zeros(binding: Bound, part: Part) -> str:
    if is_sharded(part.parameter):  # a table may be printed by one process alone
        w = here(part.parameter.detach())
        return f"{w.numel() - int(torch.count_nonzero(w))}/{w.numel()} in this process"
    w, zeros = part.parameter, zeros_of(binding.given(), binding.penalty)
    groups = f", {zeros.dead_groups}/{zeros.groups} groups" if zeros.groups else ""
    return f"{w.numel() - int(torch.count_nonzero(w))}/{w.numel()}{groups}"


def as_text(regularizer: Regularizer) -> str:
    """A line that says what it solves, the table in aligned columns, and what to mend."""
    found = map(str, _concerning(regularizer))
    return "\n".join([_headline(regularizer), as_columns(Row, rows(regularizer)), *found])


def as_html(regularizer: Regularizer) -> str:
    """The same for notebooks."""
    headline, found = html.escape(_headline(regularizer)), _concerning(regularizer)
    return f"<p>{headline}</p>{as_html_table(Row, rows(regularizer))}{to_html_list(found)}"


def _concerning(regularizer: Regularizer) -> tuple[Finding, ...]:
    """What an audit finds on the penalties of an attached regularizer."""
    if regularizer._attachment is None:
        return ()
    snapshot = take_snapshot(regularizer.model, [regularizer._attachment.optimizer], regularizer)
    own = {
        audited.name
        for audited in snapshot.parameters
        for applied in audited.penalties
        if applied.regularizer is regularizer
    }
    checks = ABOUT_PENALTIES + ABOUT_ZEROS + ABOUT_MODELS
    findings = chain.from_iterable(check(snapshot) for check in checks)
    return sort_by_severity(each for each in findings if own.intersection(each.parameters))


def _strengths(penalty: Penalty) -> list[float]:
    """The lam of each term that has one; a constraint has none."""
    found: list[float] = []
    for term in terms(penalty):
        if isinstance(term, Toward | Weighted):
            found += _strengths(term.penalty)
        elif hasattr(term, "lam"):
            found.append(term.lam)
    return found


def objective(attachment: Attachment | Tie) -> str:
    """Where weights rest under this attachment, in a sentence; no more than is proved."""
    decay, coupled = weight_decay(attachment.regularizer, attachment.optimizer)
    if decay and not coupled:
        return f"no objective is claimed beside the optimizer's own weight_decay={decay:g}"
    goal = _goal(attachment.regularizer) + (f" + ½·{decay:g}·Σw² (weight_decay)" if decay else "")
    if attachment.how == "coupled":
        return f"rests at {goal}; no exact zeros"
    if attachment.how == "proximal":
        known = "" if attachment.metric is None else " if metric= is the optimizer's own step"
        return f"rests at {goal}{known}; exact zeros"
    unclaimed = "decoupled from the loss: no objective is claimed for where it rests"
    if attachment.scale != "lr":
        return unclaimed
    steadies = [
        steady_step(attachment.optimizer, group, 1.0) for group in attachment.optimizer.param_groups
    ]
    if not all(steadies):
        return unclaimed
    shares = {1.0 / steady for steady in steadies if steady}
    if shares == {1.0}:
        return f"rests at {goal}"
    times = " or ".join(f"{share:g}" for share in sorted(shares))
    return f"rests at {goal}, with every strength times {times} (momentum)"


def _goal(regularizer: Regularizer) -> str:
    if all(binding.penalty.is_convex for binding in regularizer.active):
        return MINIMUM_OF_J
    return MINIMUM_OF_J.replace("the minimum", "a stationary point")


def _headline(regularizer: Regularizer) -> str:
    count = f"{len(regularizer.active_parts)} of {len(regularizer.selected)} parameters penalized"
    model = type(regularizer.model).__name__
    attached = regularizer._attachment is not None
    if not attached and any(one.penalty.why_no_gradient() for one in regularizer.active):
        way = 'not attached: without a gradient it acts by attach(optimizer, how="proximal") alone'
    elif not attached:
        way = f"in the loss by penalty(): rests at {_goal(regularizer)}; no exact zeros"
    else:
        way = repr(regularizer._attachment)
        other = getattr(regularizer._attachment, "stepped_by", None)
        if other is not None:
            way += f"; but {other} has stepped these weights since, to which it is not attached"
    factor = "" if regularizer.factor == 1.0 else f", strengths times {regularizer.factor:g}"
    return f"Regularizer of {model}: {count}{factor}; {way}"


def effect(applied: AppliedPenalty) -> str:
    """What a penalty does in a step, at the present learning rate."""
    if applied.regularizer is None or applied.part is None:
        return "inside the optimizer"
    return _one_step(applied.regularizer, applied.penalty, applied.part)


def _one_step(regularizer: Regularizer, penalty: Penalty, part: Part) -> str:
    attachment = regularizer._attachment
    if attachment is None:
        has_gradient = penalty.why_no_gradient() is None
        return _added(penalty, regularizer.factor) if has_gradient else "nothing"
    group = next(
        (
            group
            for group in attachment.optimizer.param_groups
            if any(parameter is part.parameter for parameter in group["params"])
        ),
        None,
    )
    if group is None:
        return "not in the optimizer"
    if attachment.how == "coupled":
        return _added(penalty, regularizer.factor) + _timescale_of_sgd(attachment, group, penalty)
    if attachment.how == "decoupled":
        return _moved(penalty, float(attachment.amount(group)), decay=True)
    return _proximal(attachment, group, penalty, part)


def _added(penalty: Penalty, factor: float) -> str:
    """What is added to the gradient."""
    absolute, square, rest = penalty.split()
    parts = [f"{factor * absolute:.3g}·sign(w)"] * bool(absolute)
    parts += [f"{factor * 2 * square:.3g}·w"] * bool(square)
    times = "" if factor == 1.0 else f"{factor:.3g}·"
    parts += [f"{times}∂({term.formula})" for term in rest]
    return "gradient + " + " + ".join(parts or ["0"])


def _timescale_of_sgd(attachment: Attachment, group: dict[str, Any], penalty: Penalty) -> str:
    steady = steady_step(attachment.optimizer, group, float(group["lr"]))
    square = attachment.regularizer.factor * penalty.split().square
    return _timescale(2.0 * steady * square) if steady else ""


def _moved(penalty: Penalty, step: float, *, decay: bool) -> str:
    """What a step of this size does to a weight outside the gradient."""
    absolute, square, rest = penalty.split()
    parts = []
    if square:
        speed = 2 * step * square
        kept = f"w × (1 − {min(speed, 1.0):.3g})" if decay else f"w / (1 + {speed:.3g})"
        parts.append(kept + _timescale(speed))
    if absolute:
        parts.append(f"|w| − {step * absolute:.3g}, at least 0")
    for term in rest:
        if isinstance(term, GroupLasso):
            root = "·√p_g" if term.weight == "sqrt" else ""
            parts.append(f"‖w_g‖ − {step * term.lam:.3g}{root}, at least 0")
        elif term.is_indicator:
            parts.append(f"to the nearest w with {term.formula}")
        elif decay:
            parts.append(f"− {step:.3g}·∂({term.formula})")
        else:
            parts.append(f"prox of {step:.3g}·({term.formula})")
    return "; ".join(parts) or "nothing"


def _proximal(attachment: Attachment, group: dict[str, Any], penalty: Penalty, part: Part) -> str:
    if isinstance(attachment.optimizer, torch.optim.SGD) and attachment.metric is None:
        coming = _next_step_of_sgd(attachment, group, part)
        return _moved(penalty, coming * attachment.regularizer.factor, decay=False)
    state = attachment.state_of(part)
    if attachment.metric is None and not (state and float(state.get("step", 1)) > 0):
        return "by the optimizer's own step, known after its first"
    step, limit = attachment.own_step(group, part)
    mine = here(step) if isinstance(step, Tensor) else torch.tensor(step)
    middle = float(mine.median()) if mine.numel() else 0.0
    words = _moved(penalty, middle * attachment.regularizer.factor, decay=False)
    most = float(limit.max()) if isinstance(limit, Tensor) else float(limit)
    is_free = penalty.is_constrained or most == math.inf
    capped = "" if is_free else f", no entry by more than {most:.3g}"
    return f"{words} (median step {middle:.3g}{capped})"


def _next_step_of_sgd(attachment: Attachment, group: dict[str, Any], part: Part) -> float:
    """Its own step one step from now, when the momentum buffer is that much fuller."""
    seen = attachment.regularizer._memory.buffers.get(part.name, full_buffer_share(group))
    begun = "momentum_buffer" in attachment.state_of(part)
    return float(sgd(group, {}, buffer_share(group, seen if begun else None)).step)


def _timescale(speed: float) -> str:
    return f" ({in_steps(speed)})" if speed > 0 else ""
