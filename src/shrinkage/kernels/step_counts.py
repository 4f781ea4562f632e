"""Counts of steps, and the numbers that follow from them: bias corrections and the buffer's share.

`benchmarks/step.py`, the rows of tiny tensors: counts would otherwise be torch operations, one or
more for each tensor.
"""

from __future__ import annotations

import math
from functools import cache

from shrinkage.kernels.intrinsics import memory
from shrinkage.kernels.jit import Loop, Work, compile_job, jitable
from shrinkage.kernels.kind import Update
from shrinkage.kernels.records import JOBS, LIKE, PARAMETERS

DOUBLE, SINGLE = LIKE["float64"], LIKE["float32"]


@cache
def compile_counts(update: Update) -> Work:
    """Compile the loop that counts a step for each parameter of a job that has a gradient."""
    count = count_sgd if update in (Update.SGD, Update.MOMENTUM) else count_adam(update.makes_step)

    def count_each(address):
        job = memory(address, 1, JOBS)[0]
        parameters = memory(job.parameters, job.parameter_count, PARAMETERS)
        for index in range(parameters.size):
            # A parameter without a gradient takes no step, as in torch.
            if parameters[index].gradient != 0:
                count(parameters[index])

    return compile_job(count_each, update.name)


def count_adam(makes_step: bool) -> Loop:
    """Write 1 − β₁^t and √(1 − β₂^t), with the count t in the optimizer's state.

    Without `makes_step`, torch's own Adam has made the step and counted it, so t is only read.
    """
    increment = 1.0 if makes_step else 0.0

    @jitable
    def raise_count(count):
        t = float(count[0]) + increment
        if makes_step:
            count[0] = type(count[0])(t)
        return t

    @jitable
    def count(p):
        if p.count_is_double:
            t = raise_count(memory(p.count, 1, DOUBLE))
        else:
            t = raise_count(memory(p.count, 1, SINGLE))
        # The means of t gradients weighted by powers of β sum to 1 − β^t (Kingma and Ba, 2015).
        p.correction1 = 1.0 - p.beta1**t
        p.root2 = math.sqrt(1.0 - p.beta2**t)

    return count


@jitable
def count_sgd(p):
    """Write b, where the momentum buffer holds b·g for a constant gradient g, and the prox's step.

    b ← μ·b + (1 − dampening), for the buffer is μ·buffer + (1 − dampening)·g; torch begins with
    the gradient itself, b = 1. Nesterov moves by g + μ·buffer = (1 + μ·b)·g.
    """
    mu, is_new = p.momentum, p.is_new_buffer != 0
    p.is_new_buffer = 0
    # torch copies the first gradient into the buffer, whatever the dampening is.
    p.gradient_weight = 1.0 if is_new else p.undamped
    if p.count != 0:
        share = memory(p.count, 1, DOUBLE)
        share[0] = 1.0 if is_new else mu * share[0] + p.undamped
        b = share[0]
        p.step = p.lr * (1.0 + mu * b if p.nesterov != 0.0 else b)
