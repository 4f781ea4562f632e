"""The report as a document: what it says, in what order, and that no name gets out of its place."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from plotly.offline import get_plotlyjs

from report.document import Document
from report.synthetic import HOSTILE, KINDS, STRENGTHS, kind, study, with_diverged
from shrinkage.report import write_report
from shrinkage.report.study_page import render_report
from shrinkage.study.data.column_reading import Reading
from shrinkage.study.errors import UsageError


@pytest.mark.quick_where(name=["whole", "hostile"])
@pytest.mark.parametrize("name", KINDS)
def test_holds_plotly_whole_stays_small_and_asks_nothing_of_the_network(name: str) -> None:
    page = render_report(kind(name))
    document = Document(page)
    assert len(page.encode()) < 5_000_000
    if document.figures:
        packed = base64.b64decode(document.one("script", id="plotly"))
        assert gzip.decompress(packed).decode() == get_plotlyjs()
    for _, attributes in document.elements:
        for key in ("src", "href", "srcset", "action", "data", "poster", "style"):
            assert "//" not in attributes.get(key, "")
    (policy,) = [own["content"] for own, _ in document.find("meta") if "http-equiv" in own]
    assert policy.startswith("default-src 'none'")
    assert "unsafe-eval" not in policy
    assert "http" not in policy


def test_no_name_becomes_an_element() -> None:
    document = Document(render_report(kind("hostile")))
    tame = Document(render_report(kind("whole")))
    assert len(list(document.find("script"))) == len(list(tame.find("script"))) == 3
    assert not list(document.find("img"))
    assert "<" not in document.one("script", id="figures")
    assert document.one("h1") == HOSTILE
    (reason, *_) = [text for own, text in document.find("td", **{"class": "reason"})]
    assert reason == HOSTILE
    assert any(text == HOSTILE for _, text in document.find("li"))
    for text in texts(document.drawn):
        assert "<script" not in text
        assert "<img" not in text
        assert "%{x}</b>" not in text


def texts(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, entry in value.items():
            if key != "meta":  # never shown: the name by which the legend finds its traces
                yield from texts(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from texts(entry)
    elif isinstance(value, str):
        yield value


def test_folds_are_named_as_such() -> None:
    results = with_diverged(study(("none", "l2@coupled"), seeds=6), "step 3")
    results = replace(results, question={**results.question, "seeds": 2, "folds": 3})
    page = render_report(results)
    assert "Mean over 6 folds, with a band" in page
    assert "mean over 3 folds, 2 times, ± its standard error" in page
    assert "Means over seeds and folds." in page
    assert "<td>0, fold 1</td>" in page


def test_says_the_verdict_and_the_data_first() -> None:
    document = Document(render_report(kind("whole")))
    assert document.one("h1") == "spiral"
    assert document.one("p", **{"class": "verdict"}) == kind("whole").verdict
    facts = "classification into 3 classes · 600 rows · 2 features"
    assert document.one("p", **{"class": "facts"}) == facts
    order = [tag for tag, _ in document.elements if tag in ("h1", "table", "h2", "figure", "pre")]
    assert order[:4] == ["h1", "table", "h2", "figure"]
    assert order[-1] == "pre"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "unfinished",
            "This study is not finished: 40 of 165 trials are recorded.",
        ),
        (
            "not yet tested",
            "This study is not finished: all 165 trials are recorded, and",
        ),
        ("all diverged", "This study is not finished: all 165 trials are recorded"),
        ("no trials", "This study has no trials yet."),
        ("nothing known", "This study has no trials yet."),
    ],
)
def test_says_how_far_an_unfinished_study_is(name: str, sentence: str) -> None:
    document = Document(render_report(kind(name)))
    assert document.one("p", **{"class": "verdict"}).startswith(sentence)


def test_choices_so_far_are_marked_as_such() -> None:
    page = render_report(kind("not yet tested"))
    assert "Chosen strengths so far" in page
    assert "The choices are so far, and the test part is scored at the end." in page
    assert "Chosen strengths so far" not in render_report(kind("whole"))


def test_the_table_has_every_choice_best_first() -> None:
    results = kind("whole")
    document = Document(render_report(results))
    shown = [own["data-value"] for own, _ in document.find("th", scope="row")]
    ordered = sorted(results.choices, key=lambda choice: -choice.validation_mean)
    assert shown == [choice.method for choice in ordered]
    heads = list(document.find("th", scope="col"))
    assert len(list(document.find("button", type="button"))) >= len(heads)
    assert [text for own, text in heads if own.get("aria-sort") == "descending"] == ["Validation"]


def test_a_row_says_what_the_choice_holds() -> None:
    results = with_diverged(study(methods=("none", "l2@coupled")), "step 41: NaN")
    choice = replace(
        results.choices[1],
        strength=STRENGTHS[0],
        edge="lowest",
        validation_mean=0.9,
        validation_se=0.0125,
        test_scores=[0.8, 0.9],
        test_error=0.031,
        zeros=0.25,
        dead_neurons=63.7,  # not all of them
        seconds=1.5,
    )
    document = Document(render_report(replace(results, choices=[choice])))
    (row,) = [text for _, text in document.find("tr") if "l2@coupled" in text and "best" in text]
    for part in ("1e-5", "0.900 ± 0.013", "0.850 ± 0.031", "25.0%", "63 / 64", "1.50"):
        assert part in row
    assert "lowest of the grid; 2 of 27 trials diverged" in row


def test_the_trivial_model_is_a_row_in_its_place() -> None:
    document = Document(render_report(kind("trivial model")))
    scores = [float(own["data-value"]) for own, _ in cells_of(document, "Validation")]
    assert pytest.approx(0.8) in scores
    assert scores == sorted(scores, reverse=True)
    (row,) = [text for _, text in document.find("tr") if text.startswith("the majority class")]
    assert "0.800 ± 0.000" in row
    assert "0.790 ± 0.034" in row
    assert row.endswith("always outer")


def cells_of(document: Document, column: str) -> list[tuple[dict[str, str], str]]:
    """The cells of a column of the table of choices."""
    names = [text for _, text in document.find("th", scope="col")]
    data = list(document.find("td"))  # the first column holds row heads
    width = len(names) - 1
    rows = len(list(document.find("th", scope="row")))
    return data[names.index(column) - 1 : width * rows : width]


def test_a_model_that_predicts_one_thing_is_said_beside_it() -> None:
    results = kind("trivial model")
    choice = replace(results.choices[-1], rule="one-se")
    empty = {"0.weight": np.zeros((64, 2)), "2.weight": np.zeros((3, 64))}
    records = [
        replace(record, state=empty)
        if (record.trial.method, record.trial.strength) == (choice.method, choice.strength)
        else record
        for record in results.records
    ]
    page = Document(render_report(replace(results, records=records)))
    noted = [text for _, text in page.find("tr") if "the same prediction for every row" in text]
    assert noted
    assert all(choice.method in text for text in noted)


def test_the_words_of_the_table_are_explained_those_alone_that_appear() -> None:
    document = Document(render_report(kind("trivial model")))
    terms = [text for _, text in document.find("dt")]
    for term in ("accuracy", "test", "the majority class", "one-se", "coupled", "proximal"):
        assert term in terms
    assert "decoupled" not in terms
    assert "proximal" not in [
        text for _, text in Document(render_report(kind("no penalty alone"))).find("dt")
    ]


def test_what_is_missing_is_a_dash_and_sorts_by_nothing() -> None:
    results = kind("one seed")
    choices = [
        replace(choice, test_scores=[], neurons=0, seconds=float("nan"))
        for choice in results.choices
    ]
    document = Document(render_report(replace(results, choices=choices)))
    missing = [own for own, text in document.find("td", **{"class": "number"}) if text == "–"]
    assert len(missing) >= 3 * len(choices)
    assert "nan" not in "".join(text for _, text in document.find("tr"))


def test_what_was_run_is_there() -> None:
    results = kind("hundreds of classes")
    document = Document(render_report(results))
    assert document.one("pre") == results.provenance["command"]
    facts = dict(
        zip(
            (text for _, text in document.find("dt")),
            (text for _, text in document.find("dd")),
            strict=True,
        )
    )
    assert facts["torch"] == "2.13.0"
    assert facts["strengths"].startswith("1e-5, 3.16e-5, 1e-4")
    assert facts["diverged"] == "0"
    assert facts["classes"].endswith("class 11 and 288 more")


@pytest.mark.slow
def test_the_same_results_give_the_same_page() -> None:
    assert render_report(study()) == render_report(study())


def test_half_a_surrogate_pair_is_written(tmp_path: Path) -> None:
    write_report(study(methods=("none",), name="caf\udce9.csv"), tmp_path / "report.html")
    assert "<h1>caf?.csv</h1>" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_page_is_whole_or_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.html"
    write_report(kind("no trials"), path)
    before = path.read_text(encoding="utf-8")

    def refuse(source: Path, target: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.replace", refuse)
    with pytest.raises(UsageError, match="cannot be written"):
        write_report(kind("whole"), path)
    assert path.read_text(encoding="utf-8") == before
    assert list(tmp_path.iterdir()) == [path]


def test_shows_how_each_column_was_read() -> None:
    readings = [
        Reading("plain<b>", "number", missing=1200),
        Reading("gone", "empty", role="left out", done="missing in every row"),
    ]
    results = study()
    assert "How the columns were read" not in render_report(results)
    data = {**results.data, "readings": [asdict(reading) for reading in readings]}
    page = render_report(replace(results, data=data))
    document = Document(page)
    reasons = [text for _, text in document.find("td", **{"class": "reason"})]
    assert reasons[-2:] == ["missing in every row", "as written"]
    assert "<code>plain&lt;b&gt;</code>" in page
    assert "<td>1,200</td>" in page
