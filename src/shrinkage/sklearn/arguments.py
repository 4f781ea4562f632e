"""The arguments of the estimators: their defaults, and what is made of them."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

from sklearn.base import BaseEstimator

from shrinkage.sklearn.checks import check_arguments, check_sizes
from shrinkage.sklearn.parameters import Array
from shrinkage.sklearn.penalty_argument import PenaltyArgument, numbers, with_number
from shrinkage.sklearn.training import Schedule
from shrinkage.sklearn.update_rules import Adam, Sgd, UpdateRule
from shrinkage.user_warning import warn_user

ALPHA = 1e-4  # scikit-learn's, where there is no penalty
LARGEST_BATCH = 200  # of batch_size="auto"


@dataclass(eq=False, repr=False)
class MLPArguments(BaseEstimator):
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

    def _check_arguments(self) -> None:
        check_arguments(self.get_params(deep=False))
        check_sizes(self.hidden_layer_sizes)

    def _schedule(self, n_samples: int, epochs: int | None) -> Schedule:
        size = LARGEST_BATCH if self.batch_size == "auto" else int(self.batch_size)
        if self.batch_size != "auto" and size > n_samples:
            warn_user(
                f"batch_size={size} is more than the {n_samples} samples: a batch is all of them",
            )
        return Schedule(
            max_iter=epochs or self.max_iter,
            batch_size=min(size, n_samples),
            shuffle=self.shuffle,
            tol=self.tol,
            n_iter_no_change=self.n_iter_no_change,
            verbose=bool(self.verbose),
        )

    def _make_rule(self, values: Array) -> UpdateRule:
        lr = float(self.learning_rate_init)
        if self.solver == "adam":
            return Adam(values, lr, self.beta_1, self.beta_2, self.epsilon)
        return Sgd(
            values, lr, self.learning_rate, self.power_t, self.momentum, self.nesterovs_momentum
        )

    def _alpha(self) -> float:
        if self.alpha == "auto":
            return ALPHA if self.penalty is None else 0.0
        return float(self.alpha)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
