"""What SGD and Adam have in common as optimizers with the penalty inside."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable, Sequence
from threading import RLock
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch._compile import _disable_dynamo
from torch.optim import Optimizer
from torch.optim.optimizer import (
    _global_optimizer_post_hooks,
    _global_optimizer_pre_hooks,
    _use_grad_for_differentiable,
)

from shrinkage.kernels.how import Kind
from shrinkage.penalties import Penalty
from shrinkage.torch.attaching.checks import (
    beside_weight_decay,
    check_free,
    check_holds,
    warn_of_division,
)
from shrinkage.torch.attaching.hooks import is_initializing
from shrinkage.torch.binding.carrying import take_up
from shrinkage.torch.binding.clip_watch import ClipWatch
from shrinkage.torch.binding.clipping import (
    SelfClipping,
    check_group_has_no_norm,
    scales_strength,
    spend,
)
from shrinkage.torch.binding.records import keep_starts
from shrinkage.torch.facts.own_step import Group, OwnStep, check_group
from shrinkage.torch.facts.weight_decay import own_decay
from shrinkage.torch.fused.engine import OnePass, check_memory
from shrinkage.torch.fused.host import Tie
from shrinkage.torch.fused.parameters import (
    Entry,
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
from shrinkage.torch.fused.reference import by_torch
from shrinkage.torch.fused.statistics import Statistics, statistics
from shrinkage.torch.regularizer import Regularizer

KEPT = ("penalty", "how", "scale", "first_lr")  # of a group, where a torch state_dict has none
OPTIONS = ("penalty", "how", "scale", "compile")
WATCHED = (
    "penalty inside",
    "optimizer.max_norm = {:.4g}",
    11,
)  # what clipping by others does not reach


class Inside(SelfClipping, Optimizer):
    """A torch optimizer with the penalty inside; `SGD` and `Adam` say what their own step is.

    It is `Stepped` by compiled loops, and by torch operations where these do not fit.
    """

    _counts: ClassVar[str]  # what counts steps in its state
    _pass: OnePass | None = None
    _made_from: object = None
    _has_warned = False  # of its own decay beside the penalty
    _is_at_risk = False  # has a penalty that must be clipped together with gradients
    _held: Sequence[object] = ()  # by `_made_from`, which has their ids

    @abstractmethod
    def _names(self, group: Group) -> tuple[str, ...]: ...

    @abstractmethod
    def _kind(self, entry: Entry) -> Kind: ...

    @abstractmethod
    def _prepare(self, entry: Entry) -> None: ...

    def _count(self, entry: Entry) -> None:
        """A step more in the state, where torch's own function counts none."""

    def _see_empty(self) -> None:
        """After torch has made the state by a step of zeros."""

    @abstractmethod
    def _numbers(self, entry: Entry) -> dict[str, float]: ...

    @abstractmethod
    def _own_step(self, group: Group, state: dict[str, Any]) -> OwnStep:
        """How far it moves an entry for each unit of its gradient."""

    @abstractmethod
    def _step_by_torch(
        self, entries: Sequence[Entry], weights: list[Tensor], gradients: list[Tensor]
    ) -> None:
        """torch's own function for the parameters of one group, whose state is there."""

    def _begin(self, penalty: Any, how: str, scale: str, compile: bool) -> None:
        """Before torch's own beginning, which adds the groups."""
        self._options = {"penalty": penalty, "how": how, "scale": scale, "compile": compile}
        self._lock, self._watch = RLock(), ClipWatch(*WATCHED)

    def _end(self, max_norm: float | None) -> None:
        """After it: what needs all groups."""
        self.defaults.update(self._options)
        self.max_norm = max_norm
        differentiates = any(group["differentiable"] for group in self.param_groups)
        if self.max_norm is not None and differentiates:
            raise ValueError(
                f"max_norm={max_norm:g} with differentiable=True: no gradient leads through "
                "clipping; clip in your own code"
            )
        self._step_supports_amp_scaling = False  # torch's scaler unscales, and skips steps
        self._sorted()

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
                check_entry(entry, self)
        except Exception:
            self.param_groups.pop()
            raise

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
        return self._watched_step(closure) if self._is_watched() else self._step(closure)

    # torch would wrap it in what _watched_step has, which takes longer than stepping a small model.
    step.hooked = True  # type: ignore[attr-defined]

    def _is_watched(self) -> bool:
        """Whether hooks or a profiler follow the steps."""
        return bool(
            self._optimizer_step_pre_hooks
            or self._optimizer_step_post_hooks
            or _global_optimizer_pre_hooks
            or _global_optimizer_post_hooks
            or torch._C._autograd._profiler_enabled()
        )

    def _step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self._step_once()
        return loss

    @_disable_dynamo  # a compiled training step goes on around it
    def _step_once(self) -> None:
        with self._lock:  # several threads may step it, one after the other
            try:
                self._step_all()
            except BaseException:
                if self._pass is not None:
                    self._forget_unused_state(self._pass.entries)
                raise

    def _step_all(self) -> None:
        regularizers = self._regularizers()
        for regularizer in regularizers:
            regularizer._begin_step()
        initializes = is_initializing(self)
        for group in self.param_groups:
            if group["penalty"] is not None and group["how"] == "proximal":
                check_group(self, group)
        taken = self._sorted(regularizers)
        self._clip_gradients(taken.entries)
        rest = without_penalties(taken.entries) if initializes else taken.step(self)
        if rest:
            self._step_rest(rest)
        spend(entry.parameter for entry in taken.entries if entry.penalty is not None)
        for regularizer in regularizers:
            keep_starts(regularizer, self)
            if not initializes:
                regularizer._advance()
        if initializes:
            self._see_empty()

    def _clip_gradients(self, entries: Sequence[Entry]) -> None:
        """See now and then whether somebody else clipped, and clip what has its memory."""
        looks = self._is_at_risk and self._watch.comes_to_look()
        if looks or self.max_norm is not None:
            for entry in entries:
                check_memory(self, entry)
        if looks:
            self._watch.look(self)
        self._clip()

    _watched_step = Optimizer.profile_hook_step(_step)

    @_use_grad_for_differentiable
    def _step_rest(self, entries: Sequence[Entry]) -> None:
        """Step what no compiled loop can."""
        by_torch(self, entries)

    def _forget_unused_state(self, entries: Sequence[Entry]) -> None:
        """After a step that broke off: state that was made for it, and that no step has used."""
        for entry in entries:
            if entry.begins:
                entry.begins = False
                state = self.state[entry.parameter]
                for name in (*self._names(entry.group), self._counts):
                    state.pop(name, None)

    def statistics(self) -> Statistics:
        """What the last step left: Ω, Σ|w|, Σw², exact zeros, and groups that are zero whole.

        Of penalized parameters that are not frozen. Summed up by the step itself, where it is one
        pass over memory; otherwise now, and so is Ω where it is no sum of absolute values and
        squares.
        """
        with self._lock:
            return statistics(self._sorted())

    def state_dict(self) -> dict[str, Any]:
        """As torch's own, which loads it, and this one torch's; penalties travel as text.

        In place of one without a text form, and of a `Regularizer`, stands None: on loading, the
        present one stays. A `Regularizer`'s step, factor and starts travel along.
        """
        packed: dict[str, Any] = super().state_dict()
        packed["param_groups"] = [as_text(group) for group in packed["param_groups"]]
        return packed

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As torch; penalties come back from their text, or stay where it holds none.

        A `Regularizer` stays in any case and goes on from what was saved. What differs from what
        was saved is warned of.
        """
        present = [{key: group[key] for key in KEPT} for group in self.param_groups]
        state_dict = with_penalties(state_dict, self._options)
        super().load_state_dict(state_dict)
        for group, kept in zip(self.param_groups, present, strict=True):
            keep_penalty(group, kept)
            read_options(group)
        restore_precision(self, state_dict)
        self._pass = None

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._options = {option: self.defaults[option] for option in OPTIONS}
        self._lock, self._watch = RLock(), ClipWatch(*WATCHED)
        self._pass = None

    def _sorted(self, regularizers: Sequence[Regularizer] | None = None) -> OnePass:
        """The present parameters and penalties, sorted anew where groups or penalties changed."""
        regularizers = self._regularizers() if regularizers is None else regularizers
        held: list[object] = [group["penalty"] for group in self.param_groups]
        held += [*self.param_groups, *[one.bindings for one in regularizers]]
        options = [
            (group["how"], self._names(group), is_plain(group), [*map(id, group["params"])])
            for group in self.param_groups
        ]
        made_from = [*map(id, held)], options
        if self._pass is None or made_from != self._made_from:
            self._take_in()
            self._pass = OnePass(entries_of(self.param_groups))
            for entry in self._pass.entries:
                check_entry(entry, self)
            self._made_from, self._held = made_from, held
        return self._pass

    def _take_in(self) -> None:
        """Tie to this optimizer the regularizers that are new in it, and let go of those gone."""
        for group in self.param_groups:
            read_options(group)
        present = self._regularizers()
        for one in self._held:
            tie = one._attachment if isinstance(one, Regularizer) else None
            if one not in present and isinstance(tie, Tie) and tie.is_to(self):
                tie.end()
        for regularizer in present:
            if not (
                isinstance(regularizer._attachment, Tie) and regularizer._attachment.is_to(self)
            ):
                check_free(regularizer, self)
                warn_of_division(regularizer, Tie(regularizer, self).how, stacklevel=6)
            check_holds(regularizer, self)
        if present:
            take_up(self)
        self._warn_of_weight_decay()
        self._is_at_risk = any(
            group["penalty"] is not None and scales_strength(self, group["how"], group["scale"])
            for group in self.param_groups
        )

    def _warn_of_weight_decay(self) -> None:
        """Once for an optimizer whose own decay acts on what has a penalty inside."""
        if self._has_warned:
            return
        for group in self.param_groups:
            decay, penalty = own_decay(self, group), group["penalty"]
            named = penalty.named_parameters() if isinstance(penalty, Regularizer) else []
            reached = {id(parameter) for _, parameter in named}
            is_reached = penalty is not None and (
                isinstance(penalty, Penalty)
                or any(id(parameter) in reached for parameter in group["params"])
            )
            if decay.strength and is_reached:
                self._has_warned = True
                where = "penalty inside"
                said = beside_weight_decay(self, decay.strength, decay.joins_gradient, where)
                warnings.warn(said, stacklevel=6)
                return

    def _regularizers(self) -> list[Regularizer]:
        found = [group["penalty"] for group in self.param_groups]
        return list(dict.fromkeys([one for one in found if isinstance(one, Regularizer)]))
