"""The run of `shrinkage scratch`: a spiral, a hidden layer of ReLU with a penalty, and Adam."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from shrinkage.penalties import parse
from shrinkage.penalties.text import normalized, split_how
from shrinkage.scratch.activations import ReLU
from shrinkage.scratch.checks import HOWS, Array, NotFiniteError, check_size
from shrinkage.scratch.data import spiral
from shrinkage.scratch.layers import Dense
from shrinkage.scratch.losses import SoftmaxCategoricalCrossEntropy
from shrinkage.scratch.network import History, Network
from shrinkage.scratch.optimizers import Adam

CELLS = 100  # along each side of the plane that is classified
MARGIN = 0.1  # by which the plane exceeds the points
MOST_CLASSES, MOST_PENALTIES = 8, 8  # as many as a page has colours for
MOST_EPOCHS = 10_000_000  # the history keeps a row for each
MOST_OUTPUTS = 100_000_000  # of the hidden layer in one step: 800 MB


@dataclass(frozen=True)
class Question:
    """What to train; the defaults are those of Kinsley and Kukieła's chapter on L1 and L2.

    Parameters
    ----------
    samples : int, default 1000
        Training points for each class. A tenth as many, at least 1, are for validation.
    classes, hidden : int, default 3 and 64
        Arms of the spiral, and units of the hidden layer.
    epochs : int, default 10 000
        Steps, each on all points.
    lr, decay : float, default 0.05 and 5e-7
        Of Adam.
    seed : int, default 0
        For the points and the first weights.
    dtype : str, default "float64"
        Or "float32".
    """

    samples: int = 1000
    classes: int = 3
    hidden: int = 64
    epochs: int = 10_000
    lr: float = 0.05
    decay: float = 5e-7
    seed: int = 0
    dtype: str = "float64"

    def __post_init__(self) -> None:
        for name in ("samples", "classes", "hidden", "epochs"):
            check_size(name, getattr(self, name))
        if not 2 <= self.classes <= MOST_CLASSES:
            raise ValueError(
                f"classes must be between 2 and {MOST_CLASSES}, for which there are colours, got "
                f"{self.classes}"
            )
        if self.epochs > MOST_EPOCHS:
            raise ValueError(f"epochs must be at most {MOST_EPOCHS:,}, got {self.epochs}")
        if self.samples * self.classes * self.hidden > MOST_OUTPUTS:
            raise ValueError(
                f"samples, classes and hidden must multiply to {MOST_OUTPUTS:,} at the most, got "
                f"{self.samples} · {self.classes} · {self.hidden}"
            )
        if not isinstance(self.seed, int) or self.seed < 0:
            raise ValueError(f"seed must be a whole number from 0 up, got {self.seed}")
        Adam(lr=self.lr, decay=self.decay)  # raises for numbers that it cannot train with
        if self.dtype not in ("float64", "float32"):
            raise ValueError(f"dtype must be float64 or float32, got {self.dtype!r}")

    @property
    def title(self) -> str:
        """What is trained, in a line."""
        return (
            f"Spiral, {self.classes} × {self.samples:,} points; "
            f"network 2-{self.hidden}-{self.classes}; {self.epochs:,} epochs"
        )


@dataclass(frozen=True)
class Outcome:
    """The result of training with one penalty."""

    name: str  # "l1:0.0005@proximal", or "none"
    history: History
    train: dict[str, float]  # "accuracy" and "data_loss" after the last step
    validation: dict[str, float]  # the same for the validation points
    held_out: int  # the number of validation points
    zeros: int  # penalized weights and biases that are exactly 0, ...
    weights: int  # ... of so many
    silent: int  # hidden units whose output does not depend on the input, ...
    units: int  # ... of so many
    plane: tuple[Array, Array, Array]  # x (columns,), y (rows,), predicted class (rows, columns)


def make_data(question: Question) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """X and y of the training points, and of the validation points."""
    draws = np.random.default_rng(question.seed).spawn(2)
    fewer = max(1, question.samples // 10)
    return (
        spiral(question.samples, question.classes, rng=draws[0]),
        spiral(fewer, question.classes, rng=draws[1]),
    )


def build_network(question: Question, penalty: str) -> Network:
    """Build the network with a penalty on the weights and biases of its hidden layer.

    The penalty is "l2:5e-4", "l1:1e-4@proximal" or the like. Without "@" it is coupled; "none" is
    no penalty.

    Raises
    ------
    ValueError
        For a text that is not a penalty, and for a `how` that is neither coupled nor proximal.
    """
    text, how = split_how(penalty, HOWS)
    omega = None if text == "none" else parse(text)
    draws = np.random.default_rng([question.seed, 1])
    dtype = question.dtype
    return Network(
        [
            Dense(
                2,
                question.hidden,
                weight_penalty=omega,
                bias_penalty=omega,
                how=how or "coupled",
                dtype=dtype,
                rng=draws,
            ),
            ReLU(),
            Dense(question.hidden, question.classes, dtype=dtype, rng=draws),
        ],
        loss=SoftmaxCategoricalCrossEntropy(),
        optimizer=Adam(lr=question.lr, decay=question.decay),
    )


def normalize_penalty(penalty: str) -> str:
    """The penalty's text in its standard spelling, with its `how`."""
    text, how = split_how(penalty)
    return "none" if text == "none" else f"{normalized(text)}@{how or 'coupled'}"


