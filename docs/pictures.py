"""The pictures of the pages, drawn by the library: ``python docs/pictures.py`` writes all of them.

Each is one SVG in docs/pictures: ``penalty-l1.svg`` and its like for every penalty, and those of
docs/guide_pictures.py. ``python docs/pictures.py penalty ways`` writes those whose names have one
of these words.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from drawing import SERIES, Panel, compose, trace_boundary

from shrinkage import (
    L0,
    L1,
    L2,
    MCP,
    SCAD,
    Box,
    CappedL1,
    ElasticNet,
    GroupL0,
    GroupLasso,
    Huber,
    L1Ball,
    L2Ball,
    LInf,
    LogSum,
    Lp,
    MaxNorm,
    NofM,
    NonNegative,
    NuclearNorm,
    Orthogonality,
    Simplex,
    SparseGroupLasso,
    Toward,
    Weighted,
)
from shrinkage.figures.penalty_figure import Picture, sample
from shrinkage.penalties import Penalty

FOLDER = Path(__file__).parent / "pictures"
SIZE, GAP, LEFT, TOP = 150, 70, 45, 34  # pixels of a panel, between panels, and around them

# Each penalty with numbers whose bends lie within the picture.
PENALTIES: dict[str, Penalty] = {
    "L1": L1(1.0),
    "L2": L2(1.0),
    "ElasticNet": ElasticNet(1.0, l1_ratio=0.5),
    "GroupLasso": GroupLasso(1.0, weight="none"),
    "SparseGroupLasso": SparseGroupLasso(1.0, weight="none"),
    "LInf": LInf(1.0),
    "GroupL0": GroupL0(1.0, weight="none"),
    "Huber": Huber(1.0, delta=0.5),
    "L0": L0(1.0),
    "Lp": Lp(1.0, p=0.5),
    "MCP": MCP(1.0, gamma=1.5),
    "SCAD": SCAD(0.5, a=2.5),
    "CappedL1": CappedL1(1.0, theta=1.2),
    "LogSum": LogSum(1.0, eps=0.3),
    "NuclearNorm": NuclearNorm(1.0),
    "Orthogonality": Orthogonality(1.0),
    "L1Ball": L1Ball(1.0),
    "L2Ball": L2Ball(1.0),
    "MaxNorm": MaxNorm(1.0),
    "Box": Box(-0.5, 1.0),
    "NofM": NofM(1, 2),
    "NonNegative": NonNegative(),
    "Simplex": Simplex(1.0),
    "Toward": Toward(np.array([[0.6, 0.4]]), L1(1.0)),
    "Weighted": Weighted(np.array([[1.0, 3.0]]), L1(1.0)),
    "Sum": L1(0.5) + L2(0.5),
}


def draw_penalty(penalty: Penalty) -> str:
    """Its shape, its prox and its unit ball, as far as they are defined."""
    picture = sample(penalty, reach=1.0)
    panels: list[Panel] = []
    if picture.values is not None and np.isfinite(picture.values).sum() > 1:
        panels.append(_draw_shape(picture, _next_place(panels)))
    if picture.prox is not None:
        panels.append(_draw_prox(picture, _next_place(panels)))
    if picture.plane is not None:
        panels.append(_draw_ball(picture, _next_place(panels), penalty.traits.is_indicator))
    return compose(_next_place(panels) - GAP + 25, TOP + SIZE + 40, panels)


def _next_place(panels: list[Panel]) -> float:
    return LEFT + len(panels) * (SIZE + GAP)


def _draw_shape(picture: Picture, left: float) -> Panel:
    assert picture.values is not None
    finite = picture.values[np.isfinite(picture.values)]
    top = max(1.05 * float(finite.max()), 1.2)
    panel = Panel(left, TOP, SIZE, SIZE, (-2, 2), (-0.05 * top, top))
    panel.head("Ω(w)", below="w")
    panel.ticks(x=(-2, 0, 2), y=(0, 1))
    panel.cross()
    panel.line(picture.weights, picture.values, SERIES[1])
    return panel


def _draw_prox(picture: Picture, left: float) -> Panel:
    panel = Panel(left, TOP, SIZE, SIZE, (-2, 2), (-2, 2))
    panel.head(f"prox, step {picture.step:.2g}", below="w")
    panel.ticks(x=(-2, 0, 2), y=(-2, 0, 2))
    panel.cross()
    panel.line((-2, 2), (-2, 2), width=1, more=' stroke-dasharray="3 3"')
    panel.line(picture.weights, np.clip(picture.prox, -2, 2), SERIES[0])
    return panel


def _draw_ball(picture: Picture, left: float, is_indicator: bool) -> Panel:
    assert picture.plane is not None
    side = picture.side
    end = (float(side[0]), float(side[-1]))
    panel = Panel(left, TOP, SIZE, SIZE, end, end)
    panel.head("allowed" if is_indicator else "unit ball", below="w₁, w₂")
    panel.ticks(x=(-1, 0, 1), y=(-1, 0, 1))
    panel.cross()
    panel.area(trace_boundary(picture.plane, 1 + 1e-9, side, side), SERIES[0], alpha=0.2, edge=2.2)
    return panel


def name_picture(penalty: str) -> str:
    """The name of a penalty's file, from that of its class."""
    return f"penalty-{penalty.lower()}.svg"


def list_pictures() -> dict[str, Callable[[], str]]:
    """What draws each picture, by the name of its file."""
    from guide_pictures import PICTURES

    return PICTURES | {
        name_picture(name): partial(draw_penalty, penalty) for name, penalty in PENALTIES.items()
    }


def main(words: list[str]) -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, draw in list_pictures().items():
        if not words or any(word in name for word in words):
            (FOLDER / name).write_text(draw(), encoding="utf-8")
            print(name)


if __name__ == "__main__":
    main(sys.argv[1:])
