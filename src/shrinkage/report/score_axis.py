"""The axis of scores: what is in view, and the level of the trivial model."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from shrinkage.report.looks import Layout, Trace
from shrinkage.report.summary import Cell
from shrinkage.report.text import in_figure, is_number, shown_score
from shrinkage.study.records import Choice, Trivial

LEAST_SPAN = 0.15  # of the axis of scores: less would make noise look like a finding
WIDEST_SPAN = 2.5  # of that axis, in the distance between the best and the worst choice


def lowest_in_view(
    cells: Sequence[Cell], choices: Sequence[Choice], trivial: Trivial | None
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
    return lowest if min([*scores, *_levels(trivial)]) < lowest else None


def score_axis(cells: Sequence[Cell], choices: Sequence[Choice], trivial: Trivial | None) -> Layout:
    """From the lowest score in view, where some are out of view; else the figure decides."""
    lowest = lowest_in_view(cells, choices, trivial)
    if lowest is None:
        return {}
    tops = [
        cell.score + (cell.error if is_number(cell.error) else 0)
        for cell in cells
        if cell.seeds > 0
    ]
    highest = max([*tops, *_levels(trivial)])
    return {"range": [lowest, highest + 0.06 * (highest - lowest)]}


def trivial_level(trivial: Trivial, span: tuple[float, float]) -> Trace:
    """The trivial model's score, as a line across a figure."""
    level = fmean(trivial.validation_scores)
    return {
        "type": "scatter",
        "mode": "lines",
        "x": list(span),
        "y": [level, level],
        "line": {"color": "@soft", "width": 1.5, "dash": "dot"},
        "hoverinfo": "text",
        "hovertext": f"<b>{in_figure(trivial.name)}</b><br>validation {shown_score(level)}",
    }


def trivial_label(trivial: Trivial, lowest: float | None) -> Layout:
    """The name on the level; at the lower edge where the level lies below the view."""
    level = fmean(trivial.validation_scores)
    below = lowest is not None and level < lowest
    return {
        "text": f"{in_figure(trivial.name)}, {shown_score(level)}{' (below)' if below else ''}",
        "xref": "paper",
        "x": 0,
        "xanchor": "left",
        "yref": "paper" if below else "y",
        "y": 0 if below else level,
        "yanchor": "bottom",
        "showarrow": False,
        "font": {"color": "@soft"},
    }


def _levels(trivial: Trivial | None) -> list[float]:
    return [fmean(trivial.validation_scores)] if trivial is not None else []
