"""The question of a study: one frozen specification, readable as TOML."""

from __future__ import annotations

import dataclasses
import json
import math
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from shrinkage.penalties.base import terms
from shrinkage.study.check_values import (
    check_balanced,
    check_count,
    check_float32,
    check_lr,
    check_strength,
    check_text,
    is_number,
    normalize_task,
)
from shrinkage.study.errors import UsageError, suggest
from shrinkage.study.method import parse_method
from shrinkage.study.records import TASKS, Trial
from shrinkage.study.scores import check_metric_name, find_metric

METHODS = (
    "none",
    "l2@coupled",
    "l2@decoupled",
    "l1@coupled",
    "l1@proximal",
    "elastic_net@proximal",
    "group_lasso@proximal",
    "group_lasso:groups=in@proximal",
)
DATA = "friedman"
STRENGTHS = "1e-5:1e-1:9"
PREFERENCES = ("score", "sparse")
STEPS = 400  # of training, roughly, unless the number of epochs is given
LEAST_EPOCHS = 10
LEAST_BATCH, MOST_BATCH = 200, 1024  # rows in one step
MOST_TRIALS = 1_000_000


@dataclass(frozen=True)
class Study:
    """What is compared, on what, and how it is trained.

    Parameters
    ----------
    data : str
        A data set that comes with the library, or the path of a file (see `compare`).
    target, subject : str, optional
        Names of columns. The target is required where the data do not name one; all rows with the
        same subject stay in one part.
    task : "regression" or "classification", optional
        By default guessed from the target: text, truth values and few distinct integers are
        classes. It is kept as "numbers" or "classes", which are taken as well.
    metric : str, optional
        The score by which strengths and methods are chosen: "accuracy" (the default),
        "balanced_accuracy", "roc_auc" or "log_loss" of classes, "r2" (the default), "mae" or
        "rmse" of numbers.
    sample : int, optional
        For a first look, this many rows, drawn at random by class; with a subject whole subjects,
        so that the number is approximate. All rows decide how a column is read. By default all.
    balanced : bool
        Whether each class counts as much as every other in the training: the loss of a row is
        multiplied by n/(k·n_class), for n training rows of k classes.
    methods : sequence of str
        "none", or the text of a penalty and how it acts: "l1@proximal" or, with arguments other
        than the strength, "group_lasso:groups=in@proximal". Without "@..." it is proximal, which
        converges to the minimum of the stated objective and gives exact zeros. "none" is always
        among them.
    strengths : sequence of float
        The grid for every method that does not state its own strength.
    seeds : int
        The number of repetitions, each with its own train/validation split and initialization.
    folds : int, optional
        K of a K-fold cross-validation, which then takes the place of the train/validation split:
        each seed deals the rows outside the test part into K folds, and each of them is the
        validation part once. A method and a strength have seeds·folds trials.
    model, optimizer : str
        "mlp:64", "mlp:64,32", "linear" or "package.module:function"; a name in `torch.optim`,
        perhaps with options: "sgd,momentum=0.9".
    lr, epochs : optional
        By default the optimizer's usual learning rate, and enough epochs for about 400 steps.
    batch : int, optional
        The most rows in one step; a smaller training part is one batch. By default 200, and up to
        1024 of a long training part, so that about 400 steps see each row 10 times.
    test, validation : float
        Shares of the rows; with folds each fold is a validation part.
    prefer : "score" or "sparse"
        What the verdict recommends: the model with the best validation score, or among those
        close to it the one with the most zeros.

    Examples
    --------
    >>> study = Study(methods=("l1@proximal",), strengths=(1e-3, 1e-2), seeds=1)
    >>> [trial.strength for trial in study.trials()]  # "none" is always compared
    [0.0, 0.001, 0.01]
    >>> study.strengths_of("l1:0.1@proximal")  # a method may state its own
    (0.1,)
    >>> study.with_defaults(target="y", task="classes", lr=1e-3, train_rows=100).epochs
    400
    >>> print(study.to_toml())
    data = "friedman"
    balanced = false
    methods = ["none", "l1@proximal"]
    strengths = [0.001, 0.01]
    ...
    """

    data: str = DATA
    target: str | None = None
    subject: str | None = None
    task: str | None = None
    metric: str | None = None
    sample: int | None = None
    balanced: bool = False
    methods: tuple[str, ...] = METHODS
    strengths: tuple[float, ...] = ()
    seeds: int = 3
    folds: int | None = None
    model: str = "mlp:64"
    optimizer: str = "adam"
    lr: float | None = None
    epochs: int | None = None
    batch: int | None = None
    test: float = 0.25
    validation: float = 0.25
    prefer: str = "score"

    def __post_init__(self) -> None:
        grid = self.strengths or grid_from_text(STRENGTHS)
        _set(self, strengths=tuple(sorted({check_strength(strength) for strength in grid})))
        for name in ("data", "target", "subject", "model", "optimizer"):
            check_text(name, getattr(self, name))
        _set(self, methods=_normalize_methods(self.methods))
        _set(self, task=normalize_task(self.task))
        if self.metric is not None:
            _set(self, metric=check_metric_name(self.metric))
        if self.task is not None:
            find_metric(self.metric, self.task)  # refuses one of the other task
        check_balanced(self.balanced, self.task)
        if self.prefer not in PREFERENCES:
            raise UsageError(f"prefer must be score or sparse, got {self.prefer!r}")
        for name in ("seeds", "folds", "epochs", "batch", "sample"):
            check_count(name, getattr(self, name))
        check_lr(self.lr)
        shares = (self.test, self.validation)
        if not all(is_number(share) and 0 < share < 1 for share in shares) or sum(shares) >= 1:
            raise UsageError(f"test and validation must be shares with a sum below 1, got {shares}")
        count = self.splits * sum(len(self.strengths_of(method)) for method in self.methods)
        if count > MOST_TRIALS:
            raise UsageError(
                f"methods, strengths, seeds and folds make {count:,} trials: a study runs "
                f"at most {MOST_TRIALS:,}; name fewer"
            )

    @property
    def splits(self) -> int:
        """How many train/validation splits there are: one for each seed, or for each fold of it."""
        return self.seeds * (self.folds or 1)

    def trials(self) -> list[Trial]:
        """Every method, strength and seed. The first seed comes first, so that early results cover
        the whole grid.
        """
        return [
            Trial(method, strength, seed)
            for seed in range(self.splits)
            for method in self.methods
            for strength in self.strengths_of(method)
        ]

    def strengths_of(self, method: str) -> tuple[float, ...]:
        """The grid, or the one strength that the method itself states; 0 for "none"."""
        stated = parse_method(method).strength
        return self.strengths if stated is None else (stated,)

    def with_defaults(self, *, target: str, task: str, lr: float, train_rows: int) -> Study:
        """This study with whatever was left open filled in; `lr` is the optimizer's usual one."""
        batch = self.choose_batch(train_rows)
        steps_per_epoch = math.ceil(train_rows / batch)
        return dataclasses.replace(
            self,
            target=target,
            task=task,
            metric=find_metric(self.metric, task).name,
            lr=lr if self.lr is None else self.lr,
            batch=batch,
            epochs=self.epochs or max(LEAST_EPOCHS, math.ceil(STEPS / steps_per_epoch)),
        )

    def choose_batch(self, train_rows: int) -> int:
        """The most rows in one step: `batch`, or what suits a training part of this length.

        >>> [Study().choose_batch(rows) for rows in (1_000, 20_000, 1_000_000)]
        [200, 500, 1024]
        """
        if self.batch is not None:
            return self.batch
        return min(MOST_BATCH, max(LEAST_BATCH, math.ceil(train_rows * LEAST_EPOCHS / STEPS)))

    def to_toml(self) -> str:
        """This specification as TOML, without the fields that are left open."""
        fields = dataclasses.asdict(self)
        fields["task"] = TASKS.get(self.task or "")
        lines = [f"{key} = {_toml(value)}" for key, value in fields.items() if value is not None]
        return "\n".join(lines) + "\n"


