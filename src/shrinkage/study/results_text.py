"""Results as text: the rows of their table, and the lines on their inputs."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from shrinkage.study.data.column_reading import join_words
from shrinkage.study.formatting import format_share, format_with_error, pluralize, round_units
from shrinkage.study.records import Baseline, Choice, FeatureUse
from shrinkage.study.scores import Metric
from shrinkage.study.summary import estimate_mean, find_leading, rank_features


def make_row(choices: Sequence[Choice]) -> dict[str, str]:
    """One strength of a method, under all the rules that chose it."""
    choice = choices[0]
    edge = f" ({choice.edge})" if choice.edge else ""
    test = estimate_mean(choice.test_scores)[0]
    dead = round_units(choice.dead_neurons, choice.neurons)
    return {
        "method": choice.method,
        "rule": ", ".join(each.rule for each in choices) if choice.method != "none" else "",
        "strength": f"{choice.strength:.2g}{edge}" if choice.strength else "",
        "validation": format_with_error(choice.validation_mean, choice.validation_se),
        "test": format_with_error(test, choice.test_error) if choice.test_scores else "",
        "zeros": format_share(choice.zeros),
        "dead neurons": f"{dead} of {choice.neurons}" if choice.neurons else "",
        "seconds": f"{choice.seconds:.2f}",
    }


def make_baseline_row(baseline: Baseline) -> dict[str, str]:
    """The trivial model, as a row beside the others."""
    empty = dict.fromkeys(("rule", "strength", "zeros", "dead neurons", "seconds"), "")
    return {
        **empty,
        "method": baseline.name,
        "validation": format_with_error(*estimate_mean(baseline.validation_scores)),
        "test": format_with_error(fmean(baseline.test_scores), baseline.test_error),
    }


def describe_leading(uses: Sequence[FeatureUse], most: int = 8) -> str:
    """A sentence that names the few inputs that matter; "" where they are not few."""
    leading, share = find_leading(uses)
    if not 0 < len(leading) <= min(most, len(uses) - 1):
        return ""
    have = "has" if len(leading) == 1 else "have"
    return f"{join_words(leading)} {have} {format_share(share)} of the importance."


def describe_inputs(
    uses: Sequence[FeatureUse], metric: Metric, split: str, most: int = 8
) -> list[str]:
    """Lines on the inputs of one method's models, the most important first.

    `split` is what a split of the rows is called: "seed" or "fold".
    """
    if not uses:
        return []
    count, seeds = len(uses), max(use.seeds for use in uses)
    always = sum(use.kept == use.seeds for use in uses)
    never = sum(use.kept == 0 for use in uses)
    counts = f"{always} of {pluralize(count, 'input')} are used in every {split}"
    counts += f", {never} in none" if never else ""
    means = f", mean over the {split}s" if seeds > 1 else ""
    coefficients = means and any(use.original is not None for use in uses)
    lines = [
        f"Inputs: {counts}. Importance is the {metric.title} "
        f"{'lost' if metric.best else 'added'} when an input is shuffled{means}"
        f"{', as is a coefficient' if coefficients else ''}."
    ]
    lines += [line] if (line := describe_leading(uses)) else []
    ranked = [use for use in rank_features(uses) if use.kept][:most]
    width = max((len(use.feature) for use in ranked), default=0)
    for use in ranked:
        importance = format_with_error(use.importance, use.importance_error)
        coefficient = f"  coefficient {use.original:.3g}" if use.original is not None else ""
        in_seeds = f"  in {use.kept} of {seeds}" if use.kept < use.seeds else ""
        lines.append(f"  {use.feature:<{width}}  {importance}{coefficient}{in_seeds}")
    more = count - never - len(ranked)
    return [*lines, f"  and {more} more (features.csv)"] if more > 0 else lines
