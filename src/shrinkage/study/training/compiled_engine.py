"""Train "linear" and "mlp:..." by compiled loops, in one thread and without torch.

A trial begins with the weights, takes the batches and makes the steps that `fit` makes in torch, of
which this is the fast twin. It holds Python's lock only between the points of its training curve.
"""

from __future__ import annotations

import math
import threading
import time
from concurrent.futures import CancelledError
from itertools import pairwise

import numpy as np

from shrinkage.mlp.optimizers import Adam, Rule, Sgd, plan_pieces
from shrinkage.mlp.records import Activation, Loss
from shrinkage.mlp.torch_random import TorchGenerator, draw_layers
from shrinkage.mlp.training import Architecture, Data, Training
from shrinkage.penalties import Penalty
from shrinkage.study.data.examples import Examples, Parts
from shrinkage.study.method import parse_method
from shrinkage.study.model.network import apply_network
from shrinkage.study.records import Record, Trial
from shrinkage.study.scores import find_metric, predict_from_outputs
from shrinkage.study.spec import Study
from shrinkage.study.training.blas_threads import use_one_blas_thread
from shrinkage.study.training.class_weights import balance_classes
from shrinkage.study.training.curve import POINTS
from shrinkage.study.training.model_text import names_function, parse_widths
from shrinkage.study.training.optimizers import parse_optimizer

Array = np.ndarray
MOST_WORK = 500_000_000  # weights times rows that go through before `stop` is looked at again
MOST_ORDER = 1_000_000  # rows of some epochs whose order is in memory, and one epoch in any case
FEATURES = 64  # stands for the number of inputs, which hardly ever decides


def serves(
    study: Study, method: str, outputs: int, features: int = FEATURES, strength: float = 1e-3
) -> bool:
    """Whether compiled loops have the model, the optimizer and the method.

    Examples
    --------
    >>> serves(Study(), "l1@proximal", 1), serves(Study(), "nuclear_norm@proximal", 1)
    (True, False)
    """
    if names_function(study.model) or find_rule(study.optimizer) is None:
        return False
    sizes = parse_widths(study.model, features, outputs)
    parsed = parse_method(method)
    if parsed.text == "none":
        return True
    penalty = parsed.make_penalty(strength)
    if penalty.why_not("prox" if parsed.how == "proximal" else "gradient") is not None:
        return False
    try:
        plan_pieces(sizes, penalty, _way(parsed.how))
    except ValueError:  # no loop, or the penalty does not fit a layer, which the torch engine says
        return False
    return True


def find_rule(optimizer: str) -> Rule | None:
    """The compiled optimizer that a text names; None where torch has it alone, or refuses it."""
    name, options = parse_optimizer(optimizer)
    if name in ("adam", "adamw") and set(options) <= {"eps"}:
        eps = float(options.get("eps", 1e-8))
        return Adam(eps=eps) if eps >= 0.0 else None
    if name == "sgd" and set(options) <= {"momentum", "nesterov"}:
        momentum, nesterov = float(options.get("momentum", 0.0)), bool(options.get("nesterov"))
        if momentum >= 0.0 and (momentum or not nesterov):
            return Sgd(momentum, nesterov)
    return None


def _way(how: str) -> str:
    """A term of the loss and a coupled penalty have the same gradient."""
    return "coupled" if how == "loss" else how


def run_trial(
    study: Study, trial: Trial, parts: Parts, stop: threading.Event | None = None
) -> Record:
    """Train one model from its seed and measure it; the same arguments give the same record.

    Raises
    ------
    concurrent.futures.CancelledError
        Soon after `stop` is set from another thread.
    ValueError
        If no compiled loop has the penalty on a layer of the network, or it does not fit one.
    """
    started = time.perf_counter()
    fitting = Fitting(study, trial, parts)
    with use_one_blas_thread(), np.errstate(all="ignore"):  # weights may diverge
        reason = fitting.fit(stop)
        return fitting.make_record(reason, started)


