"""Networks and linear models with any penalty, as scikit-learn's estimators."""
