"""The page of weights over steps."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from shrinkage.figures.style import Figure, Layout, Style, Trace, style_of
from shrinkage.report.figure_html import render_legend, render_plot
from shrinkage.report.page_frame import render_page
from shrinkage.report.page_text import escape
from shrinkage.study.formatting import pluralize
from shrinkage.study.storage.atomic_write import write_atomically

MOST_NAMED = 12  # weights that a legend names, so that a reader can distinguish them
MOST_STEPS = 400  # of a line: more than a screen shows


def write_paths(
    series: Mapping[str, ArrayLike], path: Path, *, title: str = "Weights over steps"
) -> None:
    """Write a page that shows how weights moved, one small figure for each label.

    `series` maps a label to an array of shape (steps + 1, weights), the first row being where the
    weights began; a one-dimensional array is one weight. All figures have the same vertical axis.
    The page opens offline. It appears whole or not at all.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_paths({"L1": [[1.0, -0.5], [0.9, 0.0]]}, Path(folder) / "paths.html")
    """
    arrays = {label: _to_columns(label, values) for label, values in series.items()}
    if not arrays:
        raise ValueError("series must hold at least one array of weights")
    figures = [_draw_figure(label, values, arrays) for label, values in arrays.items()]
    panels = "\n".join(
        render_plot(
            figure.name, heading=f"<h3>{escape(label)}</h3>", note=_describe_zeros(arrays[label])
        )
        for label, figure in zip(arrays, figures, strict=True)
    )
    body = (
        f"<header><h1>{escape(title)}</h1></header>\n"
        f'<section class="figures">\n{_render_legend(arrays)}'
        f'<div class="panels wide">\n{panels}\n</div>\n</section>'
    )
    write_atomically(Path(path), render_page(title, body, figures))


def _to_columns(label: str, values: ArrayLike) -> np.ndarray:
    array = np.asarray(values, dtype=float)
    if array.ndim == 1:
        array = array[:, np.newaxis]
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"{label!r} must have shape (steps + 1, weights), got {np.shape(values)}")
    return array


def _style_weights(arrays: Mapping[str, np.ndarray]) -> dict[str, Style]:
    most = max(array.shape[1] for array in arrays.values())
    return {f"w{index + 1}": style_of(index) for index in range(most)}


def _render_legend(arrays: Mapping[str, np.ndarray]) -> str:
    names = _style_weights(arrays)
    return render_legend(names) if 1 < len(names) <= MOST_NAMED else ""


def _draw_figure(label: str, values: np.ndarray, arrays: Mapping[str, np.ndarray]) -> Figure:
    finite = np.concatenate([array[np.isfinite(array)] for array in arrays.values()])
    low, high = (min(finite.min(), 0.0), max(finite.max(), 0.0)) if finite.size else (-1.0, 1.0)
    margin = 0.06 * (high - low) or 1.0
    steps = np.unique(np.linspace(0, len(values) - 1, min(len(values), MOST_STEPS)).astype(int))
    styles = _style_weights(arrays)
    traces = [
        _draw_line(name, steps, column[steps], styles[name])
        for name, column in zip(styles, values.T, strict=False)
    ]
    layout: Layout = {
        "xaxis": {"title": {"text": "step"}},
        "yaxis": {"range": [low - margin, high + margin], "zeroline": True},
    }
    return Figure(label, traces, layout)


def _draw_line(name: str, steps: np.ndarray, weights: np.ndarray, style: Style) -> Trace:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": steps,
        "y": weights,
        "line": {"color": style.color, "width": 2, "dash": style.dash},
        "hovertemplate": f"<b>{name}</b> %{{y:.4g}}<br>step %{{x}}<extra></extra>",
        "meta": {"method": name},
    }


def _describe_zeros(values: np.ndarray) -> str:
    """How many weights end at zero exactly."""
    zeros = int(np.count_nonzero(values[-1] == 0))
    if zeros == 0:
        return "no exact zeros"
    return f"{zeros} of {pluralize(values.shape[1], 'weight')} exactly zero"
