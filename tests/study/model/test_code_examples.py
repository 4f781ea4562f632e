"""The programs that use a model: each is run, and predicts what the model does."""

import ast
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from shrinkage.study.data.features import MOST_LEVELS
from shrinkage.study.data.sources import read_source
from shrinkage.study.data.splits import split_rows
from shrinkage.study.data.table import prepare_table
from shrinkage.study.model import refit as refitting
from shrinkage.study.model.code_examples import (
    explain_reading,
    explain_sklearn,
    write_command,
    write_python,
    write_sklearn,
    write_torch,
)
from shrinkage.study.model.refit import refit
from shrinkage.study.spec import Study

EPOCHS = 800  # until Adam stands still on these rows


def fit_linear(
    cars: pd.DataFrame, folder: Path, target: str, method: str, strength: float, **options: bool
):
    """A linear model of `folder`/cars.csv, fitted once, and the rows that it was fitted on."""
    others = {"mpg": ["thirst"], "thirst": ["mpg"], "origin": ["mpg", "thirst"]}[target]
    cars.drop(columns=others).to_csv(folder / "cars.csv", index=False)
    study = Study(
        data=str(folder / "cars.csv"),
        target=target,
        methods=(method,),
        strengths=(strength or 1.0,),
        model="linear",
        lr=0.1,
        epochs=EPOCHS,
        **options,
    )
    table = prepare_table(read_source(study.data), study)
    rows = split_rows(table, study, 0)
    known = pd.read_csv(study.data).dropna(subset=[target])
    fitted = known.iloc[np.sort(np.concatenate([rows.train, rows.validation]))]
    return refit(table, study, method, strength, jobs=1), fitted


