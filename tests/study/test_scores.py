"""Scores beside scikit-learn's, and their errors beside a bootstrap."""

import math

import numpy as np
import pytest
from sklearn import metrics

from shrinkage.study.errors import UsageError
from shrinkage.study.scores import METRICS, estimate_probabilities, find_metric

ROWS = 400
SCIKIT_LEARN = {
    "accuracy": lambda y, p: metrics.accuracy_score(y, p.argmax(axis=1)),
    "balanced_accuracy": lambda y, p: metrics.balanced_accuracy_score(y, p.argmax(axis=1)),
    "roc_auc": lambda y, p: metrics.roc_auc_score(
        y, p[:, 1] if p.shape[1] == 2 else p, multi_class="ovr"
    ),
    "log_loss": metrics.log_loss,
    "r2": metrics.r2_score,
    "mae": metrics.mean_absolute_error,
    "rmse": metrics.root_mean_squared_error,
}


def rows_of(name, classes=2):
    """Answers and predictions, a little better than chance; rounded, so that some are tied."""
    generator = np.random.default_rng(3)
    if METRICS[name].task == "numbers":
        y = generator.normal(size=ROWS)
        return y, y + 0.7 * generator.normal(size=ROWS)
    y = generator.choice(classes, ROWS, p=[0.2, *[0.8 / (classes - 1)] * (classes - 1)])
    logits = generator.normal(size=(ROWS, classes)) + np.eye(classes)[y]
    return y, estimate_probabilities(logits.round(1))


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", METRICS)
def test_the_scores_are_scikit_learns(name, classes):
    y, prediction = rows_of(name, classes)
    told = SCIKIT_LEARN[name](y, prediction)
    assert METRICS[name].score(y, prediction) == pytest.approx(told, abs=1e-12)


@pytest.mark.quick_where(classes=[3])
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", METRICS)
def test_the_errors_are_those_of_a_bootstrap(name, classes):
    y, prediction = rows_of(name, classes)
    generator = np.random.default_rng(0)
    scores = []
    for _ in range(800):  # whose own error is 1/√1600 = 2.5 %, and here twice that is too little
        rows = generator.integers(0, ROWS, ROWS)
        scores.append(METRICS[name].score(y[rows], prediction[rows]))
    assert METRICS[name].error(y, prediction) == pytest.approx(np.std(scores), rel=0.1)


@pytest.mark.parametrize("name", ["mae", "rmse"])
def test_errors_are_in_the_units_of_the_target(name):
    y, prediction = rows_of(name)
    metric = METRICS[name]
    for measure in (metric.score, metric.error):
        own = measure(1000 * y + 5, 1000 * prediction + 5)
        assert measure(y, prediction, 1000.0) == pytest.approx(own, rel=1e-9)
    y, prediction = rows_of("r2")
    assert METRICS["r2"].score(y, prediction, 1000.0) == METRICS["r2"].score(y, prediction)


def test_the_error_of_an_accuracy():
    accuracy, y = METRICS["accuracy"], (np.arange(50) < 45).astype(int)
    always = np.tile([0.1, 0.9], (50, 1))
    assert accuracy.error(y, always) == pytest.approx(math.sqrt(0.9 * 0.1 / 50))
    assert accuracy.error(y, np.eye(2)[y]) == 1 / 50  # none wrong of 50 is no certainty
    assert accuracy.error(y, np.eye(2)[1 - y]) == 1 / 50


def test_where_a_score_says_nothing():
    ones = np.ones(5)
    assert METRICS["r2"].score(ones, ones) == 0.0
    assert math.isnan(METRICS["r2"].error(ones, np.zeros(5)))
    one_class = np.zeros(5, int)
    assert METRICS["roc_auc"].score(one_class, np.full((5, 2), 0.5)) == 0.5
    assert METRICS["rmse"].error(ones, ones) == 0.0


def test_a_probability_of_0_of_what_happens_is_finite():
    loss = METRICS["log_loss"].score(np.array([1]), np.array([[1.0, 0.0]]))
    assert loss == pytest.approx(-math.log(np.finfo(float).eps))


def test_one_logit_stands_for_two_classes():
    logits = np.array([[0.0], [2.0], [-800.0]], np.float32)
    expected = [[0.5, 0.5], [1 / (1 + math.e**2), 1 / (1 + math.e**-2)], [1.0, 0.0]]
    np.testing.assert_allclose(estimate_probabilities(logits), expected, rtol=1e-12)
    several = np.array([[1000.0, 0.0, 0.0]], np.float32)
    np.testing.assert_allclose(estimate_probabilities(several), [[1.0, 0.0, 0.0]])


def test_a_metric_belongs_to_a_task():
    assert find_metric(None, "classes").name == "accuracy"
    assert find_metric(None, "numbers").name == "r2"
    with pytest.raises(UsageError, match="'r2' is of regression: classification has accuracy, bal"):
        find_metric("r2", "classes")
    with pytest.raises(UsageError, match="metric 'auc' is unknown; did you mean 'roc_auc'"):
        find_metric("auc", "classes")


@pytest.mark.parametrize("name", METRICS)
def test_perfect_predictions_have_the_best_score(name):
    metric = METRICS[name]
    y = np.array([0, 1, 1, 0]) if metric.task == "classes" else np.array([1.0, 2.0, 4.0, 9.0])
    perfect = np.eye(2)[y] if metric.task == "classes" else y
    assert metric.score(y, perfect) == metric.best
    assert metric.gain(metric.best) > metric.gain(0.5)


def test_a_class_that_is_wholly_found_is_not_certain_to_be():
    """72 rows of a class, all found, and one row of another, which can move the score by half."""
    y = np.array([0] * 72 + [1])
    probability = np.column_stack([1.0 - y, y])
    metric = METRICS["balanced_accuracy"]
    assert metric.score(y, probability) == 1.0
    expected = np.hypot(1 / 72, 1) / 2
    assert metric.error(y, probability) == pytest.approx(expected, rel=1e-12)


def test_an_order_without_a_mistake_is_not_certain_either():
    """72 rows of one class below the single row of the other."""
    y = np.array([0] * 72 + [1])
    shares = np.linspace(0.1, 0.9, 73)
    metric = METRICS["roc_auc"]
    for sign in (1, -1):
        probability = np.column_stack([1 - shares[::sign], shares[::sign]])
        assert metric.score(y, probability) == (sign + 1) / 2
        assert metric.error(y, probability) == pytest.approx(np.hypot(1 / 72, 1), rel=1e-12)
