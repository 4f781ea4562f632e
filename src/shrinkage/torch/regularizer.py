"""Penalties bound to the parameters of one model."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from shrinkage.penalties import Penalty
from shrinkage.torch.attaching.attachment import Attachment
from shrinkage.torch.auditing import table
from shrinkage.torch.binding.bound_model import BoundModel
from shrinkage.torch.binding.checkpoint_records import load_state, save_state
from shrinkage.torch.binding.checks import check_penalty
from shrinkage.torch.binding.clipping import clip_grad_norm_
from shrinkage.torch.binding.regularized import Regularized
from shrinkage.torch.binding.target import make_target
from shrinkage.torch.facts.own_step import Metric
from shrinkage.torch.models.selector_names import On
from shrinkage.torch.schedules import Schedule, check_schedule
from shrinkage.user_warning import warn_user


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
    >>> state = regularizer.state_dict()  # to be saved with those of model and optimizer
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
        It acts once for each ``backward()``: under gradient accumulation over n micro-batches n
        times a step, unless the loop divides the loss by n. Divide ``penalty()`` too, or attach it
        as "coupled". transformers' Trainer does not divide a loss that counts its own items: inside
        its ``compute_loss`` the division is yours to write.

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

    def table(self) -> list[table.Row]:
        """What each parameter of the model gets, and why; `print(regularizer)` shows it.

        >>> from shrinkage import L1
        >>> [(row.parameter, row.penalty) for row in Regularizer(nn.Linear(2, 1), L1(0.1)).table()]
        [('weight', 'L1(lam=0.1)'), ('bias', 'none: bias')]
        """
        return table.rows(self.bound)

    def attach(
        self,
        optimizer: Optimizer,
        how: str,
        *,
        scale: str | None = None,
        schedule: Schedule | None = None,
        metric: Metric | None = None,
        max_norm: float | None = None,
        target: float | Mapping[str, float] | None = None,
        target_start: int | None = None,
        target_steps: int | None = None,
        target_floor: float | None = None,
    ) -> Attachment:
        """Make every step of `optimizer` apply the penalty; see `Attachment`.

        Parameters
        ----------
        optimizer : torch.optim.Optimizer
            It must hold every penalized parameter that is not frozen. Wrappers of accelerate and
            Lightning are looked through; others (Lookahead, SAM) are refused.
        how : {"coupled", "decoupled", "proximal"}
            "coupled": ∂Ω is added to the gradients before the step; the same numbers as "loss",
            without a graph. "decoupled": outside the optimizer's arithmetic, by `scale`.
            "proximal": a prox after the step, in the optimizer's own metric; exact zeros.
        scale : {"lr", "schedule", "none"}, default "lr"
            For "decoupled": multiply strengths by the learning rate (as torch does), by lr/lr₀ (as
            Loshchilov and Hutter do), or by nothing.
        schedule : callable, optional
            As for `Regularizer`; takes the place of the one given there.
        metric : "measured" or callable, optional
            For "proximal" under an unknown optimizer: "measured" from its moves, or a function
            (optimizer, group, parameter) → its own step, a number or a tensor of its shape.
        max_norm : float, optional
            Above 0: each step first clips the gradients of all parameters of `optimizer` to this
            norm, and the strength with them, as `clip_grad_norm_` does; in place of all other
            clipping, a framework's too.
        target : float or a mapping of patterns to floats, optional
            For "proximal": the share of exact zeros to arrive at, between 0 and 1, over everything
            penalized or for each pattern of names; for penalties on groups the share of groups.
            Between the steps `target_start` and `target_start + target_steps` it rises as
            ``target·(1 − (1 − p)³)`` with p from 0 to 1. Nothing acts before; after it the zeros
            are held, as by `hold_zeros`. Under `L0` and `GroupL0` each step sets exactly so many
            to 0, those of least ``w²/s`` by the optimizer's own step s, and shrinks no other.
            Under other penalties each step sets the smallest to 0 too, and the strength is steered:
            it is the least one that holds these zeros. `factor` is the strength found.
        target_start, target_steps : int
            Steps that move what the share is of, from now on; `target_start` is 0 by default.
        target_floor : float, optional
            The share of each layer that stays. Default: 0.02 of its entries or a fifth of
            ``1 − target``, 0.1 of its groups or half of that, the smaller one; at least one.

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
        From now on the optimizer's `state_dict` holds the regularizer, which resumes when that is
        loaded, before attach() or after it. (Flattened states of `torch.distributed.checkpoint`
        must be loaded after it.)
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
            target=make_target(target, target_start, target_steps, target_floor),
        )

    clip_grad_norm_ = staticmethod(clip_grad_norm_)

    def detach(self) -> None:
        """Take the penalty off the optimizer, and a schedule that came with `attach`."""
        if self.bound.host is not None:
            self.bound.host.detach()

    def step(self) -> None:
        """Count a step and let the schedule set the factor, under how="loss"; once a step.

        While attached, the optimizer's own steps count.
        """
        if self.bound.host is not None:
            warn_user(
                "the optimizer's steps count already while the penalty is attached: step() counts "
                "one twice; leave it out",
            )
        self.bound.advance()

    def reset(self) -> None:
        """Start again, as for a second training.

        The count of steps is 0, a schedule sets its first factor (one set by hand stays),
        ``Toward("start")`` starts from the weights at the next step, momentum buffers are full.

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
        return save_state(self.bound)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict`; warns where the penalties are not those that were saved.

        Raises
        ------
        ValueError
            If it was made by something else; nothing is changed then.
        """
        self.bound.refresh()
        load_state(self.bound, state)

    def __getstate__(self) -> dict[str, Any]:
        """A copy has bindings of its own, which are attached to nothing."""
        return {**self.__dict__, "bound": copy.copy(self.bound)}

    def __repr__(self) -> str:
        return table.as_text(self.bound)

    def _repr_html_(self) -> str:
        return table.as_html(self.bound)
