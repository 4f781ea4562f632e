"""The page of a path, from a path without training."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from report.browser import OWN_SCHEMES, Browser
from shrinkage.report import write_path
from shrinkage.study.data.column_reading import Reading
from shrinkage.study.data.encoding import Encoding, NumberColumn
from shrinkage.study.model.fitted import FittedModel
from shrinkage.study.path.plots import find_front
from shrinkage.study.path.records import InputFacts, Point
from shrinkage.study.path.results import PathResults

NAMES = ("age", "<b>town</b>", "%{x}", "noise")


def make_point(strength: float, count: int, score: float, error: float = 0.02) -> Point:
    norms = tuple(1.0 / (1 + place) * (place < count) for place in range(len(NAMES)))
    return Point(strength, NAMES[:count], (), (), (score,), (count,), score, error, norms)


@pytest.fixture
def results() -> PathResults:
    points = [
        make_point(1.0, 0, 0.0),
        make_point(0.3, 1, 0.4),
        make_point(0.1, 2, 0.7),
        make_point(0.03, 2, 0.8),
        make_point(0.01, 4, 0.81),
    ]
    reading = Reading("price", "number", role="target")
    return PathResults(
        data="prices.csv",
        target="price",
        task="numbers",
        metric="R²",
        is_higher_better=True,
        settings={"penalty": "l1", "model": "mlp:4", "seeds": 5, "resamples": 10},
        rows={"rest": 75, "train": 50, "validation": 25, "test": 25},
        inputs=tuple(
            InputFacts(name, 1 + place, place < 2, 0.1 if place < 3 else None, 0.5, 1.0)
            for place, name in enumerate(NAMES)
        ),
        path_inputs=NAMES,
        points=tuple(points),
        best=4,
        chosen=3,
        test_score=0.79,
        test_error=0.03,
        trivial={"name": "the mean", "validation_score": -0.01, "test_score": -0.02},
        model=FittedModel(
            model="linear",
            method="l1@proximal",
            strength=0.03,
            task="numbers",
            classes=(),
            encoding=Encoding((NumberColumn("age", 0.0, 0.0, 1.0),)),
            readings=(reading,),
            state={"weight": np.ones((1, 1)), "bias": np.zeros(1)},
        ),
        provenance={"command": "shrinkage path prices.csv"},
    )


def test_the_line_joins_the_best_score_of_each_number_of_inputs(results: PathResults) -> None:
    assert [
        (len(point.kept), point.score)
        for point in find_front(results.points, is_higher_better=True)
    ] == [
        (0, 0.0),
        (1, 0.4),
        (2, 0.8),
        (4, 0.81),
    ]
    traces = results.draw_scores().traces
    band = next(trace for trace in traces if trace.get("fill") == "toself")
    assert band["y"][2] == pytest.approx(0.82)
    assert [t["marker"]["symbol"] for t in traces[-2:]] == ["star", "diamond"]


def test_each_input_has_a_line_and_the_chosen_ones_a_colour(results: PathResults) -> None:
    traces = results.draw_norms().traces
    assert len(traces) == len(NAMES)
    coloured = [trace for trace in traces if "series-none" not in str(trace["line"]["color"])]
    assert [trace["hovertemplate"].split(" %{y")[0] for trace in coloured] == [
        "<b>age</b>",
        "<b>&lt;b&gt;town&lt;/b&gt;</b>",
    ]


def test_the_page_says_what_to_use_and_escapes_names(results: PathResults, tmp_path: Path) -> None:
    write_path(results, tmp_path / "path.html")
    text = (tmp_path / "path.html").read_text()
    assert "Use 2 of 4 inputs: age, &lt;b&gt;town&lt;/b&gt;." in text
    assert "<b>town</b>" not in text
    assert "http" not in text.split('<script type="text/plain" id="plotly">')[0].replace(
        "http-equiv", ""
    )


def test_a_path_of_one_seed_has_no_band_and_no_nan(results: PathResults, tmp_path: Path) -> None:
    points = [make_point(p.strength, len(p.kept), p.score, math.nan) for p in results.points]
    object.__setattr__(results, "points", tuple(points))
    assert not any("fill" in trace for trace in results.draw_scores().traces)
    write_path(results, tmp_path / "path.html")
    assert "NaN" not in (tmp_path / "path.html").read_text().split('id="plotly"')[0]


@pytest.mark.slow
def test_the_page_is_drawn_offline_and_without_an_error(
    results: PathResults, tmp_path: Path, browser: Browser
) -> None:
    write_path(results, tmp_path / "path.html")
    browser.open(tmp_path / "path.html")
    assert len(browser.all(".plot .main-svg")) >= 2
    assert browser.errors() == []
    assert all(url.startswith(OWN_SCHEMES) for url in browser.requests())
    browser.all("table.sortable thead button")[2].click()
    assert browser.all("table.sortable th[aria-sort]")


def test_a_notebook_has_the_figures_and_the_table(results: PathResults) -> None:
    assert results.plot().layout.yaxis.title.text.endswith("validation")
    assert len(results.plot("norms").data) == len(NAMES)
    with pytest.raises(ValueError, match="values must be 'score' or 'norms', got 'zeros'"):
        results.plot("zeros")
    page = results._repr_html_()
    assert "&lt;b&gt;town&lt;/b&gt;" in page
    assert "<b>town</b>" not in page
