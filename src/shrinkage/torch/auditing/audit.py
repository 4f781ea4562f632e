"""The audit: what a model and its optimizer will do together, before a run is started."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from shrinkage.penalties.arrays import checked_above, checked_number
from shrinkage.text_table import align, rows_of, to_html, to_paragraphs
from shrinkage.torch.auditing.finding import Finding, construct, sort_by_severity, to_html_list
from shrinkage.torch.auditing.findings_about_models import ABOUT_MODELS
from shrinkage.torch.auditing.findings_about_optimizers import ABOUT_OPTIMIZERS
from shrinkage.torch.auditing.findings_about_penalties import ABOUT_PENALTIES
from shrinkage.torch.auditing.findings_about_zeros import (
    ABOUT_ZEROS,
    find_average_without_zeros,
    is_average_of,
)
from shrinkage.torch.auditing.snapshot import AuditedParameter, take_snapshot
from shrinkage.torch.binding.regularized import Regularized
from shrinkage.torch.facts.weight_decay import in_steps
from shrinkage.torch.facts.wrappers import innermost_optimizer
from shrinkage.torch.wording.effects import describe_step


@dataclass(frozen=True)
class Row:
    """How optimizer and regularizer act on one parameter."""

    parameter: str
    shape: str
    kind: str
    weight_decay: str  # the optimizer's own, and what it does in a step
    penalty: str
    one_step: str  # what the penalty does in a step


@dataclass(frozen=True)
class Audit:
    """The findings of `audit`, and a table of all parameters.

    >>> import torch
    >>> from shrinkage.torch import audit
    >>> model = torch.nn.Linear(2, 1)
    >>> found = audit(model, torch.optim.SGD(model.parameters(), lr=0.1))
    >>> found.ok, found.findings
    (True, ())
    """

    headline: str
    table: tuple[Row, ...]
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether there is no warning; notes are allowed."""
        return all(finding.severity == "note" for finding in self.findings)

    def __repr__(self) -> str:
        table = [align(rows_of(Row, self.table))] if self.table else []
        return "\n".join(
            [f"{self.headline}: {self._count_findings()}", *table, *map(str, self.findings)]
        )

    def _repr_html_(self) -> str:
        headline = to_paragraphs([f"{self.headline}: {self._count_findings()}"])
        table = to_html(rows_of(Row, self.table)) if self.table else ""
        return f"{headline}{table}{to_html_list(self.findings)}"

    def _count_findings(self) -> str:
        warnings = sum(finding.severity == "warning" for finding in self.findings)
        notes = len(self.findings) - warnings
        counted = [
            f"{number} {word}{'s' * (number > 1)}"
            for number, word in ((warnings, "warning"), (notes, "note"))
            if number
        ]
        return ", ".join(counted) or "nothing to mend"


