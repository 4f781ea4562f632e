"""The optimizers of a training, and the compiled steps that they and a penalty come to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, final

import numpy as np

from shrinkage.kernels.kind import How, Kind, Update
from shrinkage.kernels.launch import compile_loop
from shrinkage.kernels.pieces import cut
from shrinkage.kernels.plan import KernelPlan, plan_kernel
from shrinkage.kernels.records import PARAMETER, Records, make_job
from shrinkage.kernels.step_counts import compile_counts
from shrinkage.mlp.records import TURN
from shrinkage.penalties import Penalty

Array = np.ndarray[Any, Any]


@final
@dataclass(frozen=True)
class Adam:
    """``w ← w − lr·(m/bc1)/(√(v/bc2) + eps)``, as torch.optim.Adam (Kingma and Ba, 2015).

    With `scales_eps` eps stands beside √v before its correction, as in scikit-learn.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    scales_eps: bool = False

    update = Update.ADAM

    def numbers(self) -> dict[str, float]:
        """What the records of its parameters begin with."""
        return {"beta1": self.beta1, "beta2": self.beta2, "eps": self.eps, "decay_factor": 1.0}


@final
@dataclass(frozen=True)
class Sgd:
    """``v ← momentum·v + g; w ← w − lr·v``, or ``w − lr·(g + momentum·v)`` with Nesterov's."""

    momentum: float = 0.0
    nesterov: bool = False

    @property
    def update(self) -> Update:
        """The kind of its step."""
        return Update.MOMENTUM if self.momentum else Update.SGD

    def numbers(self) -> dict[str, float]:
        """What the records of its parameters begin with."""
        return {
            "momentum": self.momentum,
            "undamped": 1.0,
            "nesterov": float(self.nesterov),
            "limit": math.inf,
        }


Rule = Adam | Sgd


class NoLoopError(ValueError):
    """No compiled loop steps weights with a penalty."""


@final
@dataclass(frozen=True)
class Piece:
    """Neighbours in the vector of all parameters that are stepped together, with their penalty."""

    start: int
    size: int
    plan: KernelPlan
    how: How
    takes_alpha: bool
    is_turned: bool = False  # a matrix of weights (outputs, inputs), where others are transposed

    def join(self, other: Piece) -> Piece | None:
        """One piece of both, where `other` follows with the same penalty of single entries."""
        if self.plan.width or replace(other, start=self.start, size=self.size) != self:
            return None
        return replace(self, size=self.size + other.size)


def plan_pieces(
    sizes: Sequence[int], penalty: Penalty | None, how: str, on: str = "weights"
) -> list[Piece]:
    """Plan the steps of all weights, one layer after the other, and then of all biases.

    Raises
    ------
    NoLoopError
        If no compiled loop has the penalty, on "weights", "biases" or "all".
    """
    pieces: list[Piece] = []
    start = 0
    for inputs, outputs in pairwise(sizes):
        given = penalty if on != "biases" else None
        plan, is_turned = plan_matrix(given, inputs, outputs)
        way = How.NONE if given is None else How(how)
        pieces.append(Piece(start, inputs * outputs, plan, way, True, is_turned))
        start += inputs * outputs
    for outputs in sizes[1:]:
        given = penalty if on != "weights" else None
        pieces.append(plan_piece(start, (outputs,), given, how))
        start += outputs
    return pieces


def plan_piece(start: int, shape: tuple[int, ...], penalty: Penalty | None, how: str) -> Piece:
    """Plan the steps of one array, whose penalty sees it as it lies in memory.

    Raises
    ------
    NoLoopError
    """
    plan = plan_kernel(penalty, shape)
    if plan is None:
        raise NoLoopError(f"no compiled loop has {penalty!r} on an array of shape {shape}")
    way = How.NONE if penalty is None else How(how)
    return Piece(start, math.prod(shape), plan, way, takes_alpha=False)


def plan_matrix(penalty: Penalty | None, inputs: int, outputs: int) -> tuple[KernelPlan, bool]:
    """The plan for a matrix of weights, and whether it is stored as (outputs, inputs).

    A penalty sees weights as torch lays them out, (outputs, inputs). They are stored as (inputs,
    outputs), or that way round where its groups are rows then.

    Raises
    ------
    NoLoopError

    >>> from shrinkage import GroupLasso
    >>> plan, is_turned = plan_matrix(GroupLasso(0.1, groups="in"), inputs=3, outputs=5)
    >>> plan.width, is_turned
    (5, False)
    """
    plan = plan_kernel(penalty, (outputs, inputs))
    if plan is None:
        raise NoLoopError(f"no compiled loop has {penalty!r} on weights ({outputs}, {inputs})")
    if plan.width in (0, inputs * outputs):
        return plan, False
    if not plan.span:
        return plan, True
    if plan.span != inputs:
        raise NoLoopError(f"no compiled loop has the groups of {penalty!r}")
    return plan._replace(width=plan.width * outputs, span=0), False


@final
class Stepper:
    """The optimizer's state of all parameters, and the turns in which their loops step them."""

    def __init__(self, rule: Rule, pieces: Sequence[Piece], values: Array) -> None:
        self.gradient = np.zeros_like(values)
        self.first, self.second = np.zeros_like(values), np.zeros_like(values)
        self.counts = np.zeros(len(pieces))  # Adam's t, or how full momentum's buffer is
        pieces = _join_neighbours(pieces)
        members: dict[tuple[Kind, bool], list[int]] = {}
        for number, piece in enumerate(pieces):
            kind = piece.plan.kind(rule.update, piece.how, str(values.dtype))
            members.setdefault((kind, piece.takes_alpha), []).append(number)
        self._held: list[Records] = []
        self.turns = np.zeros(len(members), TURN)
        for turn, ((kind, takes_alpha), numbers) in zip(self.turns, members.items(), strict=True):
            table = np.zeros(len(numbers), PARAMETER)
            for record, number in zip(table, numbers, strict=True):
                self._fill(record, rule, pieces[number], number, values)
            cuts = cut(table, False, 1)
            job = make_job(table, cuts)
            self._held += [table, cuts, job]
            has_counts = kind.update in (Update.ADAM, Update.MOMENTUM)
            turn["counts"] = compile_counts(kind.update).address if has_counts else 0
            turn["loop"], turn["job"] = compile_loop(kind).address, job.ctypes.data
            turn["is_decoupled"] = kind.how == How.DECOUPLED
            turn["takes_alpha"] = takes_alpha

    def _fill(self, p: Any, rule: Rule, piece: Piece, number: int, values: Array) -> None:
        """Write the record of a piece."""
        at = piece.start * values.itemsize
        arrays = {"weights": values, "gradient": self.gradient}
        for field, array in (arrays | {"first": self.first, "second": self.second}).items():
            p[field] = array.ctypes.data + at
        p["size"], p["width"], p["span"] = piece.size, piece.plan.width, piece.plan.span
        p["a"], p["b"] = piece.plan.constants
        p["sign"] = p["factor"] = 1.0
        p["count"], p["count_is_double"] = self.counts.ctypes.data + 8 * number, 1
        for field, value in rule.numbers().items():
            p[field] = value

    def rescale_momentum(self, factor: float) -> None:
        """Multiply momentum's buffer, and the share that says how full it is."""
        self.first *= factor
        self.counts *= factor


def _join_neighbours(pieces: Sequence[Piece]) -> list[Piece]:
    joined: list[Piece] = []
    for piece in pieces:
        one = joined[-1].join(piece) if joined else None
        if one is None:
            joined.append(piece)
        else:
            joined[-1] = one
    return joined
