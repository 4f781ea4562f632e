"""Clipping by the norm, which scales gradients and the strengths beside them alike.

Clipping makes c·g of the data gradient g, with c = min(1, max_norm/(‖g‖ + 1e-6)). Beside c·g a
penalty of strength lam acts as one of strength lam/c would beside g, and at the minimum of
J = data loss + Ω the data gradient is not 0. So the c of each parameter is kept here until the step
that it is for, which multiplies the strength by it, and then it is gone.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Iterable
from functools import partial
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from shrinkage.penalties.arrays import checked_number
from shrinkage.torch.binding.core import attachments_of
from shrinkage.torch.private import skip_compiling

TINY = 1e-6  # torch adds it to the norm


class _Clip(NamedTuple):
    """What became of one parameter's gradient since the last step."""

    parameter: weakref.ref[Tensor]
    gradient: weakref.ref[Tensor]
    version: int  # of the gradient, when it was clipped
    share: float  # c, or the product of several


_clips: dict[int, _Clip] = {}  # by the parameter's id


@skip_compiling  # a compiled training step goes on around it
@torch.no_grad()
def clip_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float | Tensor,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
    *,
    scale: float = 1.0,
) -> Tensor:
    """torch.nn.utils.clip_grad_norm_, which keeps each parameter's c in mind for its next step.

    The gradients are `scale` times as large as they will be in the step (AMP); sparse ones are
    clipped too. Returns the norm, as torch does.

    Raises
    ------
    TypeError, ValueError
        If `max_norm` is no number, negative or NaN.
    """
    limit = _checked(max_norm)
    held = [one for one in _given(parameters) if one.grad is not None]
    shares = {parameter: _share(parameter, is_untouched=True) for parameter in held}
    entries = [_entries(parameter.grad) for parameter in held if parameter.grad is not None]
    norm = get_total_norm(entries, norm_type, error_if_nonfinite, foreach)
    if scale != 1.0:
        norm = norm / scale
    clip_grads_with_norm_(held, limit, norm, foreach)
    whole = norm.full_tensor() if hasattr(norm, "full_tensor") else norm  # of all processes
    share = float(torch.clamp(limit / (whole + TINY), max=1.0))
    for parameter in held:
        shares[parameter] *= share
    for parameter, product in shares.items():
        _keep(parameter, product)
    return norm


def share_of(parameter: Tensor) -> float:
    """The c by which the present gradient of a parameter was clipped; 1 where it was not."""
    return _share(parameter) if _clips else 1.0


def spend(parameters: Iterable[Tensor]) -> None:
    """After a step of these parameters, also one that AMP skipped."""
    if _clips:
        for parameter in parameters:
            _clips.pop(id(parameter), None)


def is_any_clipped() -> bool:
    """Whether a gradient was clipped for a step that is yet to come."""
    return bool(_clips)


def scales_strength(how: str, scale: str | None, *, is_sgd: bool) -> bool:
    """Whether a penalty that goes this way is clipped together with the gradients.

    A decay outside the gradient is not, as that of AdamW is not; but for SGD with ``scale="lr"``,
    where it takes the gradient's part.
    """
    if how == "decoupled":
        return scale == "lr" and is_sgd
    return how in ("coupled", "proximal")


class SelfClipping:
    """An optimizer with a penalty inside, which can clip at the beginning of its steps."""

    defaults: dict[str, Any]
    param_groups: list[dict[str, Any]]
    has_penalty_in_groups: ClassVar[bool]  # else one of its own, for all groups

    @property
    def max_norm(self) -> float | None:
        """The norm to which a step clips the gradients of all groups, and the strengths with them;
        None: to none."""
        found: float | None = self.defaults.get("max_norm")
        return found

    @max_norm.setter
    def max_norm(self, max_norm: float | None) -> None:
        limit = checked_max_norm(max_norm)
        if attachments_of(self):
            check_no_late_clipping(self, limit)
        self.defaults["max_norm"] = limit

    def _clip(self) -> None:
        if self.max_norm is not None:
            clip_([p for group in self.param_groups for p in group["params"]], self.max_norm)


def checked_max_norm(max_norm: float | None) -> float | None:
    """The option of an optimizer or an attachment: a number above 0, or None.

    Raises
    ------
    TypeError, ValueError
    """
    if max_norm is None:
        return None
    number = checked_number("max_norm", max_norm)
    if not number > 0.0:
        raise ValueError(f"max_norm must be > 0, or None to clip nothing, got {number}")
    return number


def check_no_late_clipping(optimizer: object, max_norm: float | None) -> None:
    """Refuse an optimizer's own clipping beside what is attached to it.

    Raises
    ------
    ValueError
    """
    if max_norm is not None:
        raise ValueError(
            f"{type(optimizer).__name__} has max_norm={max_norm:g} and clips inside its step, "
            "after attached penalties have acted: set its max_norm to None, and give "
            f"max_norm={max_norm:g} to attach()"
        )


def check_group_has_no_norm(optimizer: object, param_group: object) -> None:
    """Refuse the option in a group of its own, where no step would look for it.

    Raises
    ------
    ValueError
    """
    if isinstance(param_group, dict) and "max_norm" in param_group:
        raise ValueError(
            "max_norm is the norm of all groups together, so a group has none: give it to "
            f"{type(optimizer).__name__}, or clip with regularizer.clip_grad_norm_()"
        )


def clipping_in_words(max_norm: float | None) -> str:
    """What a printed optimizer or attachment says of it after its objective."""
    return "" if max_norm is None else f"; gradients are clipped to norm {max_norm:g}"


def _given(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    """The parameters, read once: they may come from a generator."""
    given = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    if not given:
        warnings.warn("parameters is empty, so no gradient is clipped", stacklevel=5)
    for one in given:
        if not isinstance(one, Tensor):
            raise TypeError(
                f"parameters must be tensors, as of model.parameters(), got a {type(one).__name__}"
            )
    return given


def _checked(max_norm: float | Tensor) -> float:
    number = max_norm.item() if isinstance(max_norm, Tensor) else max_norm
    limit = checked_number("max_norm", number)
    if not limit >= 0.0:
        raise ValueError(
            f"max_norm must be >= 0, got {limit}; to clip nothing, leave the call out or pass "
            'float("inf")'
        )
    return limit


def _entries(gradient: Tensor) -> Tensor:
    """What has the gradient's norm: of a sparse one, its values."""
    return gradient.coalesce().values() if gradient.is_sparse else gradient


def _share(parameter: Tensor, *, is_untouched: bool = False) -> float:
    """What is kept of this very gradient; `is_untouched`: unless it has changed in place since.

    A gradient that was made anew was not clipped. One that was changed in place may have been
    filled anew (``zero_grad(set_to_none=False)``): then another clipping begins at 1.
    """
    clip, gradient = _clips.get(id(parameter)), parameter.grad
    if clip is None or clip.parameter() is not parameter or gradient is None:
        return 1.0
    if clip.gradient() is not gradient or (is_untouched and gradient._version != clip.version):
        return 1.0
    return clip.share


def _keep(parameter: Tensor, share: float) -> None:
    if share == 1.0:
        _clips.pop(id(parameter), None)
        return
    gradient, gone = parameter.grad, partial(_forget, id(parameter))
    assert gradient is not None
    _clips[id(parameter)] = _Clip(
        weakref.ref(parameter, gone), weakref.ref(gradient), gradient._version, share
    )


def _forget(key: int, reference: object) -> None:
    """With the parameter's end."""
    clip = _clips.get(key)
    if clip is not None and clip.parameter is reference:
        del _clips[key]
