"""Save regularizers in the `state_dict` of the optimizer that steps their parameters.

Frameworks save only a model and its optimizer. So each parameter group with penalized parameters
has one more key, which is restored with the optimizer's state. Its value is text (JSON), which
passes through ``torch.load(weights_only=True)`` and through `torch.distributed.checkpoint`, which
flattens nested values. The key is present from `attach` on, because a flattened distributed
checkpoint restores only keys that the groups already have. References of ``Toward("start")`` are
tensors and are saved in the parameters' own state.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any

import torch
from torch.optim import Optimizer

from shrinkage.torch.binding.bound_model import BoundModel
from shrinkage.torch.binding.checkpoint_records import (
    Record,
    concerns,
    find_places,
    make_record,
    remove_starts,
    resume,
    state_of,
)
from shrinkage.user_warning import warn_user

KEY = "shrinkage"  # in a parameter group
CARRIER = "_shrinkage_carrier"  # attribute of an optimizer, which copies lose
FIELDS = {"step": int, "factor": float | int, "penalties": dict, "momentum": dict}
Lost = Callable[[], Iterable[str]]


class Carried:
    """The present records of a parameter group; copies and files get them as text."""

    def __init__(self, carrier: Carrier, waiting: list[Record]) -> None:
        self.carrier = carrier
        self.waiting = waiting  # loaded records whose regularizer is not attached yet

    def __str__(self) -> str:
        return json.dumps([*self.carrier.records(self), *self.waiting])

    __repr__ = __str__

    def __deepcopy__(self, memo: object) -> str:
        return str(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return codecs.encode, (str(self), "ascii")  # weights_only=True allows this


class Carrier:
    """The bound models that are saved with one optimizer, and the hooks that save them."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.bound_models: dict[BoundModel, Lost] = {}
        with ExitStack() as undo:
            undo.callback(optimizer.register_state_dict_post_hook(self._write_text).remove)
            undo.callback(optimizer.register_load_state_dict_post_hook(self._after_loading).remove)
            self.close = undo.pop_all().close

    def records(self, carried: Carried) -> list[Record]:
        """Make the records of the groups that hold this value."""
        numbered = enumerate(self.optimizer.param_groups)
        places = [(number, group) for number, group in numbered if group.get(KEY) is carried]
        records = [make_record(bound, *place) for bound in self.bound_models for place in places]
        return [record for record in records if record is not None]

    def resume_loaded(self) -> list[BoundModel]:
        """Read records loaded into the groups; return the bound models that resume from them."""
        groups = self.optimizer.param_groups
        for group, waiting in [(group, _read_records(group.get(KEY), self)) for group in groups]:
            if waiting is not None:
                group[KEY] = Carried(self, waiting)
        self.update_keys()
        return [bound for bound in self.bound_models if self._resume(bound)]

    def update_keys(self) -> None:
        """Keep the key in groups with penalized parameters or waiting records, and only there."""
        for group in self.optimizer.param_groups:
            if any(find_places(bound, group) for bound in self.bound_models):
                group.setdefault(KEY, Carried(self, []))
            elif KEY in group and not group[KEY].waiting:
                del group[KEY]

    def _resume(self, bound: BoundModel) -> bool:
        records = [
            (group, record)
            for group in self.optimizer.param_groups
            if KEY in group
            for record in group[KEY].waiting
            if concerns(record, bound, group)
        ]
        if records:
            resume(bound, self.optimizer, records)
        for group, record in records:
            group[KEY].waiting.remove(record)
        return bool(records)

    def _write_text(self, optimizer: Optimizer, state_dict: dict[str, Any]) -> dict[str, Any]:
        for group in state_dict["param_groups"]:
            if isinstance(group.get(KEY), Carried):
                group[KEY] = str(group[KEY])
        return state_dict

    def _after_loading(self, optimizer: Optimizer) -> None:
        went_on = self.resume_loaded()
        for bound, lost in self.bound_models.items():
            if bound not in went_on and not bound.momentum.is_restored:
                bound.momentum.buffers.clear()
                steps = _steps_shown(bound, optimizer)
                _warn_of_nothing_saved(bound, optimizer, lost, steps)


