"""The path of strengths of an estimator: its scores and how many inputs it keeps."""

from __future__ import annotations

import math

import numpy as np

from shrinkage.figures.style import Figure, Layout, Trace, decade_ticks, style_of
from shrinkage.figures.traces import draw_band, mark_strength

SCORE, KEPT = style_of(0), style_of(3)


def draw_strength_path(
    strengths: np.ndarray, scores: np.ndarray, kept: np.ndarray, chosen: float
) -> Figure:
    """Scores with a band of one standard error, and the kept inputs on an axis to the right.

    `scores` has a row for each strength and a column for each fold, `kept` a number for each
    strength; `chosen` is the strength that was chosen.
    """
    shown = strengths > 0  # 0 has no place on a logarithmic axis
    x, scores = strengths[shown], scores[shown]
    layout: Layout = {
        "xaxis": {"type": "log", "title": {"text": "strength"}},
        "yaxis": {"title": {"text": "score"}},
        "yaxis2": {
            "title": {"text": "kept inputs"},
            "overlaying": "y",
            "side": "right",
            "rangemode": "tozero",
            "tick0": 0,
            "dtick": max(1, round(int(kept.max(initial=1)) / 6)),
            "showgrid": False,
        },
        "legend": {"orientation": "h", "x": 0, "y": 1.12},
        "shapes": [mark_strength(chosen)] if chosen > 0 else [],
    }
    if x.size:
        layout["xaxis"] |= decade_ticks(*np.log10([x.min(), x.max()]))  # type: ignore[operator]
    return Figure("strength-path", [*_draw_scores(x, scores), _draw_kept(x, kept[shown])], layout)


def _draw_scores(x: np.ndarray, scores: np.ndarray) -> list[Trace]:
    folds, means = scores.shape[1], scores.mean(axis=1)
    line: Trace = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": f"score, mean of {folds} folds" if folds > 1 else "score",
        "x": x,
        "y": means,
        "line": {"color": SCORE.color, "width": 2},
        "marker": {"size": 6},
        "hovertemplate": "strength %{x:.3g}<br>score %{y:.4g}<extra></extra>",
    }
    if folds < 2:
        return [line]
    errors = scores.std(axis=1, ddof=1) / math.sqrt(folds)
    return [draw_band(x, means - errors, means + errors, SCORE.tint(0.15)), line]


def _draw_kept(x: np.ndarray, kept: np.ndarray) -> Trace:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "kept inputs",
        "x": x,
        "y": kept,
        "yaxis": "y2",
        "line": {"color": KEPT.color, "width": 1.5, "shape": "hvh"},
        "hovertemplate": "strength %{x:.3g}<br>%{y} inputs<extra></extra>",
    }