def run(program: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict:
    monkeypatch.chdir(folder)
    names: dict = {}
    exec(compile(program, "program", "exec"), names)
    return names


def place(model, cars: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """Put the model and a file of new rows where the programs look for them."""
    model.save(folder / "my study" / "model")
    rows = cars.drop(columns=model.target)
    rows.to_csv(folder / "NEW.csv", index=False)
    return rows


def answers_agree(names: dict, model, rows: pd.DataFrame, **tolerance: float) -> None:
    with pytest.warns(UserWarning, match="empty cells filled|ignored"):
        expected = model.predict(rows)
    if model.task == "numbers":
        np.testing.assert_allclose(names["predictions"], expected, **tolerance)
    else:
        assert (names["predictions"].astype(str) == expected).all()


@pytest.mark.filterwarnings("ignore:.*ignored|.*filled:UserWarning")
def test_python_predicts_what_the_model_does(classes_study, cars, tmp_path, monkeypatch, capsys):
    model = classes_study[1].model
    rows = place(model, cars, tmp_path)
    program = write_python(model, Path("my study"))
    names = run(program, tmp_path, monkeypatch)
    assert (names["predictions"] == model.predict(rows)).all()
    np.testing.assert_array_equal(names["probabilities"], model.predict_proba(rows))
    assert "importance" in capsys.readouterr().out
    assert len(program.splitlines()) <= 7


@pytest.mark.parametrize("study", ["numbers_study", "classes_study"])
def test_torch_alone_predicts_what_the_model_does(study, request, cars, tmp_path, monkeypatch):
    model = request.getfixturevalue(study)[1].model
    rows = place(model, cars, tmp_path)
    program = write_torch(model, Path("my study"))
    assert "shrinkage" not in program
    names = run(program, tmp_path, monkeypatch)
    answers_agree(names, model, rows, rtol=1e-5)
    if model.task == "classes":
        with pytest.warns(UserWarning, match="filled"):
            expected = model.predict_proba(rows)[:, 1]
        np.testing.assert_allclose(names["probabilities"].numpy(), expected, rtol=1e-4)


SKLEARN = [
    ("mpg", "none", 0.0, "LinearRegression()"),
    ("mpg", "l1@proximal", 0.05, "Lasso(alpha=0.05)"),
    ("mpg", "l2@coupled", 0.05, "Ridge(alpha=2 * len(rows) * 0.05)"),
    ("mpg", "elastic_net@loss", 0.05, "ElasticNet(alpha="),
    ("thirst", "l1@proximal", 0.02, "C=1 / (len(rows) * 0.02), l1_ratio=1"),
    ("thirst", "l2@proximal", 0.01, "C=1 / (len(rows) * 0.02), l1_ratio=0"),
    ("origin", "elastic_net@proximal", 0.01, 'solver="saga"'),
    ("origin", "l2@proximal", 0.02, 'class_weight="balanced"'),
]


@pytest.mark.quick_where(method=["l1@proximal", "l2@coupled"])
@pytest.mark.parametrize(("target", "method", "strength", "written"), SKLEARN)
def test_scikit_learn_fits_the_same_coefficients(
    target, method, strength, written, cars, tmp_path, monkeypatch
):
    monkeypatch.setattr(refitting, "INITIALIZATIONS", 1)
    heavy = (cars["weight"] > 1500).astype(object)
    heavy[::10] = None
    cars = cars.assign(heavy=heavy)
    balanced = "balanced" in written
    model, fitted = fit_linear(cars, tmp_path, target, method, strength, balanced=balanced)
    fitted.to_csv(tmp_path / "cars.csv", index=False)
    rows = place(model, cars, tmp_path)
    program = write_sklearn(model, "cars.csv")
    assert written in program
    assert next(r.kind for r in model.readings if r.name == "heavy") == "truth"
    assert "shrinkage" not in program
    names = run(program, tmp_path, monkeypatch)
    estimator = names["model"]
    estimator = getattr(estimator, "regressor_", estimator)[-1]
    weight, bias = (np.atleast_1d(model.state[name]) for name in ("weight", "bias"))
    if strength:  # without a penalty the levels of a text column are collinear
        np.testing.assert_allclose(np.atleast_2d(estimator.coef_), weight, atol=2e-3)
        assert np.abs(weight).max() > 0.1
    if strength and target != "origin":  # the intercepts of a softmax are free up to a constant
        np.testing.assert_allclose(np.atleast_1d(estimator.intercept_), bias, atol=2e-3)
    answers_agree(names, model, rows, rtol=0.01)


@pytest.mark.filterwarnings("ignore:.*ignored|.*filled:UserWarning")
def test_rare_levels_share_an_input(numbers_study, cars, tmp_path, monkeypatch):
    model = numbers_study[1].model
    *others, text = model.encoding.columns
    assert text.levels == ("europe", "japan", "missing", "usa")
    text = replace(text, levels=text.levels[:3], others=("usa",))
    encoding = replace(model.encoding, columns=(*others, text))
    state = {**model.state, "weight": model.state["weight"] + np.float32(0.1)}  # none is 0
    model = replace(model, encoding=encoding, state=state)
    rows = place(model, cars, tmp_path)
    names = run(write_torch(model, Path("my study")), tmp_path, monkeypatch)
    np.testing.assert_allclose(names["predictions"], model.predict(rows), rtol=1e-5)
    program = write_sklearn(model, "cars.csv")
    assert f"max_categories={MOST_LEVELS}" in program
    cars.drop(columns="thirst").to_csv(tmp_path / "cars.csv", index=False)
    assert len(run(program, tmp_path, monkeypatch)["predictions"]) == len(cars)


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        ("l1@decoupled", "l1@decoupled shrinks weights beside the optimizer's step"),
        ("group_lasso@proximal", "scikit-learn has no linear model with group_lasso@proximal."),
        ("l1 + l2:0.1@proximal", ""),
    ],
)
def test_what_scikit_learn_lacks_is_said(method, reason, numbers_study):
    model = replace(numbers_study[1].model, method=method)
    assert explain_sklearn(model).startswith(reason)
    assert bool(write_sklearn(model, "cars.csv")) is not bool(reason)


def test_a_network_is_no_model_of_scikit_learn(classes_study):
    model = classes_study[1].model
    assert write_sklearn(model, "cars.csv") == explain_sklearn(model) == ""


def test_names_with_quotes_stay_in_their_place(numbers_study):
    model, folder = numbers_study[1].model, Path('it\'s "mine"')
    assert shlex.split(write_command(folder))[2] == str(folder)
    for program in (write_python(model, folder), write_torch(model, folder)):
        literals = [
            node.value for node in ast.walk(ast.parse(program)) if isinstance(node, ast.Constant)
        ]
        assert any(str(text).startswith(str(folder)) for text in literals)


def test_columns_that_pandas_reads_otherwise_are_named(numbers_study):
    model = numbers_study[1].model
    assert explain_reading(model) == ""
    dates = [replace(r, kind="date") if r.name in ("power", "noise") else r for r in model.readings]
    said = explain_reading(replace(model, readings=tuple(dates)))
    assert said.startswith("pandas does not read columns 'power' and 'noise' as the study did")
