"""From a file to a file of predictions, as the user of the command meets it."""

import os
from pathlib import Path

import pandas as pd
import pytest

from shrinkage.study import load_model

SMALL = ("--strengths", "1e-3,1e-1", "--seeds", "1", "--epochs", "20", "--jobs", "1")


@pytest.fixture
def flowers(run):
    """The iris table in a file, and the first command's output on it."""
    from sklearn.datasets import load_iris

    frame = load_iris(as_frame=True).frame
    frame["target"] = frame["target"].map({0: "setosa", 1: "versicolor", 2: "virginica"})
    frame.to_csv("flowers.csv", index=False)
    frame.drop(columns="target").iloc[::10].to_csv("new.csv", index=False)
    compared = run("compare", "flowers.csv", "--target", "target", "--penalty", "l1", *SMALL)
    assert compared.exit_code == 0, compared.output
    return frame, compared


def test_a_comparison_ends_with_a_model_and_the_command_that_uses_it(run, flowers):
    frame, compared = flowers
    assert "shrinkage predict shrinkage-study NEW.csv --out predictions.csv" in compared.stdout
    assert "fitted on 112 rows, the best of 3 initializations" in compared.stdout
    assert set(os.listdir("shrinkage-study/model")) == {"model.json", "weights.safetensors"}
    assert os.path.exists("shrinkage-study/features.csv")
    page = Path("shrinkage-study/report.html").read_text(encoding="utf-8")
    command = "shrinkage predict shrinkage-study NEW.csv --out predictions.csv"
    assert "<h2>Use this model</h2>" in page
    assert f'<pre class="command">{command}</pre>' in page
    result = run("predict", "shrinkage-study", "new.csv", "--out", "predictions.csv")
    assert result.exit_code == 0, result.output
    assert "predictions.csv: 15 predictions" in result.stdout
    table = pd.read_csv("predictions.csv")
    assert list(table)[:2] == ["row", "target"]
    assert (table["target"] == frame["target"].iloc[::10].to_numpy()).mean() > 0.8
    model = load_model("shrinkage-study")
    assert table["target"].tolist() == model.predict("new.csv").tolist()
    # Without --out the table goes to standard output, and what is told to standard error.
    again = run("predict", "shrinkage-study", "new.csv")
    assert again.stdout == Path("predictions.csv").read_text(encoding="utf-8")
    assert "FittedModel(" in again.stderr


def test_a_model_is_used_without_its_study_and_scored_where_the_answers_are_there(run, flowers):
    os.rename("shrinkage-study/model", "elsewhere")
    result = run("predict", "elsewhere", "flowers.csv")
    assert result.exit_code == 0, result.output
    assert "150 rows with a 'target': accuracy 0." in result.stderr
    assert "these include the 112 rows that the model was fitted on" in result.stderr
    flowers[0].iloc[::2].to_csv("half.csv", index=False)
    assert "these include" not in run("predict", "elsewhere", "half.csv").stderr


def test_another_model_of_the_study_is_fitted_when_it_is_named(run, flowers):
    result = run("predict", "shrinkage-study", "new.csv", "--method", "l1", "--strength", "0.1")
    assert result.exit_code == 0, result.output
    assert "FittedModel(l1@proximal at 0.1" in result.stderr
    assert os.listdir("shrinkage-study/models") == ["l1-proximal-0.1-rest"]
    os.remove("flowers.csv")
    result = run("predict", "shrinkage-study", "new.csv", "--method", "l1", "--strength", "0.1")
    assert result.exit_code == 0, result.output
    result = run("predict", "shrinkage-study", "new.csv", "--method", "none")
    assert result.exit_code == 2
    assert "data 'flowers.csv' is no file" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("nowhere", "new.csv"), "there is no folder 'nowhere': name that of a study or a model"),
        (("shrinkage-study", "absent.csv"), "data 'absent.csv' is no file and no data set"),
        (("shrinkage-study", "new.csv", "--out", "p.txt"), "out must be a file that ends in .csv"),
        (("shrinkage-study", "new.csv", "--method", "l2"), "method 'l2' is not in the study"),
        (("shrinkage-study", "few.csv"), "the model uses them, and few.csv has no such column"),
    ],
)
def test_what_cannot_be_predicted_ends_in_a_sentence(run, flowers, arguments, sentence):
    pd.DataFrame({"sepal length (cm)": [1.0]}).to_csv("few.csv", index=False)
    result = run("predict", *arguments)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert result.stderr.startswith("shrinkage: ")


def test_no_refit_leaves_the_model_out_and_predict_fits_it_later(run, flowers):
    options = ("--target", "target", "--penalty", "l1", *SMALL, "--out", "lean")
    result = run("compare", "flowers.csv", *options, "--no-refit")
    assert result.exit_code == 0, result.output
    assert not os.path.exists("lean/model")
    assert "shrinkage predict" not in result.stdout
    result = run("predict", "lean", "new.csv")
    assert result.exit_code == 0, result.output
    assert len(os.listdir("lean/models")) == 1
    result = run("compare", "flowers.csv", *options, "--refit", "all")
    assert "fitted on 150 rows" in result.stdout
    assert "the test score above is of models that have not seen them" in result.stdout
    result = run("compare", "flowers.csv", *options, "--refit", "most")
    assert result.exit_code == 2
    assert "refit must be rest or all" in result.stderr
    result = run("compare", "flowers.csv", *options, "--refit", "all", "--no-refit")
    assert result.exit_code == 2
    assert "--refit all and --no-refit exclude each other" in result.stderr
