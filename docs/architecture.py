"""Draw architecture.svg: the rooms of the library, as pyproject.toml orders them, and one way."""

from __future__ import annotations

import textwrap
import tomllib
from collections.abc import Sequence
from html import escape
from pathlib import Path

PICTURE = Path(__file__).with_name("architecture.svg")
PROJECT = Path(__file__).parents[1] / "pyproject.toml"
PURPOSES = {
    "cli": "parses arguments, calls, prints",
    "report": "records in, one HTML page out",
    "study": "a question, trials, a choice, a model",
    "sklearn": "scikit-learn's estimators, with penalties",
    "lightning": "a callback for Lightning",
    "transformers": "a callback for transformers' Trainer",
    "skorch": "a callback for skorch",
    "callback_base": "what the callbacks share",
    "probe": "what an optimizer's weight_decay does",
    "torch": "penalties on a model, under any optimizer",
    "scratch": "networks in plain NumPy",
    "linear": "linear models, solved",
    "compact": "the same function, smaller",
    "mlp": "small networks, trained by compiled loops",
    "kernels": "loops over memory, compiled by Numba",
    "penalties": "the mathematics: value, gradient, prox",
    "atomic_file": "files written whole or not at all",
    "figures": "pictures from plain arrays",
    "text_table": "tables as text and HTML",
    "user_warning": "warnings at the user's line",
}
WAY = (  # of a strength, from what is typed to the weight
    ("you write", '"l1:1e-4"'),
    ("penalties", "reads L1(lam=1e-4)"),
    ("torch/binding", "finds the parameters that have it"),
    ("torch/attaching", "waits for the optimizer's step"),
    ("torch/facts", "reads the step s of each entry"),
    ("penalties", "prox(w, s) is the new weight"),
)
WIDTH, HEIGHT, GAP, MARGIN = 960, 62, 12, 24  # pixels
STYLE = (
    "text { font-family: system-ui, sans-serif; fill: #1f2933; text-anchor: middle }"
    " .name { font-size: 15px; font-weight: 600 } .purpose { font-size: 11.5px; fill: #52606d }"
    " .note { font-size: 13px; text-anchor: start } .room { fill: #eef4fb; stroke: #7b9cc0 }"
    " .step { fill: #fdf3e3; stroke: #c99a4b }"
)


def main() -> None:
    """Write the picture."""
    PICTURE.write_text(draw(), encoding="utf-8")


def read_layers() -> list[list[str]]:
    """The rooms from the top down; those of one layer do not import each other, or only one way."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    layers = next(each["layers"] for each in contracts if each["containers"] == ["shrinkage"])
    rooms = [[name.strip(" ()") for name in layer.split("|")] for layer in layers]
    return [layer for layer in rooms if layer != ["__main__"]]


def draw() -> str:
    """The picture as SVG, on a ground of its own, so that it can be read on any page."""
    top = MARGIN + 18
    parts = [note("Each room imports only from rooms below it.", MARGIN + 4)]
    for layer in read_layers():
        rooms = [(name, PURPOSES.get(name, "")) for name in layer]
        parts.append(draw_row(rooms, top, "room"))
        top += HEIGHT + GAP
    top += 2 * GAP
    parts.append(note("The way of a strength, under how=&quot;proximal&quot;:", top))
    top += GAP + 2
    parts += [draw_row(WAY, top, "step"), *draw_arrows(len(WAY), top + HEIGHT / 2)]
    height = top + HEIGHT + MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
            "<title>The rooms of shrinkage, and the way of a strength through them</title>",
            f"<style>{STYLE}</style>",
            f'<rect width="{WIDTH}" height="{height}" rx="8" fill="#ffffff"/>',
            *parts,
            "</svg>\n",
        ]
    )


def draw_row(boxes: Sequence[tuple[str, str]], top: float, kind: str) -> str:
    """Boxes of one width beside each other, each with a name and what it is for."""
    width = box_width(len(boxes))
    return "\n".join(
        draw_box(name, purpose, MARGIN + place * (width + GAP), top, width, kind)
        for place, (name, purpose) in enumerate(boxes)
    )


def draw_box(name: str, purpose: str, left: float, top: float, width: float, kind: str) -> str:
    middle, lines = left + width / 2, textwrap.wrap(purpose, int(width / 6.2))
    first = top + (26 if len(lines) < 2 else 20)
    rows = [
        f'<rect class="{kind}" x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" '
        f'height="{HEIGHT}" rx="6"/>',
        f'<text class="name" x="{middle:.1f}" y="{first:.1f}">{escape(name)}</text>',
    ]
    rows += [
        f'<text class="purpose" x="{middle:.1f}" y="{first + 17 + 14 * number:.1f}">'
        f"{escape(line)}</text>"
        for number, line in enumerate(lines)
    ]
    return "\n".join(rows)


def draw_arrows(count: int, height: float) -> list[str]:
    """An arrow in each gap between boxes of a row."""
    width = box_width(count)
    starts = [MARGIN + place * (width + GAP) - GAP for place in range(1, count)]
    return [
        f'<path d="M{x + 1:.1f} {height - 5:.1f} l{GAP - 3} 5 l{3 - GAP} 5 z" fill="#c99a4b"/>'
        for x in starts
    ]


def box_width(count: int) -> float:
    return (WIDTH - 2 * MARGIN - (count - 1) * GAP) / count


def note(text: str, top: float) -> str:
    return f'<text class="note" x="{MARGIN}" y="{top:.1f}">{text}</text>'


if __name__ == "__main__":
    main()
