"""Take steps of every method: what cannot be trained is refused before any trial, and timed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from statistics import fmean

import torch

from shrinkage.study.data.examples import Parts
from shrinkage.study.errors import UsageError
from shrinkage.study.records import Trial
from shrinkage.study.spec import Study
from shrinkage.study.training import models
from shrinkage.study.training.fit import (
    POINTS,
    DivergedError,
    score_model,
    set_up,
    take_step,
    to_tensors,
    use_one_thread,
)

TIMED_STEPS = 8  # of each method at two strengths; their mean counts what else the machine does
LONG = 0.2  # seconds of a step, from which no other is taken to time it


def rehearse(study: Study, parts: Parts) -> dict[str, float]:
    """Take steps of every method at its least and greatest strength, before any trial runs.

    Returns
    -------
    dict
        For each method the seconds that a trial will take, roughly.

    Raises
    ------
    UsageError
        If the model does not fit the data, or the optimizer refuses a method.
    """
    seconds = {}
    with use_one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        _check_output(study.model, parts)
        for method in study.methods:
            grid = study.strengths_of(method)
            seconds[method] = fmean(
                _rehearse_trial(study, Trial(method, strength, 0), parts)
                for strength in {grid[0]: None, grid[-1]: None}
            )
    return seconds


def _rehearse_trial(study: Study, trial: Trial, parts: Parts) -> float:
    """The seconds that the trial will take; 0 where it diverges at once."""
    try:
        with models.exits_as_errors():
            setup = set_up(study, trial, parts)
            batch = to_tensors(parts.train.X[: study.batch], parts.train.y[: study.batch])
            take_step(setup, *batch)  # loads and compiles what the others need
            step = _time(lambda: take_step(setup, *batch))
            if step < LONG:
                step = fmean(_time(lambda: take_step(setup, *batch)) for _ in range(TIMED_STEPS))
            measuring = _time(lambda: score_model(setup.model, parts.validation, setup.metric))
        epochs = study.epochs or 1
        steps = epochs * math.ceil(len(parts.train.X) / study.batch)
        return steps * step + min(epochs, POINTS) * measuring
    except (KeyboardInterrupt, UsageError):
        raise
    except (DivergedError, FloatingPointError):
        return 0.0
    except BaseException as error:  # torch or the user's model may raise anything
        raise UsageError(
            f"{trial.method} cannot be trained with optimizer {study.optimizer!r} at strength "
            f"{trial.strength:g}: {models.describe_error(error)} (--penalty names the methods, "
            "--strengths the strengths, --optimizer the optimizer)"
        ) from None


def _time(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def _check_output(model_text: str, parts: Parts) -> None:
    X, _ = to_tensors(parts.train.X[:2], parts.train.y[:2])
    model = models.build_model(model_text, parts.train.X.shape[1], parts.outputs)
    try:
        with models.exits_as_errors():
            shape = tuple(model.eval()(X).shape)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # the user's model may raise anything
        raise UsageError(
            f"model {model_text!r} fails on {X.shape[1]} features: {models.describe_error(error)}"
        ) from None
    wanted = [(2, parts.outputs)] + ([(2,)] if parts.outputs == 1 else [])
    if shape not in wanted:
        raise UsageError(
            f"model {model_text!r} gives outputs of shape {shape} for 2 rows; "
            f"{parts.outputs} outputs need shape {wanted[0]}"
        )
