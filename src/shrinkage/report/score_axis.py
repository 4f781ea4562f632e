"""The axis of scores: what is in view, and the level of the trivial model."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from shrinkage.report.page_text import escape_label, format_page_score, is_number
from shrinkage.report.style import Layout, Trace
from shrinkage.study.records import Baseline, Choice
from shrinkage.study.summary import Cell

LEAST_SPAN = 0.15  # of the axis of scores: less would make noise look like a finding
WIDEST_SPAN = 2.5  # of that axis, in the distance between the best and the worst choice


def find_lowest_in_view(
    cells: Sequence[Cell], choices: Sequence[Choice], baseline: Baseline | None
) -> float | None:
    """Where the axis of scores begins, so that models far worse than any choice do not flatten it.

    None where every score is in view.
    """
    sound = [cell for cell in cells if cell.seeds > 0]
    chosen = {(choice.method, choice.strength) for choice in choices}
    scores = [cell.score for cell in sound]
    near = [cell.score for cell in sound if (cell.method, cell.strength) in chosen] or scores
    best = max(scores)
    lowest = best - max(LEAST_SPAN, WIDEST_SPAN * (best - min(near)))
    return lowest if min([*scores, *_baseline_scores(baseline)]) < lowest else None


def make_score_axis(
    cells: Sequence[Cell], choices: Sequence[Choice], baseline: Baseline | None
) -> Layout:
    """The range of the axis where some scores are out of view, or {} for plotly's own."""
    lowest = find_lowest_in_view(cells, choices, baseline)
    if lowest is None:
        return {}
    tops = [
        cell.score + (cell.error if is_number(cell.error) else 0)
        for cell in cells
        if cell.seeds > 0
    ]
    highest = max([*tops, *_baseline_scores(baseline)])
    return {"range": [lowest, highest + 0.06 * (highest - lowest)]}


def draw_baseline(baseline: Baseline, span: tuple[float, float]) -> Trace:
    """The trivial model's score, as a line across a figure."""
    level = fmean(baseline.validation_scores)
    return {
        "type": "scatter",
        "mode": "lines",
        "x": list(span),
        "y": [level, level],
        "line": {"color": "@soft", "width": 1.5, "dash": "dot"},
        "hoverinfo": "text",
        "hovertext": f"<b>{escape_label(baseline.name)}</b><br>"
        f"validation {format_page_score(level)}",
    }


def label_baseline(baseline: Baseline, lowest: float | None) -> Layout:
    """The name on the level; at the lower edge where the level lies below the view."""
    level = fmean(baseline.validation_scores)
    below = lowest is not None and level < lowest
    return {
        "text": f"{escape_label(baseline.name)}, {format_page_score(level)}"
        f"{' (below)' if below else ''}",
        "xref": "paper",
        "x": 0,
        "xanchor": "left",
        "yref": "paper" if below else "y",
        "y": 0 if below else level,
        "yanchor": "bottom",
        "showarrow": False,
        "font": {"color": "@soft"},
    }


def _baseline_scores(baseline: Baseline | None) -> list[float]:
    return [fmean(baseline.validation_scores)] if baseline is not None else []
