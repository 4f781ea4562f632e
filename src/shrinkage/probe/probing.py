"""The probe: combine experiments on a black box into its law."""

from __future__ import annotations

import math
from dataclasses import replace

from shrinkage.penalties.arrays import checked_above
from shrinkage.probe.arguments import (
    WRAPPED,
    Factory,
    parameters_of,
    strength_name,
)
from shrinkage.probe.coupling import judge_coupling, measure_growth
from shrinkage.probe.documented import find_promise
from shrinkage.probe.extra_questions import (
    acts_without_gradient,
    check_that_nothing_acts,
    compare_in_bfloat16,
    compare_on_vectors,
    describe_rhythm,
    describe_stepping,
)
from shrinkage.probe.factories import UnprobeableError, check_factory, factory_from_text, name_of
from shrinkage.probe.fixed_point import RANDOM, find_objective
from shrinkage.probe.formula_text import write_formula
from shrinkage.probe.isolation import Deadline, OutOfTimeError, alarm, isolate
from shrinkage.probe.law import Law
from shrinkage.probe.law_fit import Fitted, fit_effect, try_other_gradients
from shrinkage.probe.limits import TIMEOUT, shorten
from shrinkage.probe.measure import (
    WEIGHTS,
    Setting,
    find_moved,
    known_gradient,
    no_gradient,
    run_pair,
)
from shrinkage.probe.settling import make_once, settle
from shrinkage.probe.stepper import Gradient, Stepper

USUAL = Setting(lr=0.1, weight_decay=0.1)


def probe(
    factory: Factory | str,
    *,
    lr: float = 0.1,
    weight_decay: float = 0.1,
    name: str | None = None,
    seconds: float = math.inf,
    timeout: float = TIMEOUT,
) -> Law:
    """Find what the `weight_decay` of an optimizer does to a weight, by stepping it.

    The optimizer is stepped with the decay and without it, on the same weights and with the same
    gradients, none and known ones, over learning rates, strengths, and tensors of several shapes
    and sizes. What the decay adds is fitted by ``−coefficient·lr^a·lr₀^b·wd^c·basis(w)``, and the
    fit is tried on a tensor unlike the others.

    Parameters
    ----------
    factory : callable or str
        Called as ``factory(params, lr=..., weight_decay=...)``: a class, a `functools.partial`, a
        function whose first argument is params; or text, "torch.optim.SGD,momentum=0.9". The
        decay may have another name, such as wd, l2 or lambda_, and the learning rate, too.
    lr, weight_decay : float, default 0.1
        Where to look, above 0.
    name : str, optional
        What to call it; by default, where it can be imported from.
    seconds : float, optional
        Of processor time that it may take, looked at between two steps.
    timeout : float, default 60
        Seconds on the clock that it may take, above 0; `math.inf` for no limit. A step that does
        not end is interrupted in the main thread of a process on Unix, unless it is compiled code
        that hangs; elsewhere time is looked at between two steps. The command ``shrinkage probe``
        runs in a separate process, which it can always end.

    Returns
    -------
    Law
        Prints as one line; ``report()`` says it all.

    Raises
    ------
    ValueError
        If lr, weight_decay or timeout is not above 0, for what makes no optimizer, which is not
        called unless its arguments are those of one, and for what cannot be made or stepped, with
        the reason.
    TypeError
        If `factory` cannot be called.

    Notes
    -----
    The state of random generators, the default type and the number of threads are as before; what
    the optimizer prints or warns of is kept, not shown.

    Examples
    --------
    >>> import torch
    >>> law = probe(torch.optim.AdamW)
    >>> print(law.law)
    w ← (1 − lr·wd)·w, decoupled, before the update
    >>> law.strength_cancels
    False
    """
    base = Setting(checked_above("lr", lr, 0.0), checked_above("weight_decay", weight_decay, 0.0))
    if timeout != math.inf:
        checked_above("timeout", timeout, 0.0)
    if isinstance(factory, str):
        factory = factory_from_text(factory)
    if not callable(factory):
        kind = type(factory).__name__
        remedy = f"; give the class, {kind}" if hasattr(factory, "param_groups") else ""
        raise TypeError(f"factory must be callable or text, got {kind}{remedy}")
    name = name_of(factory) if name is None else name
    deadline = Deadline.after(processor=seconds, clock=timeout)
    try:
        check_factory(factory)
        with isolate() as messages, alarm(timeout):
            law = _find_law(factory, base, name, deadline)
    except OutOfTimeError:
        limit = f"{timeout:g} s" if deadline.is_late else f"{seconds:g} s of processor time"
        raise ValueError(f"{name} cannot be probed: it takes more than {limit}") from None
    except UnprobeableError as error:
        raise ValueError(f"{name} cannot be probed: {error}") from None
    except (Exception, SystemExit) as error:  # foreign code may raise anything, at any step
        reason = f"{type(error).__name__}: {shorten(error)}"
        raise ValueError(f"{name} cannot be probed: it fails on the way: {reason}") from None
    about_decay = [f"it says: {line}" for line in messages if "decay" in line.lower()]
    return replace(law, notes=(*about_decay[:2], *law.notes))


