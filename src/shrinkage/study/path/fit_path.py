"""The whole path, from a question to its results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import shrinkage
from shrinkage.study.baseline import score_baseline
from shrinkage.study.data.sources import read_source
from shrinkage.study.data.splits import split_rows
from shrinkage.study.data.table import Table, prepare_table
from shrinkage.study.describing import collect_provenance
from shrinkage.study.errors import UsageError
from shrinkage.study.formatting import pluralize
from shrinkage.study.model.fitted import FittedModel
from shrinkage.study.model.network import build_predictor
from shrinkage.study.path.files import prepare_folder, write_files
from shrinkage.study.path.fitting import FittedPath, PathFitter
from shrinkage.study.path.networks import Parameters, check_model
from shrinkage.study.path.records import InputFacts
from shrinkage.study.path.results import PathResults
from shrinkage.study.path.rows import PathRows, collect_rows
from shrinkage.study.path.shrinking import parse_path_penalty
from shrinkage.study.progress import show_progress
from shrinkage.study.scores import find_metric, predict_from_outputs
from shrinkage.study.spec import Study
from shrinkage.study.summary import estimate_mean

PENALTY = "group_lasso:groups=in"
STARTS = ("dense", "sparse")
MOST_RESAMPLES = 1000


def fit_path(
    data: Any,
    *,
    target: str | None = None,
    penalty: str = PENALTY,
    model: str = "mlp:64",
    start: str = "dense",
    adaptive: bool = True,
    seeds: int = 5,
    resamples: int = 20,
    subject: str | None = None,
    task: str | None = None,
    metric: str | None = None,
    out: str | Path | None = None,
    quiet: bool = False,
    command: str = "shrinkage.study.fit_path(...)",
) -> PathResults:
    """Fit one method at all strengths, from no input to many: which inputs matter, and how many.

    An input is dropped where all its weights in the first layer are exactly 0; the columns of one
    text column are one input. All models are trained at once: one on all rows but the test part,
    whose inputs the path names; one for each seed on a training part, whose validation scores give
    the mean and the error band; one for each resample, a half of the rows, whose kept inputs give
    the stability. At every strength copies of the models are trained on without a penalty on the
    inputs that they keep ("relaxed"); the score is that of the shrunk or of the relaxed models,
    whichever is better on validation rows. The choice is the fewest inputs within one standard
    error of the best score; `results.model` is its model, shrunk or relaxed.

    Parameters
    ----------
    data, target, subject, task, metric
        As for `compare`.
    penalty : str
        What makes zeros, without a strength: "group_lasso:groups=in" (each input weighted by
        √p_g), "l1", "sparse_group_lasso:groups=in", ...
    model : str
        "mlp:64", "mlp:64,32" or "linear".
    start : "dense" or "sparse"
        "dense": train without a penalty, then raise the strength from step to step, each from the
        last weights, until nothing is left (LassoNet's way, Lemhadri et al. 2021). "sparse": lower
        it from where nothing is left; in a network dropped weights start again from their initial
        values, as 0 is stationary.
    adaptive : bool
        Whether a first path finds the best strength, and the second multiplies the strength of
        each input by 1/‖w_g‖ of its weights there (the adaptive group lasso). It drops idle inputs
        early and shrinks the others little. False: one path with equal strengths.
    seeds, resamples : int
        How many splits, at least 1, and resamples, at least 0.
    out : path, optional
        A folder for path.csv, features.csv, path.json and model/; by default nothing is written.
    quiet : bool
        Whether to print no progress.

    Returns
    -------
    PathResults
        `selected` names the inputs, `points` has every strength, `model` predicts; `print` shows a
        table and what to use.

    Raises
    ------
    UsageError
        For arguments that make no path; nothing is written then.

    Examples
    --------
    >>> from sklearn.datasets import make_friedman1
    >>> X, y = make_friedman1(300, 8, noise=0.5, random_state=0)  # x0, ..., x4 matter
    >>> path = fit_path((X, y), model="linear", seeds=3, resamples=0, quiet=True)
    >>> sorted(path.selected)
    ['x0', 'x1', 'x3', 'x4']
    """
    settings = {
        "penalty": penalty,
        "model": model,
        "start": start,
        "adaptive": adaptive,
        "seeds": seeds,
        "resamples": resamples,
    }
    _check_settings(settings)
    study = Study(
        data=str(data) if isinstance(data, str | Path) else "",
        target=target,
        subject=subject,
        task=task,
        metric=metric,
        methods=(penalty,),
        seeds=seeds,
        model=model,
    )
    source = read_source(data)
    table = prepare_table(source, study)
    find_metric(metric, table.task)  # refuses one of the other task
    rows = collect_rows(table, study, resamples)
    if out is not None:
        prepare_folder(Path(out))
    notes = tuple(f"{table.name}: {note}" for note in (*table.notes, rows.note) if note)
    with show_progress(quiet) as progress:
        for note in notes:
            progress.say(note)
        count = pluralize(len(rows.fits), "model")
        progress.say(f"{table.name}: {count} along the strengths, all at once")
        fitted = PathFitter(rows, table, study, start=start, adaptive=adaptive).fit()
    target = study.target or source.target or ""
    results = _collect(fitted, rows, table, study, settings, notes, target, command)
    if out is not None:
        write_files(results, Path(out))
    return results


def _check_settings(settings: Mapping[str, Any]) -> None:
    parse_path_penalty(settings["penalty"])
    check_model(settings["model"])
    start, resamples = settings["start"], settings["resamples"]
    if start not in STARTS:
        raise UsageError(f"start must be dense or sparse, got {start!r}")
    is_whole = isinstance(resamples, int) and not isinstance(resamples, bool)
    if not is_whole or not 0 <= resamples <= MOST_RESAMPLES:
        raise UsageError(
            f"resamples must be a whole number from 0 to {MOST_RESAMPLES:,}, got {resamples!r}"
        )


def _collect(
    fitted: FittedPath,
    rows: PathRows,
    table: Table,
    study: Study,
    settings: Mapping[str, Any],
    notes: tuple[str, ...],
    target: str,
    command: str,
) -> PathResults:
    state = _to_state(fitted, study.model)
    metric = find_metric(study.metric, table.task)
    facts = _score_test_rows(state, rows, table, study)
    split = split_rows(table, study, 0)
    baseline = score_baseline(table, study)
    return PathResults(
        data=table.name,
        target=target,
        task=table.task,
        metric=metric.title,
        is_higher_better=bool(metric.best),
        settings=dict(settings),
        rows={
            "rest": len(rows.rest.y),
            "train": len(split.train),
            "validation": len(split.validation),
            "test": len(split.test),
        },
        inputs=_describe_inputs(fitted, rows, table),
        path_inputs=fitted.inputs,
        points=fitted.points,
        best=fitted.best,
        chosen=fitted.chosen,
        test_score=facts["test score"],
        test_error=facts["test error"],
        trivial={
            "name": baseline.name,
            "validation_score": estimate_mean(baseline.validation_scores)[0],
            "test_score": estimate_mean(baseline.test_scores)[0],
        },
        model=_make_model(fitted, rows, table, study, state, facts),
        notes=notes,
        provenance=collect_provenance(command),
    )


def _score_test_rows(
    state: dict[str, np.ndarray], rows: PathRows, table: Table, study: Study
) -> dict[str, Any]:
    """What the model's folder says of it."""
    predict = build_predictor(study.model, state, rows.encoding.width, table.outputs)
    metric = find_metric(study.metric, table.task)
    tested = rows.test.y, predict_from_outputs(predict(rows.test.X), table.task), rows.test.scale
    return {
        "rows": "rest",
        "data": table.digest,
        "fitted rows": len(rows.fits[0]),
        "metric": metric.name,
        "test rows": len(rows.test.y),
        "test score": metric.score(*tested),
        "test error": metric.error(*tested),
        "shrinkage": shrinkage.__version__,
    }


def _describe_inputs(fitted: FittedPath, rows: PathRows, table: Table) -> tuple[InputFacts, ...]:
    """The inputs in the order of the table."""
    point = fitted.points[fitted.chosen]
    widths = {column.name: column.width for column in rows.encoding.columns}
    facts = []
    for name in map(str, table.frame.columns):
        if name not in fitted.inputs:
            continue
        place = fitted.inputs.index(name)
        entering = [each.strength for each in fitted.points if name in each.kept]
        facts.append(
            InputFacts(
                name=name,
                columns=widths[name],
                is_kept=name in point.kept,
                entering=max(entering, default=None),
                stability=fitted.stability[place] if fitted.stability else None,
                norm=point.norms[place],
            )
        )
    return tuple(facts)


def _make_model(
    fitted: FittedPath,
    rows: PathRows,
    table: Table,
    study: Study,
    state: dict[str, np.ndarray],
    facts: dict[str, Any],
) -> FittedModel:
    choice = fitted.points[fitted.chosen]
    return FittedModel(
        model=study.model,
        method="none" if choice.relaxed_steps else study.methods[-1],
        strength=0.0 if choice.relaxed_steps else choice.strength,
        task=table.task,
        classes=table.classes,
        encoding=rows.encoding,
        readings=table.readings,
        state=state,
        facts=facts,
    )


def _to_state(fitted: FittedPath, model: str) -> dict[str, np.ndarray]:
    """The parameters as `compare` names and orders them."""
    order = np.argsort(fitted.order)
    parameters: Parameters = fitted.state
    state = {}
    for layer in range(len(parameters) // 2):
        weight, bias = (parameters[2 * layer + part][0].float().numpy() for part in (0, 1))
        if layer == 0:
            weight = weight[order]
        prefix = "" if model == "linear" else f"{2 * layer}."
        state[f"{prefix}weight"] = np.ascontiguousarray(weight.T)
        state[f"{prefix}bias"] = np.ascontiguousarray(bias[0])
    return state
