"""What a step does to a chunk of one parameter: the optimizer's update with the penalty inside.

`benchmarks/step.py`, every row of the mixed and the huge tensors: in torch operations the same step
goes over memory three times and more (the rows "by hand").

`sgd`, `adam` and `no_update` take in what comes before the update and what comes after it, as
functions of one number. Each is ``update(weights, gradients, state, kept, p, decay)`` with the
record p of the parameter (`records.PARAMETER`), whose numbers it copies into the type of the
weights, and a weight decay that joins the gradient. What a prox or groups need more is `kept`:
each entry's step, and what it was before.
"""

from __future__ import annotations

import math

from shrinkage.kernels.formulas import above, signed
from shrinkage.kernels.how import (
    Groups,
    How,
    Kind,
    Update,
    cap_move,
    decay_of,
    finish_of,
    gradient_of,
    no_gradient,
)
from shrinkage.kernels.intrinsics import bits, load, number, store
from shrinkage.kernels.jit import Loop, jitable, tight
from shrinkage.kernels.reductions import (
    no_moments,
    nothing_yet,
    with_entry,
    with_moments,
    with_weight,
)


def update_of(kind: Kind) -> Loop:
    """The loop over a chunk for that kind of step."""
    if kind.update in (Update.SGD, Update.MOMENTUM):
        return sgd(kind)
    return adam(kind) if kind.update.is_own else no_update(kind)


def sgd(kind: Kind) -> Loop:
    """buffer ← μ·buffer + (1 − τ)·g; w ← w − lr·buffer (Nesterov: lr·(g + μ·buffer))."""
    joining = gradient_of(kind.formula, kind.how)
    before_update, finish = decay_of(kind.formula, kind.how), finish_of(kind.formula, kind.how)
    is_coupled, apart = joining is not no_gradient, kind.has_own_prox_loop
    has_momentum = kind.update is Update.MOMENTUM

    @tight
    def update(weights, gradients, state, kept, p, decay):
        buffers, before = state[0], kept[1]
        real = buffers.dtype.type
        sign, lr, factor, limit = real(p.sign), real(p.lr), real(p.factor), real(p.limit)
        a, b, squares, step = real(p.a), real(p.b), real(decay), real(p.step)
        mu, joins, nesterov = real(p.momentum), real(p.joins), p.nesterov != 0.0
        zero = real(0.0)
        measured = nothing_yet(zero)
        for i in range(weights.size):
            w = before_update(load(weights, i), step, factor, limit, a, b)
            g = sign * load(gradients, i)
            if is_coupled:
                g = g + joining(w, factor, a, b)
            g = g + squares * w if squares != zero else g  # 0·inf is NaN: skip the product
            if has_momentum:
                buffer = mu * buffers[i] + joins * g
                buffers[i] = buffer
                g = g + mu * buffer if nesterov else buffer
            # Momentum has taken the place of g by now.
            w = w - lr * g
            if apart:
                before[i] = w
            else:
                w = finish(w, step, factor, limit, a, b)
                measured = with_entry(measured, store(weights, i, w))
        return measured

    return update


def adam(kind: Kind) -> Loop:
    """m ← β₁m + (1 − β₁)g; v ← β₂v + (1 − β₂)g²; w ← w − s·m/bc1 with s = lr/(√(v/bc2) + ε).

    In as few instructions as it takes: as it is here, the loop is about as fast as memory. So g
    stands for sign·g, and s for s/bc1, until steps are kept. The corrections are bc1 = 1 − β₁^t and
    bc2 = 1 − β₂^t; √v·root with root = 1/√bc2 saves the division of each v.
    """
    joining = gradient_of(kind.formula, kind.how)
    before_update, finish = decay_of(kind.formula, kind.how), finish_of(kind.formula, kind.how)
    is_coupled, apart = joining is not no_gradient, kind.has_own_prox_loop
    is_decoupled, keep_steps = kind.how == How.DECOUPLED, kind.keeps_steps
    has_amsgrad = kind.update is Update.AMSGRAD
    nothing, with_one = moments_of(kind)

    @jitable
    def update(weights, gradients, state, kept, p, decay):
        # Two loops in place of a choice in each turn; without decay no 0·inf, which is NaN.
        squares = state[0].dtype.type(p.sign * decay)
        if squares != type(squares)(0.0):
            return sweep(weights, gradients, state, kept, p, squares)
        return sweep(weights, gradients, state, kept, p, None)

    @tight
    def sweep(weights, gradients, state, kept, p, squares):
        (means, variances, largest), (steps, before) = state, kept
        real = means.dtype.type
        factor, limit, a, b = real(p.factor), real(p.limit), real(p.a), real(p.b)
        shrunk, beta1, beta2, eps = real(p.kept), real(p.beta1), real(p.beta2), real(p.eps)
        lr, correction, root = real(p.lr), real(p.correction1), real(1.0 / p.root2)
        turn = real(p.sign * p.factor)
        # The prox takes s/bc1 for its step, so its strength is times bc1.
        strength = factor if is_decoupled else real(p.factor * p.correction1)
        rest1, rest2 = real(p.sign * (1.0 - p.beta1)), real(1.0 - p.beta2)
        scale = real(p.lr / p.correction1)
        measured = nothing(real(0.0))
        for i in range(weights.size):
            w = before_update(load(weights, i), lr, factor, limit, a, b)
            g = load(gradients, i)
            if is_coupled:
                g = g + joining(w, turn, a, b)
            if squares is not None:
                g = g + squares * w
            mean = beta1 * means[i] + rest1 * g
            variance = beta2 * variances[i] + rest2 * g * g
            means[i] = mean
            variances[i] = variance
            if has_amsgrad:
                variance = above(largest[i], variance)
                largest[i] = variance
            s = scale / (math.sqrt(variance) * root + eps)
            w = w * shrunk - s * mean
            if keep_steps:
                steps[i] = s * correction
            if apart:
                before[i] = w
            else:
                w = finish(w, s, strength, limit, a, b)
                measured = with_one(measured, store(weights, i, w), s * correction)
        return measured

    return update


