"""Figures as Plotly's, for notebooks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from shrinkage.figures.style import Figure, Layout, Trace

# One colour each that can be read on white and on black: a notebook may be either.
COLORS = {
    "paper": "#bfc2c6",
    "ink": "#80858c",
    "soft": "#80858c",
    "front": "#8c8468",
    "series-none": "#8a8d92",
    "series-0": "#1a74ba",
    "series-1": "#5fb3e6",
    "series-2": "#c38d12",
    "series-3": "#e0622a",
    "series-4": "#1b9b7c",
    "series-5": "#c066a5",
    "series-6": "#7f74d4",
}
CLEAR = "rgba(0,0,0,0)"
GRID, RULE = "rgba(128,128,128,0.2)", "rgba(128,128,128,0.55)"
AXIS: Layout = {
    "automargin": True,
    "gridcolor": GRID,
    "linecolor": RULE,
    "zerolinecolor": RULE,
    "zeroline": False,
    "tickfont": {"color": "@soft"},
}


def to_plotly(figure: Figure, *, y: str = "", height: int = 420) -> Any:
    """The figure as a `plotly.graph_objects.Figure`; `y` names the vertical axis.

    Traces that belong to a method have its name in the legend, where a click hides all of them.

    Raises
    ------
    ImportError
        If Plotly is not installed.
    """
    try:
        from plotly.graph_objects import Figure as PlotlyFigure
    except ImportError:
        raise ImportError(
            "plots are drawn by Plotly, which is not installed: pip install plotly"
        ) from None
    layout: Layout = {
        "template": "none",
        "height": height,
        "margin": {"l": 60, "r": 20, "t": 40, "b": 50},
        "font": {"color": "@ink", "size": 12.5},
        "paper_bgcolor": CLEAR,
        "plot_bgcolor": CLEAR,
        "hovermode": "closest",
        "legend": {"orientation": "h", "x": 0, "y": -0.25},
        "yaxis": {},
        **figure.layout,
    }
    for name in [key for key in layout if key.startswith(("xaxis", "yaxis"))]:
        layout[name] = AXIS | dict(layout[name])  # type: ignore[call-overload]
    if y:
        layout["yaxis"] |= {"title": {"text": y}}  # type: ignore[operator]
    traces = list(_add_legend(figure.traces))
    return PlotlyFigure(_paint({"data": traces, "layout": layout}))


def _add_legend(traces: list[Trace]) -> Iterator[Trace]:
    """The traces, the first line or marker of each method with its name."""
    named = set()
    for trace in traces:
        meta = trace.get("meta")
        method = meta.get("method") if isinstance(meta, Mapping) else trace.get("name")
        is_first = method is not None and method not in named and "fill" not in trace
        if is_first:
            named.add(method)
        group = {} if method is None else {"name": method, "legendgroup": method}
        yield {**trace, **group, "showlegend": is_first}


def _paint(value: Any, key: str = "") -> Any:
    """A copy in which the colour "@series-3/0.13" is that of this name, let through."""
    if isinstance(value, Mapping):
        return {name: _paint(entry, name) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_paint(entry, key) for entry in value]
    if not (isinstance(value, str) and value.startswith("@") and "color" in key):
        return value
    name, _, alpha = value[1:].partition("/")
    color = COLORS[name]
    channels = ",".join(str(int(color[place : place + 2], 16)) for place in (1, 3, 5))
    return f"rgba({channels},{alpha})" if alpha else color