def audit(
    model: nn.Module,
    optimizer: Optimizer | Sequence[Optimizer],
    regularizer: Regularized | None = None,
    *,
    steps: int | None = None,
    steps_per_epoch: int | None = None,
    sample: Any = None,
    clip: float | None = None,
) -> Audit:
    """Say how optimizer and regularizer will act on each parameter, and what to mend.

    It changes nothing. It finds: parameters that no optimizer trains, or one twice;
    frozen ones that still move; decay on biases and gains, beside a penalty, twice, divided by
    Adam's gradient sizes, slower than the run, faster than an epoch, below what 16-bit floats
    hold, or on weights whose size a normalization undoes; L1 along a way without exact zeros;
    strengths scaled by momentum, or not clipped where gradients are; tied parameters under two
    rules; a regularizer that is attached elsewhere.

    Parameters
    ----------
    model : torch.nn.Module
        Also wrapped, as for `Regularizer`.
    optimizer : torch.optim.Optimizer, or several
        All that train this model. Penalties that are attached to one are found by themselves, and
        wrappers (of accelerate and Lightning, Lookahead and its kin) are looked through.
    regularizer : Regularizer, optional
        One that is attached to nothing counts as subject of the loss, by ``penalty()``. If `model`
        is a running average (SWA, EMA) of the model that it penalizes, what is found are the
        zeros that the average has lost.
    steps, steps_per_epoch : int, optional
        How many steps the run and an epoch have, at least 1: for the time-scale of decay, 1/r
        steps where a step takes a share r of each weight, at the highest learning rate known.
    sample : tensor, tuple of arguments or mapping of keywords, optional
        An input. With it, weights whose size does not matter are found by trying: the model runs
        three times for each weight. Without it, by the graph of the model, where torch.fx has one.
    clip : float, optional
        Above 0: the norm to which the loop or a framework clips gradients by
        torch.nn.utils.clip_grad_norm_. Leave it out for `Regularizer.clip_grad_norm_`.

    Returns
    -------
    Audit
        ``findings``, each with its severity ("warning" or "note"), the parameters, the number and
        the lines that mend it; ``table``, a row for each parameter; ``ok``.

    Raises
    ------
    TypeError, ValueError
        For arguments of another kind; if `regularizer` penalizes nothing of `model`.

    Notes
    -----
    The time-scale of decay: Wang and Aitchison (2024), arXiv 2405.13698.

    Examples
    --------
    >>> import torch
    >>> model = torch.nn.Linear(2, 1)
    >>> optimizer = torch.optim.AdamW(model.parameters(), lr=0.001)
    >>> audit(model, optimizer)
    Audit of Linear under AdamW: 1 warning
    parameter  shape  kind    weight decay                                    penalty  one step
    weight     1×2    weight  0.01: w × (1 − 1e-05) (to 1/e in 100000 steps)
    bias       1      bias    0.01: w × (1 − 1e-05) (to 1/e in 100000 steps)
    warning: decay on biases and gains [decay-on-biases]
      AdamW's weight_decay=0.01 also acts on 1 that is no weight (bias): bias
        for group in optimizer.param_groups: group["weight_decay"] = 0.0
        Regularizer(model, L2.from_weight_decay(0.01)).attach(optimizer, how="decoupled")
    """
    optimizers = _check_arguments(model, optimizer, regularizer)
    for name, count in (("steps", steps), ("steps_per_epoch", steps_per_epoch)):
        if count is not None and not (checked_number(name, count) >= 1 and count % 1 == 0):
            raise ValueError(f"{name} must be a whole number >= 1, got {count}")
    run = {"steps": steps, "steps_per_epoch": steps_per_epoch, "sample": sample}
    run["clip"] = None if clip is None else checked_above("clip", clip, 0.0)
    names = ", ".join(type(each).__name__ for each in optimizers)
    bound = None if regularizer is None else regularizer.bound
    if bound is not None and is_average_of(model, bound.model):
        lost = find_average_without_zeros(model, bound)
        return Audit(f"Audit of an average of {names}'s model", (), tuple(lost))
    snapshot = take_snapshot(model, optimizers, bound, **run)
    checks = ABOUT_OPTIMIZERS + ABOUT_PENALTIES + ABOUT_ZEROS + ABOUT_MODELS
    return Audit(
        f"Audit of {type(model).__name__} under {names}",
        tuple(map(_make_row, snapshot.parameters)),
        sort_by_severity(chain.from_iterable(check(snapshot) for check in checks)),
    )


def _check_arguments(
    model: nn.Module, optimizer: Optimizer | Sequence[Optimizer], regularizer: Regularized | None
) -> tuple[Optimizer, ...]:
    """The optimizers without wrappers, if an audit can read all three arguments."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    if isinstance(model, torch.jit.ScriptModule):
        raise TypeError(
            f"model must not be a {type(model).__name__}: audit the module that was scripted"
        )
    if not isinstance(regularizer, Regularized | None):
        raise TypeError(f"regularizer must be a Regularizer, got {type(regularizer).__name__}")
    several = optimizer if isinstance(optimizer, list | tuple) else (optimizer,)
    optimizers = tuple(map(innermost_optimizer, several))
    for each in optimizers:
        if not isinstance(each, Optimizer):
            raise TypeError(f"optimizer must be a torch.optim.Optimizer, got {each!r}")
    if not optimizers:
        raise ValueError("optimizer must be one or more, got none")
    return optimizers


def _make_row(audited: AuditedParameter) -> Row:
    return Row(
        audited.name + " (tied)" * (len(audited.candidate.owners) > 1),
        "×".join(map(str, audited.tensor.shape)) or "number",
        audited.kind,
        _describe_own_decay(audited),
        "; ".join(f"{construct(each.written)}, {each.how}" for each in audited.penalties),
        "; ".join(
            "inside the optimizer"
            if each.bound is None or each.part is None
            else describe_step(each.bound, each.penalty, each.part)
            for each in audited.penalties
        ),
    )


def _describe_own_decay(audited: AuditedParameter) -> str:
    """The optimizer's own decay in a step at the present learning rate."""
    if not audited.is_trained:
        return "frozen"
    if not audited.held_by:
        return "in no optimizer"
    decay = audited.decay
    if not decay.strength:
        return ""
    if decay.kind == "decoupled" and decay.rate is not None:
        effect_of_step = f": w × (1 − {decay.rate:.3g})"
    elif decay.joins_gradient:
        effect_of_step = f": gradient + {decay.strength:g}·w"
    else:
        return f"{decay.strength:g}"
    time_scale = f" ({in_steps(decay.rate)})" if decay.rate else ""
    return f"{decay.strength:g}{effect_of_step}{time_scale}"
