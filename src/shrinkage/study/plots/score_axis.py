"""The axis of scores: what is in view, and the level of the trivial model."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from shrinkage.figures.labels import escape_label, is_number
from shrinkage.figures.style import Layout, Trace
from shrinkage.figures.traces import draw_level
from shrinkage.study.formatting import format_page_score
from shrinkage.study.records import Baseline, Choice
from shrinkage.study.scores import Metric
from shrinkage.study.summary import Cell

LEAST_SPAN = 0.15  # of the axis of scores: less would make noise look like a finding
WIDEST_SPAN = 2.5  # of that axis, in the distance between the best and the worst choice


def find_worst_in_view(
    cells: Sequence[Cell], choices: Sequence[Choice], baseline: Baseline | None, metric: Metric
) -> float | None:
    """Where the axis of scores ends, so that models far worse than any choice do not flatten it.

    It begins there where higher is better. None where every score is in view.
    """
    sound = [cell for cell in cells if cell.seeds > 0]
    chosen = {(choice.method, choice.strength) for choice in choices}
    gains = [metric.gain(cell.score) for cell in sound]
    near = [
        metric.gain(cell.score) for cell in sound if (cell.method, cell.strength) in chosen
    ] or gains
    trivial = [metric.gain(score) for score in _list_baseline_scores(baseline)]
    best = max(gains)
    # An error in the target's units has no scale of its own: the trivial model's stands for it.
    size = abs((trivial or [best])[0]) if metric.in_units else 1.0
    worst = best - max(LEAST_SPAN * size, WIDEST_SPAN * (best - min(near)))
    return metric.gain(worst) if min([*gains, *trivial]) < worst else None


def make_score_axis(
    cells: Sequence[Cell], choices: Sequence[Choice], baseline: Baseline | None, metric: Metric
) -> Layout:
    """The range of the axis where some scores are out of view, or {} for plotly's own."""
    worst = find_worst_in_view(cells, choices, baseline, metric)
    if worst is None:
        return {}
    ends = [
        metric.gain(cell.score) + (cell.error if is_number(cell.error) else 0)
        for cell in cells
        if cell.seeds > 0
    ]
    best = metric.gain(max([*ends, *map(metric.gain, _list_baseline_scores(baseline))]))
    return {"range": sorted([worst, best + 0.06 * (best - worst)])}


def draw_baseline(baseline: Baseline, span: tuple[float, float]) -> Trace:
    """The trivial model's score, as a line across a figure."""
    level = fmean(baseline.validation_scores)
    text = f"<b>{escape_label(baseline.name)}</b><br>validation {format_page_score(level)}"
    return draw_level(span, level, text, {"color": "@soft", "width": 1.5, "dash": "dot"})


def label_baseline(baseline: Baseline, worst: float | None, metric: Metric) -> Layout:
    """The name on the level; at the edge where the level lies out of view."""
    level = fmean(baseline.validation_scores)
    is_out = worst is not None and metric.gain(level) < metric.gain(worst)
    place, side = (0, "below") if metric.best else (1, "above")
    return {
        "text": f"{escape_label(baseline.name)}, {format_page_score(level)}"
        f"{f' ({side})' if is_out else ''}",
        "xref": "paper",
        "x": 0,
        "xanchor": "left",
        "yref": "paper" if is_out else "y",
        "y": place if is_out else level,
        "yanchor": "top" if is_out and place else "bottom",
        "showarrow": False,
        "font": {"color": "@soft"},
    }


def _list_baseline_scores(baseline: Baseline | None) -> list[float]:
    return [fmean(baseline.validation_scores)] if baseline is not None else []
