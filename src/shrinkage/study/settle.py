"""Defaults that depend on the data, settled; and what makes a question the same."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
import math
from pathlib import Path

from shrinkage.study import models, optimizers
from shrinkage.study.data import Table
from shrinkage.study.examples import Parts
from shrinkage.study.spec import Study

STEPS = 400  # about, unless epochs are given
FORMAT = 2  # of what a record means; another number is another question


def settled(study: Study, table: Table, target: str, parts: Parts) -> Study:
    """The study with its task, target, learning rate and epochs written out."""
    per_epoch = math.ceil(len(parts.train.X) / study.batch)
    return dataclasses.replace(
        study,
        target=target,
        task=table.task,
        lr=study.lr if study.lr is not None else optimizers.default_lr(study.optimizer),
        epochs=study.epochs or max(10, math.ceil(STEPS / per_epoch)),
    )


def identity(study: Study, table: Table) -> dict[str, object]:
    """What must agree for records to lie in one study: the question and the bytes of the data.

    The path of the data is not in it, nor the folder of the study, nor the number of jobs, nor
    which model is preferred: that is asked of the records afterwards.
    """
    question = dataclasses.asdict(study)
    del question["prefer"]
    question["data"] = table.digest
    question["model's source"] = _source_digest(study.model)
    question["format"] = FORMAT
    return json.loads(json.dumps(question))  # type: ignore[no-any-return]


def _source_digest(model: str) -> str:
    """The sha256 of the file a model function comes from; "" for a model by name."""
    if model == "linear" or model.startswith("mlp:"):
        return ""
    function = models.imported(model)
    try:
        path = inspect.getsourcefile(function)
    except TypeError:  # a callable object, which has no source of its own
        path = inspect.getsourcefile(type(function))
    if path is None or not Path(path).is_file():
        return ""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
