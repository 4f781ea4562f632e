"""What a step does to a chunk of one parameter: the optimizer's update with the penalty inside.

`benchmarks/step.py`, every row of the mixed and the huge tensors: in torch operations the same step
goes over memory three times and more (the rows "by hand").

`make_sgd`, `make_adam` and `make_no_update` return ``update(weights, gradients, state, saved, p,
decay)``, into which the functions of `entrywise` are inlined. p is the record of the parameter
(`records.PARAMETER`), whose numbers are copied into the type of the weights; `decay` is a weight
decay that is added to the gradient. `saved` has room for what a second pass or a group penalty
needs: each entry's step, and each weight before its prox.
"""

from __future__ import annotations

import math

from shrinkage.kernels.entrywise import (
    cap_move,
    make_decay,
    make_finish,
    make_gradient,
    no_penalty_gradient,
)
from shrinkage.kernels.intrinsics import bits, load, number, store
from shrinkage.kernels.jit import Loop, jitable, tight
from shrinkage.kernels.kind import Groups, How, Kind, Update
from shrinkage.kernels.reductions import (
    add_entry,
    add_entry_ignoring_step,
    add_moments_of_entry,
    no_entries,
    no_moments,
)
from shrinkage.kernels.register_forms import above, signed


def make_update(kind: Kind) -> Loop:
    """The loop over a chunk for that kind of step."""
    if kind.update in (Update.SGD, Update.MOMENTUM):
        return make_sgd(kind)
    return make_adam(kind) if kind.update.makes_step else make_no_update(kind)


def make_sgd(kind: Kind) -> Loop:
    """buffer ← μ·buffer + (1 − τ)·g; w ← w − lr·buffer (Nesterov: lr·(g + μ·buffer))."""
    penalty_gradient = make_gradient(kind.form, kind.how)
    apply_decay, finish = make_decay(kind.form, kind.how), make_finish(kind.form, kind.how)
    is_coupled, has_second_pass = penalty_gradient is not no_penalty_gradient, kind.has_second_pass
    has_momentum = kind.update is Update.MOMENTUM

    @tight
    def update(weights, gradients, state, saved, p, decay):
        buffers, before = state[0], saved[1]
        real = buffers.dtype.type
        sign, lr, factor, limit = real(p.sign), real(p.lr), real(p.factor), real(p.limit)
        a, b, squares, step = real(p.a), real(p.b), real(decay), real(p.step)
        mu, gradient_weight, nesterov = real(p.momentum), real(p.gradient_weight), p.nesterov != 0.0
        zero = real(0.0)
        measured = no_entries(zero)
        for i in range(weights.size):
            w = apply_decay(load(weights, i), step, factor, limit, a, b)
            g = sign * load(gradients, i)
            if is_coupled:
                g = g + penalty_gradient(w, factor, a, b)
            g = g + squares * w if squares != zero else g  # 0·inf is NaN: skip the product
            if has_momentum:
                buffer = mu * buffers[i] + gradient_weight * g
                buffers[i] = buffer
                g = g + mu * buffer if nesterov else buffer
            # With momentum, g is now the buffer's direction.
            w = w - lr * g
            if has_second_pass:
                before[i] = w
            else:
                w = finish(w, step, factor, limit, a, b)
                measured = add_entry(measured, store(weights, i, w))
        return measured

    return update


def make_adam(kind: Kind) -> Loop:
    """m ← β₁m + (1 − β₁)g; v ← β₂v + (1 − β₂)g²; w ← w − s·m/bc1 with s = lr/(√(v/bc2) + ε)."""
    sweep = make_adam_sweep(kind)

    @jitable
    def update(weights, gradients, state, saved, p, decay):
        # Two loops, so that neither has a branch; without decay there is no 0·inf, which is NaN.
        squares = state[0].dtype.type(p.sign * decay)
        if squares != type(squares)(0.0):
            return sweep(weights, gradients, state, saved, p, squares)
        return sweep(weights, gradients, state, saved, p, None)

    return update


def make_adam_sweep(kind: Kind) -> Loop:
    """The loop of Adam's update over entries, with a weight decay `squares` or None.

    It is written with so few instructions that it is about as fast as memory. Therefore g stands
    for sign·g, and s for s/bc1 until steps are saved.
    """
    penalty_gradient, own_step = make_gradient(kind.form, kind.how), make_adam_step(kind)
    apply_decay, finish = make_decay(kind.form, kind.how), make_finish(kind.form, kind.how)
    is_coupled, has_second_pass = penalty_gradient is not no_penalty_gradient, kind.has_second_pass
    is_decoupled, keep_steps = kind.how == How.DECOUPLED, kind.needs_steps_later
    start, add_one = choose_reduction(kind)

    @tight
    def sweep(weights, gradients, state, saved, p, squares):
        steps, before = saved
        real = state[0].dtype.type
        factor, limit, a, b = real(p.factor), real(p.limit), real(p.a), real(p.b)
        lr, decay_factor, correction = real(p.lr), real(p.decay_factor), real(p.correction1)
        signed_factor = real(p.sign * p.factor)
        # The prox takes s/bc1 for its step, so its strength is times bc1.
        strength = factor if is_decoupled else real(p.factor * p.correction1)
        constants = read_adam(p, real)
        measured = start(real(0.0))
        for i in range(weights.size):
            w = apply_decay(load(weights, i), lr, factor, limit, a, b)
            g = load(gradients, i)
            if is_coupled:
                g = g + penalty_gradient(w, signed_factor, a, b)
            if squares is not None:
                g = g + squares * w
            s, mean = own_step(state, i, g, constants)
            w = w * decay_factor - s * mean
            if keep_steps:
                steps[i] = s * correction
            if has_second_pass:
                before[i] = w
            else:
                w = finish(w, s, strength, limit, a, b)
                measured = add_one(measured, store(weights, i, w), s * correction)
        return measured

    return sweep


