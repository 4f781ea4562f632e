"""The section that ends a page: how to use the model that was fitted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from report.document import Document
from report.synthetic import FEW, HOSTILE, study
from shrinkage.report.study_page import render_report
from shrinkage.study.data.column_reading import Reading
from shrinkage.study.data.encoding import Encoding, NumberColumn
from shrinkage.study.model.code_examples import write_python, write_sklearn, write_torch
from shrinkage.study.model.fitted import FittedModel
from shrinkage.study.results import Results

FACTS = {
    "study": "digest",
    "rows": "rest",
    "fitted rows": 480,
    "initializations": 3,
    "test rows": 120,
    "test score": 0.91,
    "test error": 0.026,
}


def make_model(**changes: object) -> FittedModel:
    """A linear model of two inputs, of which it uses one."""
    model = FittedModel(
        model="linear",
        method="l1@proximal",
        strength=0.01,
        task="classes",
        classes=("inner", "outer"),
        encoding=Encoding((NumberColumn("x", 0, 0, 1), NumberColumn("y", 0, 0, 1))),
        readings=(
            Reading("x", "number"),
            Reading("y", "number"),
            Reading("label", "text", "target"),
        ),
        state={"weight": np.array([[1.5, 0]], "float32"), "bias": np.zeros(1, "float32")},
        facts=FACTS,
    )
    return replace(model, **changes)


def keep(model: FittedModel, folder: Path) -> Results:
    """A study in whose folder the model stands."""
    model.save(folder / "model")
    results = study(FEW)
    question = {**results.question, "digest": "digest", "data": "rows of mine.csv"}
    return replace(results, folder=folder, question=question)


def test_the_page_ends_with_programs_that_use_the_model(tmp_path: Path) -> None:
    model = make_model()
    document = Document(render_report(keep(model, tmp_path)))
    assert [text for _, text in document.find("h2")][-1] == "Use this model"
    programs = [text for _, text in document.find("pre", **{"class": "command"})]
    assert programs[1] == f"shrinkage predict {tmp_path} NEW.csv --out predictions.csv"
    assert programs[2:] == [
        write_python(model, tmp_path),
        write_torch(model, tmp_path),
        write_sklearn(model, "rows of mine.csv"),
    ]
    section = document.one("section", **{"class": "use"})
    assert "l1@proximal at 0.01: fitted on 480 rows, the best of 3 initializations" in section
    assert (
        "accuracy 0.910 ± 0.026 of this one model on the 120 test rows. It uses x of 2 inputs; new "
        "rows need no other" in section
    )


def test_a_network_has_no_scikit_learn_and_a_function_no_torch(tmp_path: Path) -> None:
    layers = {"0.weight": np.ones((3, 2)), "2.weight": np.ones((1, 3))}
    state = layers | {"0.bias": np.zeros(3), "2.bias": np.zeros(1)}
    network = make_model(model="mlp:3", state=state)
    page = render_report(keep(network, tmp_path / "a"))
    assert "<h3>With torch alone</h3>" in page
    assert "scikit-learn</h3>" not in page
    own = make_model(model="my.module:build", state=state)
    page = render_report(keep(own, tmp_path / "b"))
    assert "<h3>In Python</h3>" in page
    assert "<h3>With torch alone</h3>" not in page


def test_why_scikit_learn_has_no_such_model(tmp_path: Path) -> None:
    document = Document(render_report(keep(make_model(method="group_lasso@proximal"), tmp_path)))
    section = document.one("section", **{"class": "use"})
    assert section.rstrip().endswith("scikit-learn has no linear model with group_lasso@proximal.")


@pytest.mark.parametrize("trouble", ["none kept", "damaged", "of another study"])
def test_without_a_model_of_this_study_there_is_no_such_section(
    tmp_path: Path, trouble: str
) -> None:
    results = keep(make_model(), tmp_path)
    if trouble == "none kept":
        results = replace(results, folder=tmp_path / "elsewhere")
    elif trouble == "damaged":
        (tmp_path / "model" / "weights.safetensors").write_bytes(b"")
    else:
        results = replace(results, question={**results.question, "digest": "another"})
    assert "Use this model" not in render_report(results)


def test_names_in_programs_become_no_elements(tmp_path: Path) -> None:
    folder = tmp_path / HOSTILE.replace("/", "")
    readings = (Reading(HOSTILE, "number", done="x"), Reading("label", "text", "target"))
    model = make_model(
        encoding=Encoding((NumberColumn(HOSTILE, 0, 0, 1),)),
        readings=(*readings, Reading(f"{HOSTILE}2", "text", "left out")),
        state={"weight": np.ones((1, 1), "float32"), "bias": np.zeros(1, "float32")},
    )
    document = Document(render_report(keep(model, folder)))
    assert not list(document.find("img"))
    assert len(list(document.find("script"))) == 3
