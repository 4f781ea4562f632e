"""One trial, wherever it runs: an error of the model's code becomes one sentence."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError

from shrinkage.study.data.examples import Parts
from shrinkage.study.errors import StoppedError, UsageError
from shrinkage.study.records import Record, Trial, name_split
from shrinkage.study.spec import Study
from shrinkage.study.training import engines

# torch's generator of random numbers and its count of threads belong to the whole process: on a
# cluster, whose workers may have several threads, torch trains one trial at a time in each.
_torch = threading.Lock()


def needs_torch(study: Study, trial: Trial, parts: Parts) -> bool:
    """Whether the trial is trained by torch, and not by what may run in threads."""
    return engines.choose_engine(study, trial.method, parts.outputs) == "torch"


def run_one(
    study: Study, trial: Trial, parts: Parts, stop: threading.Event | None = None
) -> Record:
    """Run a trial; any unexpected error of the model or of torch becomes a StoppedError.

    Parameters
    ----------
    stop : threading.Event, optional
        Ends the trial when it is set, with a CancelledError. torch does not look at it.
    """
    try:
        if not needs_torch(study, trial, parts):
            return engines.run_trial(study, trial, parts, stop=stop)
        from shrinkage.study.training import models

        with _torch, models.exits_as_errors():
            return engines.run_trial(study, trial, parts)
    except (KeyboardInterrupt, MemoryError, UsageError, StoppedError, CancelledError):
        raise
    except BaseException as error:
        from shrinkage.study.training import models

        raise StoppedError(
            f"{trial.method} at {trial.strength:g}, {name_split(trial.seed, study.folds)}, cannot "
            f"be trained: {models.describe_error(error)}; the records so far are kept"
        ) from None