@jitable
def read_adam(p, real):
    """β₁, sign·(1 − β₁), β₂, 1 − β₂, lr/bc1, 1/√bc2 and ε, where bcK = 1 − βK^t."""
    share1, share2 = real(p.sign * (1.0 - p.beta1)), real(1.0 - p.beta2)
    scale, root, eps = real(p.lr / p.correction1), real(1.0 / p.root2), real(p.eps)
    return real(p.beta1), share1, real(p.beta2), share2, scale, root, eps


def make_adam_step(kind: Kind) -> Loop:
    """Adam's own step of one entry: m and v take in its gradient, and s/bc1 and m come back."""
    has_amsgrad = kind.update is Update.AMSGRAD

    @jitable
    def own_step(state, i, g, constants):
        means, variances, largest = state
        beta1, share1, beta2, share2, scale, root, eps = constants
        mean = beta1 * means[i] + share1 * g
        variance = beta2 * variances[i] + share2 * g * g
        means[i] = mean
        variances[i] = variance
        if has_amsgrad:
            variance = above(largest[i], variance)
            largest[i] = variance
        # √v·root saves the division of each v by bc2.
        return scale / (math.sqrt(variance) * root + eps), mean

    return own_step


def make_no_update(kind: Kind) -> Loop:
    """The prox alone, after an update made elsewhere: s = step/(√v·root + ε), or `step` itself."""
    finish, has_second_pass = make_finish(kind.form, kind.how), kind.has_second_pass
    in_metric, keep_steps = kind.has_adaptive_prox, kind.needs_steps_later
    start, add_one = choose_reduction(kind)

    @tight
    def update(weights, _, state, saved, p, decay):
        # The state is √v alone: the optimizer has moved the weights already.
        variances, (steps, before) = state[0], saved
        real = variances.dtype.type
        factor, limit, a, b = real(p.factor), real(p.limit), real(p.a), real(p.b)
        scale, eps, root = real(p.step), real(p.eps), real(1.0 / p.root2)
        measured = start(real(0.0))
        for i in range(weights.size):
            s = scale
            if in_metric:
                s = scale / (math.sqrt(variances[i]) * root + eps)
            if keep_steps:
                steps[i] = s
            w = load(weights, i)
            if has_second_pass:
                before[i] = w
            else:
                w = finish(w, s, factor, limit, a, b)
                measured = add_one(measured, store(weights, i, w), s)
        return measured

    return update


def choose_reduction(kind: Kind) -> tuple[Loop, Loop]:
    """What a loop sums up: moments where a group is shrunk in a metric after it, else weights."""
    if kind.has_adaptive_prox and kind.groups != Groups.NONE:
        return no_moments, add_moments_of_entry
    return no_entries, add_entry_ignoring_step


def make_second_pass(kind: Kind) -> Loop:
    """Apply the prox in a second pass over a chunk, from what the first pass saved.

    A penalty with a `choice` has two candidates for each weight, 0 and the modulus. The first loop
    takes the modulus everywhere, in vectors. That is enough where the modulus is the lower one
    even at the largest step.
    """
    form, in_metric = kind.form, kind.has_adaptive_prox
    if form is None or not kind.has_second_pass:
        return as_measured
    modulus, choice, is_sure = form.modulus, form.choice, form.is_sure
    assert modulus is not None
    assert choice is not None
    assert is_sure is not None

    @tight
    def shrink(weights, saved, measured, p):
        steps, before = saved
        real = steps.dtype.type
        factor, limit, a, b = real(p.factor), real(p.limit), real(p.a), real(p.b)
        step = real(p.step)
        sums, largest = no_entries(real(0.0)), bits(real(0.0) if in_metric else step)
        for i in range(weights.size):
            # z is where the update went, before any prox.
            s, z = steps[i] if in_metric else step, before[i]
            w = signed(z, cap_move(abs(z), modulus(abs(z), s * factor, a, b), limit))
            sums, size = add_entry(sums, store(weights, i, w)), bits(s)
            largest = size if size > largest else largest
        if is_sure(number(largest) * factor, a, b):
            return sums
        # Some step is so large that 0 may have the lower objective: compare both candidates.
        sums = no_entries(real(0.0))
        for i in range(weights.size):
            s, z = (steps[i] if in_metric else step) * factor, before[i]
            w = load(weights, i)
            if not is_sure(s, a, b):
                u = choice(abs(z), modulus(abs(z), s, a, b), s, a, b)
                w = store(weights, i, signed(z, cap_move(abs(z), u, limit)))
            sums = add_entry(sums, w)
        return sums

    return shrink


@jitable
def as_measured(weights, saved, measured, p):
    return measured
