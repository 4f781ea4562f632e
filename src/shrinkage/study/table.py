"""The final table of a study, and the remarks under it."""

from __future__ import annotations

import math
from collections import Counter
from statistics import fmean

import pandas as pd

from shrinkage.study.records import Choice, Results


def table(results: Results) -> pd.DataFrame:
    """One row a choice: numbers, for people who calculate on."""
    return pd.DataFrame(
        [
            {
                "method": choice.method,
                "rule": choice.rule,
                "strength": choice.strength,
                "validation": choice.validation_mean,
                "standard error": choice.validation_se,
                "test": fmean(choice.test_scores) if choice.test_scores else math.nan,
                "zeros": choice.zeros,
                "dead neurons": choice.dead_neurons,
                "neurons": choice.neurons,
                "seconds": choice.seconds,
            }
            for choice in results.choices
        ]
    )


def written(results: Results) -> pd.DataFrame:
    """The same as text, for people who read; a method whose two rules agree has one row."""
    rows: dict[tuple[str, float], dict[str, str]] = {}
    for choice in results.choices:
        key = (choice.method, choice.strength)
        if key in rows:
            rows[key]["rule"] = f"{rows[key]['rule']}, {choice.rule}"
        else:
            rows[key] = _row(choice)
    return pd.DataFrame(list(rows.values()))


def to_text(results: Results) -> str:
    """Table, remarks and verdict as plain text."""
    frame = written(results)
    body = frame.to_string(index=False) if len(frame) else "no choice can be made yet"
    return "\n".join([body, "", *remarks(results), results.verdict]).rstrip()


def to_html(results: Results) -> str:
    """Table, remarks and verdict for a notebook."""
    frame = written(results)
    lines = pd.DataFrame({"": [*remarks(results), results.verdict]})
    return frame.to_html(index=False) + lines.to_html(index=False, header=False, border=0)


def remarks(results: Results) -> list[str]:
    """What a reader must know beside the numbers: edges of the grid, and divergence."""
    edges = [
        f"{choice.method}: the best strength, {choice.strength:.2g}, is the {choice.edge} "
        "of the grid; the true best may lie beyond (--strengths)."
        for choice in results.choices
        if choice.edge and choice.rule == "best"
    ]
    diverged = Counter(r.trial.method for r in results.records if r.status == "diverged")
    return edges + [
        f"{method}: {count} of its trials diverged; a strength with a diverged seed is not chosen."
        for method, count in diverged.items()
    ]


def _row(choice: Choice) -> dict[str, str]:
    spread = "" if math.isnan(choice.validation_se) else f" ± {choice.validation_se:.3f}"
    edge = f" ({choice.edge})" if choice.edge else ""
    return {
        "method": choice.method,
        "rule": choice.rule if choice.method != "none" else "",
        "strength": f"{choice.strength:.2g}{edge}" if choice.strength else "",
        "validation": f"{choice.validation_mean:.3f}{spread}",
        "test": f"{fmean(choice.test_scores):.3f}" if choice.test_scores else "",
        "zeros": f"{choice.zeros:.0%}",
        "dead neurons": f"{choice.dead_neurons:.3g} of {choice.neurons}" if choice.neurons else "",
        "seconds": f"{choice.seconds:.2f}",
    }