def from_toml(text: str) -> Study:
    """The specification in a TOML text, as `Study.to_toml` writes it.

    Raises
    ------
    UsageError
        For broken TOML, an unknown key (with the nearest), and whatever `Study` refuses.
    """
    try:
        values: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"the study file is not TOML: {error}") from None
    known = [field.name for field in dataclasses.fields(Study)]
    for key in values:
        if key not in known:
            raise UsageError(
                f"the study file has an unknown key {key!r}{suggest(key, known)} "
                f"(there are {', '.join(known)})"
            )
    if isinstance(values.get("strengths"), str):
        values["strengths"] = grid_from_text(values["strengths"])
    for key in ("methods", "strengths"):
        if key in values and not isinstance(values[key], list | tuple):
            raise UsageError(f"{key} must be a list, got {values[key]!r}")
        if values.get(key) == []:
            raise UsageError(f"{key} is empty: leave it out, or name at least one")
    return Study(**values)


def grid_from_text(text: str) -> tuple[float, ...]:
    """Strengths from "low:high:count", evenly spaced by ratio, or from "1e-4,1e-3"."""
    remedy = 'write low:high:count, as in "1e-5:1e-1:9", or a list, as in "1e-4,1e-3"'
    try:
        if ":" not in text:
            return tuple(check_strength(float(part)) for part in text.split(","))
        low, high, count = (part.strip() for part in text.split(":"))
        ends = check_strength(float(low)), check_strength(float(high))
        number = int(count)
    except UsageError:
        raise
    except ValueError:
        raise UsageError(f"strengths {text!r} cannot be read: {remedy}") from None
    if number < 2 or ends[0] >= ends[1]:
        raise UsageError(f"strengths {text!r} must rise from low to high in 2 steps or more")
    check_count("strengths", number)
    between = [float(f"{strength:.6g}") for strength in np.geomspace(*ends, number)[1:-1]]
    grid = (ends[0], *between, ends[1])
    if any(low >= high for low, high in pairwise(grid)):
        raise UsageError(f"strengths {text!r} are too close together: name fewer")
    return grid


def _normalize_methods(texts: Sequence[str]) -> tuple[str, ...]:
    """The methods in one spelling, each once, with "none" first."""
    methods = [parse_method("none"), *map(parse_method, texts)]
    for method in methods[1:]:
        for term in terms(method.make_penalty(1.0)) if method.penalty else ():
            for number in vars(term).values():
                if isinstance(number, float) and number:
                    check_float32(f"penalty {method.text!r}: a number", number)
    return tuple(dict.fromkeys(method.text for method in methods))


def _set(study: Study, **values: object) -> None:
    """Assign fields of the frozen specification during `__post_init__`."""
    for name, value in values.items():
        object.__setattr__(study, name, value)


def _toml(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(item) for item in value)}]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str | bool) else repr(value)
