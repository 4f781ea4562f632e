"""A fitted model on new rows."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from shrinkage.study import UsageError, load_model
from shrinkage.study.data.sources import read_source
from shrinkage.study.data.table import prepare_table
from shrinkage.study.model.predictions import describe_score, predict_table
from shrinkage.study.model.refit import open_question


def test_numbers_are_in_the_units_of_the_target(numbers_study, cars):
    _, results = numbers_study
    model = results.model
    assert model.method == "l1@proximal"
    predicted = model.predict(cars.dropna())
    assert predicted.shape == (len(cars.dropna()),)
    assert np.corrcoef(predicted, cars.dropna()["mpg"])[0, 1] > 0.95
    assert abs(predicted.mean() - cars["mpg"].mean()) < 1
    with pytest.raises(ValueError, match="predict_proba: this model predicts numbers"):
        model.predict_proba(cars)


def test_coefficients_on_the_original_scale_predict_the_same(numbers_study, cars):
    model = numbers_study[1].model
    table = model.coefficients
    of = {(row.feature, row.level): row.original for row in table.itertuples()}
    rows = cars.dropna()
    by_hand = of["intercept", ""] + sum(of[name, ""] * rows[name] for name in ("power", "weight"))
    by_hand += of["noise", ""] * rows["noise"]
    by_hand += rows["origin"].map(lambda level: of["origin", level])
    np.testing.assert_allclose(model.predict(rows), by_hand, rtol=1e-4)
    assert of["noise", ""] == 0.0
    features = model.features
    assert features["feature"].tolist() == ["power", "origin", "weight", "noise"]
    assert features["kept"].tolist() == [True, True, True, False]
    assert features["coefficient (original)"].iloc[0] == of["power", ""]


@pytest.mark.slow
def test_probabilities_of_two_classes_are_those_of_their_logit(classes_study, cars):
    model = classes_study[1].model
    rows = cars.dropna()
    shares = model.predict_proba(rows)
    assert model.classes == ("high", "low")
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-12)
    answers = model.predict(rows)
    assert (answers == np.where(shares[:, 1] > 0.5, "low", "high")).all()
    assert (answers == rows["thirst"]).mean() > 0.85
    with pytest.raises(ValueError, match="has no coefficients: a linear one has"):
        _ = model.coefficients


def test_an_unused_column_may_be_absent_and_a_used_one_may_not(numbers_study, cars):
    model = numbers_study[1].model
    rows = cars.dropna()
    assert model.kept == ("power", "weight", "origin")
    fewer = model.predict(rows[["power", "weight", "origin"]])
    np.testing.assert_array_equal(fewer, model.predict(rows))
    with pytest.raises(UsageError, match="columns 'weight' and 'origin': the model uses them, and"):
        model.predict(rows[["power"]])
    with pytest.raises(UsageError, match="no such column; did you mean 'Power'"):
        model.predict(rows.rename(columns={"power": "Power"}))


def test_what_is_filled_in_unknown_or_new_is_told(numbers_study, cars):
    model = numbers_study[1].model
    rows = cars.iloc[:6].assign(origin=["mars", "usa", "mars", "venus", None, "usa"], more=1)
    read = model.read(rows)
    assert read.notes == ("columns 'thirst' and 'more': not in the training data, and ignored",)
    assert read.doubts == (
        f"column 'weight': 1 empty cell filled with the median of training, "
        f"{model.encoding.columns[1].fill:g}",
        "column 'origin': 3 rows with a level that training has not seen ('mars', 'venus'), "
        "which counts as none of them",
    )
    with pytest.warns(UserWarning, match="column 'origin': 3 rows with a level"):
        model.predict(rows)
    with pytest.raises(UsageError, match="column 'power' holds 'fast', but is read as numbers"):
        model.predict(rows.assign(power="fast"))
    with pytest.raises(UsageError, match="has no rows"):
        model.predict(rows.iloc[:0])


@pytest.mark.parametrize("cell", ["fast", np.inf, 1e300, 2.0])
def test_what_an_unused_column_holds_does_not_matter(cell, numbers_study, cars):
    model = numbers_study[1].model
    rows = cars.dropna()
    assert "noise" not in model.kept
    np.testing.assert_array_equal(model.predict(rows.assign(noise=cell)), model.predict(rows))


def test_inputs_are_named_at_a_strength_that_the_study_has_not_tried(numbers_study):
    model = numbers_study[1].model
    features = replace(model, uses=()).features
    assert features["feature"].tolist() == ["power", "weight", "origin", "noise"]
    assert features["kept"].tolist() == [True, True, True, False]
    assert features[["seeds", "importance", "importance error"]].isna().all(axis=None)
    assert features["coefficient"].iloc[0] == model.features["coefficient"].iloc[0]


def test_predictions_are_as_precise_as_the_spread_of_the_target(numbers_study, cars):
    """A target far from 0, such as a day number, keeps its decimals."""
    model = numbers_study[1].model
    far = replace(model, encoding=replace(model.encoding, center=2.45e9))
    rows = far.read(cars.dropna())
    np.testing.assert_allclose(
        predict_table(far, rows)["mpg"], far.answer(rows.frame), rtol=0, atol=1e-5
    )
    assert np.ptp(predict_table(far, rows)["mpg"]) > 10


def test_a_target_that_cannot_be_read_gives_no_score(numbers_study, classes_study, cars):
    model = numbers_study[1].model
    told = describe_score(model, model.read(cars.assign(mpg="to do")))
    assert told.startswith("no score: column 'mpg' holds 'to do', but is read as numbers")
    one = describe_score(model, model.read(cars.dropna().iloc[:1]))
    assert one == "1 row with a 'mpg': R² 0.000"  # whose error is not known
    model = classes_study[1].model
    other = describe_score(model, model.read(cars.assign(thirst=["low", "medium"] * 60)))
    assert other.startswith("60 rows with a 'thirst': accuracy 0.")
    assert other.endswith("; 60 rows of other classes left out")


def test_cells_are_read_as_those_of_the_training_table_were(classes_study, cars, tmp_path):
    """A file in which nothing but one row says how to read it."""
    model = classes_study[1].model
    rows = cars.dropna().iloc[:3]
    rows.to_csv(tmp_path / "new.csv", index=False)
    expected = model.predict_proba(rows)
    np.testing.assert_array_equal(model.predict_proba(tmp_path / "new.csv"), expected)
    rows.iloc[:1].to_json(tmp_path / "one.json", orient="records")
    one = model.predict_proba(tmp_path / "one.json")
    np.testing.assert_allclose(one, expected[:1], rtol=1e-5)  # float32: another number of rows


def test_a_table_of_predictions_names_its_rows_and_knows_its_score(classes_study, cars):
    model = classes_study[1].model
    rows = model.read(cars)
    table = predict_table(model, rows)
    assert list(table) == ["name", "thirst", "probability of high", "probability of low"]
    assert table["name"].tolist() == cars["name"].tolist()
    accuracy = (table["thirst"] == cars["thirst"]).mean()
    assert describe_score(model, rows).startswith(
        f"120 rows with a 'thirst': accuracy {accuracy:.3f}"
    )
    unknown = model.read(cars.drop(columns=["thirst", "name"]))
    assert describe_score(model, unknown) == ""
    assert predict_table(model, unknown)["row"].tolist() == list(range(1, 121))


def test_an_array_has_the_columns_of_training(tmp_path):
    from shrinkage.study import compare

    generator = np.random.default_rng(0)
    X = generator.normal(size=(80, 3))
    y = (X @ [1.0, -1.0, 0.0] > 0).astype(int)
    results = compare(
        (X, y),
        penalty="l1",
        strengths=[0.01],
        seeds=1,
        epochs=30,
        jobs=1,
        model="linear",
        out=tmp_path / "study",
        quiet=True,
    )
    model = results.model
    assert (model.predict(X) == y.astype(str)).mean() > 0.9
    np.testing.assert_array_equal(
        model.predict(X), model.predict(pd.DataFrame(X, columns=["x0", "x1", "x2"]))
    )
    np.testing.assert_array_equal(model.predict(torch.tensor(X)), model.predict(X))
    with pytest.raises(UsageError, match=r"shape \(rows, 3\) if it is an array, got \(80, 2\)"):
        model.predict(X[:, :2])


def test_the_rows_it_was_fitted_on_are_all_but_the_test_part(numbers_study, cars):
    folder, results = numbers_study
    study = open_question(results.question)
    table = prepare_table(read_source(cars.drop(columns="thirst")), study)
    model = load_model(folder)
    assert model.facts["fitted rows"] == 120 - results.data["test"] == 90
    assert model.facts["test rows"] == 30
    assert model.facts["test score"] > 0.8
    # The encoding's mean of power is that of just these rows.
    from shrinkage.study.data.splits import split_rows

    rows = split_rows(table, study, 0)
    fitted = np.sort([*rows.train, *rows.validation])
    column = next(c for c in model.encoding.columns if c.name == "power")
    assert column.mean == pytest.approx(table.frame["power"].iloc[fitted].mean(), rel=1e-12)


def test_a_notebook_shows_the_inputs(numbers_study):
    shown = numbers_study[1].model._repr_html_()
    assert shown.startswith("<p>FittedModel(l1@proximal at 0.05, linear, predicts &#x27;mpg&#x27;")
    assert "<td>power</td>" in shown
