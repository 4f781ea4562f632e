"""A callback for skorch's nets: ``callbacks=[("regularizer", RegularizerCallback("l1:1e-4"))]``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

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
    from skorch import NeuralNet
    from skorch.callbacks import Callback, GradientNormClipping
except ImportError as error:
    raise ImportError(f"shrinkage.skorch needs skorch: pip install skorch ({error})") from error


class RegularizerCallback(Callback):
    """Apply a penalty at every step of a net's optimizer, and record the zeros in its history.

    It attaches as a training begins and stays with that optimizer: ``partial_fit`` goes on, ``fit``
    begins anew. ``net.save_params(f_optimizer=...)`` saves it, and ``load_params`` resumes it.

    Parameters
    ----------
    penalty : str, Penalty, mapping or callable
        A text such as "l1:1e-4", a penalty such as ``L1(1e-4)``, a mapping of patterns to these,
        or a function from the module to one of them. As patterns "heads" and "neurons" stand for
        the units that `heads` and `neurons` of `shrinkage.torch` find.
    how : {"proximal", "coupled", "decoupled"}, default "proximal"
        As for `Regularizer.attach`; only "proximal" makes zeros under every optimizer.
    on : default "weights"
        Which parameters a single penalty is for, as for `Regularizer`: a pattern such as
        "hidden.*", "neurons", or several of these in a list.
    lam : float, optional
        The strength of the terms of a text that state none, as in ``("l1", lam=1e-4)``: in a grid
        ``callbacks__regularizer__lam``.
    module, optimizer : str
        Their names in the net, where it has several.
    max_norm : float, optional
        Clip the gradients to this norm, and the strength with them: in the place of
        skorch's ``GradientNormClipping``.
    scale, metric, schedule, target, target_start, target_steps, target_floor
        As for `Regularizer.attach`.
    hold_zeros_at : int, optional
        From this step of the optimizer on, what is 0 stays 0, and the rest is trained on without
        the penalty.
    name : str, default ""
        Before the columns of the history: "penalty" (Ω), "zeros" (the share of exact zeros),
        "dead_groups" and "factor" (by which strengths are multiplied), after each epoch.

    Attributes
    ----------
    regularizer_ : Regularizer
        The one of the last training, for ``sparsity()`` or ``detach()``.

    Raises
    ------
    TypeError, ValueError
        When a training begins: for what is no penalty, for an optimizer that has one already, and
        for all else that `Regularizer.attach` refuses.

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skorch import NeuralNetClassifier
    >>> from shrinkage.skorch import RegularizerCallback
    >>> X, y = load_iris(return_X_y=True)
    >>> net = NeuralNetClassifier(
    ...     torch.nn.Linear, module__in_features=4, module__out_features=3,
    ...     criterion=torch.nn.CrossEntropyLoss, max_epochs=20, lr=0.1, verbose=0,
    ...     callbacks=[("regularizer", RegularizerCallback("l1"))],
    ... )
    >>> grid = {"callbacks__regularizer__lam": [1e-3, 10.0]}
    >>> search = GridSearchCV(net, grid, scoring="accuracy").fit(X.astype("float32"), y)
    >>> search.best_params_
    {'callbacks__regularizer__lam': 0.001}
    >>> net.set_params(callbacks__regularizer__lam=10.0).fit(X.astype("float32"), y).history[
    ...     -1, "zeros"]
    1.0
    """

    def __init__(
        self,
        penalty: Penalties,
        how: str = "proximal",
        on: On | None = None,
        *,
        lam: float | None = None,
        module: str = "module",
        optimizer: str = "optimizer",
        max_norm: float | None = None,
        scale: str | None = None,
        metric: Metric | None = None,
        schedule: Schedule | None = None,
        target: float | Mapping[str, float] | None = None,
        target_start: int | None = None,
        target_steps: int | None = None,
        target_floor: float | None = None,
        hold_zeros_at: int | None = None,
        name: str = "",
    ) -> None:
        self.penalty = penalty
        self.how = how
        self.on = on
        self.lam = lam
        self.module = module
        self.optimizer = optimizer
        self.max_norm = max_norm
        self.scale = scale
        self.metric = metric
        self.schedule = schedule
        self.target = target
        self.target_start = target_start
        self.target_steps = target_steps
        self.target_floor = target_floor
        self.hold_zeros_at = hold_zeros_at
        self.name = name

    def on_train_begin(self, net: NeuralNet, X: Any = None, y: Any = None, **others: Any) -> None:
        """Attach to the net's optimizer, or go on where it is attached already."""
        check_settings(self)
        module, optimizer = (_part_of(net, name) for name in (self.module, self.optimizer))
        regularizer = self._attached()
        if regularizer is not None:
            host = regularizer.bound.host
            if host is not None and host.optimizer is optimizer and regularizer.model is module:
                return
            end(regularizer)
        for name, callback in net.callbacks_:
            is_clipping = isinstance(callback, GradientNormClipping)
            if is_clipping and callback.gradient_clip_value and self.how != "decoupled":
                raise ValueError(
                    f"the callback {name!r} clips the gradients and not the strength: leave it out "
                    f"and give max_norm={callback.gradient_clip_value:g} to RegularizerCallback"
                )
        self.regularizer_ = attach(self, module, optimizer, max_norm=self.max_norm)
        hold_when_due(self, self.regularizer_)

    def on_batch_end(
        self, net: NeuralNet, batch: Any = None, training: bool | None = None, **others: Any
    ) -> None:
        """Hold the zeros when it is time."""
        if training:
            hold_when_due(self, self.regularizer_)

    def on_epoch_end(self, net: NeuralNet, **others: Any) -> None:
        """Record Ω, zeros, dead groups and the factor in the history."""
        for key, number in measure(self.regularizer_).items():
            net.history.record(f"{self.name}{key}", number)

    def on_train_end(self, net: NeuralNet, **others: Any) -> None:
        """Warn if a `fit` was too short for its target, or for `hold_zeros_at`.

        A `partial_fit` may be followed by others. Only the callers tell the two apart.
        """
        frame = sys._getframe(1)
        while frame.f_back is not None:
            if frame.f_code.co_name == "fit" and frame.f_locals.get("self") is net:
                warn_if_not_held(self, self.regularizer_)
                return
            frame = frame.f_back

    def set_params(self, **params: Any) -> RegularizerCallback:
        """Set arguments; a training after this begins anew with them.

        >>> callback = RegularizerCallback("l1", lam=1e-3).set_params(lam=1e-2)
        >>> callback.lam
        0.01
        """
        changes = any(vars(self).get(key) is not value for key, value in params.items())
        Callback.set_params(self, **params)
        regularizer = self._attached()
        if regularizer is not None and changes:
            end(regularizer)
        return self

    def _attached(self) -> Regularizer | None:
        return vars(self).get("regularizer_")


def _part_of(net: NeuralNet, name: str) -> Any:
    """The module or the optimizer of that name.

    Raises
    ------
    ValueError
    """
    part = vars(net).get(f"{name}_")
    if part is None:
        raise ValueError(f"the net has no {name}_: give the name that it has there, without the _")
    return part
