"""What a worker of a cluster does for one trial."""

from __future__ import annotations

import functools
import os
import platform
import sys
from dataclasses import dataclass

import shrinkage
from shrinkage.study.data.examples import Parts
from shrinkage.study.errors import StoppedError, UsageError
from shrinkage.study.records import Record, Trial
from shrinkage.study.running.trial_errors import run_one
from shrinkage.study.spec import Study
from shrinkage.study.training.model_function import hash_model_source


@dataclass(frozen=True)
class Origin:
    """What a worker must have in common with the machine that the study runs on."""

    version: str  # of shrinkage
    directory: str  # from which a model's function is imported
    model_digest: str  # of its source; "" for a model by name


def describe_origin(study: Study) -> Origin:
    """The origin of trials that this process hands in."""
    return Origin(shrinkage.__version__, os.getcwd(), hash_model_source(study.model))


def run_remotely(study: Study, trial: Trial, parts: Parts, origin: Origin) -> Record | Exception:
    """Run a trial on a worker. What goes wrong in it is returned: only a lost worker raises."""
    try:
        _compare_origins(study.model, origin)
        return run_one(study, trial, parts)
    except (StoppedError, UsageError) as error:
        return StoppedError(f"on {platform.node()}: {error}")
    except MemoryError:
        return StoppedError(f"on {platform.node()} there is not enough memory for {trial}")


@functools.cache
def _compare_origins(model: str, origin: Origin) -> None:
    if shrinkage.__version__ != origin.version:
        raise StoppedError(
            f"shrinkage is {shrinkage.__version__} there and {origin.version} here: install the "
            "same on both"
        )
    if origin.directory not in sys.path:
        sys.path.append(origin.directory)
    if hash_model_source(model) != origin.model_digest:
        raise StoppedError(
            f"the source of model {model!r} is another there: copy it to the workers"
        )


def describe_cause(error: BaseException) -> str:
    """The first cause of a cluster's error, on one line."""
    cause = getattr(error, "cause", None) or error.__cause__
    if isinstance(cause, BaseException):
        return describe_cause(cause)
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
