"""The page of laws."""

from __future__ import annotations

from pathlib import Path

import pytest

from report.document import Document
from report.synthetic_laws import LAWS, law
from shrinkage.report import write_laws


def written(records: list, folder: Path, **options: str) -> Document:
    write_laws(records, folder / "laws.html", **options)
    return Document((folder / "laws.html").read_text(encoding="utf-8"))


def test_a_row_for_each_in_the_order_given(tmp_path: Path) -> None:
    document = written(LAWS, tmp_path, title="What they do")
    assert document.one("h1") == "What they do"
    names = [text for _, text in document.find("th", scope="row")]
    assert names == [record["optimizer"] for record in LAWS]
    cells = [own["data-value"] for own, _ in document.find("td")]
    assert cells[:5] == ["w ← (1 − lr·wd)·w", "as documented: so", "solves J", "1e-16", ""]


def test_what_breaks_its_promise_is_counted_and_marked(tmp_path: Path) -> None:
    document = written(LAWS, tmp_path)
    assert document.one("p", **{"class": "verdict"}).startswith("1 of 2 do something else")
    ((_, row),) = document.find("tr", **{"class": "broken"})
    assert row.startswith("lib.Wrong")
    kept = written([LAWS[0]], tmp_path)
    assert kept.one("p", **{"class": "verdict"}).startswith("All 1 that promise something")


def test_the_misfit_sorts_by_its_number(tmp_path: Path) -> None:
    document = written(LAWS, tmp_path)
    shown = [(own["data-value"], text) for own, text in document.find("td", **{"class": "number"})]
    assert shown == [("1e-16", "under 1e-9"), ("0.2", "0.2"), ("", "–")]


def test_names_are_text(tmp_path: Path) -> None:
    hostile = "</script><img src=x>"
    document = written([law(hostile, also=hostile)], tmp_path)
    assert not list(document.find("img"))
    assert document.one("th", scope="row") == hostile


def test_no_records_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="records must hold at least one optimizer"):
        write_laws([], tmp_path / "laws.html")
    assert not list(tmp_path.iterdir())
