"""The metrics by which models are scored, and the error of a score on a limited number of rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from shrinkage.study.errors import UsageError, suggest
from shrinkage.study.records import TASKS

# A score, and the influence of each row on it: n times its derivative by the row's weight.
Measured = tuple[float, np.ndarray]


@dataclass(frozen=True)
class Metric:
    """A score of predictions: of probabilities (rows, classes), or of numbers (rows,).

    Scores are kept and shown as the metric states them. They are compared by `gain`, so that no
    other place asks whether higher or lower is better.
    """

    name: str  # on the command line
    title: str  # in sentences and figures
    meaning: str
    task: str  # "classes" or "numbers"
    measure: Callable[[np.ndarray, np.ndarray], Measured]
    trivial: str  # the model without features that is its bar
    best: float = 1.0  # the score of perfect predictions; lower is better where it is 0
    counts_rows: bool = False  # whether it is a share of rows, which changes in steps
    in_units: bool = False  # whether it is in the units of the target

    def score(self, y: np.ndarray, prediction: np.ndarray, scale: float = 1.0) -> float:
        """The score of predictions for the rows `y`, class indices or numbers.

        `scale` is one unit of `y` in the target's own units; it counts where the metric has units.

        Examples
        --------
        >>> METRICS["accuracy"].score(np.array([0, 1, 1, 1]), np.array([[0.3, 0.7]] * 4))
        0.75
        >>> METRICS["r2"].score(np.array([1.0, 3.0]), np.array([2.0, 2.0]))
        0.0
        >>> METRICS["mae"].score(np.array([1.0, 3.0]), np.array([2.0, 2.0]), scale=10.0)
        10.0
        """
        with np.errstate(all="ignore"):  # outputs of a diverged model: the score is nan or infinite
            score, _ = self.measure(y, prediction)
        return score * scale if self.in_units else score

    def error(self, y: np.ndarray, prediction: np.ndarray, scale: float = 1.0) -> float:
        """The standard error of a score, as far as it comes from the limited number of rows.

        √(Σu²)/n with the influence u of each row on the score: the infinitesimal jackknife, close
        to the bootstrap. For accuracy p it is √(p(1 − p)/n). A share of 0 or 1, for which it would
        claim certainty, has 1/n; R² has nan where y does not vary.

        Examples
        --------
        >>> accuracy = METRICS["accuracy"]
        >>> accuracy.error(np.array([0, 1, 1, 1]), np.array([[0.3, 0.7]] * 4))  # √(3/16/4)
        0.21650635094610965
        """
        score, influence = self.measure(y, prediction)
        if self.name == "accuracy" and score in (0.0, 1.0):
            return 1 / len(y)
        error = math.sqrt(float(influence @ influence)) / len(y)
        return error * scale if self.in_units else error

    def gain(self, score: float) -> float:
        """The score where higher is better, and its negative where lower is better."""
        return score if self.best else -score


def find_metric(name: str | None, task: str) -> Metric:
    """The metric of a name, by default the first of its task.

    Raises
    ------
    UsageError
        If there is no such metric, or it belongs to the other task.

    Examples
    --------
    >>> find_metric(None, "numbers").title
    'R²'
    >>> find_metric("mae", "classes")
    Traceback (most recent call last):
    shrinkage.study.errors.UsageError: metric 'mae' is of regression: classification has ...
    """
    metrics = [metric for metric in METRICS.values() if metric.task == task]
    if name is None:
        return metrics[0]
    if check_metric_name(name) not in [metric.name for metric in metrics]:
        raise UsageError(
            f"metric {name!r} is of {TASKS[METRICS[name].task]}: {TASKS[task]} has "
            f"{', '.join(metric.name for metric in metrics)}"
        )
    return METRICS[name]


def check_metric_name(name: object) -> str:
    """Refuse what names no metric of any task."""
    if name not in METRICS:
        raise UsageError(
            f"metric {name!r} is unknown{suggest(str(name), list(METRICS))} "
            f"(there are {', '.join(METRICS)})"
        )
    return str(name)


def estimate_probabilities(outputs: np.ndarray) -> np.ndarray:
    """Probabilities (rows, classes): the softmax of logits, of one the logistic function."""
    logits = outputs.astype(np.float64)
    if logits.shape[1] == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    with np.errstate(invalid="ignore"):  # infinite logits of a diverged model give nan
        raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def answer_outputs(outputs: np.ndarray, task: str) -> np.ndarray:
    """The class index, or the number, that outputs of shape (rows, outputs) stand for."""
    if task == "numbers":
        return np.asarray(outputs[:, 0])
    classes = outputs[:, 0] > 0 if outputs.shape[1] == 1 else outputs.argmax(axis=1)
    return np.asarray(classes, dtype=np.int64)


def predict_from_outputs(outputs: np.ndarray, task: str) -> np.ndarray:
    """What a metric of the task scores: probabilities (rows, classes), or numbers (rows,)."""
    return np.asarray(outputs[:, 0]) if task == "numbers" else estimate_probabilities(outputs)


def _measure_mean(values: np.ndarray) -> Measured:
    """A mean over rows, which each row moves by its distance from it."""
    values = values.astype(np.float64)
    mean = float(values.mean())
    return mean, values - mean


def _measure_accuracy(y: np.ndarray, probability: np.ndarray) -> Measured:
    return _measure_mean(probability.argmax(axis=1) == y)


def _measure_balanced_accuracy(y: np.ndarray, probability: np.ndarray) -> Measured:
    """The mean over the K classes of these rows of the share p_k of their rows that are found.

    A row of class k has the influence (found − p_k)·n/(K·n_k). Where p_k is 0 or 1, this would
    claim certainty: these rows count as if p_k had the error 1/n_k, as an accuracy has.
    """
    is_found = (probability.argmax(axis=1) == y).astype(np.float64)
    counts = np.bincount(y)
    recalls = np.bincount(y, weights=is_found) / np.maximum(counts, 1)
    present = np.count_nonzero(counts)
    spread = np.where(np.isin(recalls[y], (0.0, 1.0)), counts[y] ** -0.5, is_found - recalls[y])
    influence = spread * len(y) / (present * counts[y])
    return float(recalls.sum() / present), influence


def _measure_roc_auc(y: np.ndarray, probability: np.ndarray) -> Measured:
    """The area under the ROC curve; of several classes the mean over each against the others.

    It is the share of pairs (a row of the class, another row) whose probabilities are in order,
    ties counted half. The influence of a row is the share of its own pairs less the area, times
    n/n_own (DeLong, DeLong and Clarke-Pearson 1988). It is 0.5 where the rows have one class.
    """
    classes = [1] if probability.shape[1] == 2 else list(range(probability.shape[1]))
    areas, influences = [], []
    for label in classes:
        members, others = (probability[part, label] for part in (y == label, y != label))
        if not len(members) or not len(others):
            continue
        above, below = (
            _compute_share_below(members, others),
            1 - _compute_share_below(others, members),
        )
        area = float(above.mean())
        if area in (0.0, 1.0):  # no certainty: both sides count as if they had the error 1/n
            above, below = (
                np.full(len(side), area + len(side) ** -0.5) for side in (members, others)
            )
        influence = np.empty(len(y))
        influence[y == label] = (above - area) * len(y) / len(members)
        influence[y != label] = (below - area) * len(y) / len(others)
        areas.append(area)
        influences.append(influence)
    if not areas:
        return 0.5, np.full(len(y), math.nan)
    return float(np.mean(areas)), np.mean(influences, axis=0)


def _compute_share_below(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """For each value the share of the others that are lower, with half of those that are equal."""
    ranked = np.sort(others)
    below = np.searchsorted(ranked, values, "left") + np.searchsorted(ranked, values, "right")
    return below / (2 * len(others))


def _measure_log_loss(y: np.ndarray, probability: np.ndarray) -> Measured:
    """−log of the probability of each row's class, which is taken as at least float64's epsilon."""
    of_true_class = probability[np.arange(len(y)), y].astype(np.float64)
    return _measure_mean(-np.log(np.clip(of_true_class, np.finfo(np.float64).eps, 1.0)))


def _compute_residuals(y: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    return y.astype(np.float64) - prediction.astype(np.float64)


def _measure_r2(y: np.ndarray, prediction: np.ndarray) -> Measured:
    """1 − Σ(y − ŷ)²/Σ(y − ȳ)², with the mean ȳ of these rows, and 0 where y does not vary.

    The influence of a row is −((y − ŷ)² − (1 − R²)·(y − ȳ)²)/mean((y − ȳ)²).
    """
    squares = _compute_residuals(y, prediction) ** 2
    spread = (y.astype(np.float64) - y.mean(dtype=np.float64)) ** 2
    if not spread.any():
        return 0.0, np.full(len(y), math.nan)
    score = 1.0 - float(squares.sum()) / float(spread.sum())
    return score, ((1 - score) * spread - squares) / spread.mean()


def _measure_mae(y: np.ndarray, prediction: np.ndarray) -> Measured:
    return _measure_mean(np.abs(_compute_residuals(y, prediction)))


def _measure_rmse(y: np.ndarray, prediction: np.ndarray) -> Measured:
    """√mean((y − ŷ)²), which a row moves by half of what it moves the mean, over the root."""
    mean, influence = _measure_mean(_compute_residuals(y, prediction) ** 2)
    root = math.sqrt(mean)
    return root, influence / (2 * root) if root else influence


METRICS = {
    metric.name: metric
    for metric in (
        Metric(
            "accuracy",
            "accuracy",
            "the share of rows that are predicted correctly",
            "classes",
            _measure_accuracy,
            "the majority class",
            counts_rows=True,
        ),
        Metric(
            "balanced_accuracy",
            "balanced accuracy",
            "the share of each class that is predicted correctly, mean over classes",
            "classes",
            _measure_balanced_accuracy,
            "the majority class",
            counts_rows=True,
        ),
        Metric(
            "roc_auc",
            "ROC AUC",
            "how often a row of a class gets a higher probability of it than another row does",
            "classes",
            _measure_roc_auc,
            "guessing by class shares",
        ),
        Metric(
            "log_loss",
            "log-loss",
            "minus the log of the probability of the true class, mean over rows; lower is better",
            "classes",
            _measure_log_loss,
            "guessing by class shares",
            best=0.0,
        ),
        Metric(
            "r2",
            "R²",
            "1 is a perfect prediction, 0 is no better than a constant",
            "numbers",
            _measure_r2,
            "the mean",
        ),
        Metric(
            "mae",
            "MAE",
            "the mean distance from the true value, in the units of the target; lower is better",
            "numbers",
            _measure_mae,
            "the median",
            best=0.0,
            in_units=True,
        ),
        Metric(
            "rmse",
            "RMSE",
            "the root of the mean squared distance from the true value, in the units of the "
            "target; lower is better",
            "numbers",
            _measure_rmse,
            "the mean",
            best=0.0,
            in_units=True,
        ),
    )
}