def no_update(kind: Kind) -> Loop:
    """The prox alone, after an update made elsewhere: s = step/(√v·root + ε), or `step` itself."""
    finish, apart = finish_of(kind.formula, kind.how), kind.has_own_prox_loop
    in_metric, keep_steps = kind.is_in_metric, kind.keeps_steps
    nothing, with_one = moments_of(kind)

    @tight
    def update(weights, _, state, kept, p, decay):
        # The state is √v alone: the optimizer has moved the weights already.
        variances, (steps, before) = state[0], kept
        real = variances.dtype.type
        factor, limit, a, b = real(p.factor), real(p.limit), real(p.a), real(p.b)
        scale, eps, root = real(p.step), real(p.eps), real(1.0 / p.root2)
        measured = nothing(real(0.0))
        for i in range(weights.size):
            s = scale
            if in_metric:
                s = scale / (math.sqrt(variances[i]) * root + eps)
            if keep_steps:
                steps[i] = s
            w = load(weights, i)
            if apart:
                before[i] = w
            else:
                w = finish(w, s, factor, limit, a, b)
                measured = with_one(measured, store(weights, i, w), s)
        return measured

    return update


def moments_of(kind: Kind) -> tuple[Loop, Loop]:
    """What a loop finds beside: moments where a group is shrunk in a metric after it, else sums."""
    if kind.is_in_metric and kind.groups != Groups.NONE:
        return no_moments, with_moments
    return nothing_yet, with_weight


def shrinking(kind: Kind) -> Loop:
    """The prox in a loop of its own, from what was kept.

    A penalty with a `choice` has two candidates, 0 and the modulus. The first loop takes the
    modulus everywhere, in vectors; where even the largest step leaves it sure, that is all.
    """
    formula, in_metric = kind.formula, kind.is_in_metric
    if formula is None or not kind.has_own_prox_loop:
        return as_measured
    modulus, choice, is_sure = formula.modulus, formula.choice, formula.is_sure
    assert modulus is not None
    assert choice is not None
    assert is_sure is not None

    @tight
    def shrink(weights, kept, measured, p):
        steps, before = kept
        real = steps.dtype.type
        factor, limit, a, b = real(p.factor), real(p.limit), real(p.a), real(p.b)
        step = real(p.step)
        found, top = nothing_yet(real(0.0)), bits(real(0.0) if in_metric else step)
        for i in range(weights.size):
            # z is where the update went, before any prox.
            s, z = steps[i] if in_metric else step, before[i]
            w = signed(z, cap_move(abs(z), modulus(abs(z), s * factor, a, b), limit))
            found, size = with_entry(found, store(weights, i, w)), bits(s)
            top = size if size > top else top
        if is_sure(number(top) * factor, a, b):
            return found
        # A second pass: some step is so large that 0 may have the lower objective.
        found = nothing_yet(real(0.0))
        for i in range(weights.size):
            s, z = (steps[i] if in_metric else step) * factor, before[i]
            w = load(weights, i)
            if not is_sure(s, a, b):
                u = choice(abs(z), modulus(abs(z), s, a, b), s, a, b)
                w = store(weights, i, signed(z, cap_move(abs(z), u, limit)))
            found = with_entry(found, w)
        return found

    return shrink


@jitable
def as_measured(weights, kept, measured, p):
    return measured
