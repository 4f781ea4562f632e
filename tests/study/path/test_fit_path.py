"""Paths from data to files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris, make_friedman1

from shrinkage.study import PathResults, UsageError, fit_path, load_model
from shrinkage.study.path.choosing import choose_points
from shrinkage.study.path.records import Point
from shrinkage.study.scores import METRICS

TOWNS: dict[str, Any] = {"target": "price", "model": "mlp:8"}
TOWNS |= {"seeds": 2, "resamples": 1, "quiet": True}
FIVE = {"x0", "x1", "x2", "x3", "x4"}
Data = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def friedman() -> Data:
    return make_friedman1(300, 12, noise=0.5, random_state=0)


@pytest.fixture(scope="module")
def dense(friedman: Data) -> PathResults:
    return fit_path(friedman, model="mlp:16", seeds=2, resamples=2, quiet=True)


@pytest.fixture(scope="module")
def town_frame() -> pd.DataFrame:
    generator = np.random.default_rng(0)
    town = generator.choice(["Oslo", "Rome", "Lima"], 240)
    frame = pd.DataFrame({f"noise {k}": generator.normal(size=240) for k in range(3)})
    frame["town"] = town
    frame["age"] = generator.normal(size=240)
    frame["price"] = frame.age + (town == "Oslo") * 2.0 + generator.normal(size=240) / 4
    return frame


@pytest.fixture(scope="module")
def town_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("towns")


@pytest.fixture(scope="module")
def towns(town_frame: pd.DataFrame, town_folder: Path) -> PathResults:
    return fit_path(town_frame, **TOWNS, out=town_folder)


def test_friedman_s_five_are_named(dense: PathResults) -> None:
    assert set(dense.selected) == FIVE
    assert dense.test_score > 0.8
    assert "Use 5 of 12 inputs: x0, x1, x2, x3, x4." in dense.describe()
    for each in dense.inputs:
        assert each.is_kept == (each.name in FIVE)
        assert each.stability is not None
    assert all(share == 1 for share, _ in dense.stability_of(sorted(FIVE)))


def test_a_path_begins_with_nothing_and_records_who_enters_and_leaves(dense: PathResults) -> None:
    assert dense.points[0].kept == ()
    assert len(dense.points[-1].kept) >= len(FIVE)
    strengths = [point.strength for point in dense.points]
    assert strengths == sorted(strengths, reverse=True)
    present: set[str] = set()
    for point in dense.points:
        present = (present | set(point.entering)) - set(point.leaving)
        assert present == set(point.kept)
        norms = dict(zip(dense.path_inputs, point.norms, strict=True))
        assert {name for name, norm in norms.items() if norm > 0} == present


def test_the_score_of_a_point_is_that_of_the_better_models(dense: PathResults) -> None:
    relaxed = [point for point in dense.points if point.relaxed_steps]
    assert relaxed
    assert all(point.score > point.shrunk_score for point in relaxed)
    shrunk = [point for point in dense.points if not point.relaxed_steps]
    assert all(point.score == point.shrunk_score for point in shrunk)
    assert (dense.model.method == "none") == bool(dense.choice.relaxed_steps)


@pytest.mark.slow
def test_the_other_way_finds_the_same_inputs(friedman: Data) -> None:
    sparse = fit_path(friedman, model="mlp:16", start="sparse", seeds=2, resamples=0, quiet=True)
    assert sparse.points[0].kept == ()
    assert set(sparse.selected) >= FIVE - {"x2"}  # x2 alone has no linear part


def test_a_linear_path_without_weights_ends_with_all_inputs(friedman: Data) -> None:
    X, y = friedman
    path = fit_path(
        (X[:, :6], y),
        model="linear",
        adaptive=False,
        start="sparse",
        seeds=2,
        resamples=0,
        quiet=True,
    )
    counts = [len(point.kept) for point in path.points]
    assert (counts[0], counts[-1]) == (0, 6)
    dense = fit_path(
        (X[:, :6], y), model="linear", adaptive=False, seeds=2, resamples=0, quiet=True
    )
    assert set(dense.selected) == set(path.selected)  # the problem is convex


def test_the_columns_of_a_text_come_and_go_together(towns: PathResults) -> None:
    assert set(towns.selected) == {"town", "age"}
    assert {each.name: each.columns for each in towns.inputs}["town"] == 3
    weight = towns.model.state["0.weight"]
    inside = towns.model.encoding.slices()["town"]
    dead = (weight == 0).all(axis=0)
    assert not dead[inside].any()
    assert dead[towns.model.encoding.slices()["noise 0"]].all()


@pytest.mark.slow
def test_classes_and_another_metric() -> None:
    X, y = load_iris(return_X_y=True)
    labels = np.array(["setosa", "versicolor", "virginica"])[y]
    path = fit_path((X, labels), model="mlp:8", metric="log_loss", seeds=2, resamples=0, quiet=True)
    assert path.metric == METRICS["log_loss"].title
    best = min(point.score for point in path.points)
    assert path.points[path.best].score == best
    assert path.test_score < path.trivial["test_score"]


@pytest.mark.slow
def test_a_linear_path_is_the_same_again(friedman: Data, tmp_path: Path) -> None:
    X, y = friedman
    options: dict[str, Any] = {"model": "linear", "adaptive": False, "start": "sparse"}
    options |= {"seeds": 2, "resamples": 1, "quiet": True}
    folders = tmp_path / "a", tmp_path / "b"
    first, second = (fit_path((X[:, :6], y), **options, out=folder) for folder in folders)
    assert_same_path(first, second, *folders)


@pytest.mark.slow
def test_a_path_of_networks_is_the_same_again(
    town_frame: pd.DataFrame, towns: PathResults, town_folder: Path, tmp_path: Path
) -> None:
    again = fit_path(town_frame, **TOWNS, out=tmp_path)
    assert_same_path(towns, again, town_folder, tmp_path)


def assert_same_path(
    first: PathResults, second: PathResults, first_folder: Path, second_folder: Path
) -> None:
    assert first.points == second.points
    for name in ("path.csv", "features.csv"):
        assert (first_folder / name).read_bytes() == (second_folder / name).read_bytes()


def test_the_files_of_a_path(
    town_frame: pd.DataFrame, towns: PathResults, town_folder: Path
) -> None:
    facts = json.loads((town_folder / "path.json").read_text())
    assert set(facts["selected"]) == {"town", "age"}
    assert facts["points"][facts["chosen"]]["kept"] == list(towns.selected)
    features = pd.read_csv(town_folder / "features.csv")
    assert set(features["feature"][features["kept"] == 1]) == {"town", "age"}
    points = pd.read_csv(town_folder / "path.csv")
    assert list(points["model"]) == [
        "relaxed" if point.relaxed_steps else "shrunk" for point in towns.points
    ]
    assert np.allclose(points["shrunk_score"], [point.shrunk_score for point in towns.points])
    assert list(points["inputs"]) == [len(point.kept) for point in towns.points]
    model = load_model(town_folder)
    assert np.allclose(model.predict(town_frame), towns.model.predict(town_frame))
    assert set(model.kept) == {"town", "age"}


def make_point(count: int, score: float, error: float = 0.1) -> Point:
    names = tuple(f"x{place}" for place in range(count))
    return Point(1.0, names, (), (), (score,), (count,), score, error, ())


def test_the_choice_is_the_fewest_inputs_within_one_standard_error() -> None:
    points = [make_point(n, s) for n, s in [(0, 0.0), (2, 0.83), (2, 0.86), (3, 0.85), (9, 0.92)]]
    assert choose_points(points, METRICS["r2"]) == (4, 2)
    losses = [make_point(n, s) for n, s in [(0, 1.0), (2, 0.3), (9, 0.25)]]
    assert choose_points(losses, METRICS["log_loss"]) == (2, 1)
    lucky = [make_point(2, 0.9), make_point(3, 0.95), make_point(9, 0.96, 0.001)]
    assert choose_points(lucky, METRICS["r2"]) == (2, 0)
    alone = [make_point(n, s, float("nan")) for n, s in [(2, 0.9), (3, 0.91)]]
    assert choose_points(alone, METRICS["r2"]) == (1, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"penalty": "l2"}, "makes no exact zeros"),
        ({"penalty": "group_lasso"}, "groups weights by 'out'"),
        ({"penalty": "l1:0.1"}, "states its own strength"),
        ({"penalty": "group_lasso:groups=in@coupled"}, "only @proximal"),
        ({"penalty": "lasoo"}, "lasso"),
        ({"model": "mpl:64"}, "a path takes linear"),
        ({"model": "mlp:x"}, "widths"),
        ({"start": "dence"}, "dense or sparse"),
        ({"resamples": -1}, "resamples must be"),
        ({"seeds": 0}, "seeds must be"),
        ({"metric": "mae"}, "mae"),
        ({"target": "price"}, "no column"),
    ],
)
def test_bad_arguments_are_refused_in_a_sentence(
    arguments: dict[str, object], message: str, tmp_path: Path
) -> None:
    X, y = load_iris(return_X_y=True)
    frame = pd.DataFrame(X).assign(target=np.array(["a", "b", "c"])[y])
    out = tmp_path / "out"
    with pytest.raises(UsageError, match=message):
        fit_path(frame, **{"target": "target", "out": out, "quiet": True, **arguments})
    assert not out.exists()


def test_a_file_in_the_place_of_the_folder_is_refused(
    tmp_path: Path, friedman: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(UsageError, match="is a file"):
        fit_path(friedman, out=tmp_path / "out", quiet=True)
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.slow
def test_noise_alone_is_not_worth_an_input() -> None:
    generator = np.random.default_rng(3)
    X, y = generator.normal(size=(120, 4)), generator.normal(size=120)
    path = fit_path((X, y), model="linear", seeds=4, resamples=0, quiet=True)
    assert path.selected == ()
    assert path.describe().startswith("No input is worth keeping")
