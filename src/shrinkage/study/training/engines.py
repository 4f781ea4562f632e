"""Which engine trains a trial, and the trial itself: the one door between a study and training."""

from __future__ import annotations

import threading
from contextlib import suppress

from shrinkage.mlp.availability import can_compile
from shrinkage.study.data.examples import Parts
from shrinkage.study.records import Record, Trial
from shrinkage.study.spec import Study
from shrinkage.study.training.foreign_code import exits_as_errors
from shrinkage.study.training.model_text import names_function

# torch's generator of random numbers and its number of threads belong to the whole process, so
# that it trains one model at a time in each: on a cluster a worker may have several threads.
_torch = threading.Lock()


def choose_engine(study: Study, method: str, outputs: int) -> str:
    """The name of the engine that trains a method's trials, as their records keep it.

    Parameters
    ----------
    outputs : int
        Of the model: one for numbers and for two classes.

    Returns
    -------
    "solved" for a linear model with a convex penalty; "compiled" for dense networks under SGD or
    Adam; else "torch", which trains every model and method. A trial whose minimum is not found, or
    whose penalty has no loop on these features, is left to the next one, and its record says so.
    """
    if names_function(study.model):
        return "torch"
    if study.model == "linear":
        from shrinkage.study.training import solved_engine  # imports scikit-learn, in a second

        if solved_engine.serves(study, method):
            return "solved"
    if can_compile():
        from shrinkage.study.training import compiled_engine

        if compiled_engine.serves(study, method, outputs):
            return "compiled"
    return "torch"


def run_trial(
    study: Study, trial: Trial, parts: Parts, stop: threading.Event | None = None
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
    engine = choose_engine(study, trial.method, parts.outputs)
    if engine == "solved":
        from shrinkage.study.training import solved_engine

        with suppress(solved_engine.NotSolvedError):
            return solved_engine.run_trial(study, trial, parts, stop)
    if engine != "torch" and can_compile():
        from shrinkage.study.training import compiled_engine

        sizes = parts.outputs, parts.train.X.shape[1]
        if compiled_engine.serves(study, trial.method, *sizes, trial.strength):
            return compiled_engine.run_trial(study, trial, parts, stop)
    from shrinkage.study.training import fit_trial

    with _torch, exits_as_errors():
        return fit_trial.run_trial(study, trial, parts)
