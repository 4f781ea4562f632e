"""Which engine trains a trial, and the trial itself: the one door between a study and training."""

from __future__ import annotations

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
    "solved" for a linear model with a convex penalty; else "torch", which trains every model and
    method. A trial that cannot be solved is trained as well.
    """
    if study.model == "linear":
        from shrinkage.study.training import solved_engine

        if solved_engine.serves(study, method):
            return "solved"
    return "torch"


def run_trial(study: Study, trial: Trial, parts: Parts) -> Record:
    """Train one model from its seed and measure it; the same arguments give the same record.

    `study` must have its `lr` and `epochs`. If a number stops being finite, the record's status is
    "diverged".
    """
    if choose_engine(study, trial.method, parts.outputs) == "solved":
        from shrinkage.study.training import solved_engine

        try:
            return solved_engine.run_trial(study, trial, parts)
        except solved_engine.NotSolvedError:
            pass  # the record says that it was trained
    from shrinkage.study.training import fit

    return fit.run_trial(study, trial, parts)
