"""The pictures of the guide: the path, the four ways, decision regions, thirteen ways."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from drawing import INK, SERIES, Panel, compose, text, trace_boundary
from sklearn.datasets import load_diabetes, make_moons

from shrinkage import L1
from shrinkage.linear import solve_path
from shrinkage.sklearn import MLPClassifier
from shrinkage.torch import Regularizer
from shrinkage.torch.sandbox import sandbox

# The valley of the four ways: ½(w − c)ᵀA(w − c), narrow across and flat along.
CURVATURE = np.array([[1.0, -0.75], [-0.75, 4.0]])
CENTRE = np.array([1.5, 0.15])
STRENGTH, START, STEPS, LR = 0.55, (0.25, 1.2), 240, 0.05
WAYS = {
    "loss": "“loss”: added to the loss",
    "coupled": "“coupled”: added to the gradient",
    "decoupled": "“decoupled”: beside the step",
    "proximal": "“proximal”: after the step",
}
DRAWN = """@media(prefers-reduced-motion:no-preference){
.way{stroke-dasharray:1;animation:go 6s linear infinite}
@keyframes go{0%{stroke-dashoffset:1}70%,100%{stroke-dashoffset:0}}}"""


def draw_path() -> str:
    """The weights of the lasso on the diabetes data, from no input to all."""
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    names = list(X.columns)
    X = (X - X.mean()) / X.std(ddof=0)
    y = (y - y.mean()) / y.std(ddof=0)
    strengths = np.geomspace(0.65, 0.0007, 120)
    solutions = solve_path(X.to_numpy(), y.to_numpy(), L1, strengths)
    weights = np.array([solution.weights[:, 0] for solution in solutions])  # (strengths, inputs)
    x = np.log10(strengths)
    panel = Panel(60, 34, 520, 300, (float(x[0]), float(x[-1])), (-0.55, 0.55))
    panel.head(
        "Weights of the lasso against its strength", below="strength lam, from strong to weak"
    )
    for strength in (0.3, 0.1, 0.03, 0.01, 0.003, 0.001):
        across, down = panel.place(np.log10(strength), panel.y[0])
        panel.parts.append(text(across, down + 14, f"{strength:g}", "middle"))
    panel.ticks(y=(-0.5, 0, 0.5))
    panel.cross((x[0], 0.0))
    ends = np.argsort(-weights[-1])
    heights = _spread([panel.place(0, weights[-1][place])[1] for place in ends], 13)
    for height, place in zip(heights, ends, strict=True):
        color = SERIES[int(place) % len(SERIES)]
        panel.line(x, weights[:, place], color)
        panel.parts.append(text(panel.left + panel.width + 8, height + 4, names[place]))
    return compose(640, 375, [panel])


def _spread(heights: Sequence[float], least: float) -> list[float]:
    """Heights that ascend, moved down where labels would overlap, and then up as a whole."""
    places = list(heights)
    for place in range(1, len(places)):
        places[place] = max(places[place], places[place - 1] + least)
    return [place - (places[-1] - heights[-1]) / 2 for place in places]


def draw_four_ways() -> str:
    """Adam with L1 on a valley of two weights, once for each way."""
    panels = []
    for place, (how, name) in enumerate(WAYS.items()):
        column, row = place % 2, place // 2
        panel = Panel(40 + 330 * column, 34 + 300 * row, 280, 230, (-0.3, 1.8), (-0.4, 1.325))
        _draw_valley(panel)
        path = _train(how)
        panel.line(path[:, 0], path[:, 1], SERIES[1], 2.2, ' class="way" pathLength="1"')
        panel.dot(*path[-1], SERIES[1])
        end = "exactly 0" if path[-1][1] == 0 else f"{path[-1][1]:.4f}".replace("-", "−")
        panel.head(name, below=f"after {STEPS} steps: w₁ = {path[-1][0]:.3f}, w₂ = {end}")
        panel.ticks(x=(0, 1), y=(0, 1))
        panels.append(panel)
    return compose(680, 620, panels, style=DRAWN)


def _objective(w: np.ndarray) -> np.ndarray:
    """Data loss + Ω at points (..., 2)."""
    away = w - CENTRE
    loss = 0.5 * np.einsum("...i,ij,...j->...", away, CURVATURE, away)
    return loss + STRENGTH * np.abs(w).sum(axis=-1)


def _draw_valley(panel: Panel) -> None:
    x, y = np.linspace(*panel.x, 71), np.linspace(*panel.y, 71)
    heights = _objective(np.stack(np.meshgrid(x, y), axis=-1))
    lowest = heights.min()
    for above in (0.02, 0.1, 0.3, 0.7, 1.4, 2.4):
        loops = trace_boundary(heights, float(lowest + above), x, y)
        panel.area(loops, INK, alpha=0.06, edge=0.6)
    panel.cross()
    row, column = np.unravel_index(heights.argmin(), heights.shape)
    panel.dot(x[column], y[row], "none", 7, f' stroke="{SERIES[0]}" stroke-width="2"')


def _train(how: str) -> np.ndarray:
    """The path of the two weights, (steps + 1, 2)."""
    layer = torch.nn.Linear(2, 1, bias=False, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([START]))
    optimizer = torch.optim.Adam(layer.parameters(), lr=LR)
    regularizer = Regularizer(layer, L1(STRENGTH))
    if how != "loss":
        regularizer.attach(optimizer, how=how)
    curvature, centre = torch.tensor(CURVATURE), torch.tensor(CENTRE)
    path = [START]
    for _ in range(STEPS):
        optimizer.zero_grad()
        away = layer.weight[0] - centre
        loss = 0.5 * away @ curvature @ away
        if how == "loss":
            loss = loss + regularizer.penalty()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        path.append(tuple(layer.weight[0].tolist()))
    return np.array(path)


def draw_regions() -> str:
    """What one network predicts over the plane, at four strengths of L2."""
    X, y = make_moons(160, noise=0.32, random_state=3)
    fresh, truth = make_moons(4000, noise=0.32, random_state=4)
    side_x, side_y = np.linspace(-2, 3, 101), np.linspace(-1.6, 2.1, 101)
    plane = np.stack(np.meshgrid(side_x, side_y), axis=-1)
    panels = []
    for place, strength in enumerate((0.0, 1e-3, 1e-2, 1e-1)):
        model = MLPClassifier(
            (64,),
            penalty=f"l2:{strength:g}",
            how="coupled",
            learning_rate_init=0.01,
            max_iter=1500,
            tol=0.0,
            n_iter_no_change=1500,
            random_state=0,
        ).fit(X, y)
        panel = Panel(20 + 235 * place, 34, 215, 160, (-2, 3), (-1.6, 2.1))
        chance = model.predict_proba(plane.reshape(-1, 2))[:, 1].reshape(plane.shape[:2])
        everything = np.array([[-2, -1.6], [3, -1.6], [3, 2.1], [-2, 2.1]])
        first = trace_boundary(chance, 0.5, side_x, side_y)  # where the first class is likelier
        panel.area(first, SERIES[1], alpha=0.2, edge=1.6)
        panel.area([everything, *first], SERIES[0], alpha=0.2, edge=0)
        for point, label in zip(X, y, strict=True):
            panel.dot(*point, SERIES[0] if label else SERIES[1], 2.2)
        rates = (
            f"right: {model.score(X, y):.0%} here, {model.score(fresh, truth):.0%} of new points"
        )
        panel.head("no penalty" if strength == 0 else f"L2({strength:g})", below=rates)
        panels.append(panel)
    return compose(960, 235, panels)


def draw_thirteen_ways() -> str:
    """The paths of two weights under each way of the sandbox, without data."""
    panels = []
    for place, trace in enumerate(sandbox((1.0, -1.5), strength=0.1, lr=0.1, steps=200)):
        column, row = place % 4, place // 4
        panel = Panel(35 + 240 * column, 50 + 200 * row, 195, 110, (0, 200), (-1.7, 1.2))
        steps = np.arange(len(trace.paths))
        panel.cross()
        for weight, path in enumerate(np.array(trace.paths).T):
            shown = np.where(np.abs(path) <= 1.75, path, np.nan)
            panel.line(steps, shown, SERIES[weight])
        first, _, second = trace.way.partition(": ")
        middle = panel.left + panel.width / 2
        panel.parts.append(text(middle, panel.top - 22, first, "middle", "head"))
        panel.parts.append(text(middle, panel.top - 7, second, "middle"))
        panel.ticks(x=(0, 200), y=(-1.5, 0, 1))
        panels.append(panel)
    return compose(975, 830, panels)


PICTURES: dict[str, Callable[[], str]] = {
    "path.svg": draw_path,
    "four-ways.svg": draw_four_ways,
    "regions.svg": draw_regions,
    "thirteen-ways.svg": draw_thirteen_ways,
}
