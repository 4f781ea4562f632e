"""What a penalty looks like: its shape, its prox, and its unit ball in two weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from shrinkage.figures.labels import escape_label
from shrinkage.figures.plotly_figure import to_plotly
from shrinkage.figures.style import Figure, Layout, Trace, style_of

POINTS = 161  # of a curve
SIDE, FINE = 33, 65  # points of a side of the plane; 0 and the reach are among them
VIEW = 1.6  # the plane goes so many times as far as the reach
THIN = 0.4  # the distance, in steps of a side, up to which a point counts as allowed
BALL, LINE = style_of(0), style_of(3)


class Drawable(Protocol):
    """What is drawn: a penalty of one array."""

    @property
    def traits(self) -> Any: ...
    def value(self, w: Any) -> Any: ...
    def prox(self, w: Any, step: float) -> Any: ...


@dataclass(frozen=True)
class Picture:
    """A penalty of one weight and of two, as arrays; None where it is not defined.

    Attributes
    ----------
    weights : array (points,)
    values : array (points,) or None
        Ω of one weight; infinite where a constraint does not hold.
    prox : array (points,) or None
        Of one weight, at `step`.
    side : array (side,)
        The weights along both axes of `plane`.
    plane : array (side, side) or None
        Its rows are the second weight. Ω over the value at which the unit ball ends, so that the
        ball is where it is at most 1; for a constraint the distance to what is allowed.
    """

    weights: np.ndarray
    values: np.ndarray | None
    step: float
    prox: np.ndarray | None
    side: np.ndarray
    plane: np.ndarray | None


def sample(penalty: Drawable, reach: float) -> Picture:
    """Evaluate a penalty on the weights up to twice the reach, and on the plane.

    The step is such that the prox of `reach` under L1 is half of it, whatever the strength. The
    unit ball is the one that has (reach, 0) on its boundary.
    """
    weights = np.linspace(-2 * reach, 2 * reach, POINTS)
    side = np.linspace(-VIEW * reach, VIEW * reach, FINE if penalty.traits.is_separable else SIDE)
    height = _try(lambda: _value(penalty, reach))
    step = 0.5 * reach**2 / height if height and np.isfinite(height) else 1.0
    values = _try(lambda: np.array([_value(penalty, w) for w in weights]))
    prox = _try(lambda: np.array([penalty.prox(np.array([[w]]), step)[0, 0] for w in weights]))
    plane = _try(lambda: _sample_plane(penalty, reach, side))
    return Picture(weights, values, step, prox, side, plane)


def _sample_plane(penalty: Drawable, reach: float, side: np.ndarray) -> np.ndarray | None:
    """Two weights are a row: one unit with two inputs."""
    traits = penalty.traits
    unit = THIN * (side[1] - side[0]) if traits.is_indicator else _value(penalty, reach, 0.0)
    if not unit > 0:
        return None
    measure = _distance if traits.is_indicator else _value
    if traits.is_separable:  # the plane is a sum over both weights
        single = np.array([measure(penalty, w) for w in side])
        power = 2 if traits.is_indicator else 1
        plane = np.add.outer(single**power, single**power) ** (1 / power)
    else:
        plane = np.array([[measure(penalty, x, y) for x in side] for y in side])
    return np.asarray(plane / unit)


def _value(penalty: Drawable, *weights: float) -> float:
    return float(penalty.value(np.array([weights])))


def _distance(penalty: Drawable, *weights: float) -> float:
    w = np.array([weights])
    return float(np.linalg.norm(w - penalty.prox(w, 1.0)))


def _try(calculate: Callable[[], Any]) -> Any:
    """The result, or None where a penalty is not defined for so few weights."""
    try:
        return calculate()
    except (ValueError, NotImplementedError):
        return None


def plot_penalty(penalty: Drawable, title: str, reach: float) -> Any:
    """`draw_penalty` as a Plotly figure."""
    return to_plotly(draw_penalty(penalty, title, reach), height=330)


def draw_penalty(penalty: Drawable, title: str, reach: float) -> Figure:
    """The figure: up to three plots side by side.

    Raises
    ------
    ValueError
        If `reach` is not above 0, or nothing of the penalty can be drawn.
    """
    if not 0 < reach < np.inf:
        raise ValueError(f"reach must be above 0 and finite, got {reach}")
    picture = sample(penalty, reach)
    plots: list[tuple[str, list[Trace], Layout, Layout]] = []
    ticks: Layout = {"zeroline": True, "nticks": 5}
    if picture.values is not None and np.isfinite(picture.values).sum() > 1:
        plots.append(("Ω of one weight", [_draw_shape(picture)], {"title": {"text": "w"}}, ticks))
    if picture.prox is not None:
        head = f"prox, step {picture.step:.3g}"
        plots.append((head, _draw_prox(picture), {"title": {"text": "w"}, **ticks}, ticks))
    if picture.plane is not None:
        is_indicator = penalty.traits.is_indicator
        head = "what it allows of two weights" if is_indicator else "unit ball, two weights"
        plots.append((head, [_draw_ball(picture)], {"title": {"text": "w₁"}, **ticks}, ticks))
    if not plots:
        raise ValueError(
            f"{title} cannot be drawn with one weight or two: its own arrays have another shape"
        )
    return _arrange(plots, title, square=picture.plane is not None)


def _arrange(
    plots: list[tuple[str, list[Trace], Layout, Layout]], title: str, *, square: bool
) -> Figure:
    """The plots in a row, each with its axes; the last one with equal ones if `square`."""
    traces: list[Trace] = []
    name = {"text": escape_label(title), "x": 0.5, "y": 0.97, "font": {"size": 15}}
    layout: Layout = {"title": name, "margin": {"l": 40, "r": 20, "t": 75, "b": 45}}
    heads = []
    width = 1 / len(plots)
    for place, (head, own, x, y) in enumerate(plots):
        number = str(place + 1) if place else ""
        domain = [place * width + 0.03, (place + 1) * width - 0.03]
        layout |= {
            f"xaxis{number}": {**x, "domain": domain, "anchor": f"y{number}"},
            f"yaxis{number}": {**y, "anchor": f"x{number}"},
        }
        traces += [{**trace, "xaxis": f"x{number}", "yaxis": f"y{number}"} for trace in own]
        heads.append(
            {
                "text": head,
                "xref": "paper",
                "yref": "paper",
                "x": sum(domain) / 2,
                "y": 1.0,
                "yanchor": "bottom",
                "xanchor": "center",
                "showarrow": False,
            }
        )
    if square:
        layout[f"yaxis{number}"] |= {"scaleanchor": f"x{number}"}  # type: ignore[operator]
    return Figure("penalty", traces, {**layout, "annotations": heads})


def _draw_shape(picture: Picture) -> Trace:
    assert picture.values is not None
    return {
        "type": "scatter",
        "mode": "lines",
        "x": picture.weights,
        "y": np.where(np.isfinite(picture.values), picture.values, np.nan),
        "line": {"color": LINE.color, "width": 2.5},
        "hovertemplate": "Ω(%{x:.3g}) = %{y:.3g}<extra></extra>",
    }


def _draw_prox(picture: Picture) -> list[Trace]:
    identity: Trace = {
        "type": "scatter",
        "mode": "lines",
        "x": picture.weights,
        "y": picture.weights,
        "line": {"color": "@soft", "width": 1, "dash": "dot"},
        "hoverinfo": "skip",
    }
    curve: Trace = {
        "type": "scatter",
        "mode": "lines",
        "x": picture.weights,
        "y": picture.prox,
        "line": {"color": BALL.color, "width": 2.5},
        "hovertemplate": "w = %{x:.3g} becomes %{y:.3g}<extra></extra>",
    }
    return [identity, curve]


def _draw_ball(picture: Picture) -> Trace:
    return {
        "type": "contour",
        "x": picture.side,
        "y": picture.side,
        "z": np.minimum(np.asarray(picture.plane), 1e6).astype(np.float32),
        # Plotly fills what the condition leaves out.
        "contours": {"type": "constraint", "operation": ">", "value": 1 + 1e-6},
        "fillcolor": BALL.tint(0.25),
        "line": {"color": BALL.color, "width": 2.5},
        "hoverinfo": "skip",
        "showscale": False,
    }
