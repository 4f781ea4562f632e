"""Panels of lines and areas as SVG, for pages that are light or dark.

Colours are those of the figures in notebooks, which can be read on white and on black.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from shrinkage.figures.plotly_figure import COLORS

INK = COLORS["ink"]
SERIES = [COLORS[f"series-{number}"] for number in (0, 3, 4, 2, 5, 6, 1)]
STYLE = f"text{{font:12px system-ui,sans-serif;fill:{INK}}}.head{{font-weight:600}}"


@dataclass
class Panel:
    """A rectangle of the picture with its own scales; what is drawn gathers in `parts`."""

    left: float
    top: float
    width: float
    height: float
    x: tuple[float, float]
    y: tuple[float, float]
    parts: list[str] = field(default_factory=list)

    def place(self, x: float, y: float) -> tuple[float, float]:
        """The pixel of a point."""
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return self.left + across * self.width, self.top + (1 - up) * self.height

    def path(self, x: Sequence[float] | np.ndarray, y: Sequence[float] | np.ndarray) -> str:
        """The line through points; one that is not finite interrupts it."""
        steps, pen = [], "M"
        for point in zip(x, y, strict=True):
            if not np.isfinite(point).all():
                pen = "M"
                continue
            steps.append("{}{:.1f} {:.1f}".format(pen, *self.place(*point)))
            pen = "L"
        return "".join(steps)

    def line(self, x, y, color: str = INK, width: float = 2.2, more: str = "") -> None:  # type: ignore[no-untyped-def]
        self.parts.append(
            f'<path d="{self.path(x, y)}" fill="none" stroke="{color}" stroke-width="{width}" '
            f'stroke-linejoin="round"{more}/>'
        )

    def area(
        self, polygons: Sequence[np.ndarray], color: str, *, alpha: float, edge: float
    ) -> None:
        """Closed polygons, filled; holes stay open."""
        shape = "".join(self.path(points[:, 0], points[:, 1]) + "Z" for points in polygons)
        stroke = f' stroke="{color}" stroke-width="{edge}"' if edge else ""
        self.parts.append(
            f'<path d="{shape}" fill="{color}" fill-opacity="{alpha}" fill-rule="evenodd"{stroke}/>'
        )

    def dot(self, x: float, y: float, color: str, size: float = 4.0, more: str = "") -> None:
        across, down = self.place(x, y)
        self.parts.append(
            f'<circle cx="{across:.1f}" cy="{down:.1f}" r="{size}" fill="{color}"{more}/>'
        )

    def cross(self, at: tuple[float, float] = (0.0, 0.0)) -> None:
        """Thin axes through a point, where they are in view."""
        thin = ' opacity="0.6"'
        if self.y[0] <= at[1] <= self.y[1]:
            self.line(self.x, (at[1], at[1]), width=0.8, more=thin)
        if self.x[0] <= at[0] <= self.x[1]:
            self.line((at[0], at[0]), self.y, width=0.8, more=thin)

    def head(self, words: str, *, below: str = "") -> None:
        """A heading over the panel, and the name of its horizontal axis below it."""
        middle = self.left + self.width / 2
        self.parts.append(text(middle, self.top - 8, words, "middle", "head"))
        if below:
            self.parts.append(text(middle, self.top + self.height + 28, below, "middle"))

    def ticks(self, x: Sequence[float] = (), y: Sequence[float] = ()) -> None:
        for value in x:
            across, down = self.place(value, self.y[0])
            self.parts.append(text(across, down + 14, f"{value:g}".replace("-", "−"), "middle"))
        for value in y:
            across, down = self.place(self.x[0], value)
            self.parts.append(text(across - 5, down + 4, f"{value:g}".replace("-", "−"), "end"))


def text(x: float, y: float, words: str, anchor: str = "start", kind: str = "") -> str:
    """Words at a pixel."""
    named = f' class="{kind}"' if kind else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{named}>'
        f"{html.escape(words, quote=False)}</text>"
    )


def compose(width: float, height: float, panels: Sequence[Panel], *, style: str = "") -> str:
    """The picture as a file."""
    lines = "\n".join(part for panel in panels for part in panel.parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}">\n<style>{STYLE}{style}</style>\n{lines}\n</svg>\n'
    )


def trace_boundary(
    values: np.ndarray, level: float, x: np.ndarray, y: np.ndarray
) -> list[np.ndarray]:
    """Closed polygons around where values (rows are y) are at most the level, each (points, 2).

    Marching squares: each cell joins the points at which the level crosses its sides.
    """
    x, y = (np.concatenate([side[:1], side, side[-1:]]) for side in (x, y))
    above = np.pad(np.minimum(values, 4 * abs(level) + level), 1, constant_values=np.inf) - level
    neighbours: dict[tuple[int, int, int], list[tuple[int, int, int]]] = {}
    for row, column in zip(*np.nonzero(_is_crossed(above)), strict=True):
        sides = [(0, row, column), (1, row, column + 1), (0, row + 1, column), (1, row, column)]
        crossed = [side for side in sides if _crosses(above, side)]
        for first, second in zip(crossed[::2], crossed[1::2], strict=True):
            neighbours.setdefault(first, []).append(second)
            neighbours.setdefault(second, []).append(first)
    points = {side: _cross_at(above, side, x, y) for side in neighbours}
    return [np.array([points[side] for side in loop]) for loop in _walk(neighbours)]


def _is_crossed(above: np.ndarray) -> np.ndarray:
    inside = above <= 0
    corners = np.stack([inside[:-1, :-1], inside[1:, :-1], inside[:-1, 1:], inside[1:, 1:]])
    return corners.any(axis=0) & ~corners.all(axis=0)


def _ends(side: tuple[int, int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    upright, row, column = side
    return (row, column), (row + upright, column + 1 - upright)


def _crosses(above: np.ndarray, side: tuple[int, int, int]) -> bool:
    first, second = _ends(side)
    return bool((above[first] <= 0) != (above[second] <= 0))


def _cross_at(
    above: np.ndarray, side: tuple[int, int, int], x: np.ndarray, y: np.ndarray
) -> tuple[float, float]:
    first, second = _ends(side)
    start, end = above[first], above[second]
    share = start / (start - end) if np.isfinite([start, end]).all() else float(np.isinf(start))
    return (
        float(x[first[1]] + share * (x[second[1]] - x[first[1]])),
        float(y[first[0]] + share * (y[second[0]] - y[first[0]])),
    )


def _walk(
    neighbours: dict[tuple[int, int, int], list[tuple[int, int, int]]],
) -> Iterator[list[tuple[int, int, int]]]:
    """The closed ways along neighbours, each once."""
    left = set(neighbours)
    for start in neighbours:
        if start not in left:
            continue
        loop, here = [start], start
        left.discard(start)
        while following := next((side for side in neighbours[here] if side in left), None):
            loop.append(following)
            left.discard(following)
            here = following
        yield loop
