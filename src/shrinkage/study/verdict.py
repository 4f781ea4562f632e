"""One sentence from the choices: what to use, and why."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from shrinkage.study.records import Choice

WORTH_SAYING = 0.05  # share of zeros from which a model is called sparse


def verdict(choices: Sequence[Choice], score: str) -> str:
    """What to use and why, by validation scores; the test scores are reported, never used.

    Parameters
    ----------
    choices : sequence of Choice
        With their test scores.
    score : str
        What the score is called: "accuracy" or "R²".
    """
    if not choices:
        return "Nothing can be recommended: every trial diverged; lower the learning rate (--lr)."
    plain = next((choice for choice in choices if choice.method == "none"), None)
    best = max(choices, key=_merit)
    if plain is None:
        return f"Use {_told(best, score)}; without a penalty the training diverges."
    if math.isnan(best.validation_se):
        against = "" if best is plain else f", against {_plainly(plain)}"
        return (
            f"Use {_told(best, score)} for now{against}: one seed gives no standard error, so "
            "this may be chance; run more --seeds, into another --out."
        )
    near = [c for c in choices if c.validation_mean >= best.validation_mean - best.validation_se]
    sparse = max(near, key=lambda choice: (choice.zeros, *_merit(choice)))
    if not _is_better(best, plain):
        if sparse.zeros >= WORTH_SAYING:
            return (
                f"Use {_told(sparse, score)}: no penalty scores clearly better than none "
                f"({_spread(plain)}{_test(plain)}), but this one does as well{_with_less(sparse)}."
            )
        why = "none that was tried scores better"
        if best is not plain:
            why = f"the lead of the best, {_named(best)} ({_spread(best)}), is within the noise"
        return f"Use no penalty ({_spread(plain)} {score} in validation{_test(plain)}): {why}."
    if sparse.zeros >= WORTH_SAYING and sparse is not best:
        return (
            f"Use {_told(sparse, score)}, against {_plainly(plain)}: it is within "
            f"one standard error of the best, {_named(best)} ({_spread(best)}){_with_less(sparse)}."
        )
    return (
        f"Use {_told(best, score)}, against {_plainly(plain)}: the best in "
        f"validation{_with_less(best) if best.zeros >= WORTH_SAYING else ''}."
    )


def _merit(choice: Choice) -> tuple[float, float, float]:
    """A higher mean, then more zeros, then more strength."""
    return choice.validation_mean, choice.zeros, choice.strength


def _is_better(choice: Choice, plain: Choice) -> bool:
    """By more than the standard error of the difference of two means."""
    lead = choice.validation_mean - plain.validation_mean
    return lead > math.hypot(choice.validation_se, plain.validation_se)


def _told(choice: Choice, score: str) -> str:
    return f"{_named(choice)} ({_spread(choice)} {score} in validation{_test(choice)})"


def _plainly(plain: Choice) -> str:
    return f"{_spread(plain)} without a penalty{_test(plain)}"


def _named(choice: Choice) -> str:
    if choice.method == "none":
        return "no penalty"
    edge = f", the {choice.edge} tried" if choice.edge else ""
    return f"{choice.method} at {choice.strength:.2g}{edge}"


def _spread(choice: Choice) -> str:
    if math.isnan(choice.validation_se):
        return f"{choice.validation_mean:.3f}"
    return f"{choice.validation_mean:.3f} ± {choice.validation_se:.3f}"


def _test(choice: Choice) -> str:
    return f", {fmean(choice.test_scores):.3f} in test" if choice.test_scores else ""


def _with_less(choice: Choice) -> str:
    dead = (
        f" and {choice.dead_neurons:.3g} of {choice.neurons} neurons dead" if choice.neurons else ""
    )
    return f", with {choice.zeros:.0%} of the weights exactly 0{dead}"
