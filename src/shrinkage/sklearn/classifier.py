"""`MLPClassifier`: classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self, final

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels
from sklearn.utils.validation import column_or_1d

from shrinkage.sklearn.base import BaseMLP
from shrinkage.sklearn.checks import check_sample_weight, read_data
from shrinkage.sklearn.parameters import Array
from shrinkage.sklearn.task import Data


@dataclass(eq=False, repr=False, kw_only=True)
class ClassifierPart(ClassifierMixin, BaseMLP):
    """What the estimators for classes do with y."""

    class_weight: Any = None

    def predict_proba(self, X: Any) -> Array:
        """The probability of each class in `classes_`, or of each label: (samples, classes)."""
        outputs = self._predict_outputs(X)
        if outputs.shape[1] > 1:
            return outputs
        if len(self.classes_) == 1:
            return np.ones_like(outputs)
        return np.hstack([1.0 - outputs, outputs])

    def predict_log_proba(self, X: Any) -> Array:
        """The logarithm of `predict_proba`."""
        with np.errstate(divide="ignore"):
            logarithms: Array = np.log(self.predict_proba(X))
        return logarithms

    def _prepare(
        self, X: Any, y: Any, sample_weight: Any, *, reset: bool, classes: Any = None
    ) -> tuple[Data, str]:
        X, y = read_data(self, X, y, reset=reset, numeric=False)
        check_classification_targets(y)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if reset:
            is_multilabel = type_of_target(y).startswith("multilabel")
            labels = y if classes is None or is_multilabel else classes
            self._binarizer = LabelBinarizer().fit(labels)
            self.classes_ = self._binarizer.classes_
        unknown = np.setdiff1d(unique_labels(y), self.classes_)
        if len(unknown):
            raise ValueError(
                f"y has the classes {unknown.tolist()}, which the first fit did not have "
                f"(classes: {self.classes_.tolist()}): fit a clone anew"
            )
        weights = check_sample_weight(sample_weight, X)
        if self.class_weight is not None:
            by_class = compute_sample_weight(self.class_weight, y)
            weights = by_class if weights is None else weights * by_class
        is_softmax = self._binarizer.y_type_ == "multiclass" and len(self.classes_) > 2
        targets = self._binarizer.transform(y).astype(X.dtype)
        return Data(X, targets, weights), "log_loss" if is_softmax else "binary_log_loss"

    def _decode(self, outputs: Array) -> Array:
        if outputs.shape[1] == 1:
            outputs = outputs.ravel()
        labels: Array = self._binarizer.inverse_transform(outputs, threshold=0.5)
        return labels

    def _strata(self, targets: Array) -> Array | None:
        return targets if targets.shape[1] == 1 else None  # as scikit-learn's

    def _score_targets(self, targets: Array, predictions: Array, weights: Array | None) -> float:
        truth, predicted = self._decode(targets), self._decode(predictions)
        return float(accuracy_score(truth, predicted, sample_weight=weights))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


@final
@dataclass(eq=False, repr=False, kw_only=True)
class MLPClassifier(ClassifierPart):
    """A network or linear model for classes, with any penalty: mean log-loss + Ω.

    Names, defaults and training are those of scikit-learn's ``MLPClassifier``. A penalty makes
    weights exactly zero, and whole inputs with ``group_lasso:groups=in``. Two classes have one
    logit, more have softmax, and labels in columns a logit each.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default (100,)
        The units of each hidden layer. ``()`` is a linear model, solved to convergence.
    activation : {"relu", "tanh", "logistic", "identity"}, default "relu"
        Of the hidden layers.
    penalty : Penalty or str, optional
        Ω, for each array of weights: ``L1(1e-3)`` or "l1:1e-3". Groups of "in" are inputs and those
        of "out" are units. In a linear model lam is ``alpha`` of scikit-learn's ``Lasso`` and
        ``ElasticNet``, and ``1/(n·C)`` of its ``LogisticRegression``. ``set_params(penalty__lam=)``
        puts a penalty of that strength in place, also in ``GridSearchCV``.
    how : {"proximal", "coupled"}, default "proximal"
        A prox after each step, which makes exact zeros, or the penalty's gradient in the step. Both
        come to rest at the same minimum.
    on : {"weights", "biases", "all"}, default "weights"
        What the penalty is on.
    solver : {"adam", "sgd"}, default "adam"
        For networks.
    alpha : float or "auto", default "auto"
        ``alpha/(2n)·Σw²`` is added, with the n rows of a batch, as in scikit-learn. "auto" is 1e-4
        without a penalty and 0 with one.
    batch_size, learning_rate, learning_rate_init, power_t, max_iter, shuffle, momentum, \
