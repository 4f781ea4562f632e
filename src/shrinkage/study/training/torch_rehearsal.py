"""Take steps of the methods that torch trains: what it cannot train is refused, and timed."""

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
from shrinkage.study.training.curve import POINTS
from shrinkage.study.training.fit_trial import (
    DivergedError,
    score_model,
    set_up,
    take_step,
    to_tensors,
    use_one_thread,
)
from shrinkage.study.training.foreign_code import describe_error, exits_as_errors

TIMED_STEPS = 8  # of each method at two strengths; their mean counts what else the machine does
LONG = 0.2  # seconds of a step, from which no other is taken to time it


def time_steps(study: Study, trial: Trial, parts: Parts) -> float:
    """The seconds that the trial will take, by some of its steps; 0 where it diverges at once."""
    rows = study.choose_batch(len(parts.train.X))
    batch = to_tensors(parts.train.X[:rows], parts.train.y[:rows])
    try:
        with use_one_thread(), torch.random.fork_rng(devices=[]):
            setup = set_up(study, trial, parts)
            take_step(setup, *batch)  # loads and compiles what the others need
            step = _time(lambda: take_step(setup, *batch))
            if step < LONG:
                step = fmean(_time(lambda: take_step(setup, *batch)) for _ in range(TIMED_STEPS))
            measuring = _time(lambda: score_model(setup.model, parts.validation, setup.metric))
    except (DivergedError, FloatingPointError):
        return 0.0
    epochs = study.epochs or 1
    steps = epochs * math.ceil(len(parts.train.X) / rows)
    return steps * step + min(epochs, POINTS) * measuring


def check_method(study: Study, trial: Trial, parts: Parts) -> None:
    """Put the model, the penalty and the optimizer of a trial together, which may refuse that."""
    with use_one_thread(), torch.random.fork_rng(devices=[]):
        set_up(study, trial, parts)


def check_output(model_text: str, parts: Parts) -> None:
    """Refuse a model whose outputs for the data do not have the shape that is needed.

    Raises
    ------
    UsageError
    """
    X, _ = to_tensors(parts.train.X[:2], parts.train.y[:2])
    try:
        with exits_as_errors(), use_one_thread(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = models.build_model(model_text, parts.train.X.shape[1], parts.outputs)
            shape = tuple(model.eval()(X).shape)
    except (KeyboardInterrupt, UsageError):
        raise
    except BaseException as error:  # the user's model may raise anything
        raise UsageError(
            f"model {model_text!r} fails on {X.shape[1]} features: {describe_error(error)}"
        ) from None
    wanted = [(2, parts.outputs)] + ([(2,)] if parts.outputs == 1 else [])
    if shape not in wanted:
        raise UsageError(
            f"model {model_text!r} gives outputs of shape {shape} for 2 rows; "
            f"{parts.outputs} outputs need shape {wanted[0]}"
        )


def _time(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started
