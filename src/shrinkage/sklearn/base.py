"""What the estimators for classes and for numbers have in common: arguments and fitting."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from shrinkage.linear import LOSSES, solve
from shrinkage.penalties import L2, Penalty
from shrinkage.sklearn.arguments import check_arguments, check_sizes, check_way
from shrinkage.sklearn.importances import importances
from shrinkage.sklearn.parameters import Array, BoundPenalty, Parameters
from shrinkage.sklearn.penalty_argument import (
    PenaltyArgument,
    make_penalty,
    numbers,
    with_number,
)
from shrinkage.sklearn.training import Data, Objective, Progress, Schedule, forward, train
from shrinkage.sklearn.update_rules import Adam, Sgd, UpdateRule

ALPHA = 1e-4  # scikit-learn's, where there is no penalty
LARGEST_BATCH = 200  # of batch_size="auto"
LINEAR_TOL = 1e-4  # times tol: what a linear model is solved to
OUTPUTS = {"squared_error": "identity", "log_loss": "softmax", "binary_log_loss": "logistic"}


@dataclass(eq=False, repr=False)
class BaseMLP(BaseEstimator):
    """The arguments of all four estimators, which `MLPClassifier` describes.

    A dataclass writes the constructor that scikit-learn asks for: it stores what it is given.
    """

    hidden_layer_sizes: Any = (100,)
    activation: str = "relu"
    _: KW_ONLY
    penalty: PenaltyArgument = None
    how: str = "proximal"
    on: str = "weights"
    solver: str = "adam"
    alpha: float | str = "auto"
    batch_size: int | str = "auto"
    learning_rate: str = "constant"
    learning_rate_init: float = 0.001
    power_t: float = 0.5
    max_iter: int = 200
    shuffle: bool = True
    random_state: Any = None
    tol: float = 1e-4
    verbose: bool = False
    momentum: float = 0.9
    nesterovs_momentum: bool = True
    early_stopping: bool = False
    validation_fraction: float = 0.1
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    n_iter_no_change: float = 10

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The arguments by name; with `deep` also the penalty's own, such as ``penalty__lam``."""
        params: dict[str, Any] = super().get_params(deep=deep)
        if deep:
            params |= {f"penalty__{name}": value for name, value in numbers(self.penalty).items()}
        return params

    def set_params(self, **params: Any) -> Self:
        """Set arguments; ``penalty__lam`` and the like put a new penalty in place."""
        prefix = "penalty__"
        super().set_params(**{k: v for k, v in params.items() if not k.startswith(prefix)})
        nested = {k.removeprefix(prefix): v for k, v in params.items() if k.startswith(prefix)}
        for name in sorted(nested, key=lambda name: name != "lam"):  # a text without it needs it
            self.penalty = with_number(self.penalty, name, nested[name])
        return self

    def _fit(
        self,
        X: Any,
        targets: Array,
        weights: Array | None,
        loss: str,
        *,
        keep: bool,
        epochs: int | None = None,
    ) -> Self:
        """Fit to checked data.

        Parameters
        ----------
        keep : bool
            Begin at the present parameters.
        epochs : int, optional
            For a partial fit, which goes on from the last one in everything.
        """
        sizes = [X.shape[1], *check_sizes(self.hidden_layer_sizes), targets.shape[1]]
        is_solved = len(sizes) == 2 and epochs is None
        penalty = make_penalty(self.penalty)
        check_way(penalty, self.how, None if is_solved else self.solver)
        rng = check_random_state(self.random_state)
        parameters = Parameters(sizes, X.dtype)
        if keep:
            self._check_shapes(parameters)
            parameters.read(self.coefs_, self.intercepts_)
        elif not is_solved:
            parameters.draw(self.activation, rng)
        self.out_activation_, self._loss = OUTPUTS[loss], loss
        if is_solved:
            self._solve(parameters, X, targets, weights, penalty, keep)
        else:
            self._train(parameters, X, targets, weights, penalty, rng, epochs)
        if not np.isfinite(parameters.values).all():
            raise ValueError(
                "training diverged: the weights are no longer finite. Standardize X, or lower "
                f"learning_rate_init={self.learning_rate_init}"
            )
        self._describe(parameters, X)
        return self

    def _solve(
        self,
        parameters: Parameters,
        X: Any,
        targets: Array,
        weights: Array | None,
        penalty: Penalty | None,
        keep: bool,
    ) -> None:
        """A linear model, to the minimum."""
        total = len(targets) if weights is None else float(weights.sum())
        ridge = L2(self._alpha() / (2.0 * total))
        on_weights = penalty if penalty is not None and self.on != "biases" else None
        solution = solve(
            X,
            targets,
            ridge if on_weights is None else on_weights if ridge.is_zero else on_weights + ridge,
            self._loss,
            intercept_penalty=None if self.on == "weights" else penalty,
            sample_weight=weights,
            start=(parameters.coefs[0], parameters.intercepts[0]) if keep else None,
            tol=LINEAR_TOL * self.tol,
        )
        parameters.read([solution.weights], [solution.intercepts])
        self.n_iter_, self.loss_ = solution.iterations, solution.value
        self.loss_curve_, self.best_loss_ = [solution.value], solution.value
        if self.verbose:
            print(f"Solved in {self.n_iter_} iterations, loss = {self.loss_:.8f}")

    def _train(
        self,
        parameters: Parameters,
        X: Any,
        targets: Array,
        weights: Array | None,
        penalty: Penalty | None,
        rng: np.random.RandomState,
        epochs: int | None,
    ) -> None:
        """A network, by mini-batches."""
        is_partial = epochs is not None and hasattr(self, "_progress")
        progress = self._progress if is_partial else Progress()
        rule = self._rule if is_partial else self._make_rule(parameters.values)
        validate = None
        if self.early_stopping:
            if epochs is not None:
                raise ValueError("early_stopping must be False for partial_fit, got True")
            X, targets, weights, validate = self._hold_out(parameters, X, targets, weights, rng)
        mean = 1.0 if weights is None else float(weights.mean())
        schedule = Schedule(
            max_iter=epochs or self.max_iter,
            batch_size=self._batch_size(len(targets)),
            shuffle=self.shuffle,
            tol=self.tol,
            n_iter_no_change=self.n_iter_no_change,
            verbose=bool(self.verbose),
        )
        bound = None
        if penalty is not None and not penalty.is_zero:
            bound = BoundPenalty(penalty, self.on, self.how, parameters)
        is_done = train(
            parameters,
            Data(X, targets, None if weights is None else (weights / mean).astype(X.dtype)),
            Objective(self._loss, self.activation, self._alpha() / mean, bound),
            rule,
            schedule,
            progress,
            rng,
            validate,
        )
        if not is_done and epochs is None:
            warnings.warn(
                f"training ended after max_iter={self.max_iter} epochs, before the loss stopped "
                "falling by tol: raise max_iter, or learning_rate_init",
                ConvergenceWarning,
                stacklevel=4,
            )
        self._rule, self._progress = rule, progress
        self.n_iter_, self.t_ = progress.n_iter, progress.samples_seen
        self.loss_curve_, self.loss_ = progress.loss_curve, progress.loss_curve[-1]
        self.best_loss_ = None if self.early_stopping else -progress.best
        self.validation_scores_ = progress.validation_scores if self.early_stopping else None
        self.best_validation_score_ = progress.best if self.early_stopping else None

    def _hold_out(
        self,
        parameters: Parameters,
        X: Any,
        targets: Array,
        weights: Array | None,
        rng: np.random.RandomState,
    ) -> tuple[Any, Array, Array | None, Callable[[], float]]:
        """The data to train on, and the score on the rows held out."""
        train_rows, rows = self._split(targets, rng)
        held_weights = None if weights is None else weights[rows]
        held_X, held_targets = X[rows], targets[rows]

        def validate() -> float:
            scores = forward(parameters, held_X, self.activation)[-1]
            if not np.isfinite(scores).all():
                return float("nan")
            predictions = LOSSES[self._loss].predict(scores)
            return self._score_targets(held_targets, predictions, held_weights)

        kept = None if weights is None else weights[train_rows]
        return X[train_rows], targets[train_rows], kept, validate

    def _make_rule(self, values: Array) -> UpdateRule:
        lr = float(self.learning_rate_init)
        if self.solver == "adam":
            return Adam(values, lr, self.beta_1, self.beta_2, self.epsilon)
        return Sgd(
            values, lr, self.learning_rate, self.power_t, self.momentum, self.nesterovs_momentum
        )

    def _batch_size(self, n_samples: int) -> int:
        if self.batch_size == "auto":
            return min(LARGEST_BATCH, n_samples)
        if self.batch_size > n_samples:
            warnings.warn(
                f"batch_size={self.batch_size} is more than the {n_samples} samples: a batch is "
                "all of them",
                stacklevel=5,
            )
        return int(min(self.batch_size, n_samples))

    def _alpha(self) -> float:
        if self.alpha == "auto":
            return ALPHA if self.penalty is None else 0.0
        return float(self.alpha)

    def _check_shapes(self, parameters: Parameters) -> None:
        shapes = [coef.shape for coef in parameters.coefs]
        fitted = [coef.shape for coef in self.coefs_]
        if shapes != fitted:
            raise ValueError(
                f"hidden_layer_sizes={self.hidden_layer_sizes!r} makes weights of the shapes "
                f"{shapes}, but the fitted model has {fitted}: set warm_start=False, or fit a clone"
            )

    def _describe(self, parameters: Parameters, X: Any) -> None:
        """The fitted attributes that say what is left of the model."""
        self.coefs_, self.intercepts_ = parameters.coefs, parameters.intercepts
        self.n_layers_, self.n_outputs_ = len(parameters.sizes), parameters.sizes[-1]
        weights = parameters.values[: parameters.n_weights]
        self.sparsity_ = float(np.mean(weights == 0))
        self.selected_features_ = (self.coefs_[0] != 0).any(axis=1)
        self.feature_importances_ = importances(parameters, X, self.activation)

    def _predict_outputs(self, X: Any) -> Array:
        """Numbers or probabilities: (samples, outputs)."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", dtype=(np.float64, np.float32), reset=False)
        parameters = Parameters([X.shape[1], *(coef.shape[1] for coef in self.coefs_)], X.dtype)
        parameters.coefs, parameters.intercepts = self.coefs_, self.intercepts_
        return LOSSES[self._loss].predict(forward(parameters, X, self.activation)[-1])

    def _check_arguments(self) -> None:
        check_arguments(self.get_params(deep=False))
        check_sizes(self.hidden_layer_sizes)

    def _split(self, targets: Array, rng: np.random.RandomState) -> tuple[Array, Array]:
        """The rows to train on and the rows held out for early stopping."""
        raise NotImplementedError

    def _score_targets(self, targets: Array, predictions: Array, weights: Array | None) -> float:
        """The validation score of `predictions`."""
        raise NotImplementedError

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def read_data(estimator: Any, X: Any, y: Any, *, reset: bool, numeric: bool) -> tuple[Any, Any]:
    """Checked X (dense or CSR, float64 or float32) and y (samples,) or (samples, outputs)."""
    X, y = validate_data(
        estimator,
        X,
        y,
        accept_sparse="csr",
        multi_output=True,
        y_numeric=numeric,
        dtype=(np.float64, np.float32),
        reset=reset,
    )
    if sparse.issparse(X) and not X.has_sorted_indices:
        X = X.sorted_indices()
    return X, y
