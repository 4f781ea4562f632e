"""What "weight decay" means in each library, and how to convert one strength into another."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from shrinkage.penalties.arrays import checked_above, checked_strength

# Patterns of what optimizers call their weight_decay, in lower case, the likeliest first.
DECAY_NAMES = r"weight_?decay|wd|w_?decay", r"weight_?decay_.*|wd_.*|decay_weight"


def find_decay_name(names: Iterable[str]) -> str | None:
    """The likeliest of these names for the strength of a decay; None where none is likely.

    >>> find_decay_name(["lr", "wd"]), find_decay_name(["lr", "betas"])
    ('wd', None)
    """
    listed = list(names)
    matching = (n for each in DECAY_NAMES for n in listed if re.fullmatch(each, n.lower()))
    return next(matching, None)


class Rates(NamedTuple):
    """The numbers that a convention may depend on."""

    lr: float | None
    first_lr: float | None
    batch_size: float | None

    def of(self, name: str, who: str) -> float:
        """The number of that name, which the convention `who` needs."""
        number: float | None = getattr(self, name)
        if number is None:
            raise ValueError(f"{name} is needed: the convention {who!r} depends on it")
        return checked_above(name, number, 0.0)


# The share of a weight that a step takes away at a data gradient of 0, for a strength of 1.
CONVENTIONS: dict[str, Callable[[Rates], float]] = {
    "torch": lambda rates: rates.of("lr", "torch"),
    "l2": lambda rates: 2.0 * rates.of("lr", "l2"),
    "keras": lambda rates: 2.0 * rates.of("lr", "keras"),
    "loshchilov_hutter": lambda rates: (
        rates.of("lr", "loshchilov_hutter") / rates.of("first_lr", "loshchilov_hutter")
    ),
    "composer": lambda rates: rates.of("lr", "composer") / rates.of("first_lr", "composer"),
    "sklearn": lambda rates: rates.of("lr", "sklearn") / rates.of("batch_size", "sklearn"),
    "unscaled": lambda rates: 1.0,
}


def convert(
    strength: float,
    source: str,
    target: str,
    *,
    lr: float | None = None,
    first_lr: float | None = None,
    batch_size: float | None = None,
) -> float:
    """The strength that does under `target` what `strength` does under `source`, in one step.

    All conventions below take ``w ← (1 − r)·w`` at a data gradient of 0, with

    - "torch": ``r = lr·s``. `weight_decay` of torch's AdamW, of its SGD without momentum, of
      Keras' optimizers.
    - "l2": ``r = 2·lr·s``. ``L2(s)`` here, in the loss or coupled, under SGD without momentum; and
      "keras": the regularizer ``L2(s)`` there.
    - "loshchilov_hutter": ``r = (lr/first_lr)·s``, which follows the schedule alone; and
      "composer", its Decoupled optimizers. Here ``how="decoupled", scale="schedule"`` with ``s/2``
      as the strength of `L2`.
    - "sklearn": ``r = lr·s/batch_size``. `alpha` of scikit-learn's MLP, solver "sgd" without
      momentum.
    - "unscaled": ``r = s``. The sandbox's SGDW, `fixed_decay` elsewhere.

    Parameters
    ----------
    strength : float
        At least 0.
    source, target : str
        Names of conventions.
    lr : float, optional
        The learning rate at that step, above 0, where a convention depends on it.
    first_lr : float, optional
        The learning rate that the schedule began with.
    batch_size : int, optional
        Samples of a step.

    Raises
    ------
    ValueError
        For a convention that is not known (with the nearest) and a number that is missing.

    Notes
    -----
    Under momentum, and in Adam where a decay is coupled, there is no such number: what is added to
    the gradient acts through the optimizer. References: Loshchilov and Hutter (2019); Kingma and
    Ba (2015).

    Examples
    --------
    >>> convert(0.01, "torch", "l2", lr=0.1)  # L2.from_weight_decay
    0.005
    >>> convert(0.1, "torch", "loshchilov_hutter", lr=0.001, first_lr=0.001)
    0.0001
    """
    strength = checked_strength("strength", strength)
    rates = Rates(lr, first_lr, batch_size)
    shares = []
    for name, convention in (("source", source), ("target", target)):
        if convention not in CONVENTIONS:
            near = difflib.get_close_matches(str(convention), CONVENTIONS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            known = ", ".join(CONVENTIONS)
            raise ValueError(f"{name} must be one of {known}, got {convention!r}{hint}")
        shares.append(CONVENTIONS[convention](rates))
    return strength * (shares[0] / shares[1])