class Fitting:
    """The training of one trial: its network, its data, and what was measured on the way."""

    def __init__(self, study: Study, trial: Trial, parts: Parts) -> None:
        assert study.lr is not None
        assert study.epochs is not None
        self.study, self.trial, self.parts = study, trial, parts
        self.metric = find_metric(study.metric, parts.task)
        sizes = parse_widths(study.model, parts.train.X.shape[1], parts.outputs)
        self.penalty, how = _read_method(trial)
        rule = find_rule(study.optimizer)
        assert rule is not None
        architecture = Architecture(tuple(sizes), Activation.RELU, _find_loss(parts))
        self.training = Training(architecture, rule, plan_pieces(sizes, self.penalty, how))
        layers = draw_layers(sizes, TorchGenerator(trial.seed))
        for number, (weights, biases) in enumerate(layers):
            self.training.weights[number][...] = weights.T
            self.training.biases[number][...] = biases
        self.data = _make_data(parts, study.balanced)
        self.history: dict[str, list[float]] = {
            key: [] for key in ("epoch", "data_loss", "penalty", "validation_score")
        }

    def fit(self, stop: threading.Event | None) -> str:
        """Train for the study's epochs; return why it diverged, or ""."""
        lr, epochs = self.study.lr, self.study.epochs
        assert lr is not None
        assert epochs is not None
        rows = len(self.data.inputs)
        batches = math.ceil(rows / self.study.choose_batch(rows))
        rates = (
            lr * 0.5 * (1.0 + np.cos(math.pi * np.arange(epochs * batches) / (epochs * batches)))
        )
        ends = np.cumsum([len(part) for part in np.array_split(np.arange(rows), batches)])
        ranges = np.column_stack([np.concatenate([[0], ends[:-1]]), ends])
        shuffle, every = TorchGenerator(self.trial.seed), max(1, epochs // POINTS)
        epoch = 0
        while epoch < epochs:
            to_point = min((-epoch) % every + 1, epochs - epoch)  # the next one of the curve
            count = min(to_point, max(1, MOST_ORDER // rows))
            order, spans = None, np.tile(ranges, (count, 1))
            if batches > 1:  # each epoch has an order of its own
                order = shuffle.permutations(count, rows).ravel()
                spans += np.repeat(np.arange(count) * rows, batches)[:, None]
            losses = self._run(order, spans, rates[epoch * batches :][: len(spans)], stop)
            if len(losses) < len(spans) or not np.isfinite(losses[-1]):
                return self._explain_divergence(epoch * batches + len(losses), losses[-1])
            epoch += count
            if count == to_point:
                self._append_history(epoch, math.fsum(losses[-batches:]) / batches)
        if not np.isfinite(self.training.values).all():
            return self._explain_divergence(len(rates), 0.0)
        return ""

    def _run(
        self, order: Array | None, spans: Array, rates: Array, stop: threading.Event | None
    ) -> Array:
        """Take steps, and return the losses before them; the last is the first not finite one."""
        work = len(self.training.values) * int(np.diff(spans[0])[0])
        length = max(1, MOST_WORK // work)
        losses = []
        for start in range(0, len(spans), length):
            if stop is not None and stop.is_set():
                raise CancelledError
            part = slice(start, start + length)
            found, done = self.training.run(self.data, order, spans[part], rates[part])
            losses.append(found[: done + 1])
            if done < len(found):
                break
        return np.concatenate(losses)

    def _append_history(self, epoch: int, loss: float) -> None:
        self.history["epoch"].append(epoch)
        self.history["data_loss"].append(loss)
        self.history["penalty"].append(self._penalty_value())
        self.history["validation_score"].append(self._score(self.parts.validation))

    def _penalty_value(self) -> float:
        if self.penalty is None:
            return 0.0
        return math.fsum(float(self.penalty._value(np, w.T)) for w in self.training.weights)

    def _score(self, examples: Examples) -> float:
        outputs = apply_network(examples.X, self._layers())
        prediction = predict_from_outputs(outputs, self.parts.task)
        return self.metric.score(examples.y, prediction, examples.scale)

    def _layers(self) -> list[tuple[Array, Array]]:
        """The weights (outputs, inputs) and the biases of each layer, as torch has them."""
        arrays = zip(self.training.weights, self.training.biases, strict=True)
        return [(weights.T, biases) for weights, biases in arrays]

    def _state(self) -> dict[str, Array]:
        """A copy of the parameters by the names that they have in torch."""
        is_single = self.study.model == "linear"
        state = {}
        for number, (weights, biases) in enumerate(self._layers()):
            name = "" if is_single else f"{2 * number}."
            state[f"{name}weight"], state[f"{name}bias"] = weights.copy(), biases.copy()
        return state

    def _explain_divergence(self, step: int, loss: float) -> str:
        state = self._state()
        for name, values in state.items():
            if not np.isfinite(values).all():
                return f"step {step}: parameter {name} is no longer finite"
        largest = max(state, key=lambda name: float(np.abs(state[name]).max()))
        size = float(np.abs(state[largest]).max())
        return f"step {step}: the loss is {loss}; largest is parameter {largest}, {size:.3g}"

    def make_record(self, reason: str, started: float) -> Record:
        """The outcome, measured on both parts."""
        weights = self.training.weights
        train = validation = math.nan
        if not reason:
            train, validation = self._score(self.parts.train), self._score(self.parts.validation)
            if not (math.isfinite(train) and math.isfinite(validation)):
                reason = f"after training: the scores are {train} and {validation}"
        count = sum(weight.size for weight in weights)
        silent = [
            (first == 0).all(axis=0) | (second == 0).all(axis=1)
            for first, second in pairwise(weights)
        ]
        is_sound = not reason
        return Record(
            trial=self.trial,
            status="ok" if is_sound else "diverged",
            reason=reason,
            train_score=train if is_sound else None,
            validation_score=validation if is_sound else None,
            zeros=sum(int((weight == 0).sum()) for weight in weights) / count if count else 0.0,
            weights=count,
            dead_neurons=sum(int(units.sum()) for units in silent),
            neurons=sum(len(units) for units in silent),
            seconds=time.perf_counter() - started,
            history=self.history,
            state=self._state() if is_sound else {},
            engine="compiled",
        )


def _read_method(trial: Trial) -> tuple[Penalty | None, str]:
    if trial.method == "none":
        return None, "none"
    method = parse_method(trial.method)
    return method.make_penalty(trial.strength), _way(method.how)


def _find_loss(parts: Parts) -> Loss:
    if parts.task == "numbers":
        return Loss.SQUARED_ERROR
    return Loss.BINARY_LOG_LOSS if parts.outputs == 1 else Loss.LOG_LOSS


def _make_data(parts: Parts, balanced: bool) -> Data:
    X, y = np.ascontiguousarray(parts.train.X, np.float32), parts.train.y
    weights = balance_classes(y, max(parts.outputs, 2))[y] if balanced else None
    if parts.task == "classes" and parts.outputs > 1:
        return Data(X, np.ascontiguousarray(y, np.int64), weights)
    return Data(X, np.ascontiguousarray(y, np.float32), weights)
