"""One trial, wherever it runs: an error of the model's code becomes one sentence."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import CancelledError

from shrinkage.study.data.examples import Parts
from shrinkage.study.errors import StoppedError, UsageError
from shrinkage.study.records import Record, Trial, name_split
from shrinkage.study.spec import Study
from shrinkage.study.training import engines
from shrinkage.study.training.foreign_code import describe_error


def needs_torch(study: Study, method: str, parts: Sequence[Parts]) -> bool:
    """Whether trials of a method are trained by torch, and not by what may run in threads."""
    return engines.choose_engine(study, method, parts[0].outputs) == "torch"


def run_one(
    study: Study, trial: Trial, parts: Parts, stop: threading.Event | None = None
) -> Record:
    """Run a trial; any unexpected error of the model or of torch becomes a StoppedError.

    Parameters
    ----------
    stop : threading.Event, optional
        Ends the trial when it is set, with a CancelledError; see `engines.run_trial`.
    """
    try:
        return engines.run_trial(study, trial, parts, stop)
    except (KeyboardInterrupt, MemoryError, UsageError, StoppedError, CancelledError):
        raise
    except BaseException as error:
        raise StoppedError(
            f"{trial.method} at {trial.strength:g}, {name_split(trial.seed, study.folds)}, cannot "
            f"be trained: {describe_error(error)}; the records so far are kept"
        ) from None
