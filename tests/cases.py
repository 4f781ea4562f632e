"""One table of everything there is, with good and bad arguments: it drives the laws."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from shrinkage import (
    L0,
    L1,
    L2,
    MCP,
    SCAD,
    Box,
    CappedL1,
    ElasticNet,
    GroupL0,
    GroupLasso,
    Huber,
    L1Ball,
    L2Ball,
    LInf,
    LogSum,
    Lp,
    MaxNorm,
    NofM,
    NonNegative,
    NuclearNorm,
    Orthogonality,
    Penalty,
    Simplex,
    SparseGroupLasso,
    Sum,
    Toward,
    Weighted,
)
from shrinkage.penalties.arguments import Range
from shrinkage.penalties.layout import Layout


@dataclass(frozen=True)
class Case:
    """A penalty and an array that it fits."""

    penalty: Penalty
    shape: tuple[int, ...] = (4, 4)

    @property
    def makes_zeros(self) -> bool:
        """Whether its prox sets every small entry to exactly zero; some weights are 0 here."""
        by_matrix = isinstance(self.penalty, NuclearNorm | Weighted)
        return self.penalty.traits.makes_zeros and not by_matrix

    @property
    def takes_metric(self) -> bool:
        """Whether each entry can have a step of its own."""
        return self.penalty.why_not("metric") is None

    @property
    def has_gradient(self) -> bool:
        return self.penalty.why_not("gradient") is None

    @property
    def is_free(self) -> bool:
        """Whether no constraint is in it."""
        return not self.penalty.traits.is_constrained

    def __str__(self) -> str:
        size = "x".join(map(str, self.shape))
        return f"{str(self.penalty).rpartition(':')[0]} on {size}"


INDEX_LISTS = [[0, 7, 3], [12], [15, 5]]  # 6 of 16 entries

ELEMENTWISE = [
    Case(L1(0.5)),
    Case(L1(0.25), (5,)),
    Case(L2(0.5)),
    Case(ElasticNet(0.7)),
    Case(ElasticNet(0.7, l1_ratio=0.0)),
    Case(ElasticNet(0.7, l1_ratio=1.0)),
]
GROUPED = [
    Case(GroupLasso(0.5)),
    Case(GroupLasso(0.5), (5,)),
    Case(GroupLasso(0.5, "in", weight="none")),
    Case(GroupLasso(0.25, "in"), (2, 3, 2)),
    Case(GroupLasso(0.5, -1)),
    Case(GroupLasso(0.5, (0, 1))),
    Case(GroupLasso(0.5, (0, 1)), (2, 3, 2)),
    Case(GroupLasso(0.5, "2x2")),
    Case(GroupLasso(0.5, "heads:2")),
    Case(GroupLasso(0.5, "in:heads:2")),
    Case(GroupLasso(0.5, "heads:2x1")),
    Case(GroupLasso(0.5, "2x3"), (2, 3, 2)),
    Case(GroupLasso(0.5, INDEX_LISTS)),
    Case(GroupLasso(0.3, [range(16)])),
    Case(GroupLasso(0.4, Layout((2, 2, 4), (1,)))),
    Case(GroupLasso(0.4, Layout(None, ()))),
]
SUMS = [
    Case(L1(0.2) + L1(0.3)),
    Case(L1(0.25) + L2(0.5)),
    Case(L2(0.5) + GroupLasso(0.25)),
    Case(L1(0.125) + GroupLasso(0.25, "in")),
    Case(GroupLasso(0.25, INDEX_LISTS) + ElasticNet(0.5)),
    Case(L1(0.125) + L2(0.5) + GroupLasso(0.25, "2x2") + GroupLasso(0.0)),
]
MIXED = [
    Case(SparseGroupLasso(0.5)),
    Case(SparseGroupLasso(0.5, 0.2, "in", "none")),
    Case(SparseGroupLasso(0.5, 0.75, INDEX_LISTS)),
    Case(LInf(0.5)),
    Case(LInf(0.5, "in"), (2, 3, 2)),
    Case(LInf(0.5, INDEX_LISTS)),
    Case(L1(0.125) + LInf(0.5) + L2(0.25)),
]
# No bend is at a number that examples are drawn at.
BENT = [
    Case(Huber(0.512, delta=0.713)),
    Case(Huber(0.512, delta=0.013) + L2(0.25)),
    Case(MCP(0.512)),
    Case(MCP(0.512, gamma=0.713)),
    Case(SCAD(0.512)),
    Case(SCAD(0.512, a=2.113)),
    Case(CappedL1(0.5, theta=0.713)),
    Case(CappedL1(1.5, theta=0.213)),
    Case(LogSum(0.5)),
    Case(LogSum(0.5, eps=0.113)),
    Case(MCP(0.512) + L2(0.25)),
]
POWERS = [
    Case(Lp(0.5, 1.5)),
    Case(Lp(0.5, 1.05)),
    Case(Lp(0.5, 3.0)),
    Case(Lp(0.5, 2.0)),
    Case(Lp(0.5, 1.0)),
    Case(Lp(0.5, 0.5)),
    Case(Lp(0.25, 0.9)),
    Case(L0(0.25)),
    Case(L0(0.25) + L2(0.5)),
    Case(GroupL0(4.0)),
    Case(GroupL0(0.25), (5,)),
    Case(GroupL0(16.0, "in", weight="none"), (2, 3, 2)),
    Case(GroupL0(4.0, INDEX_LISTS)),
    Case(GroupL0(2.0, "2x2") + L2(0.5)),
]
MATRICES = [
    Case(NuclearNorm(0.5)),
    Case(NuclearNorm(0.5), (2, 3, 2)),
    Case(Orthogonality(0.25)),
    Case(Orthogonality(0.25), (2, 3, 2)),
    Case(Orthogonality(0.25), (5, 2)),
]
CONSTRAINTS = [
    Case(NonNegative()),
    Case(Box(-1.0, 0.5)),
    Case(Box(0.25, np.inf)),
    Case(MaxNorm(1.5)),
    Case(MaxNorm(1.5, "in"), (2, 3, 2)),
    Case(MaxNorm(1.5, INDEX_LISTS)),
    Case(L2Ball(2.0)),
    Case(L1Ball(2.0)),
    Case(Simplex(1.5), (5,)),
    Case(NofM(2, 4)),
    Case(NofM(1, 2), (3, 2, 4)),
    Case(L1(0.25) + NonNegative()),
    Case(L1(0.25) + L2(0.5) + MaxNorm(1.5)),
]
PER_ENTRY = np.arange(16.0).reshape(4, 4) / 8.0  # one of them 0
WITH_ARRAYS = [
    Case(Toward(PER_ENTRY, L1(0.5))),
    Case(Toward(PER_ENTRY, L2(0.5))),
    Case(Toward(PER_ENTRY, GroupLasso(0.5))),
    Case(Weighted(PER_ENTRY, L1(0.5))),
    Case(Weighted(PER_ENTRY, MCP(0.512) + L2(0.25))),
]
PENALTIES = [*ELEMENTWISE, *GROUPED, *SUMS]  # those whose prox `oracles.prox` calculates
CASES = [*PENALTIES, *MIXED, *BENT, *POWERS, *MATRICES, *CONSTRAINTS, *WITH_ARRAYS]

FREE = [L1(0), L2(0.0), ElasticNet(0), GroupLasso(0), GroupLasso(0, INDEX_LISTS), L1(0) + L2(0)]

WITHOUT_PROX = [
    GroupLasso(1.0) + GroupLasso(1.0, "in"),
    L1(1.0) + GroupLasso(1.0) + GroupLasso(2.0, [[0]]),
]


@dataclass(frozen=True)
class Bad:
    """Arguments that are refused, and the sentence that says why."""

    make: type[Penalty]
    arguments: dict[str, Any]
    error: type[Exception]
    message: str

    def __str__(self) -> str:
        written = ", ".join(f"{key}={value!r}" for key, value in self.arguments.items())
        return f"{self.make.__name__}({written})"


BAD_GROUPS: list[tuple[Any, type[Exception], str]] = [
    ("rows", ValueError, 'groups must be "out", "in", an axis (0)'),
    ("0x2", ValueError, "got '0x2'"),
    ("heads:0", ValueError, "got 'heads:0'"),
    ("up:heads:2", ValueError, "got 'up:heads:2'"),
    (None, TypeError, "got None"),
    (0.5, TypeError, "got 0.5"),
    (True, TypeError, "got True"),
    ((), ValueError, "got ()"),
    ([0.5], ValueError, "got [0.5]"),
    ([[0.5]], ValueError, "got [[0.5]]"),
    (["ab"], ValueError, "got ['ab']"),
    ([[0], 1], ValueError, "got [[0], 1]"),
    ([[0], []], ValueError, "groups has an empty list of indices; leave it out"),
    ([[0], [-2]], ValueError, "groups must hold indices >= 0, got -2"),
    ([[0, 1], [2, 1]], ValueError, "must not overlap, but index 1 stands in two places"),
]


def arguments(penalty: Penalty) -> dict[str, Any]:
    """The arguments that made a penalty."""
    return {field.name: getattr(penalty, field.name) for field in fields(penalty)}


def bad_numbers(allowed: Range) -> list[tuple[Any, type[Exception], str]]:
    """Numbers out of a range and what is no number, with what is said of them."""
    no_numbers = [("1", "'1'; write"), (None, "None"), (True, "True"), (1j, "1j")]
    if allowed.is_open:
        outside = [allowed.low, -1.0, float("nan"), float("inf")]
        said = f"must be > {allowed.low:g} and finite"
    elif allowed.high == 1.0:
        outside, said = [-0.5, 1.5, float("nan")], "must be between 0 and 1"
    else:
        outside, said = [-1.0, float("nan"), float("inf")], "must be >= 0 and finite"
    return [
        *((number, ValueError, f"{said}, got {number}") for number in outside),
        *((value, TypeError, f"must be a number, got {written}") for value, written in no_numbers),
    ]


def derived(penalty: Penalty) -> Iterator[Bad]:
    """Bad arguments of a penalty, as the ranges of its fields say."""
    for field in fields(penalty):
        bad = []
        if "range" in field.metadata:
            bad = bad_numbers(field.metadata["range"])
        elif "is_groups" in field.metadata:
            bad = BAD_GROUPS
        elif "choices" in field.metadata:
            message = 'must be "{}" or "{}", got'.format(*field.metadata["choices"])
            bad = [(value, ValueError, message) for value in ("p", [])]
        for value, error, message in bad:
            said = message if "is_groups" in field.metadata else f"{field.name} {message}"
            yield Bad(type(penalty), arguments(penalty) | {field.name: value}, error, said)


FIRST_OF_A_KIND = {type(case.penalty): case for case in reversed(CASES)}
BAD = [
    *(bad for case in FIRST_OF_A_KIND.values() for bad in derived(case.penalty)),
    Bad(NofM, {"n": 4, "m": 4}, ValueError, "n must be at least 1 and below m, got n=4 and m=4"),
    Bad(NofM, {"n": 0}, ValueError, "n must be at least 1 and below m, got n=0 and m=4"),
    Bad(NofM, {"n": 1.5}, ValueError, "n must be a whole number, got 1.5"),
    Bad(Box, {"low": 1, "high": 0}, ValueError, "low must be <= high, got low=1.0 and high=0.0"),
    Bad(Box, {"low": float("nan"), "high": 0}, ValueError, "low must be <= high, got low=nan"),
    Bad(Box, {"low": 0, "high": "1"}, TypeError, "high must be a number, got '1'"),
    Bad(Toward, {"reference": "here", "penalty": L1(1)}, ValueError, 'an array or "start", got'),
    Bad(Toward, {"reference": PER_ENTRY, "penalty": 1.0}, TypeError, "penalty must be a penalty"),
    Bad(Weighted, {"weights": [1.0], "penalty": L1(1)}, TypeError, "weights must be an array"),
    Bad(Weighted, {"weights": -PER_ENTRY, "penalty": L1(1)}, ValueError, "weights must be >= 0"),
    Bad(Weighted, {"weights": PER_ENTRY, "penalty": GroupLasso(1)}, ValueError, "single entries"),
    Bad(L1, {"alpha": 1}, TypeError, "L1 takes no alpha: write lam="),
    Bad(L1, {"lmabda": 1}, TypeError, "L1 takes no lmabda: it takes lam"),
    Bad(L2, {"weight_decay": 1}, TypeError, "L2 takes no weight_decay: write L2.from_weight_decay"),
    Bad(ElasticNet, {"alpha": 1, "l1_ratio": 0.5}, TypeError, "ElasticNet takes no alpha: write l"),
    Bad(ElasticNet, {"lam": 1, "rho": 0.5}, TypeError, "ElasticNet takes no rho: write l1_ratio="),
    Bad(MaxNorm, {"max_value": 3}, TypeError, "MaxNorm takes no max_value: write radius="),
    Bad(GroupLasso, {"lam": 1, "axis": 0}, TypeError, "GroupLasso takes no axis: write groups="),
    Bad(NonNegative, {"lam": 1}, TypeError, "NonNegative takes no lam: it takes nothing"),
    Bad(L1, {"lam": "1e-3"}, TypeError, "lam must be a number, got '1e-3'; write 1e-3 without quo"),
    Bad(L1, {"lam": np.array(0.1)}, TypeError, "got array(0.1); write float(lam)"),
    Bad(L1, {"lam": np.ones(2)}, TypeError, "; Weighted takes a number for each entry"),
    Bad(Toward, {"reference": [1.0], "penalty": L1(1)}, TypeError, "np.asarray(reference) makes o"),
    Bad(Toward, {"reference": dict, "penalty": L1(1)}, TypeError, "reference must be an array"),
    Bad(
        Weighted, {"weights": {"w": -PER_ENTRY}, "penalty": L1(1)}, ValueError, "weights of w must"
    ),
    Bad(Weighted, {"weights": 1j * PER_ENTRY, "penalty": L1(1)}, TypeError, "weights must be real"),
    Bad(Sum, {"terms": ()}, ValueError, "a sum needs at least one penalty"),
    Bad(Sum, {"terms": (L1(1), 2)}, TypeError, "a sum is of penalties, got int"),
]

BAD_SHAPES = [
    (GroupLasso(1, 2), (4, 6), "groups=2: an array of shape (4, 6) has no axis 2"),
    (GroupLasso(1, -3), (4, 6), "groups=-3: an array of shape (4, 6) has no axis -3"),
    (GroupLasso(1, (0, 1)), (4,), "groups=(0, 1): an array of shape (4,) has no axis 1"),
    (GroupLasso(1, "heads:3"), (4, 6), 'groups="heads:3" does not divide the 4 rows of (4, 6)'),
    (GroupLasso(1, "in:heads:4"), (4, 6), 'groups="in:heads:4" does not divide the 6 columns of'),
    (GroupLasso(1, "heads:3x2"), (4, 6), 'groups="heads:3x2" does not divide the 4 rows of (4, 6)'),
    (GroupLasso(1, "3x2"), (4, 6), 'groups="3x2" does not divide an array of shape (4, 6)'),
    (GroupLasso(1, "2x4"), (4, 6), 'groups="2x4" does not divide an array of shape (4, 6)'),
    (GroupLasso(1, [[24]]), (4, 6), "groups has index 24, but the array has 24 entries"),
    (GroupLasso(1, Layout((5, 5), (0,))), (4, 6), "does not fit an array of shape (4, 6)"),
]
