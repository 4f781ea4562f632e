"""Small finished studies on a table with text, empty cells and a column of names."""

import numpy as np
import pandas as pd
import pytest

from shrinkage.study import compare


def make_cars(rows: int = 120) -> pd.DataFrame:
    """Cars whose consumption depends on power, weight and origin, and not on `noise`."""
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "name": [f"car {row}" for row in range(rows)],
            "power": generator.integers(50, 250, rows).astype(float),
            "weight": generator.normal(1500, 300, rows).round(1),
            "origin": generator.choice(["usa", "japan", "europe"], rows),
            "noise": generator.normal(size=rows),
        }
    )
    consumption = 60 - 0.1 * frame["power"] - 0.01 * frame["weight"]
    consumption += 8 * (frame["origin"] == "japan")
    frame["mpg"] = (consumption + generator.normal(0, 1, rows)).round(1)
    frame["thirst"] = np.where(frame["mpg"] < frame["mpg"].median(), "high", "low")
    frame.loc[::15, "weight"] = np.nan
    frame.loc[::20, "origin"] = None
    return frame


@pytest.fixture(scope="session")
def cars() -> pd.DataFrame:
    return make_cars()


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