class Comparison(NamedTuple):
    """The results of several penalties."""

    outcomes: list[Outcome]
    failures: list[str]  # a sentence for each training that diverged
    interrupted: bool  # by Ctrl-C: the remaining penalties were not tried


def compare(
    question: Question, penalties: Sequence[str], *, every: int | None = None
) -> Comparison:
    """Train with each of the penalties, and print a line for every `every` epochs.

    Raises
    ------
    ValueError
        As `build_network`, before anything is trained; and for a penalty that is given twice.
    """
    names = _check_names(question, penalties)
    if every is None:
        every = 100 if len(penalties) == 1 else max(1, question.epochs // 10)
    if every < 0:
        raise ValueError(f"every must be at least 0, got {every}")
    print(f"{question.title}; Adam, lr {question.lr:g}, decay {question.decay:g}")
    outcomes: list[Outcome] = []
    failures: list[str] = []
    for name, penalty in zip(names, penalties, strict=True):
        print(f"\n{name}, on the hidden layer's weights and biases")
        try:
            outcome = train(question, penalty, progress=every)
        except FloatingPointError as error:
            failures.append(f"{name}: {error}")
            continue
        except KeyboardInterrupt:
            return Comparison(outcomes, [*failures, f"{name}: interrupted"], True)
        outcomes.append(outcome)
        print(
            f"validation: accuracy {outcome.validation['accuracy']:.3f}, "
            f"data loss {outcome.validation['data_loss']:.3f}"
        )
        if outcome.silent == outcome.units:
            print(
                "All hidden units are silent: the penalty is stronger than the data's pull on the "
                "small first weights. Try a smaller one"
            )
    return Comparison(outcomes, failures, False)


def _check_names(question: Question, penalties: Sequence[str]) -> list[str]:
    """The penalties in their standard spelling, if the network can be trained with each."""
    for penalty in penalties:
        build_network(question, penalty)
    names = [normalize_penalty(penalty) for penalty in penalties]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"penalty {twice} is given twice: it would be the same training")
    if len(names) > MOST_PENALTIES:
        raise ValueError(f"penalties must be at most {MOST_PENALTIES}, got {len(names)}")
    return names


def train(question: Question, penalty: str, *, progress: int = 0) -> Outcome:
    """Train the network with that penalty, and measure the result."""
    (X, y), validation = make_data(question)
    trained = build_network(question, penalty)
    history = trained.fit(X, y, epochs=question.epochs, progress=progress)
    try:
        scores = trained.evaluate(X, y), trained.evaluate(*validation)
    except NotFiniteError:
        raise FloatingPointError(
            "the output after the last step is infinite: training diverged; lower lr or the penalty"
        ) from None
    hidden = trained.dense[0]
    parameters = np.vstack([hidden.weights, hidden.biases])  # (3, hidden)
    return Outcome(
        name=normalize_penalty(penalty),
        history=history,
        train=scores[0],
        validation=scores[1],
        held_out=len(validation[1]),
        zeros=int(np.count_nonzero(parameters == 0)),
        weights=parameters.size,
        silent=int(np.count_nonzero((hidden.weights == 0).all(axis=0))),
        units=hidden.n_out,
        plane=_plane(trained, X),
    )


def _plane(trained: Network, X: Array) -> tuple[Array, Array, Array]:
    """The class that the network predicts at each cell of the plane around the points."""
    sides = [
        np.linspace(low - MARGIN, high + MARGIN, CELLS)
        for low, high in zip(X.min(axis=0), X.max(axis=0), strict=True)
    ]
    grid = np.column_stack([side.ravel() for side in np.meshgrid(*sides)])
    return sides[0], sides[1], trained.predict(grid).reshape(CELLS, CELLS)


def format_outcomes(outcomes: Sequence[Outcome]) -> str:
    """The table of the outcomes, a line for each penalty."""
    names = [outcome.name for outcome in outcomes]
    width = max(len("penalty"), *map(len, names))
    lines = [
        f"{'penalty':{width}}  train accuracy  validation accuracy  validation loss  "
        "exact zeros  silent units"
    ]
    for outcome in outcomes:
        zeros = f"{outcome.zeros} of {outcome.weights}"
        silent = f"{outcome.silent} of {outcome.units}"
        lines.append(
            f"{outcome.name:{width}}  {outcome.train['accuracy']:14.3f}  "
            f"{outcome.validation['accuracy']:19.3f}  {outcome.validation['data_loss']:15.3f}  "
            f"{zeros:>11}  {silent:>12}"
        )
    return "\n".join(lines)
