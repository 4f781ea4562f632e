"""The check for penalties that are infinite or NaN."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from shrinkage.torch.binding.bindings import Binding
from shrinkage.torch.tensors.kinds import stack_scalars, storage_bytes


def check_finite(total: Tensor, bindings: Sequence[Binding], step: int, factor: float) -> None:
    """Refuse a value that is infinite or NaN, on the CPU, where reading it waits for nothing.

    Compiled code and transforms of torch.func have no number yet.

    Raises
    ------
    FloatingPointError
        If Ω is infinite or NaN.
    """
    if total.device.type != "cpu" or torch.compiler.is_compiling():
        return
    if storage_bytes(total) is None or math.isfinite(total.item()):
        return
    for binding in bindings:
        w = binding.read_array().detach()
        if math.isfinite(stack_scalars([binding.value(w)]).item()):
            continue
        if binding.written.traits.is_constrained:
            raise FloatingPointError(
                f"the penalty is infinite: {binding.name} is outside "
                f"{binding.written.formula}; after a proximal step it will be inside"
            )
        largest = stack_scalars([w.abs().max()]).item()
        raise FloatingPointError(
            f"the penalty is not finite at step {step}: {binding.name} under "
            f"{binding.written!r} (largest |w|: {largest:g}); lower the learning rate or the "
            "strength, or clip the gradients"
        )
    raise FloatingPointError(
        f"the penalty is not finite at step {step}, though each parameter's part of it is: the "
        f"factor is {factor:g}, and 16-bit floats end at 65504; pass the loss as like=, in float32"
    )
