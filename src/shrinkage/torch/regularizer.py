"""Penalties bound to the parameters of one model."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from shrinkage.penalties import Penalty
from shrinkage.penalties.arrays import checked_strength
from shrinkage.torch import checkpoint
from shrinkage.torch.binding import (
    Bound,
    ModelWatch,
    Part,
    bind,
    check_finite,
    real_dtype,
    together,
    widest,
)
from shrinkage.torch.checks import check_gradient, check_penalty, check_schedule
from shrinkage.torch.gathered import bind_joints
from shrinkage.torch.memory import Memory
from shrinkage.torch.schedules import Schedule, factor_at
from shrinkage.torch.selection import On, by_names, select
from shrinkage.torch.sparsity import Sparsity, zeros_of

if TYPE_CHECKING:
    from shrinkage.torch.application import Attachment
    from shrinkage.torch.metric import UserMetric
    from shrinkage.torch.table import Row


class Regularizer:
    """Penalties bound to the parameters of one model: ``Ω(w) = Σ over parameters of Ω_p(w_p)``.

    Parameters
    ----------
    model : torch.nn.Module
        Also wrapped (DistributedDataParallel, FSDP, `torch.compile`): names are those inside.
    penalty : Penalty, or a mapping of patterns to penalties
        ``L1(1e-4)`` for all that `on` selects, or ``{"conv*": GroupLasso(1e-3), "*.bias": L2(1e-5),
        "head*": None}``: the first pattern that matches a name wins, None leaves it alone. Keys may
        also be layers (``model.fc``, which stands for ``"fc.*"``), parameters, module types,
        predicates, and a `Joint` of several parameters. A pattern takes weights; biases only if it
        ends in "bias"; anything else only by its whole name.
    on : default "weights"
        Beside a single penalty: "weights", "biases", "all", a pattern, a layer (the weights in it),
        a parameter, a module type (its own parameters, all of them), a predicate ``(name,
        parameter, module) -> bool``, or several of these in a list. A weight has two or more axes
        longer than 1, or belongs to a layer such as `torch.nn.Linear`; biases, gains, position
        embeddings, tokens and what the model asks not to decay (``_no_weight_decay``,
        ``no_weight_decay()``) are none. Beside a mapping only "all": patterns then reach
        everything.
    schedule : callable, optional
        From the step (0, 1, ...) to the factor that multiplies every strength at that step.

    Raises
    ------
    ValueError
        If a selector reaches no parameter (the sentence names the nearest).

    Notes
    -----
    A parameter shared by several modules is penalized once. A frozen one (``requires_grad`` False)
    is left out while it is frozen. Parameters that are added to the model or replaced later are
    found at the next use.

    Examples
    --------
    >>> import torch
    >>> from shrinkage import L1
    >>> model = torch.nn.Linear(4, 1)
    >>> _ = torch.nn.init.constant_(model.weight, 2.0)
    >>> Regularizer(model, L1(0.5)).value()
    4.0
    """

    def __init__(
        self,
        model: nn.Module,
        penalty: Penalty | Mapping[Any, Penalty | None],
        on: On | None = None,
        *,
        schedule: Schedule | None = None,
    ) -> None:
        if not isinstance(model, nn.Module):
            raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
        check_penalty(penalty)
        self.model = model
        self._penalty, self._on = by_names(model, penalty, on)
        self._factor = 1.0
        self._steps = 0
        self._schedule: Schedule | None = None
        self._attachment: Attachment | None = None
        self._before_attach: tuple[Schedule | None, float] | None = None
        self._memory = Memory()
        self._starts: dict[str, Tensor] = {}  # references of Toward("start", ...)
        self._bind()
        self.schedule = schedule

    def penalty(
        self, parameters: Mapping[str, Tensor] | None = None, *, like: Tensor | None = None
    ) -> Tensor:
        """factor·Ω(w) as a tensor to add to the loss (how="loss"), with a fresh graph at each call.

        Parameters
        ----------
        parameters : mapping of names to tensors, optional
            Calculate with these in place of the model's own, as under `torch.func`.
        like : Tensor, optional
            The loss it is added to: the result takes its device and type. Without it, those of the
            penalized parameters (the widest type; 16-bit floats are summed in float32).

        Returns
        -------
        Tensor
            0-dimensional and real.

        Raises
        ------
        ValueError
            If a penalty has no gradient (a constraint, a count): it can only be proximal.
        FloatingPointError
            If it is infinite or NaN, naming the parameter, its penalty and the step (checked where
            looking costs no waiting: on the CPU, outside compiled code and `torch.func`).
        """
        self._refresh()
        if self._attachment is not None and parameters is None and torch.is_grad_enabled():
            warnings.warn(
                f'the penalty is attached with how="{self._attachment.how}": adding penalty() to '
                "the loss applies it twice; use value() to watch it",
                stacklevel=2,
            )
        bindings = self.active if parameters is None else self.bindings
        for binding in bindings:
            check_gradient(binding)
        tensors = [binding.given(parameters) for binding in bindings]
        if not tensors:
            return torch.zeros(()) if like is None else like.new_zeros(())
        values = [binding.value(w) for binding, w in zip(bindings, tensors, strict=True)]
        total = self._factor * together(values).sum()
        if like is None:
            total = total.to(widest(real_dtype(w) for w in tensors))
        else:
            total = total.to(device=like.device, dtype=like.dtype)
        check_finite(total, self.active, self._steps, self.factor)
        return total

    def value(self) -> float:
        """factor·Ω(w) as a number, without a graph."""
        self._refresh()
        with torch.no_grad():
            found = [binding.number() for binding in self.active]
            values = [one for one in found if isinstance(one, Tensor)]
            numbers = [one for one in found if isinstance(one, float)]
            numbers += together(values).tolist() if values else []
        total = torch.tensor(self._factor * math.fsum(numbers), dtype=torch.float64)
        check_finite(total, self.active, self._steps, self.factor)
        return float(total)

    def sparsity(self) -> Sparsity:
        """Exact zeros per penalized parameter, and all-zero groups where its penalty has groups."""
        self._refresh()
        with torch.no_grad():
            zeros = {one.name: zeros_of(one.given(), one.penalty) for one in self.bindings}
        return Sparsity(zeros)

    def table(self) -> list[Row]:
        """What each parameter of the model gets, and why; `print(regularizer)` shows it."""
        from shrinkage.torch.table import rows

        return rows(self)

    def named_parameters(self) -> list[tuple[str, Tensor]]:
        """The penalized parameters that are not frozen, with their names."""
        self._refresh()
        return [(part.name, part.parameter) for _, part in self.active_parts]

    @property
    def active(self) -> list[Bound]:
        """The bindings with a parameter that is not frozen."""
        return [one for one in self.bindings if any(p.parameter.requires_grad for p in one.parts)]

    @property
    def active_parts(self) -> list[tuple[Bound, Part]]:
        """Each parameter that is not frozen, with its binding."""
        return [
            (binding, part)
            for binding in self.bindings
            for part in binding.parts
            if part.parameter.requires_grad
        ]

    def attach(
        self,
        optimizer: Optimizer,
        how: str,
        *,
        scale: str | None = None,
        schedule: Schedule | None = None,
        metric: UserMetric | None = None,
    ) -> Attachment:
        """Make every step of `optimizer` apply the penalty; see `shrinkage.torch.application`.

        Parameters
        ----------
        optimizer : torch.optim.Optimizer
            It must hold every penalized parameter that is not frozen.
        how : {"coupled", "decoupled", "proximal"}
            "coupled": ∂Ω is added to the gradients before the step; the same numbers as "loss",
            without a graph. "decoupled": outside the optimizer's arithmetic, by `scale`.
            "proximal": a prox after the step, in the optimizer's own metric; exact zeros.
        scale : {"lr", "schedule", "none"}, default "lr"
            For "decoupled": multiply strengths by the learning rate (as torch does), by lr/lr₀ (as
            Loshchilov and Hutter do), or by nothing.
        schedule : callable, optional
            As for `Regularizer`; takes the place of the one given there.
        metric : callable, optional
            For "proximal" under an optimizer that is not known: a function (optimizer, group,
            parameter) → its own step, a number or a tensor of the parameter's shape.

        Returns
        -------
        Attachment
            ``detach()`` takes the penalty off again; also a context manager.

        Raises
        ------
        ValueError
            For what would silently do something else than is written: each with its remedy.
        """
        from shrinkage.torch.application import Attachment

        self._refresh()
        check_schedule(schedule)
        attachment = Attachment(self, optimizer, how, scale=scale, metric=metric)
        try:
            if schedule is not None:
                self._before_attach = self._schedule, self._factor
                self.schedule = schedule
        except Exception:
            self.detach()
            raise
        return attachment

    def detach(self) -> None:
        """Take the penalty off the optimizer, and a schedule that came with `attach`."""
        if self._attachment is None:
            return
        attachment, self._attachment = self._attachment, None
        attachment.detach()
        if self._before_attach is not None:
            self._schedule, self._factor = self._before_attach
            self._before_attach = None

    @property
    def factor(self) -> float:
        """Multiplies every strength; 1 at first. A schedule sets it anew at each step."""
        return self._factor

    @factor.setter
    def factor(self, factor: float) -> None:
        self._factor = checked_strength("factor", factor)

    @property
    def schedule(self) -> Schedule | None:
        """The function from the step to the factor."""
        return self._schedule

    @schedule.setter
    def schedule(self, schedule: Schedule | None) -> None:
        check_schedule(schedule)
        if schedule is not None:
            self.factor = factor_at(schedule, self._steps)
        self._schedule = schedule

    def step(self) -> None:
        """Count a step and let the schedule set the factor, under how="loss"; call it once a step.

        While attached, the optimizer's own steps count.
        """
        if self._attachment is not None:
            warnings.warn(
                "the optimizer's steps count already while the penalty is attached: step() counts "
                "one twice; leave it out",
                stacklevel=2,
            )
        self._advance()

    def _advance(self) -> None:
        self._steps += 1
        self._memory.stepped()
        if self._schedule is not None:
            self.factor = factor_at(self._schedule, self._steps)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs: numbers and text alone, fit for ``weights_only=True``."""
        return checkpoint.state(self)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict`; warns where the penalties are not those that were saved.

        Raises
        ------
        ValueError
            If it was made by something else; nothing is changed then.
        """
        self._refresh()
        checkpoint.restore(self, state)

    def __getstate__(self) -> dict[str, Any]:
        """A copy is attached to nothing, as copied optimizers have no hooks."""
        return {**self.__dict__, "_attachment": None}

    def __repr__(self) -> str:
        from shrinkage.torch.table import as_text

        return as_text(self)

    def _repr_html_(self) -> str:
        from shrinkage.torch.table import as_html

        return as_html(self)

    def _bind(self) -> None:
        self.selected = select(self.model, self._penalty, self._on)
        joints = bind_joints(self.selected)
        self.bindings: list[Bound] = [*bind(self.selected, self._starts), *joints]
        self._watch = ModelWatch(self.model)

    def _refresh(self) -> None:
        """Bind anew if the model has changed."""
        if self._watch.has_changed():
            self._bind()
