"""Clipping by the norm, which scales gradients and the strengths beside them by the same factor.

Clipping replaces the data gradient g by c·g, with c = min(1, max_norm/(‖g‖ + 1e-6)). Beside c·g a
penalty of strength lam acts as one of strength lam/c would beside g, and at the minimum of
J = data loss + Ω the data gradient is not 0. So this module stores the c of each parameter until
its next step, which multiplies the strength by it and then forgets it.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from shrinkage.penalties.arrays import checked_number
from shrinkage.torch.private import skip_compiling
from shrinkage.torch.tensors.kinds import gather_shards
from shrinkage.user_warning import warn_user

TINY = 1e-6  # torch adds it to the norm


class _Clip(NamedTuple):
    """How one parameter's gradient was clipped since the last step."""

    parameter: weakref.ref[Tensor]
    gradient: weakref.ref[Tensor]
    version: int  # of the gradient, when it was clipped
    share: float  # c, or the product of several


_clips: dict[int, _Clip] = {}  # by the parameter's id


def clip_grad_norm_(
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
    the next step alone, taken or skipped, and not for new gradients that are computed before it.

    Coupled and proximal penalties, also inside an optimizer, converge to the minimum of J on full
    batches, as without clipping. So do decoupled ones under SGD with ``scale="lr"``; clipping does
    not touch other decoupled penalties, as it does not touch AdamW's own decay. ``penalty()`` in
    the loss is part of the gradient, and is clipped with it by torch's function or this one. On
    mini-batches, clipping itself is a bias: the mean of clipped gradients is not 0 where the mean
    gradient is.

    torch.nn.utils.clip_grad_value_ is not supported: it turns the gradient, so that no single
    c goes with it.

    Examples
    --------
    >>> import torch
    >>> from shrinkage import L1
    >>> from shrinkage.torch import Regularizer
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
    listed = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    if not listed:
        warn_user("parameters is empty, so no gradient is clipped")
    for parameter in listed:
        if not isinstance(parameter, Tensor):
            raise TypeError(
                "parameters must be tensors, as of model.parameters(), got a "
                f"{type(parameter).__name__}"
            )
    return clip_(listed, max_norm, norm_type, error_if_nonfinite, foreach)


@skip_compiling  # torch.compile leaves a gap in the compiled step here
@torch.no_grad()
def clip_(
    parameters: Sequence[Tensor],
    max_norm: float | Tensor,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
    *,
    scale: float = 1.0,
) -> Tensor:
    """`clip_grad_norm_` of gradients that are `scale` times as large as in the step, under AMP."""
    number = max_norm.item() if isinstance(max_norm, Tensor) else max_norm
    limit = checked_number("max_norm", number)
    if not limit >= 0.0:
        raise ValueError(
            f"max_norm must be >= 0, got {limit}; to clip nothing, leave the call out or pass "
            'float("inf")'
        )
    held = [parameter for parameter in parameters if parameter.grad is not None]
    shares = {parameter: _find_share(parameter, is_untouched=True) for parameter in held}
    gradients = [parameter.grad for parameter in held if parameter.grad is not None]
    entries = [grad.coalesce().values() if grad.is_sparse else grad for grad in gradients]
    norm = get_total_norm(entries, norm_type, error_if_nonfinite, foreach)
    if scale != 1.0:
        norm = norm / scale
    clip_grads_with_norm_(held, limit, norm, foreach)
    share = float(torch.clamp(limit / (gather_shards(norm) + TINY), max=1.0))
    for parameter in held:
        shares[parameter] *= share  # once for each time that it is given, as its gradient
    for parameter, product in shares.items():
        _store_share(parameter, product)
    return norm


def clipped_share(parameter: Tensor) -> float:
    """The c by which the present gradient of a parameter was clipped; 1 where it was not."""
    return _find_share(parameter) if _clips else 1.0


def forget_clipping(parameters: Iterable[Tensor]) -> None:
    """Forget how these gradients were clipped, after their step or one that AMP skipped."""
    if _clips:
        for parameter in parameters:
            _clips.pop(id(parameter), None)


def is_any_clipped() -> bool:
    """Whether a gradient was clipped for a step that is yet to come."""
    return bool(_clips)


def scales_strength(how: str, scale: str | None, *, is_sgd: bool) -> bool:
    """Whether clipping the gradients scales the strength of a penalty that is applied so.

    It leaves a decay outside the gradient as it is, as it leaves AdamW's own. The exception is SGD
    with ``scale="lr"``, where a decay does the same as a term of the gradient.
    """
    if how == "decoupled":
        return scale == "lr" and is_sgd
    return how in ("coupled", "proximal")


def _find_share(parameter: Tensor, *, is_untouched: bool = False) -> float:
    """The c of this gradient object; `is_untouched`: 1 if it has changed in place since.

    A new gradient tensor was not clipped. One that was changed in place may have been
    filled again (``zero_grad(set_to_none=False)``): then another clipping begins at 1.
    """
    clip, gradient = _clips.get(id(parameter)), parameter.grad
    if clip is None or clip.parameter() is not parameter or gradient is None:
        return 1.0
    if clip.gradient() is not gradient or (is_untouched and gradient._version != clip.version):
        return 1.0
    return clip.share


def _store_share(parameter: Tensor, share: float) -> None:
    if share == 1.0:
        _clips.pop(id(parameter), None)
        return
    gradient, gone = parameter.grad, partial(_forget, id(parameter))
    assert gradient is not None
    _clips[id(parameter)] = _Clip(
        weakref.ref(parameter, gone), weakref.ref(gradient), gradient._version, share
    )


def _forget(key: int, reference: object) -> None:
    """Forget a parameter that no longer exists."""
    clip = _clips.get(key)
    if clip is not None and clip.parameter is reference:
        del _clips[key]
