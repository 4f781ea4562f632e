"""Two gaps of torch's step hooks: copies lose them, and a nested step runs them again.

A subclass whose `step` calls ``super().step()`` is one optimizer with two hooked steps.
"""

from __future__ import annotations

import sys
import threading
import weakref
from typing import Any

from torch.optim import Optimizer

from shrinkage.torch.binding.bound_model import ATTACHED, Host
from shrinkage.torch.private import register_quiet_hook
from shrinkage.user_warning import warn_user

HOOKED_STEP = Optimizer.profile_hook_step(lambda self: None).__code__

Others = weakref.WeakKeyDictionary[Optimizer, bool]  # whether they hold the same weights
at_work: weakref.WeakKeyDictionary[Host, Others] = weakref.WeakKeyDictionary()
_watching = False


class Nesting(threading.local):
    """Distinguishes an optimizer's outermost step from steps within it, for each thread."""

    def __init__(self) -> None:
        self._depth = 0

    def enter(self, optimizer: Optimizer) -> bool:
        """Enter a hooked step; return whether it is the outermost one."""
        # A step that raised an error has left its depth behind, but not its frames.
        if self._depth and _count_running_steps(optimizer) > 1:
            self._depth += 1
            return False
        self._depth = 1
        return True

    def leave(self) -> bool:
        """Leave a hooked step; return whether it was the outermost one."""
        self._depth -= 1
        return self._depth == 0


def _count_running_steps(optimizer: Optimizer) -> int:
    frame, count = sys._getframe(), 0
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_code is HOOKED_STEP and frame.f_locals.get("self") is optimizer:
            count += 1
    return count


class MarkedDefaults(dict[str, Any]):
    """The `defaults` of an optimizer with hooks: copies keep the defaults and lose the hooks."""

    how: str

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        _watch_for_copies()  # unpickled, perhaps in another process


def mark(optimizer: Optimizer, attachment: Host) -> None:
    """Note the attachment on the optimizer, and by its `defaults` on its copies."""
    optimizer.__dict__.setdefault(ATTACHED, []).append(attachment)
    optimizer.defaults = MarkedDefaults(optimizer.defaults)
    optimizer.defaults.how = attachment.how
    at_work[attachment] = Others()
    _watch_for_copies()


def unmark(optimizer: Optimizer, attachment: Host) -> None:
    """Remove what `mark` noted."""
    at_work.pop(attachment, None)
    optimizer.__dict__[ATTACHED].remove(attachment)
    if not optimizer.__dict__[ATTACHED]:
        del optimizer.__dict__[ATTACHED]
        optimizer.defaults = dict(optimizer.defaults)


def _watch_for_copies() -> None:
    """Watch all optimizers: a copy that has lost its attachment warns at its first step."""
    global _watching
    if not _watching:
        register_quiet_hook(_warn_of_a_copy)
        register_quiet_hook(_note_other_optimizer)
        _watching = True


def _warn_of_a_copy(optimizer: Optimizer, args: object, kwargs: object) -> None:
    """Warn once for each copy; copy.copy shares its `defaults` with the original."""
    if isinstance(optimizer.defaults, MarkedDefaults) and ATTACHED not in optimizer.__dict__:
        how = optimizer.defaults.how
        optimizer.defaults = dict(optimizer.defaults)
        warn_user(
            f"this {type(optimizer).__name__} is a copy of an optimizer with a penalty attached "
            f"({how}); copies lose their hooks, so nothing is penalized: attach a Regularizer of "
            "the copied model to it",
        )


def _note_other_optimizer(optimizer: Optimizer, args: object, kwargs: object) -> None:
    """Note on attachments elsewhere that this optimizer steps their weights without them."""
    if ATTACHED in optimizer.__dict__:
        return
    for attachment, others in list(at_work.items()):
        if optimizer not in others:
            held = {id(p) for group in optimizer.param_groups for p in group["params"]}
            parts = attachment.bound.parts
            others[optimizer] = any(id(part.parameter) in held for part in parts)
        if others[optimizer]:
            attachment.stepped_by = type(optimizer).__name__
