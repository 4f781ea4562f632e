"""Train the model of one trial and record its outcome; the test part is never seen here."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from shrinkage.penalties.text import parse
from shrinkage.study.data.examples import Examples, Parts
from shrinkage.study.errors import UsageError
from shrinkage.study.method import parse_method
from shrinkage.study.records import Record, Trial
from shrinkage.study.scores import Metric, find_metric, predict_from_outputs
from shrinkage.study.spec import Study
from shrinkage.study.training import models, optimizers
from shrinkage.study.training.class_weights import balance_classes
from shrinkage.study.training.curve import POINTS
from shrinkage.torch import Regularizer

MOST_ROWS = 65_536  # that are predicted at a time: the units of all rows would take much memory


def data_loss(outputs: Tensor, y: Tensor, task: str, class_weights: Tensor | None = None) -> Tensor:
    """The mean loss of some rows, as scikit-learn's linear models scale it.

    ½·mean((ŷ − y)²) for numbers, so that a strength is Lasso's alpha; the mean log-loss for
    classes, with one logit for two of them, so that a strength is 1/(n·C) of LogisticRegression.
    Each row's log-loss is multiplied by the weight of its class, as by class_weight there.
    """
    if task == "numbers":
        return 0.5 * nn.functional.mse_loss(outputs.reshape(y.shape), y)
    weights = None if class_weights is None else class_weights[y]
    if outputs.ndim == 1 or outputs.shape[1] == 1:
        logits = outputs.reshape(y.shape)
        return nn.functional.binary_cross_entropy_with_logits(logits, y.to(logits.dtype), weights)
    if weights is None:
        return nn.functional.cross_entropy(outputs, y)
    # cross_entropy's own weights would divide by their sum in the batch, not by its rows.
    return (weights * nn.functional.cross_entropy(outputs, y, reduction="none")).mean()


class DivergedError(Exception):
    """A number of the trial is no longer finite."""


@dataclass(frozen=True)
class Setup:
    """Everything that one trial trains with."""

    model: nn.Module
    regularizer: Regularizer
    optimizer: torch.optim.Optimizer
    adds_to_loss: bool  # whether the penalty is a term of the loss
    metric: Metric
    class_weights: Tensor | None


def run_trial(study: Study, trial: Trial, parts: Parts) -> Record:
    """Train one model from its seed and measure it; the same arguments give the same record.

    `study` must have its `lr` and `epochs`. Training uses one thread and leaves torch's global
    generator as it was. If a number stops being finite, the record's status is "diverged".
    """
    _warm_up()
    started = time.perf_counter()
    history: dict[str, list[float]] = {
        key: [] for key in ("epoch", "data_loss", "penalty", "validation_score")
    }
    with use_one_thread(), torch.random.fork_rng(devices=[]):
        setup = set_up(study, trial, parts)
        reason = ""
        try:
            _fit(setup, study, trial, parts, history)
        except (DivergedError, FloatingPointError) as error:
            reason = str(error)
        return _make_record(setup, trial, parts, history, reason, time.perf_counter() - started)


@functools.cache
def _warm_up() -> None:
    """Take a first step, which loads more of torch, outside the measured time of any trial."""
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = optimizers.build_optimizer("adam", [parameter], 1.0)
    parameter.sum().backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def predict(model: nn.Module, X: np.ndarray) -> Tensor:
    """The model's outputs in evaluation mode, (rows, outputs)."""
    was_training = model.training
    model.eval()
    with torch.no_grad():
        starts = range(0, max(len(X), 1), MOST_ROWS)
        outputs = torch.cat([model(torch.tensor(X[at : at + MOST_ROWS])) for at in starts])
    model.train(was_training)
    return outputs if outputs.ndim == 2 else outputs[:, None]


def score_model(model: nn.Module, examples: Examples, metric: Metric) -> float:
    """The score of the model on these rows."""
    prediction = predict_from_outputs(predict(model, examples.X).numpy(), metric.task)
    return metric.score(examples.y, prediction, examples.scale)


def restore_model(
    text: str, state: Mapping[str, np.ndarray], features: int, outputs: int
) -> nn.Module:
    """The trained model of a record's state."""
    with torch.random.fork_rng(devices=[]):
        model = models.build_model(text, features, outputs)
    model.load_state_dict({name: torch.tensor(value) for name, value in state.items()})
    return model


