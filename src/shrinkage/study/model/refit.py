"""Fit a method of a study once more, on more rows than its trials had, as the model to keep."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np

import shrinkage
from shrinkage.compact.dense import compact_dense
from shrinkage.study.data.examples import Examples, Parts
from shrinkage.study.data.splits import Preprocessing, RowSplit, fit_preprocessing, split_rows
from shrinkage.study.data.table import Table
from shrinkage.study.errors import UsageError
from shrinkage.study.model.fitted import FittedModel
from shrinkage.study.model.network import State, build_predictor, dense_layers
from shrinkage.study.records import FeatureUse, Record, Trial
from shrinkage.study.running.local import run_trials
from shrinkage.study.scores import find_metric, predict_from_outputs
from shrinkage.study.spec import Study
from shrinkage.study.training.engines import choose_engine

INITIALIZATIONS = 3
ROWS = {
    "rest": "all rows but the test part",
    "all": "all rows, those of the test part too",
}


@dataclass(frozen=True)
class _Rows:
    """The rows to fit on, as the models see them."""

    parts: Parts
    test: Examples
    preprocessing: Preprocessing


def refit(
    table: Table,
    study: Study,
    method: str,
    strength: float,
    *,
    rows: str = "rest",
    uses: Sequence[FeatureUse] = (),
    digest: str = "",
    jobs: int | None = None,
) -> FittedModel:
    """Fit a method at a strength on all rows but the test part, or on all.

    It is trained as in the study, from several initializations, of which the one with the least
    training objective (data loss + penalty) is kept; what is solved needs one alone. The strength
    multiplies a mean over rows, so that it means the same for more of them. Hidden units that
    change no output are taken out.

    Raises
    ------
    UsageError
        If every initialization diverges.
    """
    ready = _prepare_rows(table, study, rows)
    parts = ready.parts
    sound = _train(study, parts, method, strength, rows, jobs)
    best = min(sound, key=lambda record: (_find_objective(record), record.trial.seed))
    model, state, spared = _compact_model(study.model, best.state)
    facts = {
        "study": digest,
        "data": table.digest,
        "rows": rows,
        "metric": find_metric(study.metric, table.task).name,
        "balanced": study.balanced,
        "fitted rows": len(parts.train.X),
        "initializations": len(sound),
        "initialization": best.trial.seed,
        "engine": best.engine,
        "objective": _find_objective(best),
        "training score": best.train_score,
        "fitted": datetime.now(UTC).isoformat(timespec="seconds"),
        "shrinkage": shrinkage.__version__,
        "zeros": best.zeros,
        **spared,
        **_score_test_rows(study, model, state, table, ready.test if rows == "rest" else None),
    }
    return FittedModel(
        model=model,
        method=method,
        strength=strength,
        task=table.task,
        classes=table.classes,
        encoding=ready.preprocessing.encoding,
        readings=table.readings,
        state=state,
        uses=tuple(use for use in uses if (use.method, use.strength) == (method, strength)),
        facts=facts,
    )


def _train(
    study: Study, parts: Parts, method: str, strength: float, rows: str, jobs: int | None
) -> list[Record]:
    """Train from each initialization; return those that did not diverge."""
    count = 1 if choose_engine(study, method, parts.outputs) == "solved" else INITIALIZATIONS
    trials = [Trial(method, strength, seed) for seed in range(count)]
    records = list(run_trials(study, trials, [parts] * len(trials), jobs))
    sound = [record for record in records if record.status == "ok"]
    if not sound:
        raise UsageError(
            f"{method} at {strength:g} diverges on {ROWS[rows]} ({records[0].reason}): lower the "
            "learning rate (--lr)"
        )
    return sound


def check_rows(rows: object) -> None:
    """Refuse what names no rows to fit on.

    Raises
    ------
    UsageError
    """
    if rows is not None and rows not in ROWS:
        raise UsageError(f"refit must be rest or all, or None for no model, got {rows!r}")


def _prepare_rows(table: Table, study: Study, rows: str) -> _Rows:
    split = split_rows(table, study, 0)
    inside = np.sort(np.concatenate([split.train, split.validation]))
    fitted = np.arange(len(table.target)) if rows == "all" else inside
    preprocessing = fit_preprocessing(table, RowSplit(fitted, fitted[:0], split.test))
    examples = preprocessing.examples(table, fitted)
    # The training rows stand for the validation part too: there is nothing left to validate on.
    parts = Parts(train=examples, validation=examples, task=table.task, outputs=table.outputs)
    return _Rows(parts, preprocessing.examples(table, split.test), preprocessing)


def _find_objective(record: Record) -> float:
    history = record.history
    objective = history["data_loss"][-1] + history["penalty"][-1]
    return objective if math.isfinite(objective) else math.inf


def _compact_model(text: str, state: State) -> tuple[str, State, dict[str, Any]]:
    """A network without hidden units that change nothing: its text, its state, what it spares."""
    if not text.startswith("mlp:"):
        return text, state, {}

    whole = dense_layers(state)
    relu = partial(np.maximum, 0)
    layers = compact_dense([(weights.T, bias, relu) for weights, bias in whole])
    small = "mlp:" + ",".join(str(len(bias)) for _, bias, _ in layers[:-1])
    if small == text:
        return text, state, {}
    smaller: dict[str, np.ndarray] = {}
    for number, (weights, bias, _) in enumerate(layers):  # ReLUs stand between them
        smaller[f"{2 * number}.weight"] = np.ascontiguousarray(weights.T)
        smaller[f"{2 * number}.bias"] = bias
    sizes = [sum(weights.size for weights, *_ in each) for each in (whole, layers)]
    return small, smaller, {"trained model": text, "multiplications": sizes}


def _score_test_rows(
    study: Study, model: str, state: State, table: Table, test: Examples | None
) -> dict[str, Any]:
    if test is None:  # the model has seen these rows
        return {}
    predict = build_predictor(model, state, test.X.shape[1], table.outputs)
    metric = find_metric(study.metric, table.task)
    prediction = predict_from_outputs(predict(test.X), table.task)
    return {
        "test rows": len(test.y),
        "test score": metric.score(test.y, prediction, test.scale),
        "test error": metric.error(test.y, prediction, test.scale),
    }


def open_question(question: dict[str, Any]) -> Study:
    """The specification of a study from its stored fields."""
    fields = {key: value for key, value in question.items() if key != "digest"}
    return replace(Study(), **{key: _freeze(value) for key, value in fields.items()})


def _freeze(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
