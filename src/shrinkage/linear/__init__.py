"""Linear models with any penalty, solved to a stated tolerance: convex problems of NumPy arrays."""

from shrinkage.linear.losses import LOSSES, Loss
from shrinkage.linear.solving import Solution, solve
from shrinkage.linear.strength import strongest

__all__ = ["LOSSES", "Loss", "Solution", "solve", "strongest"]
