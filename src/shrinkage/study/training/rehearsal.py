"""Try every method before any trial runs: what cannot be trained is refused, and timed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from statistics import fmean

from shrinkage.study.data.examples import Examples, Parts
from shrinkage.study.errors import UsageError
from shrinkage.study.records import Trial
from shrinkage.study.spec import Study
from shrinkage.study.training import engines
from shrinkage.study.training.foreign_code import describe_error, exits_as_errors

FEW = 10  # steps by which a compiled trial is timed


def rehearse(study: Study, parts: Parts, methods: Sequence[str]) -> dict[str, float]:
    """Try each method at its least and greatest strength.

    Returns
    -------
    dict
        For each method the seconds that a trial will take, roughly.

    Raises
    ------
    UsageError
        If the model does not fit the data, or the optimizer refuses a method.
    """
    engine_of = {method: engines.choose_engine(study, method, parts.outputs) for method in methods}
    trials = {
        method: [Trial(method, strength, 0) for strength in dict.fromkeys((grid[0], grid[-1]))]
        for method in methods
        if (grid := study.strengths_of(method))
    }
    by_torch = [method for method, engine in engine_of.items() if engine == "torch"]
    if by_torch:
        from shrinkage.study.training import torch_rehearsal

        torch_rehearsal.check_output(study.model, parts)
        for trial in (trial for method in by_torch for trial in trials[method]):
            with _refuse(study, trial):  # before any loop is compiled, which takes long
                torch_rehearsal.check_method(study, trial, parts)
    return {
        method: fmean(_rehearse_trial(study, trial, parts, engine_of[method]) for trial in tried)
        for method, tried in trials.items()
    }


def _rehearse_trial(study: Study, trial: Trial, parts: Parts, engine: str) -> float:
    """The seconds that the trial will take; 0 where it diverges at once."""
    with _refuse(study, trial):
        if engine == "solved":
            return engines.run_trial(study, trial, parts).seconds
        if engine == "compiled":
            return _time_compiled(study, trial, parts)
        from shrinkage.study.training import torch_rehearsal

        return torch_rehearsal.time_steps(study, trial, parts)


@contextmanager
def _refuse(study: Study, trial: Trial) -> Iterator[None]:
    """Make a sentence of whatever error the trial ends in."""
    try:
        with exits_as_errors():
            yield
    except (KeyboardInterrupt, UsageError):
        raise
    except BaseException as error:  # torch or the user's model may raise anything
        raise UsageError(
            f"{trial.method} cannot be trained with optimizer {study.optimizer!r} at strength "
            f"{trial.strength:g}: {describe_error(error)} (--penalty names the methods, "
            "--strengths the strengths, --optimizer the optimizer)"
        ) from None


def _time_compiled(study: Study, trial: Trial, parts: Parts) -> float:
    """The seconds of a whole trial by a few steps on one batch; the first ones load the loops."""
    rows = study.choose_batch(len(parts.train.X))
    few = replace(
        parts,
        train=_first_rows(parts.train, rows),
        validation=_first_rows(parts.validation, rows),
    )
    short = replace(study, epochs=FEW)
    engines.run_trial(replace(study, epochs=1), trial, few)
    steps = (study.epochs or 1) * math.ceil(len(parts.train.X) / rows)
    return engines.run_trial(short, trial, few).seconds * steps / FEW


def _first_rows(examples: Examples, count: int) -> Examples:
    return replace(examples, X=examples.X[:count], y=examples.y[:count])
