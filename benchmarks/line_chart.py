"""Lines over logarithmic axes as SVG, for light and dark pages."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 420, 70, 200, 50, 50
COLOURS = "#0072b2", "#d55e00", "#009e73", "#b07aa1"
STYLE = """
  text { font: 13px sans-serif; fill: #222 } .title { font-size: 15px; font-weight: 600 }
  .grid { stroke: #ddd } .line { fill: none; stroke-width: 2.5 }
  @media (prefers-color-scheme: dark) { text { fill: #ddd } .grid { stroke: #444 } }
"""


def draw(
    sizes: Sequence[int], series: Mapping[str, Sequence[float]], title: str, axis: str = "entries"
) -> str:
    """A line for each of the series over the sizes, with its name at its end."""
    values = [value for line in series.values() for value in line]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    first, last = math.log10(sizes[0]), math.log10(sizes[-1])

    def x(size: float) -> float:
        return LEFT + (math.log10(size) - first) / (last - first) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (math.log10(value) - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    def parts() -> Iterator[str]:
        yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}">'
        yield f"<style>{STYLE}</style>"
        yield _text(LEFT, 24, title, "start", ' class="title"')
        for power in range(low, high + 1):
            height = y(10.0**power)
            yield f'<path class="grid" d="M{LEFT} {height:.1f}H{WIDTH - RIGHT}"/>'
            yield _text(LEFT - 8, height + 4, f"{10.0**power:g}", "end")
        for size in sizes:
            yield _text(x(size), HEIGHT - BOTTOM + 22, _tick(size), "middle")
        yield _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, axis, "middle")
        places = _apart([y(line[-1]) for line in series.values()])
        for (label, line), colour, place in zip(series.items(), COLOURS, places, strict=False):
            points = " ".join(
                f"{x(size):.1f},{y(value):.1f}" for size, value in zip(sizes, line, strict=True)
            )
            yield f'<polyline class="line" stroke="{colour}" points="{points}"/>'
            yield _text(WIDTH - RIGHT + 10, place + 4, label, "start", f' style="fill: {colour}"')
        yield "</svg>\n"

    return "\n".join(parts())


def stack(charts: Sequence[str]) -> str:
    """Charts one below the other, as one picture."""
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} '
    placed = [
        chart.replace("<svg ", f'<svg y="{HEIGHT * row}" width="{WIDTH}" height="{HEIGHT}" ', 1)
        for row, chart in enumerate(charts)
    ]
    return f'{opening}{HEIGHT * len(charts)}">\n{"".join(placed)}</svg>\n'


def _tick(size: int) -> str:
    power = math.log10(size)
    if power >= 3 and power == round(power):
        return f'10<tspan dy="-5" font-size="10">{round(power)}</tspan>'
    return f"{size:,}"


def _text(x: float, y: float, words: str, anchor: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{words}</text>'


def _apart(heights: Sequence[float], least: float = 17.0) -> list[float]:
    """The heights, moved so that no two labels overlap and none leaves the picture."""
    places = list(heights)
    order = sorted(range(len(places)), key=places.__getitem__)
    for above, below in itertools.pairwise(order):
        places[below] = max(places[below], places[above] + least)
    over = max(0.0, max(places) - (HEIGHT - BOTTOM))
    return [place - over for place in places]
