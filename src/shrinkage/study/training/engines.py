"""Which engine trains a trial, and the trial itself: the one door between a study and training."""

from __future__ import annotations

import threading

from shrinkage.study.data.examples import Parts
from shrinkage.study.records import Record, Trial
from shrinkage.study.spec import Study


def choose_engine(study: Study, method: str, outputs: int) -> str:
    """The name of the engine that trains a method's trials, as their records keep it.

    Parameters
    ----------
    outputs : int
        Of the model: one for numbers and for two classes.

    Returns
    -------
    "torch", which trains every model and method.
    """
    return "torch"


def run_trial(
    study: Study, trial: Trial, parts: Parts, *, stop: threading.Event | None = None
) -> Record:
    """Train one model from its seed and measure it; the same arguments give the same record.

    `study` must have its `lr` and `epochs`. If a number stops being finite, the record's status is
    "diverged".

    Parameters
    ----------
    stop : threading.Event, optional
        Set from another thread to end the trial early: an engine that runs in threads looks at it
        now and then, and raises concurrent.futures.CancelledError. torch does not look at it.
    """
    from shrinkage.study.training import fit

    return fit.run_trial(study, trial, parts)
