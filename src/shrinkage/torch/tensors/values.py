"""The value of a penalty and its gradient, each in one pass over memory where that is known.

Known are sums of absolute values and squares on dense weights of 32 or 64 bits on a CPU; all else
takes the penalty's own formula. The compiled loops are imported where they are first used, since
Numba takes seconds to import.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from shrinkage.torch.private import is_differentiating_forward, is_inside_transform
from shrinkage.torch.tensors.kinds import PLAIN, is_dense

if TYPE_CHECKING:
    import numpy as np

    from shrinkage.penalties import Penalty

LARGE = 1 << 14  # entries: below, a few torch operations are as fast


def number(w: Tensor, penalty: Penalty) -> float | None:
    """Ω(w) as a number, or None where it is not known in one pass."""
    if not _is_known(w, penalty):
        return None
    from shrinkage.kernels.value_and_gradient import absolute_and_squares

    absolute, squares = absolute_and_squares(_vector(w), torch.get_num_threads())
    a, b, _ = penalty.split()
    return linear(a, absolute, b, squares)


def linear(a: float, absolute: float, b: float, squares: float) -> float:
    """a·Σ|w| + b·Σw², where a sum that does not count may be infinite."""
    return (a * absolute if a else 0.0) + (b * squares if b else 0.0)


def differentiable(w: Tensor, penalty: Penalty) -> Tensor | None:
    """Ω(w) as a tensor with a gradient, or None where it is not known in one pass."""
    if not _is_known(w, penalty):
        return None
    value: Tensor = _Value.apply(w, penalty)  # type: ignore[no-untyped-call]
    return value


def _is_known(w: Tensor, penalty: Penalty) -> bool:
    return (
        type(w) in PLAIN
        and w.numel() >= LARGE
        and not torch.compiler.is_compiling()
        and not is_inside_transform()
        and not is_differentiating_forward()
        and w.is_cpu
        and w.dtype in (torch.float32, torch.float64)
        and w.layout is torch.strided
        and not w.is_neg()
        and not penalty.split().rest
        and is_dense(w)
    )


def _vector(w: Tensor) -> np.ndarray[Any, Any]:
    """The entries in the order of memory, not copied."""
    flat: np.ndarray[Any, Any] = w.detach().as_strided((w.numel(),), (1,)).numpy()
    return flat


class _Value(torch.autograd.Function):
    """Ω(w) of absolute values and squares."""

    @staticmethod
    def forward(ctx: Any, w: Tensor, penalty: Penalty) -> Tensor:
        ctx.save_for_backward(w)
        ctx.penalty = penalty
        return w.new_tensor(number(w, penalty))

    @staticmethod
    def backward(ctx: Any, above: Tensor) -> tuple[Tensor, None]:
        (w,) = ctx.saved_tensors
        scale = None
        if not (torch.is_grad_enabled() or is_differentiating_forward()):
            with suppress(RuntimeError):  # under vmap it is several numbers
                scale = float(above)
        if scale is None:  # also where it is to be differentiated again
            return above * ctx.penalty.gradient(w), None
        from shrinkage.kernels.register_forms import scalar_form_of
        from shrinkage.kernels.value_and_gradient import gradient_into

        known = scalar_form_of(ctx.penalty)
        assert known is not None
        gradient = torch.empty_like(w)
        gradient_into(_vector(gradient), _vector(w), *known, scale, torch.get_num_threads())
        return gradient, None
