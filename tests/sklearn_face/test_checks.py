"""scikit-learn's own checks of estimators, all of them.

Its MLPs skip none. Those of many fits are slow: a linear model is quick. Each class
is checked, both kinds of models for classes and for numbers, alone and with cross-validation.
"""

import warnings

import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator

from shrinkage.sklearn import MLPClassifier, MLPClassifierCV, MLPRegressor, MLPRegressorCV

CROSS_VALIDATION = {"strengths": [0.1, 0.01], "cv": 2}
GRID = {"strengths": [0.01, 0.001], "cv": 2, "max_iter": 10, "learning_rate_init": 0.1}
QUICK = [MLPRegressor(())]
SLOW = [
    MLPClassifier((), penalty="l2:0.01"),
    MLPRegressor(penalty="l1:1e-3", solver="sgd", max_iter=100),
    MLPClassifier(
        (10,), penalty="group_lasso:1e-3,groups=in", max_iter=30, learning_rate_init=0.05
    ),
    MLPClassifierCV((), penalty="l2", **CROSS_VALIDATION),
    MLPRegressorCV((10,), rule="best", **GRID),
]


@pytest.mark.parametrize(
    "estimator", [*QUICK, *(pytest.param(one, marks=pytest.mark.slow) for one in SLOW)], ids=str
)
def test_every_check_of_scikit_learn_passes(estimator):
    for checked, check in estimator_checks_generator(estimator):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of convergence, and of cv with few rows
            try:
                check(checked)
            except pytest.skip.Exception:
                raise
            except Exception as error:
                if type(error).__name__ == "SkipTest":  # no decision_function, no array API
                    continue
                name = getattr(check, "func", check).__name__
                raise AssertionError(f"{name}: {error}") from error
