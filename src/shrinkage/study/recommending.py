"""Which of the chosen models is recommended, by validation scores."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from shrinkage.study.records import Baseline, Choice
from shrinkage.study.results import Results

SPARSE = 0.05  # share of zeros from which a model is called sparse, or sparser than another
KEPT_LEAD = 0.9  # of the best model's lead over the trivial model, kept by a sparser alternative
FALLBACK_COST = 0.01  # of the score, where the trivial model's score is unknown


def find_recommended(results: Results) -> Choice | None:
    """The choice that the verdict recommends; None where it recommends nothing."""
    return find_candidates(results)[2]


def find_candidates(results: Results) -> tuple[Choice | None, Choice | None, Choice | None]:
    """The best choice, a sparser one near it, and the one of them that is recommended."""
    useful = [choice for choice in results.choices if _is_useful(results, choice)]
    if not useful:
        return None, None, None
    best = max(useful, key=lambda choice: rank(results, choice))
    sparser = _find_sparser(results, useful, best)
    prefers_sparse = results.question.get("prefer") == "sparse"
    return best, sparser, sparser if prefers_sparse and sparser else best


def measure_lead(results: Results, choice: Choice, score: float) -> float:
    """By how much a choice is better in validation than a score."""
    return results.metric.gain(choice.validation_mean) - results.metric.gain(score)


def exceeds(results: Results, gain: float, other: float) -> bool:
    """Whether a gain is greater than another by more than the rounding of means."""
    return gain - other > 1e-12 * _find_typical_score(results)


def rank(results: Results, choice: Choice) -> tuple[float, float, bool, float]:
    """By the mean score; among equals by sparsity, then no penalty, then the greater strength."""
    zeros = choice.zeros if choice.zeros >= SPARSE else 0.0
    gain = round(results.metric.gain(choice.validation_mean) / _find_typical_score(results), 12)
    return gain, zeros, choice.method == "none", choice.strength


def measure_one_row(results: Results) -> float:
    """What one of n validation rows contributes: 1/n to an accuracy, no fixed amount to others."""
    rows = results.data.get("validation", 0)
    return 1 / rows if rows and results.metric.counts_rows else 0.0


def average_validation(baseline: Baseline) -> float:
    return fmean(baseline.validation_scores)


def _find_typical_score(results: Results) -> float:
    """1, or the trivial model's score where scores are in the units of the target."""
    if not results.metric.in_units or results.baseline is None:
        return 1.0
    return abs(average_validation(results.baseline)) or 1.0


def _is_useful(results: Results, choice: Choice) -> bool:
    """Whether a choice uses the features and beats the trivial model, and an R² of 0."""
    beats = results.metric.name != "r2" or exceeds(results, choice.validation_mean, 0.0)
    if results.baseline is not None:
        lead = measure_lead(results, choice, average_validation(results.baseline))
        beats &= exceeds(results, lead, 0.0)
        beats &= not exceeds(results, measure_one_row(results), lead)
    return beats and not results.is_constant(choice)


def _find_sparser(results: Results, useful: Sequence[Choice], best: Choice) -> Choice | None:
    """The sparsest choice that is clearly sparser than the best and nearly as good."""
    cost = FALLBACK_COST
    if results.baseline is not None:
        cost = (1 - KEPT_LEAD) * measure_lead(results, best, average_validation(results.baseline))
    near = [
        choice
        for choice in useful
        if choice.zeros >= best.zeros + SPARSE
        and not exceeds(results, measure_lead(results, best, choice.validation_mean), cost)
    ]
    return max(near, key=lambda choice: (choice.zeros, *rank(results, choice)), default=None)
