"""What the estimators for classes and for numbers have in common: arguments and fitting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from shrinkage.linear.losses import LOSSES
from shrinkage.linear.problem import Problem
from shrinkage.linear.solving import Solution, make_problem, minimize, warn_unless_converged
from shrinkage.penalties import L2, Penalty
from shrinkage.sklearn.arguments import MLPArguments
from shrinkage.sklearn.checks import check_sizes, check_way
from shrinkage.sklearn.importances import importances
from shrinkage.sklearn.numpy_engine import forward
from shrinkage.sklearn.parameters import Array, BoundPenalty, Parameters
from shrinkage.sklearn.penalty_argument import make_penalty
from shrinkage.sklearn.task import Data, Objective, Task
from shrinkage.sklearn.training import Progress, train
from shrinkage.sklearn.update_rules import UpdateRule
from shrinkage.user_warning import warn_user

LINEAR_TOL = 1e-4  # times tol: what a linear model is solved to
OUTPUTS = {"squared_error": "identity", "log_loss": "softmax", "binary_log_loss": "logistic"}


@dataclass(eq=False, repr=False)
class BaseMLP(MLPArguments):
    """How a network or a linear model is fitted, for numbers and classes alike."""

    def predict(self, X: Any) -> Array:
        """The most probable class, or the number, of each sample: (samples,).

        Of many labels, or where y had several columns, (samples, outputs).
        """
        return self._decode(self._predict_outputs(X))

    def _begin(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        *,
        keep: bool,
        epochs: int | None = None,
        classes: Any = None,
    ) -> Self:
        """Check arguments and data, and fit; `keep` begins at the last fit, where there is one."""
        self._check_arguments()
        keep = keep and hasattr(self, "coefs_")
        data, loss = self._prepare(X, y, sample_weight, reset=not keep, classes=classes)
        is_done = self._fit(data, loss, keep=keep, epochs=epochs)
        if not is_done and epochs is None:
            warn_user(
                f"training ended after max_iter={self.max_iter} epochs, before the loss stopped "
                "falling by tol: raise max_iter, or learning_rate_init",
                ConvergenceWarning,
            )
        return self

    def _fit(
        self,
        data: Data,
        loss: str,
        *,
        keep: bool,
        epochs: int | None = None,
        problem: Problem | None = None,
    ) -> bool:
        """Fit to checked data; return whether there was no more progress to make.

        Parameters
        ----------
        keep : bool
            Begin at the present parameters.
        epochs : int, optional
            For a partial fit, which goes on from the last one in everything.
        problem : Problem, optional
            That of a linear model with these data, whose penalty is put in place.
        """
        sizes = [data.X.shape[1], *check_sizes(self.hidden_layer_sizes), data.targets.shape[1]]
        is_solved = len(sizes) == 2 and epochs is None
        penalty = make_penalty(self.penalty)
        check_way(penalty, self.how, None if is_solved else self.solver)
        rng = check_random_state(self.random_state)
        parameters = Parameters(sizes, data.X.dtype)
        if keep:
            self._check_shapes(parameters)
            parameters.read(self.coefs_, self.intercepts_)
        elif not is_solved:
            parameters.draw(self.activation, rng)
        self.out_activation_, self._loss = OUTPUTS[loss], loss
        is_done = True
        if is_solved:
            with np.errstate(all="ignore"):  # what overflows is refused
                made = problem or self._make_problem(data, loss)
                solution = self._solve(parameters, data, penalty, made, keep=keep)
            if not np.isfinite([solution.value, solution.optimality]).all():
                raise ValueError(
                    "the loss of the linear model is not finite: X or y has values whose squares "
                    "are too large; standardize them"
                )
            if problem is None:  # along a path a model need not converge at each strength
                warn_unless_converged(solution, LINEAR_TOL * self.tol)
        else:
            is_done = self._train(parameters, data, penalty, rng, epochs)
        if not np.isfinite(parameters.values).all():
            raise ValueError(self._explain_divergence())
        self._describe(parameters, data.X)
        return is_done

    def _make_problem(self, data: Data, loss: str) -> Problem:
        """The problem of a linear model, whose penalty `_solve` puts in place."""
        placeholder = None if self.on == "weights" else L2(0.0)
        return make_problem(data.X, data.targets, None, loss, data.weights, placeholder)

    def _solve(
        self,
        parameters: Parameters,
        data: Data,
        penalty: Penalty | None,
        problem: Problem,
        *,
        keep: bool,
    ) -> Solution:
        """A linear model, to the minimum."""
        problem.penalty = L2(self._alpha() / (2.0 * data.total_weight))
        if penalty is not None and self.on != "biases":
            problem.penalty = penalty + problem.penalty
        if self.on != "weights":
            problem.intercept_penalty = penalty
        start = (parameters.coefs[0], parameters.intercepts[0]) if keep else None
        solution = minimize(problem, start=start, tol=LINEAR_TOL * self.tol)
        parameters.read([solution.weights], [solution.intercepts])
        self.n_iter_, self.loss_ = solution.iterations, solution.value
        self.loss_curve_ = [solution.value]
        self.best_loss_: float | None = solution.value
        if self.verbose:
            print(f"Solved in {self.n_iter_} iterations, loss = {self.loss_:.8f}")
        return solution

    def _train(
        self,
        parameters: Parameters,
        data: Data,
        penalty: Penalty | None,
        rng: np.random.RandomState,
        epochs: int | None,
    ) -> bool:
        """A network, by mini-batches; return whether there was no more progress to make."""
        if self.early_stopping and epochs is not None:
            raise ValueError("early_stopping must be False for partial_fit, got True")
        validate = None
        if self.early_stopping:
            data, validate = self._hold_out(parameters, data, rng)
        last: tuple[UpdateRule, Progress] | None = getattr(self, "_training", None)
        if epochs is None or last is None:
            last = self._make_rule(parameters.values), Progress()
        rule, progress = last
        mean = data.total_weight / len(data.targets)
        bound = None
        if penalty is not None and not penalty.is_zero:
            bound = BoundPenalty(penalty, self.on, self.how, parameters)
        objective = Objective(self._loss, self.activation, self._alpha() / mean, bound)
        task = Task(parameters, data.with_mean_weight(), objective, rule)
        schedule = self._schedule(len(data.targets), epochs)
        is_done = train(task, schedule, progress, rng, validate)
        if progress.has_diverged:
            raise ValueError(self._explain_divergence())
        self._training = last
        self._report(progress)
        return is_done

    def _explain_divergence(self) -> str:
        return (
            "training diverged: the weights are no longer finite, or too large for a finite loss. "
            f"Standardize X, or lower learning_rate_init={self.learning_rate_init}"
        )

    def _report(self, progress: Progress) -> None:
        """The fitted attributes that say how training went."""
        self.n_iter_, self.t_ = progress.n_iter, progress.samples_seen
        self.loss_curve_, self.loss_ = progress.loss_curve, progress.loss_curve[-1]
        self.best_loss_ = None if self.early_stopping else -progress.best
        self.validation_scores_ = progress.validation_scores if self.early_stopping else None
        self.best_validation_score_ = progress.best if self.early_stopping else None

    def _hold_out(
        self, parameters: Parameters, data: Data, rng: np.random.RandomState
    ) -> tuple[Data, Callable[[], float]]:
        """The data to train on, and the score on the rows held out."""
        rows, held_rows = train_test_split(
            np.arange(len(data.targets)),
            test_size=self.validation_fraction,
            random_state=rng,
            stratify=self._strata(data.targets),
        )
        if len(held_rows) < 2:
            raise ValueError(
                f"validation_fraction={self.validation_fraction} holds out fewer than 2 of "
                f"{len(data.targets)} samples: raise it, or set early_stopping=False"
            )
        held = data.batch(held_rows)

        def validate() -> float:
            scores = forward(parameters.coefs, parameters.intercepts, held.X, self.activation)[-1]
            if not np.isfinite(scores).all():
                return float("nan")
            predictions = LOSSES[self._loss].predict(scores)
            return self._score_targets(held.targets, predictions, held.weights)

        return data.batch(rows), validate

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
        scores = forward(self.coefs_, self.intercepts_, X, self.activation)[-1]
        return LOSSES[self._loss].predict(scores)

    def _prepare(
        self, X: Any, y: Any, sample_weight: Any, *, reset: bool, classes: Any = None
    ) -> tuple[Data, str]:
        """The data as training takes them, and the name of the loss."""
        raise NotImplementedError

    def _decode(self, outputs: Array) -> Array:
        """What was y, for targets or for predictions (samples, outputs)."""
        raise NotImplementedError

    def _strata(self, targets: Array) -> Array | None:
        """What the rows held out for early stopping have in the same shares; None for nothing."""
        return None

    def _score_targets(self, targets: Array, predictions: Array, weights: Array | None) -> float:
        """The validation score of `predictions`."""
        raise NotImplementedError
