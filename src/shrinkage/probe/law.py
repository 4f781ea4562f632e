"""The result of a probe: the law by which an optimizer's weight_decay moves a weight."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from shrinkage.text_table import to_html

DOUBTFUL = 0.03  # a misfit above which the formula is the nearest, not the law


@dataclass(frozen=True, kw_only=True)
class Law:
    """What `weight_decay` does to a weight in one optimizer, as observed from outside.

    The effect of a step is ``w ← w − coefficient·lr^a·lr₀^b·wd^c·basis(w)`` at a data gradient of
    0, with a, b, c the exponents below and lr₀ the learning rate the optimizer was made with.

    Attributes
    ----------
    optimizer : str
        What was probed.
    lr, weight_decay : float
        At which values.
    form : str
        basis(w): "proportional" w; "sign"; "power" sign(w)·|w|^p; "constant" 1; "mixture" a sum of
        these; "matrix" a function of the tensor as a whole; "grows" as these, but away from 0;
        "none" where nothing happens.
    formula : str
        The law as it is written: ``w ← (1 − lr·wd)·w``.
    coefficient, lr_exponent, first_lr_exponent, strength_exponent : float
    weight_exponent : float or None
        p of a power, or of the singular values of a matrix; 1 for proportional, 0 for sign and
        constant; None for a mixture and where nothing happens.
    coupled : bool or None
        Whether the decay passes through the optimizer's own arithmetic; None where both are the
        same run.
    order : str
        Of a decoupled decay: "before" or "after" the update, or "either".
    gradient_term : str
        Of a coupled one: what it adds to the gradient, "wd·w", where adding that is the same run.
    cautious : bool
        Whether it acts only where the gradient, too, makes the weight smaller.
    objective : str
        What the point minimizes that the optimizer converges to.
    misfit : float
        The largest share of an observed effect that the formula does not explain; 0 fits exactly.
    first_step : int
        The step at which it acts first, from 1.
    growth : float
        Its share of a weight after 150 steps, by that of the first.
    zeros_stay : bool
        Whether weights that are 0 stay 0.
    acts_without_gradient : bool or None
        Whether a parameter whose gradient is None is decayed; None where that cannot be stepped.
    vectors : str
        One-dimensional parameters: "same law", "left alone", "refused", "another law".
    promise : str
        What its name, arguments or documentation say; "" where nothing is known.
    as_documented : bool or None
        Whether it keeps the promise.
    notes : tuple of str
        What else to know; the last one says why where nothing happens.

    Examples
    --------
    `probe` measures laws. This is the one of torch's SGD:

    >>> law = Law(
    ...     optimizer="SGD",
    ...     lr=0.1,
    ...     weight_decay=0.01,
    ...     form="proportional",
    ...     formula="w ← (1 − lr·wd)·w",
    ...     strength_exponent=1.0,
    ...     coupled=True,
    ...     gradient_term="wd·w",
    ...     objective="minimizes f(w) + wd/2·Σw²",
    ...     promise="an L2 penalty",
    ...     as_documented=True,
    ... )
    >>> print(law)
    SGD: w ← (1 − lr·wd)·w, coupled; minimizes f(w) + wd/2·Σw²; as documented: an L2 penalty
    >>> print(law.report())
    SGD at lr=0.1, weight_decay=0.01
      law       w ← (1 − lr·wd)·w, coupled
      verdict   as documented: an L2 penalty
      objective minimizes f(w) + wd/2·Σw²
      misfit    0.0e+00
    >>> figure = law.plot()  # in a notebook: what a step does to weights of each size
    """

    optimizer: str
    lr: float
    weight_decay: float
    form: str
    formula: str
    coefficient: float = 0.0
    lr_exponent: float = 0.0
    first_lr_exponent: float = 0.0
    strength_exponent: float = 0.0
    weight_exponent: float | None = None
    coupled: bool | None = None
    order: str = ""
    gradient_term: str = ""
    cautious: bool = False
    objective: str = ""
    misfit: float = 0.0
    first_step: int = 1
    growth: float = 1.0
    zeros_stay: bool = True
    acts_without_gradient: bool | None = None
    vectors: str = "same law"
    promise: str = ""
    as_documented: bool | None = None
    notes: tuple[str, ...] = ()

    @property
    def strength_cancels(self) -> bool:
        """Whether the decay is as strong for any weight_decay above 0."""
        return self.form != "none" and self.strength_exponent == 0.0

    @property
    def way(self) -> str:
        """Coupled or decoupled, in words; "" where the decay does nothing."""
        if self.form == "none":
            return ""
        if self.cautious:
            return "decoupled and cautious: only where the gradient shrinks the weight, too"
        if self.coupled is False:
            placed = {"before": ", before the update", "after": ", after the update"}
            return f"decoupled{placed.get(self.order, '')}"
        if self.coupled and self.gradient_term not in ("", "wd·w"):
            return f"coupled: {self.gradient_term} joins the gradient"
        if self.coupled and not self.gradient_term:
            return "coupled in a way of its own"
        return "coupled" if self.coupled else "coupled and decoupled alike"

    @property
    def verdict(self) -> str:
        """As documented or not, in a sentence."""
        if self.as_documented is None:
            return self.notes[-1] if self.form == "none" else "nothing is promised"
        judgement = "as documented" if self.as_documented else "NOT as documented"
        return f"{judgement}: {self.promise}"

    @property
    def is_simple(self) -> bool:
        """Whether the formula explains the observed effects."""
        return not self.misfit > DOUBTFUL

    @property
    def law(self) -> str:
        """The formula and the way, by which a survey groups optimizers."""
        if not self.is_simple:
            return f"no simple law, {self.way}"
        cancels = " (the strength cancels)" if self.strength_cancels else ""
        return ", ".join(part for part in (f"{self.formula}{cancels}", self.way) if part)

    @property
    def facts(self) -> tuple[str, ...]:
        """Further facts, each a clause."""
        if self.form == "none":
            return self.notes if self.as_documented is not None else self.notes[:-1]
        facts = list(self.notes)
        if not self.is_simple:
            facts.append(f"the nearest law, {self.formula}, leaves {self.misfit:.0%} unexplained")
        if self.first_step > 1:
            facts.append(f"acts from step {self.first_step} on")
        if 0 < self.growth < 0.8 or 1.25 < self.growth < math.inf:
            facts.append(f"after 150 steps it is {self.growth:.2g} times as strong as at first")
        if not self.zeros_stay:
            facts.append("moves weights that are 0")
        if self.acts_without_gradient:
            facts.append("acts where the gradient is None, too")
        if self.vectors != "same law":
            facts.append(f"one-dimensional parameters: {self.vectors}")
        return tuple(facts)

    def report(self) -> str:
        """The whole law in a few lines."""
        rows = {
            "law": self.law,
            "verdict": self.verdict,
            "objective": self.objective,
            "misfit": "" if self.form == "none" else f"{self.misfit:.1e}",
            "also": "; ".join(self.facts),
        }
        lines = [f"{self.optimizer} at lr={self.lr:g}, weight_decay={self.weight_decay:g}"]
        lines += [f"  {key:<10}{value}" for key, value in rows.items() if value]
        return "\n".join(lines)

    def __str__(self) -> str:
        parts = [f"{self.optimizer}: {self.law}", self.objective, self.verdict]
        return "; ".join(part for part in parts if part)

    def _repr_html_(self) -> str:
        head, *lines = self.report().splitlines()
        return to_html([(head, ""), *(line.strip().split(maxsplit=1) for line in lines)])

    def plot(self) -> Any:
        """A Plotly figure: what a step does to weights of each size, and where they go.

        At the learning rate and the weight_decay of the probe and a data gradient of 0.

        Raises
        ------
        ValueError
            If no formula for a single weight was found.
        ImportError
            If Plotly is not installed.
        """
        from shrinkage.figures.law_figure import draw_decay
        from shrinkage.figures.plotly_figure import to_plotly

        drawn = ("proportional", "sign", "power", "constant", "grows", "none")
        if self.form not in drawn or not self.is_simple:
            raise ValueError(
                f"the law of {self.optimizer} is no formula for a single weight, so there is no "
                "curve to draw: report() says what was found"
            )
        return to_plotly(draw_decay(self._compute_change, f"{self.optimizer}: {self.formula}"))

    def _compute_change(self, w: np.ndarray) -> np.ndarray:
        """What a step adds to weights, where each changes by itself."""
        if self.form == "none":
            return np.zeros_like(w)
        rate = self.coefficient * self.lr ** (self.lr_exponent + self.first_lr_exponent)
        amount = rate * self.weight_decay**self.strength_exponent
        if self.form == "constant":
            return np.full_like(w, -amount)
        change = amount * np.sign(w) * np.abs(w) ** (self.weight_exponent or 0.0)
        if "max(" in self.formula:  # smaller weights become 0 and stay there
            change = np.sign(w) * np.minimum(np.abs(w), np.abs(change))
        return np.asarray(change if self.form == "grows" else -change)
