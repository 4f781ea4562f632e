"""The figures: what is drawn, and that plotly would draw it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from plotly import graph_objects

from report.document import Document
from report.synthetic import FEW, KINDS, METHODS, STRENGTHS, kind, study, with_trivial
from shrinkage.report.study_page import render_report
from shrinkage.study.formatting import format_share
from shrinkage.study.plots.strength_curves import find_pareto_front
from shrinkage.study.scores import METRICS
from shrinkage.study.summary import summarize


@pytest.mark.quick_where(name=["numbers"])
@pytest.mark.parametrize("name", KINDS)
def test_every_figure_has_its_place_and_is_valid(name: str) -> None:
    document = Document(render_report(kind(name)))
    places = [own["data-figure"] for own, _ in document.find("div", **{"class": "plot"})]
    assert sorted(places) == sorted(document.figures)
    for plot in document.figures.values():
        graph_objects.Figure(data=opaque(plot["traces"]), layout=opaque(plot["layout"]))


def opaque(value: object, key: str = "") -> object:
    """A figure with real colours in the places of the page's own."""
    if isinstance(value, dict):
        return {name: opaque(entry, name) for name, entry in value.items()}
    if isinstance(value, list):
        return [opaque(entry, key) for entry in value]
    is_color = isinstance(value, str) and value.startswith("@") and "color" in key
    return "#123456" if is_color else value


def test_a_method_has_one_colour_everywhere() -> None:
    document = Document(render_report(kind("whole")))
    seen: dict[str, set[str]] = {method: set() for method in METHODS}
    for plot in document.figures.values():
        for trace in plot["traces"]:
            method = trace.get("meta", {}).get("method")
            if method:
                seen[method].add(color_of(trace))
    for own, text in document.find("button"):
        if "data-method" in own:
            seen[text].add(own["style"].removeprefix("--look: var(--").removesuffix(")"))
    assert all(len(colors) == 1 for colors in seen.values())
    assert len(set.union(*seen.values())) == len(METHODS)


def color_of(trace: dict) -> str:
    """The page's name for the colour of a band, a line or markers."""
    line, marker = trace.get("line", {}), trace.get("marker", {})
    color = trace.get("fillcolor") or line.get("color") or marker["color"]
    return str(color).removeprefix("@").split("/")[0]


def test_the_front_is_what_nothing_beats() -> None:
    rng = np.random.default_rng(3)
    template = summarize(study(methods=("none",)).records)[0]
    clouds = [
        [replace(template, score=float(s), zeros=float(z)) for s, z in rng.integers(0, 6, (20, 2))]
        for _ in range(30)
    ]
    for cloud in clouds:
        slow = {
            (cell.score, cell.zeros)
            for cell in cloud
            if not any(
                (other.score >= cell.score and other.zeros > cell.zeros)
                or (other.score > cell.score and other.zeros >= cell.zeros)
                for other in cloud
            )
        }
        front = find_pareto_front(cloud, METRICS["accuracy"])
        assert {(cell.score, cell.zeros) for cell in front} == slow
        assert [cell.zeros for cell in front] == sorted(cell.zeros for cell in front)


def test_a_strength_with_a_diverged_seed_is_apart() -> None:
    document = Document(render_report(kind("with diverged trials")))
    traces = document.figures["score"]["traces"]
    own = [trace for trace in traces if trace.get("meta") == {"method": "l2@coupled"}]
    (line,) = [trace for trace in own if trace["mode"] == "lines+markers"]
    assert line["y"][-2:] == [None, None]
    assert None not in line["y"][:-2]
    (cross,) = [t for t in own if t.get("marker", {}).get("symbol") == ["x-thin-open"] * 2]
    assert cross["x"] == line["x"][-2:]
    assert None not in cross["y"]


def test_exact_zeros_stand_apart_from_the_bars() -> None:
    document = Document(render_report(kind("whole")))
    results = kind("whole")
    (choice,) = [c for c in results.choices if (c.method, c.rule) == ("l1@proximal", "best")]
    bars, stem = document.figures["weights|l1@proximal|best"]["traces"]
    assert sum(bars["y"]) == pytest.approx(1 - choice.zeros, abs=1e-5)
    assert stem["text"][1].strip() == format_share(choice.zeros)
    assert len(document.figures["weights|none|best"]["traces"]) == 1


def test_a_score_far_below_does_not_flatten_the_rest() -> None:
    document = Document(render_report(kind("numbers")))
    assert document.figures["score"]["layout"]["yaxis"]["range"][0] > 0
    assert min(min(t["y"]) for t in document.figures["front"]["traces"] if t["y"]) == -40


@pytest.mark.parametrize(
    ("level", "strengths", "is_below"),
    [(0.8, STRENGTHS, False), (0.2, (1e-4, 1e-3), True)],  # the second: all trained are in view
)
def test_the_trivial_model_is_a_labelled_level(
    level: float, strengths: tuple[float, ...], is_below: bool
) -> None:
    document = Document(render_report(with_trivial(study(FEW, strengths), level)))
    for name in ("score", "front"):
        figure = document.figures[name]
        (line,) = [t for t in figure["traces"] if "the majority class" in str(t.get("hovertext"))]
        assert line["y"] == pytest.approx([level, level])
        (label,) = figure["layout"]["annotations"]
        assert f"the majority class, {level:.3f}" in label["text"]
        lowest = figure["layout"]["yaxis"]["range"][0]
        assert (level < lowest) is is_below is ("below" in label["text"])
        assert (label["yref"], label["y"]) == (("paper", 0) if is_below else ("y", level))


def test_an_error_is_better_below() -> None:
    """Accuracies taken for log-losses: what was best is worst, and the trivial model is high up."""
    results = with_trivial(study(FEW), 3.0)
    results = replace(results, question={**results.question, "metric": "log_loss"})
    document = Document(render_report(results))
    (label,) = document.figures["score"]["layout"]["annotations"]
    assert label["text"].endswith("3.000 (above)")
    assert (label["y"], label["yanchor"]) == (1, "top")
    low, high = document.figures["score"]["layout"]["yaxis"]["range"]
    scores = [cell.score for cell in summarize(results.records)]
    assert low < min(scores) < high < 3.0
    page = render_report(results)
    assert "Down and to the right is better" in page
    assert "a model is of use only below it" in page
    assert '<th scope="col" class="number" data-kind="number" aria-sort="ascending">' in page
    front = find_pareto_front(summarize(results.records), METRICS["log_loss"])
    assert [cell.score for cell in front] == sorted(cell.score for cell in front)
    assert front[0].score == min(cell.score for cell in summarize(results.records))


def test_a_notebook_has_the_same_figures_with_a_legend() -> None:
    results = study(FEW)
    figure = results.plot()
    assert [trace.name for trace in figure.data if trace.showlegend] == list(FEW)
    assert results.plot("zeros").layout.yaxis.title.text == "exact zeros"
    assert results.plot("front").layout.xaxis.title.text == "exact zeros among the weights"
    assert "@" not in figure.to_json().replace("l1@", "").replace("l2@", "")
    with pytest.raises(ValueError, match="values must be 'score', 'zeros', 'front', got 'loss'"):
        results.plot("loss")
    with pytest.raises(ValueError, match="no trial has a score yet"):
        replace(results, records=[], choices=[]).plot()
