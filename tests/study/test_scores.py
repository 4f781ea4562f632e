"""Scores beside scikit-learn's, and their errors beside a bootstrap."""

import math

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, r2_score

from shrinkage.study.scores import sampling_error, score_predictions


@pytest.fixture
def numbers():
    generator = np.random.default_rng(3)
    y = generator.normal(size=400)
    return y, y + 0.7 * generator.normal(size=400)


def test_the_scores_are_scikit_learns(numbers):
    y, prediction = numbers
    assert score_predictions(y, prediction, "numbers") == pytest.approx(
        r2_score(y, prediction), abs=1e-12
    )
    labels, answers = (y > 0).astype(int), (prediction > 0).astype(int)
    assert score_predictions(labels, answers, "classes") == accuracy_score(labels, answers)
    assert score_predictions(np.ones(3), np.ones(3), "numbers") == 0.0


def test_the_error_of_an_accuracy():
    y = np.arange(50) < 45
    assert sampling_error(y, np.ones(50, bool), "classes") == pytest.approx(
        math.sqrt(0.9 * 0.1 / 50)
    )
    assert sampling_error(y, y, "classes") == 1 / 50  # none wrong of 50 is no certainty
    assert sampling_error(y, ~y, "classes") == 1 / 50


@pytest.mark.slow
def test_the_error_of_an_r2_is_that_of_a_bootstrap(numbers):
    y, prediction = numbers
    generator = np.random.default_rng(0)
    draws = generator.integers(0, len(y), (2000, len(y)))
    bootstrap = np.std([r2_score(y[rows], prediction[rows]) for rows in draws])
    assert sampling_error(y, prediction, "numbers") == pytest.approx(bootstrap, rel=0.06)
    assert math.isnan(sampling_error(np.ones(5), np.zeros(5), "numbers"))
