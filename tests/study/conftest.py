"""Small studies that take milliseconds."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from shrinkage.study.data.sources import Source, read_source
from shrinkage.study.data.splits import make_parts
from shrinkage.study.data.table import Table, prepare_table
from shrinkage.study.records import Record, Trial
from shrinkage.study.spec import Study
from shrinkage.study.training.optimizers import default_lr

SMALL = Study(
    data="iris",
    methods=("none", "l1@proximal", "l2@coupled"),
    strengths=(1e-3, 1e-1),
    seeds=2,
    model="mlp:8",
    epochs=20,
)


@pytest.fixture
def small() -> Study:
    return SMALL


@pytest.fixture
def ready() -> Callable[..., tuple[Study, Any]]:
    """A study without open fields and the parts of its seed 0; keywords change the small study."""

    def make(**changes: object) -> tuple[Study, Any]:
        study = replace(SMALL, **changes)  # type: ignore[arg-type]
        source = read_source(study.data)
        table = prepare_table(source, study)
        parts = make_parts(table, study, 0)
        study = study.with_defaults(
            target=str(source.target),
            task=table.task,
            lr=default_lr(study.optimizer),
            train_rows=len(parts.train.X),
        )
        return study, parts

    return make


@pytest.fixture
def table_of() -> Callable[..., Table]:
    """The table of a frame whose target is the column y."""

    def make(columns: dict[str, object], **changes: object) -> Table:
        source = Source("frame", pd.DataFrame(columns), "y", "digest")
        return prepare_table(source, replace(Study(), **changes))  # type: ignore[arg-type]

    return make


@pytest.fixture
def record_of() -> Callable[..., Record]:
    """A record with a validation score; None stands for a diverged trial."""

    def make(
        method: str, strength: float, seed: int, validation: float | None, **changes: object
    ) -> Record:
        values: dict[str, Any] = {
            "status": "diverged" if validation is None else "ok",
            "reason": "step 3: the loss is nan" if validation is None else "",
            "train_score": validation,
            "validation_score": validation,
            "zeros": 0.5,
            "weights": 10,
            "dead_neurons": 1,
            "neurons": 4,
            "seconds": 0.25,
            "history": {"epoch": [1.0], "data_loss": [0.1 + 0.2]},
            "state": {"0.weight": np.arange(6, dtype=np.float32).reshape(2, 3)},
        }
        return Record(trial=Trial(method, strength, seed), **{**values, **changes})

    return make


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