def _find_law(factory: Factory, base: Setting, name: str, deadline: Deadline) -> Law:
    """Find the law of its decay, or note that it takes none."""
    law = Law(
        optimizer=name, lr=base.lr, weight_decay=base.weight_decay, form="none", formula="w ← w"
    )
    if strength_name(factory) is None and not set(WRAPPED) & set(parameters_of(factory)):
        if any(each.kind is each.VAR_POSITIONAL for each in parameters_of(factory).values()):
            raise UnprobeableError(
                "it takes arguments without a name (*args), and its weight_decay may be one of "
                "them; give a function of params, lr and weight_decay that makes it"
            )
        make_once(factory)
        return replace(law, notes=("takes no weight_decay",))
    stepper = settle(factory, deadline)
    law = _measure(stepper, base, law)
    promise = find_promise(factory)
    if promise is None:
        return law
    return replace(law, promise=str(promise), as_documented=promise.is_kept(law))


def _measure(stepper: Stepper, base: Setting, law: Law) -> Law:
    """The law with all that experiments say of it."""
    if not stepper.repeats(WEIGHTS):
        raise UnprobeableError(
            "two runs from the same start end differently: what it does depends on more than its "
            "weights, gradients and torch's random numbers"
        )
    fitted, gradient, remark = _fit(stepper, base)
    notes = describe_stepping(stepper)
    if fitted is None:
        return replace(law, notes=(*notes, _explain_nothing(stepper, base)))
    coupling = judge_coupling(stepper, base, fitted)
    without_gradient = acts_without_gradient(stepper, base, fitted)
    if without_gradient and coupling.coupled is None:  # what joins a gradient needs one
        coupling = replace(coupling, coupled=False)
    if coupling.momentum is not None:
        remark = (*remark, f"judged at momentum={coupling.momentum:g}")
    if fitted.is_random:
        remark = (*remark, "random: with other random numbers it has another effect")
    effect = run_pair(stepper, WEIGHTS, base, no_gradient, fitted.step).effects[-1]
    law = replace(
        _state_formula(law, fitted),
        coupled=coupling.coupled,
        order=coupling.order if coupling.coupled is False and not coupling.cautious else "",
        gradient_term=coupling.equals if coupling.coupled else "",
        cautious=coupling.cautious,
        growth=measure_growth(replace(stepper, momentum=coupling.momentum), base, fitted),
        acts_without_gradient=without_gradient,
        zeros_stay=not bool(find_moved(effect, WEIGHTS)[WEIGHTS == 0].any()),
        vectors=compare_on_vectors(stepper, base, fitted, gradient),
        notes=(
            *notes,
            *remark,
            *describe_rhythm(stepper, base, fitted, gradient),
            *compare_in_bfloat16(stepper, base),
        ),
    )
    try:
        objective = RANDOM if fitted.is_random else find_objective(stepper)
    except OutOfTimeError:
        objective = "its steps are too slow to find what it solves"
    return replace(law, objective=objective)


def _state_formula(law: Law, fitted: Fitted) -> Law:
    """Add the formula to the law, and how it depends on lr, strength and weight."""
    form = fitted.shape.form
    if form in ("proportional", "sign", "power") and fitted.coefficient < 0:
        form = "grows"
    elif form in ("proportional", "sign") and fitted.factors:
        form = "matrix"
    return replace(
        law,
        form=form,
        formula=write_formula(fitted),
        coefficient=abs(fitted.coefficient) if form == "grows" else fitted.coefficient,
        lr_exponent=fitted.exponents.lr,
        first_lr_exponent=fitted.exponents.first_lr,
        strength_exponent=fitted.exponents.strength,
        weight_exponent=fitted.shape.weight_exponent,
        misfit=fitted.misfit,
        first_step=fitted.step,
    )


def _fit(stepper: Stepper, base: Setting) -> tuple[Fitted | None, Gradient, tuple[str, ...]]:
    """The formula, the gradient under which the effect was observed, and a remark on it."""
    try:
        fitted = fit_effect(stepper, base, no_gradient)
        remark = "at a data gradient of 0 it does nothing"
    except FloatingPointError:
        fitted, remark = None, "at a data gradient of 0 its weights are not finite"
    if fitted is not None:
        return fitted, no_gradient, ()
    try:
        known = known_gradient(base.weight_decay)
        fitted = fit_effect(stepper, base, known)
    except FloatingPointError:
        raise UnprobeableError("its weights are not finite") from None
    if fitted is not None:
        fitted = try_other_gradients(stepper, base, fitted)
    return fitted, known, (remark,)


def _explain_nothing(stepper: Stepper, base: Setting) -> str:
    """Note that the decay does nothing, if no other setting or shape contradicts that."""
    if base != USUAL and _fit(stepper, USUAL)[0] is not None:
        raise UnprobeableError(
            f"at lr={base.lr:g} and weight_decay={base.weight_decay:g} what it does is lost in "
            "rounding; raise them"
        )
    check_that_nothing_acts(stepper, base)
    name = strength_name(stepper.factory) or "weight_decay"
    by = "" if name in parameters_of(stepper.factory) else " among any others"
    return f"{name} is taken{by} and does nothing"