def carry(optimizer: Optimizer, bound: BoundModel, lost: Lost = tuple) -> None:
    """Save a bound model with this optimizer from now on, and resume from records loaded before.

    Parameters
    ----------
    lost : callable
        Clauses on what is unknown where the optimizer's state was saved without the regularizer.

    Raises
    ------
    ValueError
        If the optimizer holds something else under the key; everything is as it was then.
    """
    groups = [(group, group.get(KEY)) for group in optimizer.param_groups]
    carrier = optimizer.__dict__.get(CARRIER) or Carrier(optimizer)
    optimizer.__dict__[CARRIER] = carrier
    carrier.bound_models[bound] = lost
    try:
        if bound not in carrier.resume_loaded() and not bound.momentum.is_restored:
            steps = _steps_shown(bound, optimizer)
            # torch counts how often a tensor was changed in this process.
            most_changes = max((part.parameter._version for part in bound.parts), default=0)
            if steps and steps > most_changes:  # these steps were made elsewhere
                _warn_of_nothing_saved(bound, optimizer, lost, steps)
    except BaseException:
        _release(carrier, bound)
        for group, value in groups:
            if value is not None:
                group[KEY] = value
        raise


def resume_loaded(optimizer: Optimizer) -> None:
    """Resume from records that were loaded without the hooks, as wrappers do."""
    optimizer.__dict__[CARRIER].resume_loaded()


def stop_carrying(optimizer: Optimizer, bound: BoundModel) -> None:
    """Stop saving a bound model with this optimizer."""
    remove_starts(bound, optimizer)
    _release(optimizer.__dict__[CARRIER], bound)


def _release(carrier: Carrier, bound: BoundModel) -> None:
    del carrier.bound_models[bound]
    if carrier.bound_models:
        carrier.update_keys()
        return
    carrier.close()
    del carrier.optimizer.__dict__[CARRIER]
    for group in carrier.optimizer.param_groups:
        carried = group.pop(KEY, None)
        if isinstance(carried, Carried) and carried.waiting:
            group[KEY] = str(carried)


def _read_records(value: object, carrier: Carrier) -> list[Record] | None:
    """Read the records in a group as it was loaded; None where there is nothing new."""
    if value is None or (isinstance(value, Carried) and value.carrier is carrier):
        return None
    text = value.decode() if isinstance(value, bytes) else str(value)
    try:
        records = json.loads(text)
        sound = all(
            isinstance(record[key], kind) for record in records for key, kind in FIELDS.items()
        )
    except (ValueError, TypeError, KeyError):
        sound = False
    if not sound:
        raise ValueError(
            f"a parameter group has {KEY!r}: {text[:60]!r}, which no Regularizer has written; "
            "delete that key from the group"
        )
    return list(records)


def _warn_of_nothing_saved(
    bound: BoundModel, optimizer: Optimizer, lost: Lost, steps: int | None
) -> None:
    """Warn of what is unknown because the optimizer was saved without the regularizer."""
    if steps == bound.steps:
        return
    clauses = list(lost()) if steps != 0 else []
    if bound.starts and steps != 0:
        clauses.append(
            'the start of Toward("start") is where the weights were when the Regularizer was made'
        )
    shift = ""
    if bound.schedule is not None:
        clauses.append(f"the schedule continues from step {bound.steps}")
        ahead = "..." if steps is None else steps - bound.steps
        shift = f", or write schedule=lambda step: schedule(step + {ahead})"
    if clauses:
        run = "a run of unknown length" if steps is None else f"a run of {steps} steps"
        warn_user(
            f"the state of {type(optimizer).__name__} comes from {run} and holds nothing of the "
            f"regularizer: {'; '.join(clauses)}. If that run had a regularizer, load what its "
            f"state_dict() gave{shift}",
        )


def _steps_shown(bound: BoundModel, optimizer: Optimizer) -> int | None:
    """How many steps the optimizer's state counts for penalized parameters; None if none are."""
    states = [state_of(optimizer, part) for part in bound.parts]
    counts = [int(state["step"]) for state in states if "step" in state]
    if counts:
        return max(counts)
    is_stateless = isinstance(optimizer, torch.optim.SGD) and not any(
        group["momentum"] for group in optimizer.param_groups
    )
    return None if is_stateless or any(states) else 0
