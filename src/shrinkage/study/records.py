"""What a study keeps: plain data, written by training and choosing, read by everything else."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from shrinkage.study.readings import Reading

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Trial:
    """One question: a method at a strength, from one seed."""

    method: str  # "none", "l1@proximal", "elastic_net:l1_ratio=0.3@proximal"
    strength: float  # 0.0 for "none"
    seed: int  # varies the train/validation split and the initialization


@dataclass(frozen=True)
class Record:
    """The answer to one trial."""

    trial: Trial
    status: str  # "ok" or "diverged"
    reason: str  # why it diverged, naming the step and the parameter; "" when ok
    train_score: float | None  # None when diverged
    validation_score: float | None
    zeros: float  # share of exact zeros among the penalized weights
    weights: int  # how many penalized weights there are
    dead_neurons: int  # hidden units whose incoming or outgoing weights are all exactly zero
    neurons: int  # hidden units; 0 for a linear model
    seconds: float
    history: dict[str, list[float]]  # "epoch", "data_loss", "penalty", "validation_score"
    state: dict[str, np.ndarray] = field(default_factory=dict)  # the trained parameters, by name


@dataclass(frozen=True)
class Surface:
    """What a two-feature model predicts over the plane, in the data's own units."""

    x: np.ndarray  # (columns,)
    y: np.ndarray  # (rows,)
    prediction: np.ndarray  # (rows, columns): class index, or number


@dataclass(frozen=True)
class Trivial:
    """The model that looks at no feature: what every other must beat."""

    name: str  # "the majority class" or "the mean", of the training part
    answer: str  # the class, where it is the same for every seed; else ""
    validation_scores: list[float]  # one a seed, on the rows of the trials' validation parts
    test_scores: list[float]
    test_error: float


@dataclass(frozen=True)
class Choice:
    """The strength picked for one method by one rule, and how it did on the test part."""

    method: str
    rule: str  # "best" or "one-se"
    strength: float
    edge: str  # "" or "lowest" or "highest": the choice lies at the edge of the grid
    validation_mean: float
    validation_se: float  # standard error over seeds; nan with one seed
    test_scores: list[float]  # one a seed
    zeros: float  # means over seeds
    dead_neurons: float
    neurons: int
    seconds: float
    surface: Surface | None  # from the first seed; None unless the data have two features
    test_error: float = math.nan  # of a test score, from the number of test rows; nan if not known


@dataclass(frozen=True, repr=False)
class Results:
    """A whole study, as read back from its folder. Shows itself as its table."""

    question: dict[str, object]  # the specification: data, target, model, methods, strengths ...
    provenance: dict[str, str]  # "command", "started", "python", "torch", "numpy", "shrinkage" ...
    data: dict[str, object]  # "name", "task" ("classes"/"numbers"), "rows", "features", "classes",
    # "train"/"validation"/"test" row counts; "trivial": the fields of Trivial, not in old folders;
    # "points": {"x", "y", "label"} with two features; "notes", and "readings" with one mapping a
    # column
    records: list[Record]
    choices: list[Choice]  # two a method (rule "best" and "one-se"); one for "none"
    verdict: str  # in words: what to use and why; "" until the study is complete

    @property
    def trivial(self) -> Trivial | None:
        """The model that looks at no feature; None in a folder of an earlier version."""
        kept = self.data.get("trivial")
        return Trivial(**kept) if isinstance(kept, dict) else None

    def records_of(self, choice: Choice) -> list[Record]:
        """The trials of a choice that came through."""
        return [
            record
            for record in self.records
            if (record.trial.method, record.trial.strength) == (choice.method, choice.strength)
            and record.status == "ok"
        ]

    @property
    def readings(self) -> tuple[Reading, ...]:
        """How each column of the data was read; () in studies that did not keep it."""
        found: Any = self.data.get("readings", [])
        return tuple(Reading(**{**one, "holes": tuple(one["holes"])}) for one in found)

    def table(self) -> pd.DataFrame:
        """One row a choice, and one for the model that looks at no feature."""
        from shrinkage.study import table  # pandas is not needed to read records

        return table.table(self)

    def __repr__(self) -> str:
        from shrinkage.study import table

        return table.to_text(self)

    def _repr_html_(self) -> str:
        from shrinkage.study import table

        return table.to_html(self)
