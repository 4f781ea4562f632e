"""Small finished studies on a table with text, empty cells and a column of names."""

import pytest

from shrinkage.study import compare


@pytest.fixture(scope="session")
def numbers_study(cars, tmp_path_factory):
    """A linear regression with a strong L1: the folder, the results."""
    folder = tmp_path_factory.mktemp("numbers")
    results = compare(
        cars.drop(columns="thirst"),
        target="mpg",
        penalty=["l1", "l2@coupled"],
        strengths=[0.05],
        seeds=2,
        model="linear",
        epochs=200,
        jobs=1,
        prefer="sparse",
        out=folder,
        quiet=True,
    )
    return folder, results


@pytest.fixture(scope="session")
def classes_study(cars, tmp_path_factory):
    """A small network on two classes, read from a file: the folder, the results."""
    folder = tmp_path_factory.mktemp("classes")
    cars.drop(columns="mpg").to_csv(folder / "cars.csv", index=False)
    results = compare(
        folder / "cars.csv",
        target="thirst",
        penalty="group_lasso:groups=in",
        strengths=[0.001, 0.02],
        seeds=2,
        model="mlp:8,4",
        epochs=60,
        jobs=1,
        out=folder / "study",
        quiet=True,
    )
    return folder / "study", results
