"""The probe: experiments on a black box, put together into its law."""

from __future__ import annotations

import math
from dataclasses import replace

from shrinkage.penalties.arrays import checked_above
from shrinkage.probe.arguments import (
    WRAPPED,
    Factory,
    accepted,
    has_nameless_arguments,
    strength_name,
)
from shrinkage.probe.coupling import coupling
from shrinkage.probe.documented import promise_of
from shrinkage.probe.extra_questions import (
    acts_without_gradient,
    check_that_it_moves,
    in_half_precision,
    on_driving,
    on_one_dimension,
    rhythm,
)
from shrinkage.probe.factories import factory_from_text, name_of
from shrinkage.probe.fixed_point import objective
from shrinkage.probe.formula_text import formula
from shrinkage.probe.genuine import UnprobeableError, check_factory
from shrinkage.probe.isolation import isolated, shortened
from shrinkage.probe.law import Law
from shrinkage.probe.measure import (
    WEIGHTS,
    Fitted,
    Setting,
    acted_on,
    effects,
    fitted,
    known_gradient,
    no_gradient,
    paths,
    under_other_gradients,
)
from shrinkage.probe.settling import make_once, settled
from shrinkage.probe.step_limits import Deadline, OutOfTimeError, alarm
from shrinkage.probe.stepper import Driver, Gradient

TIMEOUT = 60.0
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
    """Find what the `weight_decay` of an optimizer does to a weight, whatever its inside.

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
        runs in a process of its own, which it ends whatever the step does.

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
    >>> print(probe(torch.optim.AdamW).law)
    w ← (1 − lr·wd)·w, decoupled, before the update
    >>> probe(torch.optim.Adam).strength_cancels
    True
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
        with isolated() as said, alarm(timeout):
            law = _law_or_none(factory, base, name, deadline)
    except OutOfTimeError:
        limit = f"{timeout:g} s" if deadline.is_late else f"{seconds:g} s of processor time"
        raise ValueError(f"{name} cannot be probed: it takes more than {limit}") from None
    except UnprobeableError as error:
        raise ValueError(f"{name} cannot be probed: {error}") from None
    except (Exception, SystemExit) as error:  # foreign code may raise anything, at any step
        said_so = f"{type(error).__name__}: {shortened(error)}"
        raise ValueError(f"{name} cannot be probed: it fails on the way: {said_so}") from None
    matters = [f"it says: {line}" for line in said if "decay" in line.lower()]
    return replace(law, notes=(*matters[:2], *law.notes))


def _law_or_none(factory: Factory, base: Setting, name: str, deadline: Deadline) -> Law:
    """The law of its decay, or that it takes none."""
    if strength_name(factory) is None and not set(WRAPPED) & set(accepted(factory)):
        if has_nameless_arguments(factory):
            raise UnprobeableError(
                "it takes arguments without a name (*args), and its weight_decay may be one of "
                "them; give a function of params, lr and weight_decay that makes it"
            )
        make_once(factory)
        return Law(
            optimizer=name,
            lr=base.lr,
            weight_decay=base.weight_decay,
            form="none",
            formula="w ← w",
            notes=("takes no weight_decay",),
        )
    driver = settled(factory, WEIGHTS, deadline=deadline)
    law = _law(driver, base, name)
    promise = promise_of(factory)
    return (
        law
        if promise is None
        else replace(law, promise=str(promise), as_documented=promise.is_kept(law))
    )


def _law(driver: Driver, base: Setting, name: str) -> Law:
    if not driver.repeats(WEIGHTS):
        raise UnprobeableError(
            "two runs from the same start end differently: what it does depends on more than its "
            "weights, gradients and torch's random numbers"
        )
    found, gradient, remark = _seen(driver, base)
    law = Law(
        optimizer=name,
        lr=base.lr,
        weight_decay=base.weight_decay,
        form="none",
        formula=formula(found),
        notes=on_driving(driver),
    )
    if found is None:
        return replace(law, notes=(*law.notes, _nothing(driver, base)))
    law = _with_fit(replace(law, notes=(*law.notes, *remark)), found)
    law = _with_coupling(law, driver, base, found)
    moved = effects(paths(driver, WEIGHTS, base, no_gradient, found.step))[-1]
    law = replace(
        law,
        zeros_stay=not bool(acted_on(moved, WEIGHTS)[WEIGHTS == 0].any()),
        vectors=on_one_dimension(driver, base, found, gradient),
        notes=(
            *law.notes,
            *rhythm(driver, base, found, gradient),
            *in_half_precision(driver, base),
        ),
    )
    try:
        return replace(law, objective=objective(driver))
    except OutOfTimeError:
        return replace(law, objective="its steps are too slow to find what it solves")


def _nothing(driver: Driver, base: Setting) -> str:
    """That the decay does nothing, where weights move and no other setting or shape says else."""
    if base != USUAL and _seen(driver, USUAL)[0] is not None:
        raise UnprobeableError(
            f"at lr={base.lr:g} and weight_decay={base.weight_decay:g} what it does is lost in "
            "rounding; raise them"
        )
    check_that_it_moves(driver, base)
    name = strength_name(driver.factory) or "weight_decay"
    by = "" if name in accepted(driver.factory) else " among any others"
    return f"{name} is taken{by} and does nothing"


def _with_fit(law: Law, found: Fitted) -> Law:
    form, exponent = _form(found), found.shape.weight_exponent
    return replace(
        law,
        form=form,
        coefficient=abs(found.coefficient) if form == "grows" else found.coefficient,
        lr_exponent=found.lr_exponent,
        first_lr_exponent=found.first_lr_exponent,
        strength_exponent=found.strength_exponent,
        weight_exponent=0.0 if form == "constant" else exponent,
        misfit=found.misfit,
        first_step=found.step,
    )


def _with_coupling(law: Law, driver: Driver, base: Setting, found: Fitted) -> Law:
    joined = coupling(driver, WEIGHTS, base, found)
    without_gradient = acts_without_gradient(driver, base, found)
    if without_gradient and joined.coupled is None:  # what joins a gradient needs one
        joined = replace(joined, coupled=False)
    at = () if joined.momentum is None else (f"judged at momentum={joined.momentum:g}",)
    return replace(
        law,
        coupled=joined.coupled,
        order=joined.order if joined.coupled is False and not joined.cautious else "",
        gradient_term=joined.equals if joined.coupled else "",
        cautious=joined.cautious,
        growth=joined.growth,
        acts_without_gradient=without_gradient,
        notes=(*law.notes, *at),
    )


def _seen(driver: Driver, base: Setting) -> tuple[Fitted | None, Gradient, tuple[str, ...]]:
    """The law, the gradient under which it was seen, and a remark on that."""
    try:
        found = fitted(driver, WEIGHTS, base, no_gradient)
        remark = "at a data gradient of 0 it does nothing"
    except FloatingPointError:
        found, remark = None, "at a data gradient of 0 its weights are not finite"
    if found is not None:
        return found, no_gradient, ()
    try:
        known = known_gradient(base.weight_decay)
        found = fitted(driver, WEIGHTS, base, known)
    except FloatingPointError:
        raise UnprobeableError("its weights are not finite") from None
    if found is not None:
        found = under_other_gradients(driver, WEIGHTS, base, found)
    return found, known, (remark,)


def _form(found: Fitted) -> str:
    if found.shape.form in ("proportional", "sign", "power") and found.coefficient < 0:
        return "grows"
    if found.shape.form in ("proportional", "sign") and found.factors:
        return "matrix"
    return found.shape.form
