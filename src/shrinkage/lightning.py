"""A callback for Lightning's Trainer: ``Trainer(callbacks=[RegularizerCallback("l1:1e-4")])``.

The Trainer may be that of ``lightning`` or that of ``pytorch_lightning``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch.optim import Optimizer

from shrinkage.callback_base import (
    Penalties,
    attach,
    check_layout,
    check_settings,
    end,
    hold_when_due,
    measure,
    warn_if_not_held,
)
from shrinkage.torch import Regularizer
from shrinkage.torch.binding.checkpoint import KEY
from shrinkage.torch.facts.own_step import Metric
from shrinkage.torch.models.selector_names import On
from shrinkage.torch.schedules import Schedule

try:
    from lightning.pytorch import Callback, LightningModule, Trainer
except ImportError:
    try:
        from pytorch_lightning import Callback, LightningModule, Trainer
    except ImportError as error:
        raise ImportError(
            f"shrinkage.lightning needs Lightning: pip install lightning ({error})"
        ) from error


class RegularizerCallback(Callback):
    """Apply a penalty at every step of an optimizer, from the beginning of ``fit`` to its end.

    It attaches when the optimizers exist, takes over the Trainer's ``gradient_clip_val`` (so that
    clipping does not change the strength), counts the optimizer's steps, and lets go at the end: a
    second fit, a tuner and a learning-rate finder find everything as it was. Checkpoints hold it in
    the optimizer's own state, and ``ckpt_path`` resumes it.

    Parameters
    ----------
    penalty : str, Penalty, mapping or callable
        A text such as "l1:1e-4" (also in LightningCLI's YAML), a penalty such as ``L1(1e-4)``, a
        mapping of patterns to these, or a function from the module to one of them, as ``lambda
        module: {unit: GroupL0(1.0) for unit in neurons(module)}``. As patterns "heads" and
        "neurons" stand for the units that `heads` and `neurons` of `shrinkage.torch` find.
    how : {"proximal", "coupled", "decoupled"}, default "proximal"
        As for `Regularizer.attach`; only "proximal" makes zeros under every optimizer.
    on : default "weights"
        Which parameters a single penalty is for, as for `Regularizer`: "weights", a pattern such as
        "encoder.*", "heads", "neurons", or several of these in a list.
    lam : float, optional
        The strength of the terms of a text that state none, as in ``("l1", lam=1e-4)``.
    optimizer : int or str, optional
        Which of several optimizers: its place in what ``configure_optimizers`` returns, or the name
        of its class.
    scale, metric, schedule, target, target_start, target_steps, target_floor
        As for `Regularizer.attach`. A target without `target_steps` makes its zeros over a third of
        the training. It starts at `target_start`; where neither is given, at a sixth of it.
    hold_zeros_at : int, optional
        From this step of the optimizer on, what is 0 stays 0, and the rest is trained on without
        the penalty.
    name : str, default "regularizer"
        Before the names of what is logged, every ``log_every_n_steps`` steps and at the end of each
        epoch: "regularizer/penalty" (Ω), "regularizer/zeros" (the share of exact zeros),
        "regularizer/dead_groups" and "regularizer/factor" (by which strengths are multiplied).

    Attributes
    ----------
    regularizer : Regularizer or None
        The one of the last fit, for ``sparsity()`` or ``copy_zeros_to(average)``.

    Raises
    ------
    TypeError, ValueError
        Here for what is no penalty; when fit begins, for an optimizer that is not there, for one
        that has a penalty already, and for all else that `Regularizer.attach` refuses.

    Notes
    -----
    Under manual optimization Lightning clips nothing by itself: in the place of
    ``self.clip_gradients`` write ``callback.regularizer.clip_grad_norm_(parameters, 1.0)``.

    Examples
    --------
    >>> import lightning
    >>> import torch
    >>> from shrinkage.lightning import RegularizerCallback
    >>> class Module(lightning.LightningModule):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.layer = torch.nn.Linear(4, 1)
    ...
    ...     def training_step(self, batch, number):
    ...         return self.layer(batch).square().mean()
    ...
    ...     def configure_optimizers(self):
    ...         return torch.optim.Adam(self.parameters(), lr=0.1)
    >>> callback = RegularizerCallback("l1:10")
    >>> trainer = lightning.Trainer(
    ...     max_epochs=30, callbacks=[callback], gradient_clip_val=1.0, accelerator="cpu",
    ...     logger=False, enable_checkpointing=False, enable_progress_bar=False,
    ...     enable_model_summary=False,
    ... )
    >>> module = Module()
    >>> trainer.fit(module, torch.utils.data.DataLoader(torch.randn(8, 4), batch_size=8))
    >>> module.layer.weight.tolist()
    [[0.0, 0.0, 0.0, 0.0]]
    >>> callback.regularizer.sparsity().share
    1.0
    """

    def __init__(
        self,
        penalty: Penalties,
        how: str = "proximal",
        on: On | None = None,
        *,
        lam: float | None = None,
        optimizer: int | str | None = None,
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
        self.optimizer = optimizer
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
        self._clip_val: float | None = None  # the Trainer's, while it is taken over
        self._measured_at = 0  # the Trainer's step
        check_settings(self)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Attach to the optimizer, which a checkpoint is loaded into after this."""
        check_layout(trainer.strategy.model)
        optimizer = self._choose(trainer.optimizers)
        max_norm = self._clipping_of(trainer)
        steps = None
        if self.target is not None:
            # A trainer that fits again goes on counting, with a new optimizer.
            made = 0 if trainer.ckpt_path else trainer.global_step
            steps = max(trainer.estimated_stepping_batches - made, 1)
        self.regularizer = attach(
            self, pl_module, optimizer, max_norm=max_norm, training_steps=steps
        )
        if max_norm is not None:
            self._clip_val, trainer.gradient_clip_val = trainer.gradient_clip_val, None
        self._measured_at = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Hold the zeros of a checkpoint that comes after `hold_zeros_at`."""
        if self.regularizer is not None:
            hold_when_due(self, self.regularizer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, *outputs_and_batch: Any
    ) -> None:
        """Hold the zeros when it is time, and log."""
        if self.regularizer is None:
            return
        hold_when_due(self, self.regularizer)
        step, every = trainer.global_step, trainer.log_every_n_steps
        if every and step % every == 0 and step > self._measured_at:
            self._measured_at = step
            self._log(pl_module, on_step=True, on_epoch=False)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log, for what watches the epochs."""
        self._log(pl_module, on_step=False, on_epoch=True)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Warn if the training was too short for its target, or for `hold_zeros_at`."""
        if self.regularizer is not None and trainer.is_global_zero:
            warn_if_not_held(self, self.regularizer)

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Let go, as at the end."""
        self._end(trainer)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Take the penalty off the optimizer, and give the Trainer its clipping back."""
        self._end(trainer)

    def _end(self, trainer: Trainer) -> None:
        if self._clip_val is not None:
            trainer.gradient_clip_val, self._clip_val = self._clip_val, None
        host = None if self.regularizer is None else self.regularizer.bound.host
        if self.regularizer is None or host is None:
            return
        groups = host.optimizer.param_groups
        records = [(group, str(group[KEY])) for group in groups if KEY in group]
        states = [(state, dict(state)) for state in host.optimizer.state.values()]
        end(self.regularizer)
        for group, record in records:  # for a `save_checkpoint` after the end
            group[KEY] = record
        for state, before in states:  # with the starts and what is measured
            state.update(before)

    def _log(self, pl_module: LightningModule, *, on_step: bool, on_epoch: bool) -> None:
        if self.regularizer is not None:
            numbers = {f"{self.name}/{key}": x for key, x in measure(self.regularizer).items()}
            # All processes measure the same; Lightning warns of what it is not told to average.
            pl_module.log_dict(
                numbers, on_step=on_step, on_epoch=on_epoch, sync_dist=on_epoch, batch_size=1
            )

    def _choose(self, optimizers: list[Optimizer]) -> Optimizer:
        """The optimizer that `optimizer` names.

        Raises
        ------
        ValueError
        """
        names = [type(optimizer).__name__ for optimizer in optimizers]
        listed = ", ".join(f"{place}: {name}" for place, name in enumerate(names)) or "none"
        chosen = self.optimizer
        if isinstance(chosen, str):
            places = [place for place, name in enumerate(names) if name == chosen]
        elif chosen is not None:
            places = [place for place in range(len(names)) if place == chosen]
        else:
            places = list(range(len(names)))
        if len(places) == 1:
            return optimizers[places[0]]
        if chosen is None and places:
            raise ValueError(
                f"this module has several optimizers ({listed}): say which by optimizer=0, and by "
                "on= which of its parameters; another one takes a callback of its own"
            )
        what = "names several of" if places else "is none of"
        raise ValueError(f"optimizer={chosen!r} {what} the module's optimizers ({listed})")

    def _clipping_of(self, trainer: Trainer) -> float | None:
        """The norm to which the Trainer clips, to be clipped to in its place.

        Raises
        ------
        ValueError
            If it clips single values, with which no strength can be scaled.
        """
        clip_val = trainer.gradient_clip_val
        if not clip_val:
            return None
        if trainer.gradient_clip_algorithm == "value":
            if self.how == "decoupled":
                return None
            raise ValueError(
                'gradient_clip_algorithm="value" turns the gradient, so that no strength goes with '
                'it: use "norm", or how="decoupled"'
            )
        return float(clip_val)
