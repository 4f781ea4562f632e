"""Pictures of penalties: what is drawn is what the penalty calculates."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from shrinkage import L0, L1, L2, Box, GroupLasso, LInf, MaxNorm, NonNegative, Simplex, Toward
from shrinkage.figures.penalty_figure import sample
from shrinkage.penalties import Penalty


def test_shape_and_prox_are_those_of_the_penalty() -> None:
    picture = sample(L1(0.2), reach=3.0)
    assert picture.step == pytest.approx(0.5 * 3.0 / 0.2)  # the prox of the reach is half of it
    w = picture.weights
    np.testing.assert_allclose(picture.values, 0.2 * np.abs(w))
    np.testing.assert_allclose(picture.prox, np.sign(w) * np.maximum(np.abs(w) - 1.5, 0))


@pytest.mark.quick_where(penalty=[L1(0.3), GroupLasso(0.3)])
@pytest.mark.parametrize(
    ("penalty", "norm"),
    [
        (L1(0.3), lambda x, y: abs(x) + abs(y)),
        (L2(0.3), lambda x, y: x**2 + y**2),
        (GroupLasso(0.3), np.hypot),
        (LInf(0.3), np.maximum),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_unit_ball_is_where_the_plane_is_at_most_one(penalty: Penalty, norm: object) -> None:
    picture = sample(penalty, reach=1.0)
    x, y = np.meshgrid(np.abs(picture.side), np.abs(picture.side))
    np.testing.assert_allclose(picture.plane, norm(x, y), atol=1e-12)


@pytest.mark.quick_where(penalty=[NonNegative(), MaxNorm(1.0)])
@pytest.mark.parametrize("penalty", [Box(-1.0, 0.5), NonNegative(), MaxNorm(1.0), Simplex(1.0)])
def test_a_constraint_is_drawn_where_it_holds(penalty: Penalty) -> None:
    picture = sample(penalty, reach=1.0)
    values = [
        [float(penalty.value(np.array([[x, y]]))) for x in picture.side] for y in picture.side
    ]
    holds = np.array(values) == 0
    assert holds.any()
    assert (picture.plane[holds] < 1e-6).all()
    assert (picture.plane[~holds] > 0).all()


def test_a_plot_has_three_parts_whose_colours_are_real() -> None:
    figure = L1(1e-4).plot()
    assert [trace.type for trace in figure.data] == ["scatter", "scatter", "scatter", "contour"]
    assert figure.layout.title.text == "L1(lam=0.0001)"
    assert "@" not in figure.to_json()


def test_what_is_not_defined_is_left_out() -> None:
    toward = Toward(np.array([[0.5, 0.5]]), L1(1.0))  # of two weights alone
    assert [trace.type for trace in toward.plot().data] == ["contour"]
    assert sample(L0(1.0), reach=1.0).plane.min() == 0
    with pytest.raises(ValueError, match="cannot be drawn with one weight or two"):
        Toward(np.zeros(3), L1(1.0)).plot()


@pytest.mark.parametrize("reach", [0.0, -1.0, np.inf, np.nan])
def test_the_reach_is_above_0(reach: float) -> None:
    with pytest.raises(ValueError, match=f"reach must be above 0 and finite, got {reach}"):
        L1(1.0).plot(reach)


def test_without_plotly_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)
    with pytest.raises(ImportError, match="not installed: pip install plotly"):
        L2(1.0).plot()


def test_a_notebook_shows_a_row_for_each_term() -> None:
    page = (L1(0.1) + Box(-1, 1))._repr_html_()
    assert page.count("<tr>") == 3
    assert "L1(lam=0.1)" in page
    assert ">loss, coupled, decoupled, proximal</td>" in page
    assert ">proximal</td>" in page


def test_a_mistake_in_a_penalty_is_an_error() -> None:
    class Mistaken(L1):
        def _prox(self, xp: Any, w: Any, step: Any) -> Any:
            return None * w

    with pytest.raises(TypeError, match="NoneType"):
        Mistaken(0.1).plot()
