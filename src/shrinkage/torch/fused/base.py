"""The common base of SGD and Adam with the penalty inside.

`benchmarks/step.py`, the tiny model: the time of a step of five small tensors is spent in Python,
most of it here and in `batch`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import is_
from threading import RLock
from typing import Any, ClassVar

import torch
from torch.optim import Optimizer

from shrinkage.torch.binding.bound_model import BoundModel
from shrinkage.torch.binding.checkpoint_records import store_starts
from shrinkage.torch.binding.clip_watch import ClipWatch
from shrinkage.torch.binding.clipping import forget_clipping, is_any_clipped, scales_strength
from shrinkage.torch.binding.max_norm import SelfClipping, check_group_has_no_norm
from shrinkage.torch.facts.own_step import check_group
from shrinkage.torch.facts.special_steps import is_initializing
from shrinkage.torch.fused.engine import Engine, check_memory
from shrinkage.torch.fused.host import bind_hosts, bound_models, warn_of_weight_decay
from shrinkage.torch.fused.parameters import (
    as_text,
    check_entry,
    entries_of,
    is_plain,
    keep_penalty,
    read_options,
    restore_precision,
    with_penalties,
    without_penalties,
)
from shrinkage.torch.fused.reference import step_by_torch
from shrinkage.torch.fused.report import EngineReport
from shrinkage.torch.fused.rule import UpdateRule
from shrinkage.torch.fused.statistics import Statistics, statistics
from shrinkage.torch.private import is_watched, quiet_hooks, skip_compiling

KEPT = ("penalty", "how", "scale", "first_lr")  # of a group, where a torch state_dict has none
OPTIONS = ("penalty", "how", "scale", "compile")
# For `ClipWatch`: the words for what clipping by others misses, the remedy, and the caller's frame.
WATCHED = "penalty inside", "optimizer.max_norm = {:.4g}"


class FusedOptimizer(SelfClipping, Optimizer):
    """A torch optimizer with the penalty inside; its `rule` says what its own update is.

    It is stepped by compiled loops, and by torch operations where these do not fit.
    """

    rule: ClassVar[UpdateRule]
    has_penalty_in_groups = True
    _engine: Engine | None = None
    _built_from: object = None
    _has_warned = False  # whether it has warned of its own decay
    _watches_clipping = False  # has a penalty that must be clipped together with gradients
    _held: Sequence[object] = ()  # the objects whose ids are in `_built_from`
    _checked: Sequence[object] = ()  # what the groups held when their options were last checked

    def _set_options(self, penalty: Any, how: str, scale: str, compile: bool) -> None:
        """Store the options before torch's own `__init__`, which adds the groups."""
        self._options = {"penalty": penalty, "how": how, "scale": scale, "compile": compile}
        self._lock, self._watch = RLock(), ClipWatch(*WATCHED)

    def _check_groups(self, max_norm: float | None) -> None:
        """Check what depends on all groups, after torch's own `__init__`."""
        self.defaults.update(self._options)
        self.max_norm = max_norm
        differentiates = any(group["differentiable"] for group in self.param_groups)
        if self.max_norm is not None and differentiates:
            raise ValueError(
                f"max_norm={max_norm:g} with differentiable=True: no gradient leads through "
                "clipping; clip in your own code"
            )
        self._step_supports_amp_scaling = False  # torch's scaler unscales, and skips steps
        self._current_engine()

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """As in torch, with `penalty`, `how` and `scale` of the group's own where given."""
        check_group_has_no_norm(self, param_group)
        if isinstance(param_group, dict):
            for option, value in self._options.items():
                param_group.setdefault(option, value)
            read_options(param_group)
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        group.pop("max_norm", None)  # which torch takes from the defaults
        group.setdefault("first_lr", float(group["lr"]))
        try:
            for entry in entries_of([group]):
                check_entry(entry, self.rule.is_euclidean)
        except Exception:
            self.param_groups.pop()
            raise

    def penalty_of(self, group: dict[str, Any]) -> Any:
        """The group's own penalty, which may still be text."""
        return group["penalty"]

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step for every parameter that has a gradient.

        Parameters
        ----------
        closure : callable, optional
            Evaluates the loss and its gradients again.

        Returns
        -------
        What `closure` returns, or None.
        """
        if is_watched(self):
            return self._watched_step(closure)
        for hook in quiet_hooks.values():
            hook(self, (self, closure), {})
        return self._step(closure)

    # Keeps torch from wrapping it in the profiling of _watched_step, which slows small models down.
    step.hooked = True  # type: ignore[attr-defined]

    def _step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self._step_once()
        return loss

    @skip_compiling  # torch.compile leaves a gap in the compiled step here
    def _step_once(self) -> None:
        with self._lock:  # several threads may step it, one after the other
            try:
                self._step_all()
            except BaseException:
                if self._engine is not None:
                    self._engine.forget_unused_state(self.state)
                raise

    def _step_all(self) -> None:
        penalized = bound_models(self)
        for bound in penalized:
            bound.begin_step()
        initializes = is_initializing(self)
        engine = self._checked_engine(penalized)
        looks = self._watches_clipping and self._watch.is_due()
        if looks or self.defaults["max_norm"] is not None:
            for entry in engine.entries:
                check_memory(self.state, entry)
            if looks:
                self._watch.check(self)
            self._clip()
        left = without_penalties(engine.entries) if initializes else engine.step(self.state)
        if left:
            with torch.set_grad_enabled(self.defaults["differentiable"]):
                step_by_torch(self.rule, self.state, left, compiles=self.defaults["compile"])
        if is_any_clipped():
            penalized_entries = (entry for entry in engine.entries if entry.penalty is not None)
            forget_clipping(entry.parameter for entry in penalized_entries)
        for bound in penalized:
            store_starts(bound, self)
            if not initializes:
                bound.advance()
        if initializes:  # torch has made the state by a step of zeros, so every buffer is empty
            for state in self.state.values():
                if "momentum_share" in state:
                    state["momentum_share"].zero_()

    _watched_step = Optimizer.profile_hook_step(_step)

    def engine_report(self) -> EngineReport:
        """Say how each parameter is stepped and why: in one pass, or by torch operations.

        One pass is a compiled loop over weights, gradient and state that has the penalty inside; it
        serves dense tensors on a CPU. Torch operations serve all else, with the same results.

        Returns
        -------
        EngineReport
            A row for each parameter, as of now; it prints as a table.

        Examples
        --------
        >>> import torch
        >>> from shrinkage import L1
        >>> from shrinkage.torch import SGD
        >>> v = torch.nn.Parameter(torch.ones(3))
        >>> w = torch.nn.Parameter(torch.ones(3, dtype=torch.float16))
        >>> print(SGD([("v", v), ("w", w)], lr=0.1, penalty=L1(0.5)).engine_report())
        parameter  step              why
        v          one pass          sgd, proximal, float32
        w          torch operations  no loop for torch.float16
        """
        with self._lock:
            return self._current_engine().describe(self.state)

    def statistics(self) -> Statistics:
        """Ω, Σ|w|, Σw², exact zeros and all-zero groups after the last step.

        They are over penalized parameters that are not frozen. A step in one pass sums them up
        itself, except an Ω that is no sum of absolute values and squares; the others are summed
        now.

        >>> import torch
        >>> from shrinkage import L1
        >>> from shrinkage.torch import SGD
        >>> w = torch.nn.Parameter(torch.tensor([1.0, 0.02]))
        >>> w.grad = torch.zeros(2)
        >>> optimizer = SGD([w], lr=0.1, penalty=L1(0.5))
        >>> optimizer.step()
        >>> optimizer.statistics().zeros
        1
        """
        with self._lock:
            return statistics(self._current_engine())

    def state_dict(self) -> dict[str, Any]:
        """As torch's own, and each loads the other's; penalties are saved as text.

        A penalty without a text form and a `Regularizer` are saved as None: on loading, the present
        one stays. A `Regularizer`'s step, factor and starts are saved too.
        """
        packed: dict[str, Any] = super().state_dict()
        packed["param_groups"] = [as_text(group) for group in packed["param_groups"]]
        return packed

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As torch; penalties are parsed from their text, or stay where there is none.

        A `Regularizer` always stays and resumes from its saved state. A difference between the
        present and the saved penalty is warned of.
        """
        present = [{key: group[key] for key in KEPT} for group in self.param_groups]
        state_dict = with_penalties(state_dict, self._options)
        super().load_state_dict(state_dict)
        for group, kept in zip(self.param_groups, present, strict=True):
            keep_penalty(group, kept)
            read_options(group)
        restore_precision(self, state_dict)
        self._engine = None

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._options = {option: self.defaults[option] for option in OPTIONS}
        self._lock, self._watch = RLock(), ClipWatch(*WATCHED)
        self._engine = None

    def _checked_engine(self, penalized: Sequence[BoundModel]) -> Engine:
        """The engine for a step; options are read and checked only where an object is another."""
        present: list[object] = [bound.bindings for bound in penalized]
        for group in self.param_groups:
            # The engine reads numbers such as lr itself, in every step.
            present += group, *group["params"], *{**group, "lr": None}.values()
        engine, checked = self._engine, self._checked
        if engine is None or len(present) != len(checked) or not all(map(is_, present, checked)):
            for group in self.param_groups:
                if group["penalty"] is not None and group["how"] == "proximal":
                    check_group(self, group)
            engine = self._current_engine()
            # An option that is a tensor stays the same object where its number changes.
            self._checked = () if torch.Tensor in map(type, present) else present
        return engine

    def _current_engine(self) -> Engine:
        """The engine for the present parameters and penalties, rebuilt where these changed."""
        held: list[object] = [group["penalty"] for group in self.param_groups]
        held += [*self.param_groups, *[bound.bindings for bound in bound_models(self)]]
        options = [
            (
                group["how"],
                self.rule.state_names(group),
                is_plain(group),
                [*map(id, group["params"])],
            )
            for group in self.param_groups
        ]
        built_from = [*map(id, held)], options
        if self._engine is None or built_from != self._built_from:
            self._checked = ()
            self._read_penalties()
            self._engine = Engine(self.rule, entries_of(self.param_groups))
            for entry in self._engine.entries:
                check_entry(entry, self.rule.is_euclidean)
            self._built_from, self._held = built_from, held
        return self._engine

    def _read_penalties(self) -> None:
        """Parse the penalties of all groups, and note what follows from them."""
        for group in self.param_groups:
            read_options(group)
        bind_hosts(self, self.rule, self._held)
        self._has_warned = self._has_warned or warn_of_weight_decay(self)
        self._watches_clipping = any(
            group["penalty"] is not None
            and scales_strength(group["how"], group["scale"], is_sgd=self.rule.is_euclidean)
            for group in self.param_groups
        )
