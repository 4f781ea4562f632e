"""The look of a method: the same colour, line and marker in every figure and in the table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

SERIES = 7  # --series-0 ... --series-6 in page.css
CLASSES = 8  # --class-0 ... --class-7 in page.css
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "cross", "hexagon")
MOST_TICKS = 7  # of a logarithmic axis, approximately
DASHES = ("solid", "dash", "dot", "dashdot")

Trace = dict[str, object]
Layout = dict[str, object]


@dataclass(frozen=True)
class Style:
    """A colour by its name in page.css, with a line and a marker for readers without colour."""

    name: str  # "series-3"
    symbol: str
    dash: str

    @property
    def color(self) -> str:
        """The colour for a figure; page.js puts in the one of the present scheme."""
        return f"@{self.name}"

    def tint(self, alpha: float) -> str:
        """The colour with some transparency."""
        return f"@{self.name}/{alpha}"

    @property
    def css(self) -> str:
        """The colour for an element of the page."""
        return f"--look: var(--{self.name})"


@dataclass(frozen=True)
class Figure:
    """One plot: plotly's traces and layout, and who it belongs to."""

    name: str
    traces: list[Trace]
    layout: Layout
    background: str = ""  # the name of traces that several plots share


UNPENALIZED = Style("series-none", "circle", "solid")


def style_of(index: int) -> Style:
    """The look of the method at `index` among those with a penalty."""
    cycle, place = divmod(index, SERIES)
    return Style(f"series-{place}", SYMBOLS[place], DASHES[cycle % len(DASHES)])


def assign_styles(methods: Sequence[str]) -> dict[str, Style]:
    """A look for each method; the one without a penalty is grey."""
    penalized = [method for method in methods if method != "none"]
    places = {method: style_of(index) for index, method in enumerate(penalized)}
    return {method: places.get(method, UNPENALIZED) for method in methods}


def decade_ticks(low: float, high: float) -> Layout:
    """Ticks of a logarithmic axis from 10^low to 10^high, written as people type strengths."""
    every = max(1, round((high - low) / MOST_TICKS))
    decades = range(math.floor(low), math.ceil(high) + 1, every)
    return {
        "tickvals": [10.0**decade for decade in decades],
        "ticktext": [f"1e{decade}" for decade in decades],
    }
