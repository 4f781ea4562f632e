"""`MLPClassifier`: classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self, final

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels
from sklearn.utils.validation import column_or_1d

from shrinkage.sklearn.arguments import check_sample_weight
from shrinkage.sklearn.base import BaseMLP, read_data
from shrinkage.sklearn.parameters import Array


@dataclass(eq=False, repr=False, kw_only=True)
class ClassifierPart(ClassifierMixin, BaseMLP):
    """What the estimators for classes do with y."""

    class_weight: Any = None

    def predict(self, X: Any) -> Array:
        """The most probable class of each sample, (samples,); of many labels (samples, labels)."""
        return self._decode(self._predict_outputs(X))

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

    def _read(self, X: Any, y: Any, *, reset: bool, classes: Any = None) -> tuple[Any, Any, Array]:
        """X, y as it was, and the targets (samples, outputs) in X's type."""
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
        targets = self._binarizer.transform(y)
        return X, y, targets.astype(X.dtype)

    def _loss_name(self) -> str:
        is_softmax = self._binarizer.y_type_ == "multiclass" and len(self.classes_) > 2
        return "log_loss" if is_softmax else "binary_log_loss"

    def _weigh(self, sample_weight: Any, X: Any, y: Any) -> Array | None:
        """The samples' weights times those of their classes."""
        weights = check_sample_weight(sample_weight, X)
        if self.class_weight is None:
            return weights
        by_class: Array = compute_sample_weight(self.class_weight, y)
        return by_class if weights is None else weights * by_class

    def _decode(self, outputs: Array) -> Array:
        if outputs.shape[1] == 1:
            outputs = outputs.ravel()
        labels: Array = self._binarizer.inverse_transform(outputs, threshold=0.5)
        return labels

    def _split(self, targets: Array, rng: np.random.RandomState) -> tuple[Array, Array]:
        train_rows, held = train_test_split(
            np.arange(len(targets)),
            test_size=self.validation_fraction,
            random_state=rng,
            stratify=targets if targets.shape[1] == 1 else None,  # as scikit-learn's
        )
        if len(held) < 2:
            raise ValueError(
                f"validation_fraction={self.validation_fraction} holds out fewer than 2 of "
                f"{len(targets)} samples: raise it, or set early_stopping=False"
            )
        return train_rows, held

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
    """A network or linear model for classes, with any penalty: mean log-loss + Ω."""

    warm_start: bool = False

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit to inputs X (samples, inputs) and classes y (samples,), or labels in columns."""
        self._check_arguments()
        keep = bool(self.warm_start) and hasattr(self, "coefs_")
        X, y, targets = self._read(X, y, reset=not keep)
        weights = self._weigh(sample_weight, X, y)
        return self._fit(X, targets, weights, self._loss_name(), keep=keep)

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train for one epoch on this data, from where the last call ended.

        `classes` are all classes that will come; the first call needs them.
        """
        self._check_arguments()
        keep = hasattr(self, "coefs_")
        if not keep and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit, got None")
        if self.class_weight == "balanced":
            raise ValueError(
                'class_weight="balanced" needs all of y, and partial_fit sees a part: give '
                "a dict of weights, which compute_class_weight makes"
            )
        X, y, targets = self._read(X, y, reset=not keep, classes=classes)
        if keep and classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(
                f"classes must be those of the first call, {self.classes_.tolist()}, got "
                f"{list(classes)}"
            )
        weights = self._weigh(sample_weight, X, y)
        return self._fit(X, targets, weights, self._loss_name(), keep=keep, epochs=1)
