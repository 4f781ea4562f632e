"""The records that a compiled loop reads and writes: parameters, pieces of them, and the job.

`benchmarks/step.py`, every row: an optimizer fills these arrays once and changes a few numbers in
each step, so that a step of any number of parameters is one call. Fields are read by name on both
sides: as NumPy's structured arrays, and as Numba's records inside a loop.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Records = np.ndarray[tuple[int], Any]
Vector = np.ndarray[tuple[int], Any]

PARAMETER = np.dtype(
    [
        # Addresses, or 0 where there is nothing. A parameter without a gradient is not stepped.
        ("weights", np.int64),
        ("gradient", np.int64),
        ("first", np.int64),  # the optimizer's state: momentum buffer, or Adam's m
        ("second", np.int64),  # Adam's v
        ("third", np.int64),  # AMSGrad's largest v
        ("count", np.int64),  # the count t of steps (Adam), or the buffer's share b (SGD)
        # Layout: `size` entries. Groups are rows of `width` entries, or, where `span` is not 0,
        # `width` neighbours in each row of `span` entries.
        ("size", np.int64),
        ("width", np.int64),
        ("span", np.int64),
        ("is_new_buffer", np.int64),  # 1: the momentum buffer was made for this step
        ("count_is_double", np.int64),  # 1: t is float64, 0: float32
        # The penalty a, b, and what multiplies it: a group penalty has b = lam·√(size of a group)
        ("a", np.float64),
        ("b", np.float64),
        ("factor", np.float64),
        ("limit", np.float64),  # the farthest that a prox may move a weight
        # Both optimizers
        ("sign", np.float64),  # −1 maximizes
        ("lr", np.float64),
        ("step", np.float64),  # of the prox: lr, times b under momentum
        ("decay", np.float64),  # weight decay that joins the gradient
        # Adam
        ("beta1", np.float64),
        ("beta2", np.float64),
        ("eps", np.float64),
        ("decay_factor", np.float64),  # 1 − lr·weight_decay where that is decoupled, else 1
        ("correction1", np.float64),  # 1 − β₁^t
        ("root2", np.float64),  # √(1 − β₂^t)
        # SGD
        ("momentum", np.float64),  # μ
        ("undamped", np.float64),  # 1 − dampening
        ("gradient_weight", np.float64),  # of the gradient in the buffer: `undamped`, at first 1
        ("nesterov", np.float64),  # 1 or 0
    ]
)
# Entries low to high of a parameter (of each of its rows, where it has a span), and the sums over
# them after a step. One record is one line of a cache.
PIECE = np.dtype(
    [
        ("parameter", np.int64),
        ("low", np.int64),
        ("high", np.int64),
        ("absolute", np.float64),  # Σ|w|
        ("squares", np.float64),  # Σw²
        ("zeros", np.float64),
        ("norms", np.float64),  # Σ‖w_g‖ over groups
        ("dead", np.float64),  # groups whose weights are all 0
    ]
)
SUMS = ("absolute", "squares", "zeros", "norms", "dead")
JOB = np.dtype(
    [
        ("next_piece", np.int64),  # that no thread has taken; the first field, see `next_piece`
        ("done", np.int64),  # pieces that are finished
        ("parameters", np.int64),  # addresses of the two arrays, and how many records they have
        ("parameter_count", np.int64),
        ("pieces", np.int64),
        ("piece_count", np.int64),
    ]
)
DONE = JOB.fields["done"][1] if JOB.fields else 0  # bytes from the beginning of a job

# Empty arrays, which give `memory` the type of what it reads.
LIKE: dict[Any, Vector] = {
    "float32": np.empty(0, np.float32),
    "float64": np.empty(0, np.float64),
    "bfloat16": np.empty(0, np.uint16),  # its bits
}
PARAMETERS, PIECES, JOBS = np.empty(0, PARAMETER), np.empty(0, PIECE), np.empty(0, JOB)


def make_job(parameters: Records, pieces: Records) -> Records:
    """A job over these records, which must outlive it: an array of one record."""
    job = np.zeros(1, JOB)
    job["parameters"], job["parameter_count"] = parameters.ctypes.data, len(parameters)
    job["pieces"], job["piece_count"] = pieces.ctypes.data, len(pieces)
    return job
