"""The final table of a study, and the remarks under it."""

from __future__ import annotations

import math
from collections import Counter
from statistics import fmean

import pandas as pd

from shrinkage.study.choose import mean_and_error
from shrinkage.study.emptied import is_emptied
from shrinkage.study.glossary import glossary, to_lines
from shrinkage.study.records import Choice, Results, Trivial
from shrinkage.study.wording import scored, share, whole


def table(results: Results) -> pd.DataFrame:
    """One row a choice, and one for the trivial model: numbers, for people who calculate on."""
    rows: list[dict[str, object]] = [
        {
            "method": choice.method,
            "rule": choice.rule,
            "strength": choice.strength,
            "validation": choice.validation_mean,
            "standard error": choice.validation_se,
            "test": fmean(choice.test_scores) if choice.test_scores else math.nan,
            "test error": choice.test_error,
            "zeros": choice.zeros,
            "dead neurons": choice.dead_neurons,
            "neurons": choice.neurons,
            "seconds": choice.seconds,
        }
        for choice in results.choices
    ]
    if results.trivial is not None:
        mean, error = mean_and_error(results.trivial.validation_scores)
        rows.append(
            {
                "method": results.trivial.name,
                "rule": "",
                "strength": math.nan,
                "validation": mean,
                "standard error": error,
                "test": fmean(results.trivial.test_scores),
                "test error": results.trivial.test_error,
                "zeros": math.nan,
                "dead neurons": math.nan,
                "neurons": 0,
                "seconds": math.nan,
            }
        )
    return pd.DataFrame(rows)


def written(results: Results) -> pd.DataFrame:
    """The same as text, for people who read; a method whose two rules agree has one row."""
    rows: dict[tuple[str, float], dict[str, str]] = {}
    for choice in results.choices:
        key = (choice.method, choice.strength)
        if key in rows:
            rows[key]["rule"] = f"{rows[key]['rule']}, {choice.rule}"
        else:
            rows[key] = _row(choice)
    if rows and results.trivial is not None:
        rows[results.trivial.name, math.nan] = _trivial_row(results.trivial)
    return pd.DataFrame(list(rows.values()))


def to_text(results: Results) -> str:
    """Table, explanations, remarks and verdict as plain text."""
    frame = written(results)
    body = frame.to_string(index=False) if len(frame) else "no choice can be made yet"
    said = remarks(results)
    parts = [[body], to_lines(results), said, [results.verdict]]
    return "\n\n".join("\n".join(lines) for lines in parts if any(lines))


def to_html(results: Results) -> str:
    """Table, explanations, remarks and verdict for a notebook."""
    frame = written(results)
    explained = " ".join(f"{term}: {meaning}." for term, meaning in glossary(results))
    lines = pd.DataFrame({"": [explained, *remarks(results), results.verdict]})
    return frame.to_html(index=False) + lines.to_html(index=False, header=False, border=0)


def remarks(results: Results) -> list[str]:
    """What a reader must know beside the numbers: edges of the grid, empty models, divergence."""
    edges = [
        f"{choice.method}: the best strength, {choice.strength:.2g}, is the {choice.edge} "
        "of the grid; the true best may lie beyond (--strengths)."
        for choice in results.choices
        if choice.edge and choice.rule == "best"
    ]
    emptied = {
        f"{choice.method} at {choice.strength:.2g} predicts the same for every row: "
        f"{'all its weights are 0' if choice.zeros == 1 else 'its zeros cut every feature off'}."
        for choice in results.choices
        if is_emptied(results, choice)
    }
    diverged = Counter(r.trial.method for r in results.records if r.status == "diverged")
    return [*edges, *sorted(emptied)] + [
        f"{method}: {count} of its trials diverged; a strength with a diverged seed is not chosen."
        for method, count in diverged.items()
    ]


def _row(choice: Choice) -> dict[str, str]:
    edge = f" ({choice.edge})" if choice.edge else ""
    return {
        "method": choice.method,
        "rule": choice.rule if choice.method != "none" else "",
        "strength": f"{choice.strength:.2g}{edge}" if choice.strength else "",
        "validation": _spread(choice.validation_mean, choice.validation_se),
        "test": _spread(fmean(choice.test_scores), choice.test_error) if choice.test_scores else "",
        "zeros": share(choice.zeros),
        "dead neurons": f"{whole(choice.dead_neurons, choice.neurons)} of {choice.neurons}"
        if choice.neurons
        else "",
        "seconds": f"{choice.seconds:.2f}",
    }


def _trivial_row(trivial: Trivial) -> dict[str, str]:
    empty = dict.fromkeys(("rule", "strength", "zeros", "dead neurons", "seconds"), "")
    return {
        **empty,
        "method": trivial.name,
        "validation": _spread(*mean_and_error(trivial.validation_scores)),
        "test": _spread(fmean(trivial.test_scores), trivial.test_error),
    }


def _spread(mean: float, error: float) -> str:
    return scored(mean) if math.isnan(error) else f"{scored(mean)} ± {scored(error)}"
