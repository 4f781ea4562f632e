"""Linear models with any penalty, solved to a stated tolerance: convex problems of NumPy arrays."""

from shrinkage.linear.path import solve_path
from shrinkage.linear.solving import Solution, solve
from shrinkage.linear.strength import strongest

__all__ = ["Solution", "solve", "solve_path", "strongest"]
