"""The section on inputs: which are named, drawn and tabulated."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from report.document import Document
from report.synthetic import FEW, kind, study, with_inputs
from shrinkage.report.study_page import render_report
from shrinkage.study.records import FeatureUse

NAMES = tuple(f"x{k + 1}" for k in range(30))


def test_the_caption_names_what_the_recommended_method_uses() -> None:
    document = Document(render_report(kind("inputs")))
    captions = [text for _, text in document.find("figcaption")]
    assert captions[0].startswith(
        "l1@proximal at 1e-3 uses x1 and x2 of 30 inputs in every seed, 1 in some, and 27 in none."
    )
    assert "the accuracy that is lost on validation rows" in captions[0]
    assert "x1, x2 and x3 have 100% of the importance." in captions[0]


def test_the_caption_names_what_matters_among_many_inputs_that_are_used() -> None:
    results = with_inputs(study(("none", "l2@decoupled")), NAMES)
    caption = next(Document(render_report(results)).find("figcaption"))[1]
    assert "l2@decoupled at 3.16e-4 uses all 30 inputs in every seed." in caption
    assert "of the importance." not in caption  # too many to name
    few = [
        replace(use, importance=use.importance**3 * (use.feature != "x3"))
        for use in results.features
    ]
    caption = next(Document(render_report(replace(results, features=few))).find("figcaption"))[1]
    assert re.search(r"x1(, x\d)* and x\d have 9[5-9]\.\d% of the importance\.", caption)


@pytest.mark.parametrize(
    ("kept", "sentence"),
    [
        ({"a": 3, "b": 3}, "l1 uses all 2 inputs in every seed."),
        ({"a": 0, "b": 0}, "l1 uses 0 of 2 inputs in every seed, and 2 in none."),
        ({"a": 3, "b": 1}, "l1 uses a of 2 inputs in every seed, and 1 in some."),
        (dict.fromkeys("abcdefghi", 3) | {"j": 0}, "l1 uses 9 of 10 inputs in every seed, and 1"),
    ],
)
def test_inputs_are_counted_and_few_are_named(kept: dict[str, int], sentence: str) -> None:
    from shrinkage.report.input_section import describe_uses

    uses = [FeatureUse("l1", 0.1, name, seeds, 3, 0.0, 0.0) for name, seeds in kept.items()]
    assert describe_uses("l1", uses, "seed").startswith(sentence)


def test_each_model_has_bars_of_what_it_uses_the_most_important_first() -> None:
    document = Document(render_report(kind("inputs")))
    bars = document.figures["inputs"]["traces"]
    keys = [own["value"] for own, _ in document.find("option")]
    assert [trace["meta"]["model"] for trace in bars] == keys
    assert keys[0] == "l1@proximal|best"
    assert keys[1].startswith("none|")
    assert bars[0]["y"] == ["x1", "x2", "x3"]
    assert bars[0]["x"] == sorted(bars[0]["x"], reverse=True)
    assert bars[0]["error_x"]["array"] == [0.01] * 3
    assert len(bars[1]["y"]) == 20
    (texts,) = [text for own, text in document.find("option", value=keys[0])]
    assert texts == "l1@proximal at 1e-3: uses 3 of 30 inputs"


def test_the_table_has_a_row_for_each_input_and_a_column_for_each_method() -> None:
    document = Document(render_report(kind("inputs")))
    (table,) = [text for _, text in document.find("table", **{"class": "sortable inputs"})]
    heads = [text for own, text in document.find("th", scope="col") if "at 1e-3" in text]
    assert heads == ["l1@proximal at 1e-3", *heads[1:]]
    rows = [own["data-value"] for own, _ in document.find("th", scope="row")]
    assert rows[-30:] == list(NAMES)
    assert "0.167 ± 0.010in 1 of 3" in table
    assert "coefficient" not in table


def test_linear_models_show_coefficients() -> None:
    results = with_inputs(study(FEW), NAMES[:3], is_linear=True)
    document = Document(render_report(results))
    assert "0.500 ± 0.010coefficient −1.25" in document.one("table", **{"class": "sortable inputs"})
    (remark,) = [
        text for _, text in document.find("p", **{"class": "remark"}) if "shuffled" in text
    ]
    assert "per unit of the input" in remark


def test_a_long_table_ends_and_says_where_the_rest_is() -> None:
    results = with_inputs(study(FEW), tuple(f"x{k}" for k in range(230)))
    document = Document(render_report(results))
    (remark,) = [
        text for _, text in document.find("p", **{"class": "remark"}) if "shuffled" in text
    ]
    assert remark.endswith("features.csv has 30 more inputs.")


def test_names_that_are_cut_alike_have_bars_of_their_own() -> None:
    long = "a column with a very long name "
    document = Document(render_report(with_inputs(study(FEW), (f"{long}1", f"{long}2"))))
    labels = document.figures["inputs"]["traces"][0]["y"]
    assert len(set(labels)) == 2
    assert all(label.startswith("a column with a very lo") and len(label) < 30 for label in labels)


def test_a_study_of_an_earlier_version_has_no_such_section() -> None:
    page = render_report(kind("whole"))
    assert "<h2>Inputs</h2>" not in page
    assert "inputs" not in Document(page).figures


def test_splits_are_called_folds_where_they_are() -> None:
    results = kind("inputs")
    page = Document(render_report(replace(results, question={**results.question, "folds": 3})))
    section = page.one("section", **{"class": "inputs"})
    assert "of 30 inputs in every fold" in section
    assert "mean over folds" in section
    assert "seed" not in section


def test_without_a_recommendation_the_best_method_comes_first() -> None:
    results = replace(kind("inputs"), recommended=None)
    best = max(results.choices, key=lambda choice: choice.validation_mean)
    document = Document(render_report(results))
    assert next(document.find("option"))[0]["value"] == f"{best.method}|{best.rule}"
