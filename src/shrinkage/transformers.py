"""A callback for transformers' Trainer: ``Trainer(..., callbacks=[RegularizerCallback(...)])``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from torch import nn
from torch.optim import Optimizer

from shrinkage.callback_base import (
    Penalties,
    attach,
    check_settings,
    end,
    hold_when_due,
    measure,
    warn_if_not_held,
)
from shrinkage.torch import Regularizer
from shrinkage.torch.facts.own_step import Metric
from shrinkage.torch.models.selector_names import On
from shrinkage.torch.schedules import Schedule

try:
    from transformers import (
        TrainerCallback,
        TrainerControl,
        TrainerState,
        TrainingArguments,
    )
    from transformers.trainer_callback import CallbackHandler
except ImportError as error:
    raise ImportError(
        "shrinkage.transformers needs transformers and accelerate: "
        f"pip install transformers accelerate ({error})"
    ) from error


class RegularizerCallback(TrainerCallback):
    """Apply a penalty at every step of the Trainer's optimizer.

    It attaches as the training begins, takes over ``max_grad_norm`` (so that clipping does not
    change the strength), counts the optimizer's steps, and lets go at the end. Checkpoints hold it
    in the optimizer's own state, and ``resume_from_checkpoint`` resumes it.

    Parameters
    ----------
    penalty : str, Penalty, mapping or callable
        A text such as "l1:1e-4", a penalty such as ``L1(1e-4)``, a mapping of patterns to these,
        or a function from the model to one of them. A single one is for the weights: no biases and
        no norms. As patterns "heads" and "neurons" stand for the units that
        the model's modules and configuration tell: ``{"heads": "group_lasso:1e-3", "neurons":
        "group_lasso:1e-3"}``.
    how : {"proximal", "coupled", "decoupled"}, default "proximal"
        As for `Regularizer.attach`; only "proximal" makes zeros under every optimizer.
    on : default "weights"
        Which parameters a single penalty is for, as for `Regularizer`: a pattern such as
        "bert.encoder.*", "heads", "neurons", or several of these in a list.
    lam : float, optional
        The strength of the terms of a text that state none, as in ``("l1", lam=1e-4)``.
    scale, metric, schedule, target, target_start, target_steps, target_floor
        As for `Regularizer.attach`. A target without `target_steps` makes its zeros over a third of
        the training. It starts at `target_start`; where neither is given, at a sixth of it.
    hold_zeros_at : int, optional
        From this step of the optimizer on, what is 0 stays 0, and the rest is trained on without
        the penalty.
    name : str, default "regularizer"
        Before the names of what joins the Trainer's logs, when it logs its loss:
        "regularizer_penalty" (Ω), "regularizer_zeros" (the share of exact zeros),
        "regularizer_dead_groups" and "regularizer_factor" (by which strengths are multiplied).

    Attributes
    ----------
    regularizer : Regularizer or None
        The one of the last training, for ``sparsity()``.

    Raises
    ------
    TypeError, ValueError
        Here for what is no penalty; when the training begins, for an optimizer that has a penalty
        already, and for all else that `Regularizer.attach` refuses.

    Examples
    --------
    >>> import torch
    >>> from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments
    >>> from shrinkage.transformers import RegularizerCallback
    >>> config = GPT2Config(n_layer=1, n_head=2, n_embd=8, vocab_size=11, n_positions=8,
    ...                     bos_token_id=0, eos_token_id=0)
    >>> callback = RegularizerCallback("group_lasso:0.1", on=["heads", "neurons"])
    >>> text = torch.arange(8)
    >>> trainer = Trainer(
    ...     GPT2LMHeadModel(config),
    ...     TrainingArguments(max_steps=2, logging_steps=2, learning_rate=0.1, report_to="none",
    ...                       save_strategy="no", use_cpu=True),
    ...     train_dataset=[{"input_ids": text, "labels": text}],
    ...     callbacks=[callback],
    ... )
    >>> _ = trainer.train()
    {'loss': ..., 'regularizer_zeros': '1', 'regularizer_dead_groups': '34', ...}
    {'train_runtime': ...}
    """

    def __init__(
        self,
        penalty: Penalties,
        how: str = "proximal",
        on: On | None = None,
        *,
        lam: float | None = None,
        scale: str | None = None,
        metric: Metric | None = None,
        schedule: Schedule | None = None,
        target: float | Mapping[str, float] | None = None,
        target_start: int | None = None,
        target_steps: int | None = None,
        target_floor: float | None = None,
        hold_zeros_at: int | None = None,
        name: str = "regularizer",
    ) -> None:
        self.penalty = penalty
        self.how = how
        self.on = on
        self.lam = lam
        self.scale = scale
        self.metric = metric
        self.schedule = schedule
        self.target = target
        self.target_start = target_start
        self.target_steps = target_steps
        self.target_floor = target_floor
        self.hold_zeros_at = hold_zeros_at
        self.name = name
        self.regularizer: Regularizer | None = None
        self._clipped: tuple[TrainingArguments, float] | None = None  # while it is taken over
        check_settings(self)

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        *,
        model: nn.Module,
        optimizer: Optimizer,
        **others: Any,
    ) -> None:
        """Attach to the optimizer, which may hold what a checkpoint has brought."""
        self._end()  # a training that an error has ended is told no end
        max_norm = args.max_grad_norm or None
        self.regularizer = attach(
            self, model, optimizer, max_norm=max_norm, training_steps=state.max_steps
        )
        if max_norm is not None:
            self._clipped = (args, args.max_grad_norm)
            args.max_grad_norm = 0.0
        hold_when_due(self, self.regularizer)
        _put_first(self)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **others: Any
    ) -> None:
        """Hold the zeros when it is time."""
        if self.regularizer is not None:
            hold_when_due(self, self.regularizer)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        *,
        logs: dict[str, float],
        **others: Any,
    ) -> None:
        """Add to the logs of the training, and to the Trainer's history of them."""
        if self.regularizer is None or "loss" not in logs:
            return
        numbers = {f"{self.name}_{key}": x for key, x in measure(self.regularizer).items()}
        logs.update(numbers)
        if state.log_history:
            state.log_history[-1].update(numbers)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **others: Any
    ) -> None:
        """Take the penalty off the optimizer, and give the Trainer its clipping back.

        A training that was too short for its target, or for `hold_zeros_at`, is warned of.
        """
        if self.regularizer is not None and state.is_world_process_zero:
            warn_if_not_held(self, self.regularizer)
        self._end()

    def _end(self) -> None:
        if self._clipped is not None:
            args, max_norm = self._clipped
            args.max_grad_norm, self._clipped = max_norm, None
        if self.regularizer is not None:
            end(self.regularizer)


def _put_first(callback: TrainerCallback) -> None:
    """Put it before the Trainer's own callbacks, which then see what `on_log` adds.

    The reporters to TensorBoard and others come before a user's callbacks, and no callback is told
    of the handler that calls them all.
    """
    handler = sys._getframe(2).f_locals.get("self")
    if isinstance(handler, CallbackHandler):
        rest = [other for other in handler.callbacks if other is not callback]
        handler.callbacks = [callback, *rest]  # another list: the handler is going through this one
