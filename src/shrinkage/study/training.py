"""One trial becomes one record. Knows nothing of other trials, and never sees the test part."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from shrinkage.penalties.text import parse, split_how
from shrinkage.study import models, optimizers
from shrinkage.study.errors import UsageError
from shrinkage.study.examples import Examples, Parts
from shrinkage.study.records import Record, Trial
from shrinkage.study.scores import measured
from shrinkage.study.spec import Study
from shrinkage.torch import Regularizer

POINTS = 40  # of the training curves, about
LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "classes": nn.functional.cross_entropy,
    "numbers": nn.functional.mse_loss,
}


class _DivergedError(Exception):
    """The trial left the finite numbers."""


@dataclass(frozen=True)
class _Setup:
    """Everything that one trial trains with."""

    model: nn.Module
    regularizer: Regularizer
    optimizer: torch.optim.Optimizer
    how: str | None  # None: no penalty
    task: str


def train(study: Study, trial: Trial, parts: Parts) -> Record:
    """Train one model from its seed and measure it; the same question gives the same record.

    `study` has its `lr` and `epochs` settled. One thread; torch's global generator is left as it
    was. Numbers that stop being finite are a record too, with status "diverged".
    """
    _warm_up()
    started = time.perf_counter()
    history: dict[str, list[float]] = {
        key: [] for key in ("epoch", "data_loss", "penalty", "validation_score")
    }
    with _one_thread(), torch.random.fork_rng(devices=[]):
        setup = _set_up(study, trial, parts)
        reason = ""
        try:
            _fit(setup, study, trial, parts, history)
        except (_DivergedError, FloatingPointError) as error:
            reason = str(error)
        return _record(setup, trial, parts, history, reason, time.perf_counter() - started)


@functools.cache
def _warm_up() -> None:
    """The first step of a process loads more of torch: no trial's time."""
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = optimizers.build("adam", [parameter], 1.0)
    parameter.sum().backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def rehearse(study: Study, parts: Parts) -> None:
    """One step of every method, with the least and the greatest strength, before any trial runs.

    Raises
    ------
    UsageError
        If the model does not fit the data, or the optimizer refuses a method.
    """
    short = Study(**{**vars(study), "epochs": 1})
    with _one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        _check_output(study.model, parts)
        for method in study.methods:
            grid = study.strengths_of(method)
            for strength in {grid[0]: None, grid[-1]: None}:
                _rehearse_trial(short, Trial(method, strength, 0), parts)


def _rehearse_trial(study: Study, trial: Trial, parts: Parts) -> None:
    try:
        with models.exits_as_errors():
            setup = _set_up(study, trial, parts)
            _step(setup, *_tensors(parts.train.X[: study.batch], parts.train.y[: study.batch]))
    except (KeyboardInterrupt, UsageError):
        raise
    except (_DivergedError, FloatingPointError):
        return
    except BaseException as error:  # whatever torch or the user's model says
        raise UsageError(
            f"{trial.method} cannot be trained with optimizer {study.optimizer!r} at strength "
            f"{trial.strength:g}: {models.told(error)} (--penalty names the methods, --strengths "
            "the strengths, --optimizer the optimizer)"
        ) from None


def predict(model: nn.Module, X: np.ndarray) -> Tensor:
    """The model's outputs in evaluation mode, (rows, outputs)."""
    was_training = model.training
    model.eval()
    with torch.no_grad():
        outputs: Tensor = model(torch.tensor(X))
    model.train(was_training)
    return outputs if outputs.ndim == 2 else outputs[:, None]


def score(model: nn.Module, examples: Examples, task: str) -> float:
    """Accuracy for classes, R² for numbers; higher is better."""
    return measured(examples.y, answers(model, examples, task), task)


def answers(model: nn.Module, examples: Examples, task: str) -> np.ndarray:
    """What the model predicts for each row: a class index, or a number."""
    outputs = predict(model, examples.X)
    predicted: np.ndarray = (outputs.argmax(dim=1) if task == "classes" else outputs[:, 0]).numpy()
    return predicted


def restore(study: Study, record: Record, parts: Parts) -> nn.Module:
    """The trained model of a record."""
    with torch.random.fork_rng(devices=[]):
        model = models.build(study.model, parts.train.X.shape[1], parts.outputs)
    model.load_state_dict({name: torch.tensor(value) for name, value in record.state.items()})
    return model


def _set_up(study: Study, trial: Trial, parts: Parts) -> _Setup:
    torch.manual_seed(trial.seed)
    model = models.build(study.model, parts.train.X.shape[1], parts.outputs)
    if study.lr is None:
        raise UsageError("lr must be settled before training; Study.settled does it")
    optimizer = optimizers.build(study.optimizer, model.parameters(), study.lr)
    if trial.method == "none":
        return _Setup(model, Regularizer(model, parse("l2:0")), optimizer, None, parts.task)
    penalty, how = split_how(trial.method)
    regularizer = Regularizer(model, parse(penalty, lam=trial.strength))
    if how in ("coupled", "decoupled", "proximal"):
        regularizer.attach(optimizer, how=how)
    return _Setup(model, regularizer, optimizer, how, parts.task)


