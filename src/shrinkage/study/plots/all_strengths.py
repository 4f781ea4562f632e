"""The figures of all strengths as Plotly's, for a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shrinkage.figures.plotly_figure import to_plotly
from shrinkage.figures.style import assign_styles
from shrinkage.study.plots.strength_curves import draw_front, draw_scores, draw_zeros
from shrinkage.study.records import Baseline, Choice
from shrinkage.study.scores import Metric
from shrinkage.study.summary import Cell

VALUES = ("score", "zeros", "front")


def plot_strengths(
    values: str,
    cells: Sequence[Cell],
    choices: Sequence[Choice],
    methods: Sequence[str],
    baseline: Baseline | None,
    metric: Metric,
) -> Any:
    """The figure that `values` names."""
    if values not in VALUES:
        raise ValueError(f"values must be {', '.join(map(repr, VALUES))}, got {values!r}")
    if not any(cell.seeds for cell in cells):
        raise ValueError("no trial has a score yet, so there is nothing to draw")
    styles = assign_styles(methods)
    score = f"{metric.title}, validation"
    if values == "zeros":
        return to_plotly(draw_zeros(cells, choices, styles), y="exact zeros")
    draw = draw_scores if values == "score" else draw_front
    return to_plotly(draw(cells, choices, styles, baseline, metric), y=score)
