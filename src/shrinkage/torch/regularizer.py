"""Penalties bound to the parameters of one model."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from shrinkage.penalties import Penalty
from shrinkage.torch.attaching.attachment import Attachment
from shrinkage.torch.auditing import table
from shrinkage.torch.binding import checkpoint
from shrinkage.torch.binding.averages import copy_zeros
from shrinkage.torch.binding.bound import Binding
from shrinkage.torch.binding.checks import check_penalty
from shrinkage.torch.binding.clipping import clip_
from shrinkage.torch.binding.core import BoundModel, Regularized
from shrinkage.torch.binding.sparsity import Sparsity, zeros_of
from shrinkage.torch.facts.own_step import UserMetric
from shrinkage.torch.models.selection import On, Selected
from shrinkage.torch.schedules import Schedule, check_schedule


class Regularizer(Regularized):
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
    >>> regularizer = Regularizer(model, L1(0.5))
    >>> regularizer.value()
    4.0
    >>> float(regularizer.penalty().detach())  # the same, to be added to the loss
    4.0
    >>> [name for name, _ in regularizer.named_parameters()]
    ['weight']

    Attached to an optimizer, it acts at each of its steps:

    >>> optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    >>> _ = regularizer.attach(optimizer, how="proximal")
    >>> for _ in range(4):  # each takes lr·0.5 from every weight
    ...     model(torch.zeros(1, 4)).sum().backward()
    ...     optimizer.step()
    >>> regularizer.sparsity().zeros
    4
    >>> state = regularizer.state_dict()  # saved beside those of model and optimizer
    >>> regularizer.load_state_dict(state)
    >>> regularizer.detach()
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
        self.bound = BoundModel(model, penalty, on, schedule=schedule)

    @property
    def model(self) -> nn.Module:
        """The model whose parameters are penalized."""
        return self.bound.model

    @property
    def selected(self) -> list[Selected]:
        """Each parameter of the model, with its penalty or the reason why it has none."""
        return self.bound.selected

    @property
    def bindings(self) -> list[Binding]:
        """Each penalty with the parameter or the parameters that it is bound to."""
        return self.bound.bindings

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

        Notes
        -----
        It acts once for each ``backward()``. Under gradient accumulation over n micro-batches that
        is n times a step, unless the loop divides the loss by n: divide ``penalty()`` too, or
        attach it as "coupled", which adds it once a step. transformers' Trainer does not divide a
        loss that counts its own items: inside its ``compute_loss`` the division is yours to write.

        Raises
        ------
        ValueError
            If a penalty has no gradient (a constraint, a count): it can only be proximal.
        FloatingPointError
            If it is infinite or NaN, naming the parameter, its penalty and the step (checked where
            looking costs no waiting: on the CPU, outside compiled code and `torch.func`).
        """
        host = self.bound.host
        if host is not None and parameters is None and torch.is_grad_enabled():
            warnings.warn(
                f'the penalty is attached with how="{host.how}": adding penalty() to '
                "the loss applies it twice; use value() to watch it",
                stacklevel=2,
            )
        return self.bound.penalty(parameters, like=like)

    def value(self) -> float:
        """factor·Ω(w) as a number, without a graph."""
        return self.bound.value()

    def sparsity(self) -> Sparsity:
        """Exact zeros per penalized parameter, and all-zero groups where its penalty has groups."""
        self.bound.refresh()
        with torch.no_grad():
            zeros = {one.name: zeros_of(one.given(), one.penalty) for one in self.bound.bindings}
        return Sparsity(zeros)

    def copy_zeros_to(self, averaged: nn.Module | Mapping[str, Tensor]) -> None:
        """Set to exactly 0 in a running average what is exactly 0 in the model: SWA, EMA.

        An average over steps is 0 only where the weight was 0 at every one of them, so it has
        hardly any zeros. The other entries of the average, and all that is not penalized, stay.

        Parameters
        ----------
        averaged : torch.nn.Module, or a mapping of parameter names to tensors
            Such as ``torch.optim.swa_utils.AveragedModel(model)``, timm's ``ModelEmaV3(model)``, or
            a state_dict of these. Changed in place.

        Raises
        ------
        ValueError
            If a penalized parameter has no counterpart of its name and shape; nothing is changed
            then.

        Examples
        --------
        >>> import torch
        >>> from shrinkage import L1
        >>> model = torch.nn.Linear(2, 1)
        >>> averaged = torch.optim.swa_utils.AveragedModel(model)
        >>> _ = model.weight.data.copy_(torch.tensor([[0.0, 2.0]]))
        >>> _ = averaged.module.weight.data.fill_(1.0)
        >>> Regularizer(model, L1(0.5)).copy_zeros_to(averaged)
        >>> averaged.module.weight.tolist()
        [[0.0, 1.0]]
        """
        self.bound.refresh()
        copy_zeros(self.bound, averaged)

    def table(self) -> list[table.Row]:
        """What each parameter of the model gets, and why; `print(regularizer)` shows it."""
        return table.rows(self.bound)

    def named_parameters(self) -> list[tuple[str, Tensor]]:
        """The penalized parameters that are not frozen, with their names."""
        return self.bound.named_parameters()

    def attach(
        self,
        optimizer: Optimizer,
        how: str,
        *,
        scale: str | None = None,
        schedule: Schedule | None = None,
        metric: UserMetric | None = None,
        max_norm: float | None = None,
    ) -> Attachment:
        """Make every step of `optimizer` apply the penalty; see `Attachment`.

        Parameters
        ----------
        optimizer : torch.optim.Optimizer
            It must hold every penalized parameter that is not frozen. Wrappers of accelerate and
            Lightning are looked through; others (Lookahead, SAM) are refused, with what to attach
            to.
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
        max_norm : float, optional
            Above 0: each step first clips the gradients of all parameters of `optimizer` to this
            norm, and the strength with them, as `clip_grad_norm_` does; in place of every other
            clipping, also of one that a framework does by itself.

        Returns
        -------
        Attachment
            ``detach()`` takes the penalty off again; also a context manager.

        Raises
        ------
        ValueError
            For what would silently do something else than is written: each with its remedy.
            Nothing is attached then, and everything is as it was.

        Notes
        -----
        From now on the regularizer travels in the optimizer's `state_dict`, and goes on when that
        is loaded, before attach() or after it: nothing else need be saved. (Flattened states of
        `torch.distributed.checkpoint` must be loaded after it.)
        """
        self.bound.refresh()
        check_schedule(schedule)
        return Attachment(
            self.bound,
            optimizer,
            how,
            scale=scale,
            schedule=schedule,
            metric=metric,
            max_norm=max_norm,
        )

    def clip_grad_norm_(
        self,
        parameters: Tensor | Iterable[Tensor],
        max_norm: float | Tensor,
        norm_type: float = 2.0,
        error_if_nonfinite: bool = False,
        foreach: bool | None = None,
    ) -> Tensor:
        """Clip gradients by their norm, and for the coming step the strength with them.

        ``g ← c·g`` and ``lam ← c·lam`` with ``c = min(1, max_norm/(‖g‖ + 1e-6))``: in the place of
        torch.nn.utils.clip_grad_norm_, whose arguments it takes, whose norm it returns, and whose
        gradients it leaves. That one would clip the data's gradient alone, so that an attached
        penalty acts 1/c times too strongly for as long as clipping binds.

        Parameters
        ----------
        parameters : tensor or iterable of tensors
            Those whose gradients make up the norm, penalized or not; each may have its own
            clipping, and what was clipped twice has the product of both. Sparse gradients too.
        max_norm : float
            At least 0; 0 stops gradients and penalty, infinity only measures the norm.
        norm_type, error_if_nonfinite, foreach
            As in torch.

        Returns
        -------
        Tensor
            The norm before clipping.

        Raises
        ------
        TypeError, ValueError
            If `max_norm` is no number, negative or NaN.

        Notes
        -----
        Call it after backward and, under AMP, after ``scaler.unscale_(optimizer)``. Its c is for
        the next step alone, taken or skipped, and not for gradients that are made anew before it.

        What clipping does to each way: coupled and proximal penalties, also inside an optimizer,
        come to rest at the minimum of J on full batches, as without clipping. So do decoupled ones
        under SGD with ``scale="lr"``; every other decoupled penalty is left alone, as AdamW's own
        decay is. ``penalty()`` in the loss is part of the gradient, and clipped with it by torch's
        function or this one. On mini-batches, clipping itself is a bias: the mean of clipped
        gradients is not 0 where the mean gradient is.

        torch.nn.utils.clip_grad_value_ is not supported: it turns the gradient, so that no single
        c goes with it.

        Examples
        --------
        >>> import torch
        >>> from shrinkage import L1
        >>> model = torch.nn.Linear(2, 1, bias=False)
        >>> _ = torch.nn.init.constant_(model.weight, 1.0)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> regularizer = Regularizer(model, L1(2.0))
        >>> _ = regularizer.attach(optimizer, how="proximal")
        >>> model.weight.grad = torch.tensor([[3.0, 4.0]])
        >>> regularizer.clip_grad_norm_(model.parameters(), 1.0)  # c = 1/5
        tensor(5.)
        >>> optimizer.step()  # 1 − 0.1·(0.6 + 0.4) and 1 − 0.1·(0.8 + 0.4)
        >>> [round(x, 4) for x in model.weight[0].tolist()]
        [0.9, 0.88]
        """
        return clip_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)

    def detach(self) -> None:
        """Take the penalty off the optimizer, and a schedule that came with `attach`."""
        if self.bound.host is not None:
            self.bound.host.detach()

    @property
    def factor(self) -> float:
        """Multiplies every strength; 1 at first. A schedule sets it anew at each step."""
        return self.bound.factor

    @factor.setter
    def factor(self, factor: float) -> None:
        self.bound.factor = factor

    @property
    def schedule(self) -> Schedule | None:
        """The function from the step to the factor."""
        return self.bound.schedule

    @schedule.setter
    def schedule(self, schedule: Schedule | None) -> None:
        self.bound.schedule = schedule

    def step(self) -> None:
        """Count a step and let the schedule set the factor, under how="loss"; call it once a step.

        While attached, the optimizer's own steps count.
        """
        if self.bound.host is not None:
            warnings.warn(
                "the optimizer's steps count already while the penalty is attached: step() counts "
                "one twice; leave it out",
                stacklevel=2,
            )
        self.bound.advance()

    def reset(self) -> None:
        """Begin anew, as for a second training.

        The count of steps is 0 again, a schedule sets its first factor (one set by hand stays),
        ``Toward("start")`` starts where the next step finds the weights, and what was known of
        SGD's momentum buffers is forgotten: those that are there count as full.

        >>> from shrinkage import L1
        >>> from shrinkage.torch import schedules
        >>> regularizer = Regularizer(nn.Linear(2, 1), L1(0.1), schedule=schedules.warmup(4))
        >>> regularizer.step()
        >>> regularizer.reset()
        >>> regularizer.factor
        0.0
        """
        self.bound.reset()

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs, fit for ``weights_only=True``.

        While attached or inside an optimizer it travels in the optimizer's `state_dict` as well,
        so this one is for how="loss".
        """
        return checkpoint.state(self.bound)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict`; warns where the penalties are not those that were saved.

        Raises
        ------
        ValueError
            If it was made by something else; nothing is changed then.
        """
        self.bound.refresh()
        checkpoint.restore(self.bound, state)

    def __getstate__(self) -> dict[str, Any]:
        """A copy has bindings of its own, which are attached to nothing."""
        return {**self.__dict__, "bound": copy.copy(self.bound)}

    def __repr__(self) -> str:
        return table.as_text(self.bound)

    def _repr_html_(self) -> str:
        return table.as_html(self.bound)