def set_up(study: Study, trial: Trial, parts: Parts) -> Setup:
    """Build the model, the penalty and the optimizer of a trial."""
    torch.manual_seed(trial.seed)
    model = models.build_model(study.model, parts.train.X.shape[1], parts.outputs)
    if study.lr is None:
        raise UsageError("lr must be set before training; Study.with_defaults does it")
    optimizer = optimizers.build_optimizer(study.optimizer, model.parameters(), study.lr)
    metric = find_metric(study.metric, parts.task)
    weights = None
    if study.balanced:
        weights = torch.tensor(balance_classes(parts.train.y, max(parts.outputs, 2)))
    if trial.method == "none":
        # A strength of 0 does nothing, but lets the record count the same weights.
        return Setup(model, Regularizer(model, parse("l2:0")), optimizer, False, metric, weights)
    method = parse_method(trial.method)
    regularizer = Regularizer(model, method.make_penalty(trial.strength))
    if method.how != "loss":
        regularizer.attach(optimizer, how=method.how)
    return Setup(model, regularizer, optimizer, method.how == "loss", metric, weights)


def _fit(
    setup: Setup, study: Study, trial: Trial, parts: Parts, history: dict[str, list[float]]
) -> None:
    """Train for the study's epochs, while the learning rate falls to 0 along half a cosine."""
    assert study.lr is not None
    assert study.epochs is not None
    X, y = to_tensors(parts.train.X, parts.train.y)
    batches = math.ceil(len(X) / study.choose_batch(len(X)))
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
            losses.append(_check_finite(take_step(setup, *batch), setup.model, step))
        if epoch % every == 0 or epoch == study.epochs - 1:
            _append_history(history, setup, parts, epoch + 1, math.fsum(losses) / batches)
    _check_finite(0.0, setup.model, step)


def take_step(setup: Setup, X: Tensor, y: Tensor) -> float:
    """Take one step of the optimizer, and return the data loss before it."""
    last = math.nan

    def closure() -> Tensor:
        nonlocal last
        setup.optimizer.zero_grad()
        loss = data_loss(setup.model(X), y, setup.metric.task, setup.class_weights)
        last = loss.item()
        if setup.adds_to_loss:
            loss = loss + setup.regularizer.penalty()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    if isinstance(
        setup.optimizer, torch.optim.LBFGS
    ):  # evaluates the closure several times in a step
        setup.optimizer.step(closure)  # type: ignore[no-untyped-call]
    else:
        closure()
        setup.optimizer.step()
    return last


def _batches(rows: int, batches: int, shuffle: torch.Generator) -> Iterator[Tensor | None]:
    """The row indices of each step, in batches of equal size; None stands for all rows."""
    if batches == 1:
        yield None
    else:
        yield from torch.tensor_split(torch.randperm(rows, generator=shuffle), batches)


def _check_finite(loss: float, model: nn.Module, step: int) -> float:
    """Return a finite loss; where it is 0, as at the end, check the parameters as well."""
    if math.isfinite(loss) and loss != 0.0:
        return loss
    largest, size = "", -1.0
    for name, parameter in model.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise DivergedError(f"step {step}: parameter {name} is no longer finite")
        if parameter.numel() and float(parameter.detach().abs().max()) > size:
            largest, size = name, float(parameter.detach().abs().max())
    if math.isfinite(loss):
        return loss
    raise DivergedError(
        f"step {step}: the loss is {loss}; largest is parameter {largest}, {size:.3g}"
    )


def _append_history(
    history: dict[str, list[float]], setup: Setup, parts: Parts, epoch: int, loss: float
) -> None:
    history["epoch"].append(epoch)
    history["data_loss"].append(loss)
    history["penalty"].append(setup.regularizer.value())
    history["validation_score"].append(score_model(setup.model, parts.validation, setup.metric))


def _make_record(
    setup: Setup,
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
        train = score_model(setup.model, parts.train, setup.metric)
        validation = score_model(setup.model, parts.validation, setup.metric)
        if not (math.isfinite(train) and math.isfinite(validation)):
            reason = f"after training: the scores are {train} and {validation}"
    is_sound = not reason
    return Record(
        trial=trial,
        status="ok" if is_sound else "diverged",
        reason=reason,
        train_score=train if is_sound else None,
        validation_score=validation if is_sound else None,
        zeros=zeros / count if count else 0.0,
        weights=count,
        dead_neurons=dead,
        neurons=neurons,
        seconds=seconds,
        history=history,
        state={name: value.numpy().copy() for name, value in setup.model.state_dict().items()}
        if is_sound
        else {},
    )


def to_tensors(X: np.ndarray, y: np.ndarray) -> tuple[Tensor, Tensor]:
    """Features and target as tensors."""
    # torch.tensor copies: joblib passes large arrays read-only, and torch wants to write.
    return torch.tensor(X), torch.tensor(y)


@contextmanager
def use_one_thread() -> Iterator[None]:
    """Use one thread: trials run in parallel, and sums are added in the same order every time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
