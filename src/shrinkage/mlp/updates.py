"""The optimizers of a training, and the compiled steps that they and a penalty come to."""

from __future__ import annotations

import math
from dataclasses import dataclass
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
FREE = KernelPlan(None, (0.0, 0.0))


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
            "is_new_buffer": 1,
            "limit": math.inf,
        }


Rule = Adam | Sgd


@final
@dataclass(frozen=True)
class Piece:
    """Neighbours in the vector of all parameters that are stepped together, with their penalty."""

    start: int
    size: int
    plan: KernelPlan
    how: How
    takes_alpha: bool


def plan_pieces(
    shapes: list[tuple[int, ...]], penalties: list[Penalty | None], how: str
) -> list[Piece] | None:
    """Plan the steps of arrays that lie one after the other; None where no loop has the penalty.

    Neighbours with the same penalty of single entries are one piece.
    """
    pieces: list[Piece] = []
    start = 0
    for shape, penalty in zip(shapes, penalties, strict=True):
        size = math.prod(shape)
        plan = plan_kernel(penalty, shape)
        if plan is None:
            return None
        way = How.NONE if penalty is None else How(how)
        piece = Piece(start, size, plan, way, takes_alpha=len(shape) > 1)
        last = pieces[-1] if pieces else None
        if last and not plan.width and (plan, way, piece.takes_alpha) == _key(last):
            pieces[-1] = Piece(last.start, last.size + size, plan, way, piece.takes_alpha)
        else:
            pieces.append(piece)
        start += size
    return pieces


def _key(piece: Piece) -> tuple[KernelPlan, How, bool]:
    return piece.plan, piece.how, piece.takes_alpha


@final
class Stepper:
    """The optimizer's state of all parameters, and the turns in which their loops step them."""

    def __init__(self, rule: Rule, pieces: list[Piece], values: Array, gradient: Array) -> None:
        self.first, self.second = np.zeros_like(values), np.zeros_like(values)
        self.counts = np.zeros(len(pieces))  # Adam's t, or how full momentum's buffer is
        members: dict[tuple[Kind, bool], list[int]] = {}
        for number, piece in enumerate(pieces):
            kind = piece.plan.kind(rule.update, piece.how, str(values.dtype))
            members.setdefault((kind, piece.takes_alpha), []).append(number)
        self.tables: list[Records] = []
        self._held: list[Records] = []
        self.turns = np.zeros(len(members), TURN)
        for turn, ((kind, takes_alpha), numbers) in zip(self.turns, members.items(), strict=True):
            table = np.zeros(len(numbers), PARAMETER)
            for record, number in zip(table, numbers, strict=True):
                self._fill(record, rule, pieces[number], number, (values, gradient))
            cuts = cut(table, False, 1)
            job = make_job(table, cuts)
            self.tables.append(table)
            self._held += [cuts, job]
            has_counts = kind.update in (Update.ADAM, Update.MOMENTUM)
            turn["counts"] = compile_counts(kind.update).address if has_counts else 0
            turn["loop"], turn["job"] = compile_loop(kind).address, job.ctypes.data
            turn["is_decoupled"] = kind.how == How.DECOUPLED
            turn["takes_alpha"] = takes_alpha

    def _fill(
        self, record: Any, rule: Rule, piece: Piece, number: int, arrays: tuple[Array, Array]
    ) -> None:
        values, gradient = arrays
        at = piece.start * values.itemsize
        record["weights"], record["gradient"] = values.ctypes.data + at, gradient.ctypes.data + at
        record["first"], record["second"] = (
            self.first.ctypes.data + at,
            self.second.ctypes.data + at,
        )
        record["size"], record["width"], record["span"] = (
            piece.size,
            piece.plan.width,
            piece.plan.span,
        )
        record["a"], record["b"] = piece.plan.constants
        record["sign"] = record["factor"] = 1.0
        record["count"], record["count_is_double"] = self.counts.ctypes.data + 8 * number, 1
        for field, value in rule.numbers().items():
            record[field] = value

    def rescale_momentum(self, factor: float) -> None:
        """Multiply momentum's buffer, and the share that says how full it is."""
        self.first *= factor
        self.counts *= factor
