"""Take one step of every method, so that what cannot be trained is refused before any trial."""

from __future__ import annotations

import torch

from shrinkage.study.data.examples import Parts
from shrinkage.study.errors import UsageError
from shrinkage.study.records import Trial
from shrinkage.study.spec import Study
from shrinkage.study.training import models
from shrinkage.study.training.fit import (
    DivergedError,
    set_up,
    take_step,
    to_tensors,
    use_one_thread,
)


def rehearse(study: Study, parts: Parts) -> None:
    """Take one step of every method at its least and greatest strength, before any trial runs.

    Raises
    ------
    UsageError
        If the model does not fit the data, or the optimizer refuses a method.
    """
    with use_one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        _check_output(study.model, parts)
        for method in study.methods:
            grid = study.strengths_of(method)
            for strength in {grid[0]: None, grid[-1]: None}:
                _rehearse_trial(study, Trial(method, strength, 0), parts)


def _rehearse_trial(study: Study, trial: Trial, parts: Parts) -> None:
    try:
        with models.exits_as_errors():
            setup = set_up(study, trial, parts)
            take_step(
                setup, *to_tensors(parts.train.X[: study.batch], parts.train.y[: study.batch])
            )
    except (KeyboardInterrupt, UsageError):
        raise
    except (DivergedError, FloatingPointError):
        return
    except BaseException as error:  # torch or the user's model may raise anything
        raise UsageError(
            f"{trial.method} cannot be trained with optimizer {study.optimizer!r} at strength "
            f"{trial.strength:g}: {models.describe_error(error)} (--penalty names the methods, "
            "--strengths the strengths, --optimizer the optimizer)"
        ) from None


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