nesterovs_momentum, early_stopping, validation_fraction, beta_1, beta_2, epsilon, \
n_iter_no_change, verbose
        As in scikit-learn, for networks.
    random_state : int, RandomState or None
        Of the first weights, the order of the rows, and the rows held out.
    tol : float, default 1e-4
        Training ends when the loss falls by less for `n_iter_no_change` epochs. A linear model is
        solved until its derivative is 1e-4·tol of the largest derivative without inputs.
    class_weight : dict or "balanced", optional
        Weights of the classes, which multiply those of the samples.
    warm_start : bool, default False
        Begin a `fit` at the present weights.

    Attributes
    ----------
    coefs_, intercepts_ : lists of arrays (inputs, outputs) and (outputs,)
    selected_features_ : array of bool (inputs,)
        Which inputs have a weight in the first layer that is not 0.
    feature_importances_ : array (inputs,)
        The mean size of the derivative of the scores by an input, times its standard deviation;
        they sum to 1.
    sparsity_ : float
        The share of weights that are exactly 0.
    loss_, loss_curve_, best_loss_, n_iter_, t_
        The objective, penalty included, after training and by epoch.
    classes_, n_features_in_, feature_names_in_, n_outputs_, n_layers_, out_activation_, \
validation_scores_, best_validation_score_
        As in scikit-learn.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.preprocessing import StandardScaler
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> X = StandardScaler().fit_transform(X)
    >>> model = MLPClassifier(hidden_layer_sizes=(), penalty="l1:0.05").fit(X, y)
    >>> int(model.selected_features_.sum()), round(model.score(X, y), 2)
    (4, 0.96)
    >>> model.predict(X[:3]), model.predict_proba(X[:1]).round(3)
    (array([0, 0, 0]), array([[0.989, 0.011]]))
    >>> model.predict_log_proba(X[:1]).round(2)
    array([[-0.01, -4.55]])

    A network learns from parts of the data, or for some more epochs, without forgetting the rest:

    >>> network = MLPClassifier(penalty="l1:1e-3", random_state=0)
    >>> for rows in (slice(0, 200), slice(200, 400), slice(400, 569)):
    ...     network = network.partial_fit(X[rows], y[rows], classes=[0, 1])
    >>> len(network.loss_curve_)
    3
    """

    warm_start: bool = False

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit to inputs X (samples, inputs) and classes y (samples,), or labels in columns."""
        return self._begin(X, y, sample_weight, keep=self.warm_start)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Train for one epoch on this data, from where the last call ended.

        `classes` are all classes that will come; the first call needs them.
        """
        is_first = not hasattr(self, "coefs_")
        if is_first and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit, got None")
        if not is_first and classes is not None and set(classes) != set(self.classes_):
            raise ValueError(
                f"classes must be those of the first call, {self.classes_.tolist()}, got "
                f"{list(classes)}"
            )
        if self.class_weight == "balanced":
            raise ValueError(
                'class_weight="balanced" needs all of y, and partial_fit sees a part: give '
                "a dict of weights, which compute_class_weight makes"
            )
        return self._begin(X, y, sample_weight, keep=True, epochs=1, classes=classes)
