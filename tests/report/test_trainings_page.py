"""The page of networks from scratch: what it says, in what order, and that it is drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from plotly import graph_objects

from report.browser import OWN_SCHEMES, Browser
from report.outcomes import PENALTIES, POINTS, lines, notes, outcome, three, written
from report.test_figures import color_of, opaque
from shrinkage.report import write_trainings
from shrinkage.scratch.demonstration import Outcome, Question, make_data, train
from shrinkage.study.errors import UsageError


def test_says_what_became_of_each_penalty(tmp_path: Path) -> None:
    document = written(three(), tmp_path, title="Spiral, 3 × 20 points; 50 epochs")
    assert document.one("h1") == "Spiral, 3 × 20 points; 50 epochs"
    facts = document.one("p", **{"class": "facts"})
    assert (
        facts == "60 training points · 12 for validation · 3 classes · 50 epochs · 64 hidden units"
    )
    heads = [text for own, text in document.find("th", scope="col")]
    assert heads[1:] == [
        "Train accuracy",
        "Validation accuracy",
        "Validation loss",
        "Exact zeros",
        "Silent units",
    ]
    assert [text for _, text in document.find("th", scope="row")] == list(PENALTIES)
    cells = [text for _, text in document.find("td")]
    assert cells == ["0.950", "0.900", "0.346", "111 of 192", "37 of 64"] * 3


def test_tells_its_story_in_order(tmp_path: Path) -> None:
    document = written(three(), tmp_path)
    titles = ["Decision regions", "Losses over training", "Accuracy over training"]
    assert [text for _, text in document.find("h3")] == titles
    places = [own["data-figure"] for own, _ in document.find("div", **{"class": "plot"})]
    panels = [f"{kind}|{name}" for kind in ("regions", "losses") for name in PENALTIES]
    assert places == list(document.figures) == [*panels, "accuracy"]
    assert notes(document)[:3] == ["validation accuracy 0.900"] * 3
    assert notes(document)[3:] == [
        "in the last epoch 0.202",
        *["in the last epoch 0.202 + 0.050"] * 2,
    ]


@pytest.mark.quick_where(epochs=[399])
@pytest.mark.parametrize("epochs", [1, 2, 399, 3000])
def test_every_figure_is_valid(tmp_path: Path, epochs: int) -> None:
    document = written(three(epochs=epochs), tmp_path)
    for plot in document.figures.values():
        graph_objects.Figure(data=opaque(plot["traces"]), layout=opaque(plot["layout"]))
    line = lines(document, "losses|none")["data loss"]
    assert len(line["x"]) == min(epochs, 400)
    assert line["mode"] == ("lines" if epochs > 1 else "markers")
    bands = [trace for trace in document.figures["accuracy"]["traces"] if "fill" in trace]
    assert bool(bands) == (epochs > 400)
    assert f"· {epochs:,} epoch" in document.one("p", **{"class": "facts"})


@pytest.mark.parametrize(
    ("scores", "sentence"),
    [
        ({"none": 0.8, "l1": 0.9, "l2": 0.7}, "highest with l1: 0.900, against 0.800 without"),
        ({"l1": 0.9, "l2": 0.7}, "The validation accuracy is highest with l1: 0.900."),
        ({"none": 0.9, "l2": 0.7}, "The validation accuracy is highest without a penalty: 0.900."),
        ({"l1": 0.9, "l2": 0.9003, "l3": 0}, "highest with l1 and with l2: 0.900."),
        ({"none": 0.9, "l2": 0.9003}, "The validation accuracy is the same for all: 0.900."),
        ({"l2": 0.9}, "Accuracy 0.950 on the points it was trained on, 0.900 on others."),
    ],
)
def test_says_in_a_sentence_what_validation_says(
    tmp_path: Path, scores: dict[str, float], sentence: str
) -> None:
    outcomes = [outcome(name, accuracy=score) for name, score in scores.items()]
    assert sentence in written(outcomes, tmp_path).one("p", **{"class": "verdict"})


def test_says_which_trainings_are_not_there(tmp_path: Path) -> None:
    failures = ["l2:1e+308@coupled: the loss is inf", "l1:1.0@coupled: <interrupted>"]
    document = written(three(), tmp_path, failures=failures)
    assert [text for _, text in document.find("p", **{"class": "remark"})][1:] == failures


def test_one_outcome_is_not_compared(tmp_path: Path) -> None:
    document = written([outcome("l2:0.0005@coupled")], tmp_path)
    assert not list(document.find("button", **{"data-method": "l2:0.0005@coupled"}))
    captions = " ".join(text for _, text in document.find("figcaption"))
    assert "What the network predicts" in captions
    assert "axes" not in captions


@pytest.mark.parametrize(
    ("amount", "columns"), [(1, "21"), (2, "22"), (3, "33"), (4, "22"), (5, "33")]
)
def test_panels_fill_their_rows(tmp_path: Path, amount: int, columns: str) -> None:
    document = written([outcome(f"l1:{place}") for place in range(amount)], tmp_path)
    grids = [own for _, own in document.elements if "panels" in own.get("class", "")]
    assert [grid["style"] for grid in grids] == [f"--columns: {number}" for number in columns]


def test_regions_are_the_predictions_with_the_points_in_front(tmp_path: Path) -> None:
    made = outcome("none")
    document = written([made], tmp_path)
    plot = document.figures["regions|none"]
    (surface,) = plot["traces"]
    assert surface["z"] == made.plane[2].tolist()
    assert surface["x"] == pytest.approx(made.plane[0].tolist(), abs=1e-5)
    points = document.drawn["shared"][plot["background"]]
    assert [trace["marker"]["color"] for trace in points] == ["@class-0", "@class-1", "@class-2"]
    assert sum(len(trace["x"]) for trace in points) == 60
    keys = [text for _, text in document.find("li")]
    assert keys[:3] == ["class 0", "class 1", "class 2"]


def test_of_many_points_some_are_drawn(tmp_path: Path) -> None:
    many = np.linspace([-1, -1], [1, 1], 1200), np.arange(1200) % 3
    document = written(three(), tmp_path, points=many)
    drawn = [x for trace in document.drawn["shared"]["points"] for x in trace["x"]]
    assert len(set(drawn)) == 500
    assert min(drawn) < -0.9
    assert max(drawn) > 0.9
    assert "500 of the 1,200 training points" in next(document.find("figcaption"))[1]


def test_a_class_that_no_point_has_is_in_the_key(tmp_path: Path) -> None:
    side = np.linspace(-1, 1, 7)
    made = outcome("none", plane=(side, side, np.full((7, 7), 3)))
    keys = [text for _, text in written([made], tmp_path).find("li")]
    assert keys[:4] == ["class 0", "class 1", "class 2", "class 3"]


def test_a_penalty_has_one_colour_everywhere_and_none_is_grey(tmp_path: Path) -> None:
    document = written(three(epochs=1000), tmp_path)
    seen: dict[str, set[str]] = {name: set() for name in PENALTIES}
    for name in PENALTIES:
        own = document.figures[f"losses|{name}"]["traces"]
        seen[name] |= {color_of(trace) for trace in own} - {"ink"}
    for trace in document.figures["accuracy"]["traces"]:
        seen[trace["meta"]["method"]].add(color_of(trace))
    for own, text in [*document.find("button"), *document.find("h4"), *document.find("th")]:
        if "--look" in own.get("style", ""):
            seen[text].add(own["style"].removeprefix("--look: var(--").removesuffix(")"))
    assert list(seen.values()) == [{"series-none"}, {"series-0"}, {"series-1"}]


def test_a_name_that_comes_twice_is_shown_twice(tmp_path: Path) -> None:
    document = written([outcome("l2:0.1@coupled")] * 2, tmp_path)
    names = ["l2:0.1@coupled", "l2:0.1@coupled (2)"]
    assert [text for _, text in document.find("th", scope="row")] == names
    assert {f"losses|{name}" for name in names} < set(document.figures)


def test_names_and_title_are_text(tmp_path: Path) -> None:
    hostile = "</script><img src=x>%{x}; \"'"
    document = written([outcome(hostile), outcome("none")], tmp_path, title=hostile)
    assert document.one("h1") == hostile
    assert not list(document.find("img"))
    assert len(list(document.find("script"))) == 3
    (line, _) = lines(document, "accuracy").values()
    assert line["hovertemplate"].startswith("<b>&lt;/script&gt;&lt;img")


@pytest.mark.parametrize(
    ("outcomes", "points", "sentence"),
    [
        ([], POINTS, "outcomes must hold at least one"),
        (three(), (np.zeros((4, 3)), np.zeros(4)), r"got \(4, 3\) and \(4,\)"),
        (three(), (np.zeros((4, 2)), np.zeros(3)), r"got \(4, 2\) and \(3,\)"),
    ],
)
def test_what_cannot_be_shown_leaves_the_old_page(
    tmp_path: Path, outcomes: list[Outcome], points: tuple, sentence: str
) -> None:
    path = tmp_path / "trainings.html"
    path.write_text("old")
    with pytest.raises(ValueError, match=sentence):
        write_trainings(outcomes, path, points=points)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        written(three(), tmp_path / "absent")


@pytest.mark.slow
def test_six_long_trainings_are_a_few_megabytes(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).uniform(size=10_000).tolist()
    history = dict.fromkeys(("accuracy", "loss", "data_loss", "regularization_loss"), noise)
    side = np.linspace(-1.234567, 1.234567, 100)
    plane = (side, side, np.zeros((100, 100), dtype=int))
    outcomes = [outcome(f"l1:{place}", history=history, plane=plane) for place in range(6)]
    write_trainings(outcomes, tmp_path / "page.html", points=POINTS)
    assert (tmp_path / "page.html").stat().st_size < 3e6


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of networks that were trained."""
    question = Question(samples=40, epochs=450, hidden=8)
    outcomes = [train(question, penalty) for penalty in ("none", "l2:5e-4", "l1:1e-4@proximal")]
    path = tmp_path_factory.mktemp("page") / "trainings.html"
    write_trainings(outcomes, path, points=make_data(question)[0])
    return path


@pytest.mark.slow
@pytest.mark.parametrize("width", [420, 1200])
def test_is_drawn_in_silence(browser: Browser, trained: Path, width: int) -> None:
    browser.open(trained, width=width, scheme="dark")
    assert browser.errors() == []
    assert [url for url in browser.requests() if not url.startswith(OWN_SCHEMES)] == []
    assert len(browser.all("[data-figure^=regions] svg image")) == 3
    assert len(browser.all("[data-figure^=losses] path.js-line")) >= 9
    assert len(browser.all("[data-figure=accuracy] path.js-line")) >= 3
    assert browser.run("return document.documentElement.scrollWidth") <= width
    browser.all(".legend [data-method=none]")[0].click()
    assert browser.run("return document.querySelectorAll('.panel:not([hidden])').length") == 4
