"""Which model of a study to fit, and fitting it where its folder does not hold it yet."""

from __future__ import annotations

import math
import re
from contextlib import suppress
from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import Any

from shrinkage.study.check_values import check_float32
from shrinkage.study.data.sources import read_source
from shrinkage.study.data.table import Table, prepare_table
from shrinkage.study.errors import UsageError, suggest
from shrinkage.study.identity import hash_identity, identify
from shrinkage.study.method import parse_method
from shrinkage.study.model.feature_use import measure_features
from shrinkage.study.model.fitted import MODEL, FittedModel, load_model
from shrinkage.study.model.refit import check_rows, open_question, refit
from shrinkage.study.recommending import find_recommended
from shrinkage.study.results import Results
from shrinkage.study.spec import PREFERENCES, Study
from shrinkage.study.storage.store import load
from shrinkage.study.training.model_function import hash_model_source
from shrinkage.user_warning import warn_user

OTHER_MODELS = "models"  # the folder of models that were asked for by name


def fit_model(
    folder: str | Path,
    *,
    method: str | None = None,
    strength: float | None = None,
    prefer: str | None = None,
    rows: str | None = None,
    data: Any = None,
    jobs: int = 1,
) -> FittedModel:
    """A model of a finished study: the recommended one, or another that is named.

    It is read from the study's folder where it was fitted before, else fitted and kept there.

    Parameters
    ----------
    folder : path
        The folder of a study.
    method, strength : optional
        Another method of the study, "l1@proximal", by default at the strength with its best
        score, or any other strength. "none", and a method that states its strength, take no other.
    prefer : "score" or "sparse", optional
        What is recommended, by default as in the study.
    rows : "rest" or "all", optional
        The rows to fit on: all but the test part, or all; by default what the folder has, or
        "rest".
    data : optional
        The study's data, where they were in memory or have moved.
    jobs : int
        Initializations that are trained at a time, each in a process of its own if more than one.

    Raises
    ------
    UsageError
        If there is no study, it recommends nothing and no method is named, or the data are not
        those of the study.

    Warns
    -----
    UserWarning
        If the study has not tried the strength.

    Examples
    --------
    After ``shrinkage compare data.csv --target y --out mine``::

        model = fit_model("mine", prefer="sparse")
        model.predict("new.csv")
    """
    check_rows(rows)
    path = Path(folder)
    results = load(path)
    method, strength = find_method(results, method=method, strength=strength, prefer=prefer)
    _tell_if_untried(results, method, strength)
    digest = results.question["digest"]
    slug = re.sub(r"[^A-Za-z0-9.]+", "-", f"{method} {strength:.6g} {rows or 'rest'}")
    for kept in (path / MODEL, path / OTHER_MODELS / slug):
        with suppress(UsageError):  # none yet, or one that is damaged: it is fitted again
            model = load_model(kept)
            is_same = (model.method, model.strength) == (method, strength)
            is_same &= model.facts.get("study") == digest
            if is_same and rows in (None, model.facts["rows"]):
                return model
    table, study = read_table(results, data)
    uses = measure_features([(method, strength)], results.records, table, study)
    rows = rows or "rest"
    model = refit(table, study, method, strength, rows=rows, uses=uses, digest=digest, jobs=jobs)
    model.save(path / OTHER_MODELS / slug)
    return model


def find_method(
    results: Results, *, method: str | None, strength: float | None, prefer: str | None
) -> tuple[str, float]:
    """The method and the strength of the model that is asked for.

    Raises
    ------
    UsageError
        If the study is not finished, has no such method, or recommends nothing, and for a
        strength that is no number from 0 up, or that the method cannot take.
    """
    if not results.verdict:
        raise UsageError("the study is not finished: run the same compare command again")
    if prefer is not None and prefer not in PREFERENCES:
        raise UsageError(f"prefer must be score or sparse, got {prefer!r}")
    if prefer is not None:
        results = replace(results, question={**results.question, "prefer": prefer})
    recommended = find_recommended(results)
    if method is None:
        if recommended is None:
            raise UsageError(
                f"no model is recommended: name a --method of the study "
                f"({', '.join(results.question['methods'])})"
            )
        if strength is not None:
            return recommended.method, _check_strength(strength, recommended.method)
        return recommended.method, recommended.strength
    text = parse_method(method).text
    methods = results.question["methods"]
    if text not in methods:
        raise UsageError(
            f"method {method!r} is not in the study{suggest(text, methods)} "
            f"(there are {', '.join(methods)})"
        )
    if strength is not None:
        return text, _check_strength(strength, text)
    rule = "one-se" if results.question.get("prefer") == "sparse" else "best"
    choices = [choice for choice in results.choices if choice.method == text]
    if not choices:
        raise UsageError(f"method {method!r} diverged at every strength: name another one")
    return text, next((c for c in choices if c.rule == rule), choices[0]).strength


def _check_strength(strength: object, method: str) -> float:
    number = float(strength) if isinstance(strength, Real) else math.nan
    if isinstance(strength, bool) or not number >= 0:
        raise UsageError(f"strength must be a number from 0 up, got {strength!r}")
    if number:
        check_float32("strength", number)
    stated = parse_method(method).strength
    if stated not in (None, number):
        raise UsageError(
            f"strength must be left out for {method!r}, which "
            f"{f'states its own, {stated:g}' if stated else 'has no penalty'}, got {strength!r}"
        )
    return number


def _tell_if_untried(results: Results, method: str, strength: float) -> None:
    tried = sorted({r.trial.strength for r in results.records if r.trial.method == method})
    if strength not in tried:
        near = sorted(tried, key=lambda other: abs(other - strength))[:2]
        warn_user(
            f"the study has not tried strength {strength:g} of {method} (near it, it has "
            f"{' and '.join(f'{other:.6g}' for other in sorted(near))}): this model has no "
            "validation score",
        )


def read_table(results: Results, data: Any = None) -> tuple[Table, Study]:
    """The data of a study, read again, and its specification.

    Raises
    ------
    UsageError
        If the data are no longer there, or have changed.
    """
    question = dict(results.question)
    study = open_question(question)
    if data is None and not study.data:
        raise UsageError(
            "the study's data were in memory: give them again, as fit_model(folder, data=frame)"
        )
    table = prepare_table(read_source(study.data if data is None else data), study)
    identity = identify(
        study, data_digest=table.digest, model_digest=hash_model_source(study.model)
    )
    if hash_identity(identity) != question["digest"]:
        raise UsageError(
            f"data {table.name!r} or the model's source have changed since the study: compare "
            "again, into another --out"
        )
    return table, study
