"""What follows the trials of a study: the choices with their test scores, and the model to keep."""

from __future__ import annotations

from contextlib import suppress

from shrinkage.study import score_test_part
from shrinkage.study.choosing import choose
from shrinkage.study.data.table import Table
from shrinkage.study.errors import UsageError
from shrinkage.study.model.feature_use import measure_features
from shrinkage.study.model.fitted import MODEL, load_model
from shrinkage.study.model.refit import ROWS, refit
from shrinkage.study.model.storage import remove_model_folder
from shrinkage.study.progress import Progress
from shrinkage.study.results import Results
from shrinkage.study.scores import find_metric
from shrinkage.study.sharding import find_missing
from shrinkage.study.spec import Study
from shrinkage.study.storage.store import Store


def choose_and_score(study: Study, table: Table, store: Store) -> None:
    """Choose strengths and score them on the test part, unless trials are missing."""
    records = store.read_results().records
    if find_missing(study, records):
        return
    choices = choose(records, study.splits, find_metric(study.metric, table.task))
    choices = score_test_part.score_test_part(choices, records, table, study)
    pairs = dict.fromkeys((choice.method, choice.strength) for choice in choices)
    store.finish(choices, measure_features(list(pairs), records, table, study))


def keep_model(
    results: Results,
    table: Table,
    study: Study,
    rows: str | None,
    jobs: int | None,
    progress: Progress,
) -> None:
    """Fit the recommended model into the study's folder, unless it is there or `rows` is None.

    A model of the study that is no longer recommended, after another `prefer`, is removed.
    """
    assert results.folder is not None
    digest, choice = results.question["digest"], results.recommended
    folder = results.folder / MODEL
    with suppress(UsageError):  # none yet, or one that is damaged: it is fitted again
        model = load_model(folder)
        if model.facts.get("study") == digest:
            if choice is None or (model.method, model.strength) != (choice.method, choice.strength):
                remove_model_folder(folder)
            elif rows in (None, model.facts["rows"]):
                return
    if choice is None or rows is None:
        return
    progress.say(f"fitting the recommended model on {ROWS[rows]}")
    try:
        model = refit(
            table,
            study,
            choice.method,
            choice.strength,
            rows=rows,
            uses=results.features,
            digest=digest,
            jobs=jobs,
        )
        model.save(folder)
    except UsageError as error:
        progress.say(f"no model is kept: {error}")
