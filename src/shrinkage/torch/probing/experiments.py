"""The probe: experiments on a black box, put together into its law."""

from __future__ import annotations

import math
import time
from dataclasses import replace

from shrinkage.penalties.arrays import checked_above
from shrinkage.torch.probing.coupling import coupling
from shrinkage.torch.probing.driving import (
    Driver,
    Gradient,
    OutOfTimeError,
    UnprobeableError,
    settled,
)
from shrinkage.torch.probing.effects import (
    WEIGHTS,
    Fitted,
    Setting,
    acted_on,
    effects,
    fitted,
    known_gradient,
    no_gradient,
    paths,
)
from shrinkage.torch.probing.factories import (
    Factory,
    accepted,
    factory_from_text,
    name_of,
    takes,
)
from shrinkage.torch.probing.facts import (
    acts_without_gradient,
    in_half_precision,
    on_driving,
    on_one_dimension,
)
from shrinkage.torch.probing.isolation import isolated, shortened
from shrinkage.torch.probing.law import Law
from shrinkage.torch.probing.promises import promise_of
from shrinkage.torch.probing.resting import objective
from shrinkage.torch.probing.writing import formula

USUAL = Setting(lr=0.1, weight_decay=0.1)


def probe(
    factory: Factory | str,
    *,
    lr: float = 0.1,
    weight_decay: float = 0.1,
    name: str | None = None,
    seconds: float = math.inf,
) -> Law:
    """Find what the `weight_decay` of an optimizer does to a weight, whatever its inside.

    The optimizer is stepped with the decay and without it, on the same weights and with the same
    gradients, none and known ones, over learning rates, strengths and sizes of the weights. What
    the decay adds is fitted by ``−coefficient·lr^a·lr₀^b·wd^c·basis(w)``.

    Parameters
    ----------
    factory : callable or str
        Called as ``factory(params, lr=..., weight_decay=...)``: a class, a `functools.partial`, a
        lambda; or text, "torch.optim.SGD,momentum=0.9".
    lr, weight_decay : float, default 0.1
        Where to look, above 0.
    name : str, optional
        What to call it; by default, where it can be imported from.
    seconds : float, optional
        Of processor time that it may take.

    Returns
    -------
    Law
        Prints as one line; ``report()`` says it all.

    Raises
    ------
    ValueError
        If lr or weight_decay is not above 0, and for what cannot be made or stepped, with the
        reason.
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
    if isinstance(factory, str):
        factory = factory_from_text(factory)
    if not callable(factory):
        raise TypeError(f"factory must be callable or text, got {type(factory).__name__}")
    base = Setting(checked_above("lr", lr, 0.0), checked_above("weight_decay", weight_decay, 0.0))
    name = name_of(factory) if name is None else name
    if not takes(factory, "weight_decay") and "optimizer" not in accepted(factory):
        return Law(
            optimizer=name,
            lr=lr,
            weight_decay=weight_decay,
            form="none",
            formula="w ← w",
            notes=("takes no weight_decay",),
        )
    try:
        with isolated() as said:
            driver = settled(factory, WEIGHTS, deadline=time.process_time() + seconds)
            law = _law(driver, base, name)
    except OutOfTimeError:
        raise ValueError(f"{name} cannot be probed: it takes more than {seconds:g} s") from None
    except UnprobeableError as error:
        raise ValueError(f"{name} cannot be probed: {error}") from None
    except Exception as error:  # foreign code may raise anything, at any step
        said_so = f"{type(error).__name__}: {shortened(error)}"
        raise ValueError(f"{name} cannot be probed: it fails on the way: {said_so}") from None
    promise = promise_of(factory)
    if promise is not None:
        law = replace(law, promise=str(promise), as_documented=promise.is_kept(law))
    matters = [f"it says: {line}" for line in said if "decay" in line.lower()]
    return replace(law, notes=(*matters[:2], *law.notes))


def _law(driver: Driver, base: Setting, name: str) -> Law:
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
        if base != USUAL and _seen(driver, USUAL)[0] is not None:
            raise UnprobeableError(
                f"at lr={base.lr:g} and weight_decay={base.weight_decay:g} what it does is lost in "
                "rounding; raise them"
            )
        by = "" if "weight_decay" in accepted(driver.factory) else " among any others"
        return replace(law, notes=(*law.notes, f"weight_decay is taken{by} and does nothing"))
    law = _with_fit(replace(law, notes=(*law.notes, *remark)), found)
    law = _with_coupling(law, driver, base, found)
    moved = effects(paths(driver, WEIGHTS, base, no_gradient, found.step))[-1]
    law = replace(
        law,
        zeros_stay=not bool(acted_on(moved, WEIGHTS)[WEIGHTS == 0].any()),
        vectors=on_one_dimension(driver, base, found, gradient),
        notes=(*law.notes, *in_half_precision(driver, base)),
    )
    try:
        return replace(law, objective=objective(driver))
    except OutOfTimeError:
        return replace(law, objective="its steps are too slow to find what it solves")


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
        return fitted(driver, WEIGHTS, base, known), known, (remark,)
    except FloatingPointError:
        raise UnprobeableError("its weights are not finite") from None


def _form(found: Fitted) -> str:
    if found.shape.form in ("proportional", "sign", "power") and found.coefficient < 0:
        return "grows"
    if found.shape.form in ("proportional", "sign") and found.norm_exponent:
        return "matrix"
    return found.shape.form
