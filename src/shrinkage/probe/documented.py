"""Promises of well-known optimizers about their weight_decay, and whether a law keeps them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from shrinkage.probe.arguments import Factory, parameters_of
from shrinkage.probe.factories import class_name, name_of
from shrinkage.probe.law import Law


@dataclass(frozen=True)
class Promise:
    """A promise in words, and the test whether a law keeps it."""

    text: str
    is_kept: Callable[[Law], bool]
    source: str = ""  # who promises it

    def __str__(self) -> str:
        return f"{self.text} ({self.source})"


def _is(law: Law, lr: float, first_lr: float = 0.0) -> bool:
    """Whether it is a decoupled (1 − lr^a·lr₀^b·wd)·w with these exponents."""
    exponents = (law.lr_exponent, law.first_lr_exponent, law.strength_exponent)
    return (
        law.form == "proportional"
        and exponents == (lr, first_lr, 1.0)
        and abs(law.coefficient - 1) < 0.02
        and law.coupled is not True
        and not law.cautious
    )


L2 = Promise(
    "an L2 penalty: wd·w joins the gradient",
    lambda law: law.gradient_term == "wd·w" or (law.coupled is None and _is(law, 1.0)),
)
DECOUPLED = Promise("decoupled, (1 − lr·wd)·w", lambda law: _is(law, 1.0))
UNSCALED = Promise("decoupled, (1 − wd)·w", lambda law: _is(law, 0.0))
SCHEDULED = Promise("decoupled, (1 − (lr/lr₀)·wd)·w", lambda law: _is(law, 1.0, -1.0))
SUBTRACTED = Promise(
    "decoupled, |w| less wd, at least 0",
    lambda law: (
        law.form == "sign"
        and (law.lr_exponent, law.strength_exponent, law.coupled) == (0.0, 1.0, False)
    ),
)

NAMES = {
    **dict.fromkeys(("SGD", "Adam", "Adamax", "Adagrad", "Adadelta", "RMSprop", "ASGD"), L2),
    **dict.fromkeys(("NAdam", "RAdam"), L2),
    **dict.fromkeys(("AdamW", "NAdamW", "SGDW", "Lion", "Muon", "Adafactor"), DECOUPLED),
    **dict.fromkeys(("DecoupledSGDW", "DecoupledAdamW"), SCHEDULED),
}
SWITCHES = ("weight_decouple", "decoupled_weight_decay", "decouple_weight_decay")
# Arguments of optimizers that scale their steps, and so their decay, by a number they find.
OWN_STEP = ("d0", "wd_ratio", "trust_coefficient")
PHRASES = {"l2 penalty": L2, "decoupled weight decay": DECOUPLED}


def find_promise(factory: Factory) -> Promise | None:
    """By its arguments, which say most; else by its name; else by its documentation.

    ``weight_decouple=True`` promises a decoupled decay under any name, and ``fixed_decay=True``
    one that is not scaled by the learning rate.
    """
    if any(name in parameters_of(factory) for name in OWN_STEP):
        return None
    for name in SWITCHES:
        if name in parameters_of(factory):
            decoupled = DECOUPLED if not _read_argument(factory, "fixed_decay") else UNSCALED
            promise = decoupled if _read_argument(factory, name) else L2
            return replace(promise, source=f"{name}={_read_argument(factory, name)}")
    if name_of(factory).startswith("shrinkage.torch.SGDW"):
        undivided = SUBTRACTED if _read_argument(factory, "weight_norm") == 1 else UNSCALED
        promise = DECOUPLED if _read_argument(factory, "scale") == "lr" else undivided
        return replace(promise, source="its documentation")
    if class_name(factory) in NAMES:
        return replace(NAMES[class_name(factory)], source="its name")
    documentation = getattr(factory, "func", factory).__doc__
    written = " ".join(str(documentation).lower().split())
    for phrase, promise in PHRASES.items():
        if phrase in written:
            return replace(promise, source="its documentation")
    return None


def _read_argument(factory: Factory, name: str) -> Any:
    """The value of an argument, by default or from a partial."""
    parameter = parameters_of(factory).get(name)
    return None if parameter is None else parameter.default
