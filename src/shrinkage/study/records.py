"""What a study keeps: plain data, written by training and choosing, read by everything else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict

import numpy as np

TASKS = {"classes": "classification", "numbers": "regression"}  # as stored: as people say it


@dataclass(frozen=True)
class Trial:
    """One training: a method at a strength, from one seed."""

    method: str  # "none", "l1@proximal", "elastic_net:l1_ratio=0.3@proximal"
    strength: float  # 0.0 for "none"
    seed: int  # determines the split and the initialization; with folds, seed·folds + fold


@dataclass(frozen=True)
class Record:
    """The outcome of one trial."""

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
    engine: str = "torch"  # what trained it: "compiled", "solved" or "torch"


@dataclass(frozen=True)
class Surface:
    """What a two-feature model predicts over the plane, in the data's own units."""

    x: np.ndarray  # (columns,)
    y: np.ndarray  # (rows,)
    prediction: np.ndarray  # (rows, columns): class index, or number


@dataclass(frozen=True)
class Baseline:
    """The trivial model, which ignores the features: what every other model must beat."""

    name: str  # "the majority class" or "the mean", of the training part
    answer: str  # the class it predicts; "" for a mean, or where it differs between the seeds
    validation_scores: list[float]  # one per seed, on the validation parts of the trials
    test_scores: list[float]
    test_error: float


@dataclass(frozen=True)
class Choice:
    """The strength chosen for one method by one rule, and its scores on the test part."""

    method: str
    rule: str  # "best" or "one-se"
    strength: float
    edge: str  # "lowest" or "highest" where the choice is at an edge of the grid, else ""
    validation_mean: float
    validation_se: float  # standard error over seeds; nan with one seed
    test_scores: list[float]  # one per seed
    zeros: float  # means over seeds
    dead_neurons: float
    neurons: int
    seconds: float
    surface: Surface | None  # of the first seed's model; None unless the data have two features
    test_error: float = math.nan  # from the number of test rows; nan if unknown


@dataclass(frozen=True)
class FeatureUse:
    """What the models of one method at one strength make of one input."""

    method: str
    strength: float
    feature: str  # a column of the data; the levels of a text column are one input
    kept: int  # in how many of the seeds a nonzero weight leads from it to an output
    seeds: int
    importance: float  # the validation score lost when its values are permuted, mean over seeds
    importance_error: float  # standard error over seeds; nan with one seed
    coefficient: float | None = None  # mean; of a linear model with one output, standardized
    original: float | None = None  # the same per unit of the column, in units of the target


class Points(TypedDict):
    """The rows of a data set with two features, as they are drawn."""

    x: list[float]
    y: list[float]
    label: list[float]  # class index, or number


class Data(TypedDict, total=False):
    """What is kept of the data; an older folder may lack some of it."""

    name: str
    task: str  # "classes" or "numbers"
    rows: int
    all_rows: int  # of the data, where the study has a sample of them
    features: int
    classes: list[str]  # [] for numbers
    train: int  # rows of each part
    validation: int
    test: int
    notes: list[str]
    trivial: dict[str, Any]  # the fields of `Baseline`
    readings: list[dict[str, Any]]  # for each column, the fields of `Reading`
    columns: list[str]  # the names of the features, where there are two
    points: Points  # where there are two features


class Question(TypedDict, total=False):
    """The fields of `shrinkage.study.Study`, and a digest of them and of the data."""

    data: str
    target: str | None
    subject: str | None
    task: str | None
    metric: str | None
    sample: int | None
    balanced: bool
    methods: list[str]
    strengths: list[float]
    seeds: int
    folds: int | None
    model: str
    optimizer: str
    lr: float | None
    epochs: int | None
    batch: int | None
    test: float
    validation: float
    prefer: str
    digest: str


def count_splits(question: Mapping[str, Any]) -> int:
    """How many train/validation splits a study has: one for each seed, or for each fold of it."""
    return int(question["seeds"]) * (question.get("folds") or 1)


def name_split(number: int, folds: int | None) -> str:
    """The split of a trial in words, where its seed stands for a fold as well.

    >>> name_split(7, None), name_split(7, 5)  # folds are counted from 1
    ('seed 7', 'seed 1, fold 3')
    """
    if folds is None:
        return f"seed {number}"
    seed, fold = divmod(number, folds)
    return f"seed {seed}, fold {fold + 1}"
