"""Networks and linear models with any penalty, as scikit-learn's estimators."""

from shrinkage.sklearn.classifier import MLPClassifier
from shrinkage.sklearn.cross_validated import MLPClassifierCV, MLPRegressorCV
from shrinkage.sklearn.regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPClassifierCV", "MLPRegressor", "MLPRegressorCV"]
