"""The table that a Regularizer prints: the penalty of each parameter."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

import torch

from shrinkage.penalties import Penalty, Toward, Weighted
from shrinkage.penalties.base import terms
from shrinkage.text_table import align, rows_of, to_html, to_paragraphs
from shrinkage.torch.auditing.finding import Finding, construct, sort_by_severity, to_html_list
from shrinkage.torch.auditing.findings_about_models import ABOUT_MODELS
from shrinkage.torch.auditing.findings_about_penalties import ABOUT_PENALTIES
from shrinkage.torch.auditing.findings_about_zeros import ABOUT_ZEROS
from shrinkage.torch.auditing.snapshot import take_snapshot
from shrinkage.torch.binding.bindings import Binding, BoundParameter, SingleBinding
from shrinkage.torch.binding.bound_model import BoundModel
from shrinkage.torch.binding.effective_binding import EffectiveBinding
from shrinkage.torch.binding.sparsity import zeros_of
from shrinkage.torch.models.selection import Selected
from shrinkage.torch.models.units import note_on_units
from shrinkage.torch.tensors.kinds import is_sharded, local_shard
from shrinkage.torch.wording.effects import ZEROS_ARE_HELD, describe_goal, describe_step


@dataclass(frozen=True)
class Row:
    """The penalty of one parameter, and its effect."""

    parameter: str
    shape: str
    penalty: str  # or why there is none
    strength: str
    how: str
    one_step: str  # the effect of one step at the present learning rate
    zeros: str


def rows(bound: BoundModel) -> list[Row]:
    """One row a parameter of the model, in the model's order."""
    bound.refresh()
    bindings = {
        id(part.parameter): (binding, part) for binding in bound.bindings for part in binding.parts
    }
    table = []
    for selected in bound.selected:
        parameter = selected.candidate.parameter
        tied = selected.candidate.owners[1:]
        name = selected.owner.name + (" (tied)" if tied else "")
        shape = "×".join(str(size) for size in parameter.shape) or "number"
        if id(parameter) not in bindings:
            table.append(Row(name, shape, f"none: {selected.why}", "", "", "", ""))
        elif not parameter.requires_grad:
            table.append(Row(name, shape, "none now: frozen", "", "", "", ""))
        else:
            binding, part = bindings[id(parameter)]
            table.append(Row(name, shape, *_describe(bound, binding, part, selected)))
    return table


def _describe(
    bound: BoundModel, binding: Binding, part: BoundParameter, selected: Selected
) -> tuple[str, str, str, str, str]:
    """The penalty of a parameter, its strength, how it acts, what it does in a step, the zeros."""
    penalty = construct(binding.written)
    if binding.name != part.name:
        penalty += f" on {binding.name}"
    if isinstance(binding, SingleBinding):  # what is not certain of the units of its groups
        groups = (getattr(term, "groups", None) for term in terms(binding.written))
        notes = (note_on_units(each, selected.owner, part.parameter) for each in groups)
        penalty += next(filter(None, notes), "")
    strengths = _list_strengths(binding.written)
    strength = " + ".join(f"{bound.multiplier * lam:.3g}" for lam in strengths) or "–"
    if bound.host is not None:
        how = bound.host.how
    elif bound.was_attached:
        how = "none: detached"
    elif binding.penalty.why_not("gradient") is None:
        how = "loss, by penalty()"
    else:
        how = "none yet: attach it"
    one_step = describe_step(bound, binding.penalty, part)
    if isinstance(binding, EffectiveBinding) and not one_step.startswith("nothing"):
        one_step += ", through the effective weight"
    w = local_shard(part.parameter.detach())
    if w.is_meta:
        return penalty, strength, how, one_step, f"no numbers yet, of {w.numel()}"
    zeros = f"{w.numel() - int(torch.count_nonzero(w))}/{w.numel()}"
    if is_sharded(part.parameter):  # a table may be printed by one process alone
        zeros += " in this process"
    elif (whole := zeros_of(binding.read_array(), binding.penalty)).groups:
        zeros += f", {whole.dead_groups}/{whole.groups} groups"
    return penalty, strength, how, one_step, zeros


def as_text(bound: BoundModel) -> str:
    """A line that says what it solves, the table in aligned columns, and what to mend."""
    findings = map(str, _find_concerning(bound))
    return "\n".join([_write_headline(bound), align(rows_of(Row, rows(bound))), *findings])


def as_html(bound: BoundModel) -> str:
    """The same for notebooks."""
    table = to_html(rows_of(Row, rows(bound)))
    return (
        f"{to_paragraphs([_write_headline(bound)])}{table}{to_html_list(_find_concerning(bound))}"
    )


def _find_concerning(bound: BoundModel) -> tuple[Finding, ...]:
    """What an audit finds on the penalties of an attached regularizer."""
    if bound.host is None:
        return ()
    snapshot = take_snapshot(bound.model, [bound.host.optimizer], bound)
    penalized = {
        audited.name
        for audited in snapshot.parameters
        for applied in audited.penalties
        if applied.bound is bound
    }
    checks = ABOUT_PENALTIES + ABOUT_ZEROS + ABOUT_MODELS
    findings = chain.from_iterable(check(snapshot) for check in checks)
    return sort_by_severity(each for each in findings if penalized.intersection(each.parameters))


def _list_strengths(penalty: Penalty) -> list[float]:
    """The lam of each term that has one; a constraint has none."""
    strengths: list[float] = []
    for term in terms(penalty):
        if isinstance(term, Toward | Weighted):
            strengths += _list_strengths(term.penalty)
        elif hasattr(term, "lam"):
            strengths.append(term.lam)
    return strengths


def _write_headline(bound: BoundModel) -> str:
    count = f"{len(bound.active_parts)} of {len(bound.selected)} parameters penalized"
    model = type(bound.model).__name__
    host = bound.host
    if host is None and bound.held is not None:
        headline = ZEROS_ARE_HELD
    elif host is None and any(binding.penalty.why_not("gradient") for binding in bound.active):
        headline = (
            'not attached: without a gradient it acts by attach(optimizer, how="proximal") alone'
        )
    elif host is None and bound.was_attached:
        headline = "detached: nothing acts, unless penalty() is added to the loss"
    elif host is None:
        headline = f"in the loss by penalty(): converges to {describe_goal(bound)}; no exact zeros"
    else:
        headline = repr(host)
    if host is not None and host.stepped_by is not None:
        other = host.stepped_by
        headline += f"; but {other} has stepped these weights since, to which it is not attached"
    factor = "" if bound.factor == 1.0 else f", strengths times {bound.factor:g}"
    if bound.target is not None:
        headline += f"; {bound.target}"
    return f"Regularizer of {model}: {count}{factor}; {headline}"
