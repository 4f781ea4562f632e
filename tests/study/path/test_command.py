"""`shrinkage path`, as its user meets it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import Result

Run = Callable[..., Result]
SMALL = ("--seeds", "2", "--resamples", "1", "--model", "mlp:8")


@pytest.fixture(autouse=True)
def towns(run: Run) -> None:
    """A table in the working folder: the price depends on the town alone."""
    generator = np.random.default_rng(0)
    town = generator.choice(["Oslo", "Rome"], 200)
    frame = pd.DataFrame({"noise": generator.normal(size=200), "town": town})
    frame["price"] = (town == "Oslo") * 2.0 + generator.normal(size=200) / 4
    frame.to_csv("towns.csv", index=False)


def test_a_path_prints_what_to_use_and_leaves_files_that_predict(run: Run, tmp_path: Path) -> None:
    result = run("path", "towns.csv", "--target", "price", *SMALL)
    assert result.exit_code == 0, result.output
    assert "Use 1 of 2 inputs: town." in result.stdout
    assert len(result.stdout.split("\n\n")[0].splitlines()) <= 12
    folder = tmp_path / "shrinkage-path"
    names = {"path.html", "path.csv", "features.csv", "path.json", "model"}
    assert set(os.listdir(folder)) == names
    assert "Use 1 of 2 inputs" in (folder / "path.html").read_text()
    result = run("predict", "shrinkage-path", "towns.csv", "--out", "predictions.csv")
    assert result.exit_code == 0, result.output
    assert len(pd.read_csv("predictions.csv")) == 200


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere.csv",), "nowhere.csv"),
        (("towns.csv",), "target is needed"),
        (("towns.csv", "--target", "prize"), "did you mean 'price'"),
        (("towns.csv", "--target", "price", "--penalty", "l2"), "makes no exact zeros"),
        (("towns.csv", "--target", "price", "--from", "up"), "dense or sparse"),
        (("towns.csv", "--target", "price", "--model", "mine:net"), "a path takes linear"),
        (("towns.csv", "--target", "price", "--seeds", "many"), "no whole number"),
        (("towns.csv", "--target", "price", "--out", "towns.csv"), "is a file"),
    ],
)
def test_bad_input_ends_in_a_sentence(run: Run, arguments: tuple[str, ...], message: str) -> None:
    result = run("path", *arguments)
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output
    assert os.listdir() == ["towns.csv"]