def _check_output(model_text: str, parts: Parts) -> None:
    X, _ = _tensors(parts.train.X[:2], parts.train.y[:2])
    model = models.build(model_text, parts.train.X.shape[1], parts.outputs)
    try:
        with models.exits_as_errors():
            shape = tuple(model.eval()(X).shape)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever the user's model says
        raise UsageError(
            f"model {model_text!r} fails on {X.shape[1]} features: {models.told(error)}"
        ) from None
    wanted = [(2, parts.outputs)] + ([(2,)] if parts.task == "numbers" else [])
    if shape not in wanted:
        raise UsageError(
            f"model {model_text!r} gives outputs of shape {shape} for 2 rows; "
            f"{parts.outputs} outputs need shape {wanted[0]}"
        )


def _fit(
    setup: _Setup, study: Study, trial: Trial, parts: Parts, history: dict[str, list[float]]
) -> None:
    """Train for the study's epochs, the learning rate falling to 0 along a half cosine."""
    assert study.lr is not None
    assert study.epochs is not None
    X, y = _tensors(parts.train.X, parts.train.y)
    batches = math.ceil(len(X) / study.batch)
    shuffle = torch.Generator().manual_seed(trial.seed)
    every = max(1, study.epochs // POINTS)
    step, steps = 0, study.epochs * batches
    for epoch in range(study.epochs):
        losses = []
        for rows in _batches(len(X), batches, shuffle):
            for group in setup.optimizer.param_groups:
                group["lr"] = study.lr * 0.5 * (1 + math.cos(math.pi * step / steps))
            step += 1
            batch = (X, y) if rows is None else (X[rows], y[rows])
            losses.append(_checked(_step(setup, *batch), setup.model, step))
        if epoch % every == 0 or epoch == study.epochs - 1:
            _note(history, setup, parts, epoch + 1, math.fsum(losses) / batches)
    _checked(0.0, setup.model, step)


def _step(setup: _Setup, X: Tensor, y: Tensor) -> float:
    """One step of the optimizer; the data loss before it."""
    loss_of = LOSSES[setup.task]
    last = math.nan

    def closure() -> Tensor:
        nonlocal last
        setup.optimizer.zero_grad()
        outputs = setup.model(X)
        loss = loss_of(outputs.reshape(y.shape) if setup.task == "numbers" else outputs, y)
        last = loss.item()
        if setup.how == "loss":
            loss = loss + setup.regularizer.penalty()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    if isinstance(setup.optimizer, torch.optim.LBFGS):  # looks several times in one step
        setup.optimizer.step(closure)  # type: ignore[no-untyped-call]
    else:
        closure()
        setup.optimizer.step()
    return last


def _batches(rows: int, batches: int, shuffle: torch.Generator) -> Iterator[Tensor | None]:
    """Indices of each step's rows, in parts of even size; None stands for all rows."""
    if batches == 1:
        yield None
    else:
        yield from torch.tensor_split(torch.randperm(rows, generator=shuffle), batches)


def _checked(loss: float, model: nn.Module, step: int) -> float:
    """The loss, unless it or (at the end) a parameter is not finite."""
    if math.isfinite(loss) and loss != 0.0:
        return loss
    worst, size = "", -1.0
    for name, parameter in model.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise _DivergedError(f"step {step}: parameter {name} is no longer finite")
        if parameter.numel() and float(parameter.detach().abs().max()) > size:
            worst, size = name, float(parameter.detach().abs().max())
    if math.isfinite(loss):
        return loss
    raise _DivergedError(
        f"step {step}: the loss is {loss}; largest is parameter {worst}, {size:.3g}"
    )


def _note(
    history: dict[str, list[float]], setup: _Setup, parts: Parts, epoch: int, loss: float
) -> None:
    history["epoch"].append(epoch)
    history["data_loss"].append(loss)
    history["penalty"].append(setup.regularizer.value())
    history["validation_score"].append(score(setup.model, parts.validation, parts.task))


def _record(
    setup: _Setup,
    trial: Trial,
    parts: Parts,
    history: dict[str, list[float]],
    reason: str,
    seconds: float,
) -> Record:
    weights = [parameter.detach() for _, parameter in setup.regularizer.named_parameters()]
    count = sum(weight.numel() for weight in weights)
    zeros = sum(int((weight == 0).sum()) for weight in weights)
    dead, neurons = models.count_neurons(setup.model)
    train = validation = math.nan
    if not reason:
        train = score(setup.model, parts.train, parts.task)
        validation = score(setup.model, parts.validation, parts.task)
        if not (math.isfinite(train) and math.isfinite(validation)):
            reason = f"after training: the scores are {train} and {validation}"
    sound = not reason
    return Record(
        trial=trial,
        status="ok" if sound else "diverged",
        reason=reason,
        train_score=train if sound else None,
        validation_score=validation if sound else None,
        zeros=zeros / count if count else 0.0,
        weights=count,
        dead_neurons=dead,
        neurons=neurons,
        seconds=seconds,
        history=history,
        state={name: value.numpy().copy() for name, value in setup.model.state_dict().items()}
        if sound
        else {},
    )


def _tensors(X: np.ndarray, y: np.ndarray) -> tuple[Tensor, Tensor]:
    # Copies: joblib hands large arrays over read-only, which torch does not take.
    return torch.tensor(X), torch.tensor(y)


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread a trial: trials run side by side, and sums are added up in one order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
