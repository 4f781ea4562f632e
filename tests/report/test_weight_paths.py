"""The page of weights over steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from report.document import Document
from shrinkage.report import write_paths

SHRUNK = np.array([[1.0, -0.5], [0.5, -0.2], [0.25, 0.0]])  # (steps + 1, weights)


def written(series: dict, folder: Path, **options: str) -> Document:
    write_paths(series, folder / "paths.html", **options)
    return Document((folder / "paths.html").read_text(encoding="utf-8"))


def test_one_figure_a_label_one_line_a_weight(tmp_path: Path) -> None:
    document = written({"L1 proximal": SHRUNK, "L2": SHRUNK / 2}, tmp_path, title="How they move")
    assert document.one("h1") == "How they move"
    assert list(document.figures) == ["L1 proximal", "L2"]
    lines = document.figures["L1 proximal"]["traces"]
    assert [line["y"] for line in lines] == SHRUNK.T.tolist()
    assert [line["x"] for line in lines] == [[0, 1, 2]] * 2
    notes = [text for own, text in document.find("p", **{"class": "note"})]
    assert notes == ["1 of 2 weights exactly zero"] * 2


def test_all_figures_have_one_vertical_axis(tmp_path: Path) -> None:
    document = written({"a": SHRUNK, "b": 10 * SHRUNK}, tmp_path)
    ranges = [figure["layout"]["yaxis"]["range"] for figure in document.figures.values()]
    assert ranges[0] == ranges[1]
    assert ranges[0][0] < -5
    assert ranges[0][1] > 10


def test_a_long_path_keeps_its_ends(tmp_path: Path) -> None:
    document = written({"long": np.linspace(1, 0, 10_001)}, tmp_path)
    (line,) = document.figures["long"]["traces"]
    assert len(line["x"]) <= 400
    assert (line["x"][0], line["x"][-1]) == (0, 10_000)


def test_weights_that_leave_the_numbers_are_gaps(tmp_path: Path) -> None:
    document = written({"blown up": [1.0, np.inf, np.nan]}, tmp_path)
    assert document.figures["blown up"]["traces"][0]["y"] == [1, None, None]


def test_a_label_is_text(tmp_path: Path) -> None:
    label = "</script><img src=x>"
    document = written({label: SHRUNK}, tmp_path)
    assert document.one("h3") == label
    assert not list(document.find("img"))


@pytest.mark.parametrize(
    ("series", "sentence"),
    [
        ({}, "at least one array"),
        ({"cube": np.zeros((2, 2, 2))}, r"'cube' must have shape \(steps \+ 1, weights\)"),
        ({"none": np.zeros((0, 2))}, r"'none' must have shape"),
    ],
)
def test_what_is_no_path_is_refused(tmp_path: Path, series: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        write_paths(series, tmp_path / "paths.html")
    assert not list(tmp_path.iterdir())
