"""One table of everything there is, with good and bad arguments: it drives the laws."""

from dataclasses import dataclass
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
    GroupLasso,
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
from shrinkage.penalties.layout import Layout


@dataclass(frozen=True)
class Case:
    """A penalty, an array that it fits, and what holds for it beside the laws for all."""

    penalty: Penalty
    shape: tuple[int, ...] = (4, 4)
    norm: bool = False  # Ω(c·w) = |c|·Ω(w)
    sparse: bool = True  # its prox makes exact zeros
    continuous: bool = True  # its prox moves little for a small step
    smooth: bool = True  # has derivatives but where an entry is 0
    fixes_zero: bool = True  # its prox leaves 0 where it is

    def __str__(self) -> str:
        size = "x".join(map(str, self.shape))
        return f"{str(self.penalty).rpartition(':')[0]} on {size}"


INDEX_LISTS = [[0, 7, 3], [12], [15, 5]]  # 6 of 16 entries

ELEMENTWISE = [
    Case(L1(0.5), norm=True),
    Case(L1(0.25), (5,), norm=True),
    Case(L2(0.5), sparse=False),
    Case(ElasticNet(0.7)),
    Case(ElasticNet(0.7, l1_ratio=0.0), sparse=False),
    Case(ElasticNet(0.7, l1_ratio=1.0), norm=True),
]
GROUPED = [
    Case(GroupLasso(0.5), norm=True),
    Case(GroupLasso(0.5), (5,), norm=True),
    Case(GroupLasso(0.5, "in", weight="none"), norm=True),
    Case(GroupLasso(0.25, "in"), (2, 3, 2), norm=True),
    Case(GroupLasso(0.5, -1), norm=True),
    Case(GroupLasso(0.5, (0, 1)), norm=True),
    Case(GroupLasso(0.5, (0, 1)), (2, 3, 2), norm=True),
    Case(GroupLasso(0.5, "2x2"), norm=True),
    Case(GroupLasso(0.5, "heads:2"), norm=True),
    Case(GroupLasso(0.5, "in:heads:2"), norm=True),
    Case(GroupLasso(0.5, "heads:2x1"), norm=True),
    Case(GroupLasso(0.5, "2x3"), (2, 3, 2), norm=True),
    Case(GroupLasso(0.5, INDEX_LISTS), norm=True),
    Case(GroupLasso(0.3, [range(16)]), norm=True),
    Case(GroupLasso(0.4, Layout((2, 2, 4), (1,))), norm=True),
    Case(GroupLasso(0.4, Layout(None, ())), norm=True),
]
SUMS = [
    Case(L1(0.2) + L1(0.3), norm=True),
    Case(L1(0.25) + L2(0.5)),
    Case(L2(0.5) + GroupLasso(0.25)),
    Case(L1(0.125) + GroupLasso(0.25, "in"), norm=True),
    Case(GroupLasso(0.25, INDEX_LISTS) + ElasticNet(0.5)),
    Case(L1(0.125) + L2(0.5) + GroupLasso(0.25, "2x2") + GroupLasso(0.0)),
]
MIXED = [
    Case(SparseGroupLasso(0.5), norm=True),
    Case(SparseGroupLasso(0.5, 0.2, "in", "none"), norm=True),
    Case(SparseGroupLasso(0.5, 0.75, INDEX_LISTS), norm=True),
    Case(LInf(0.5), norm=True, smooth=False),
    Case(LInf(0.5, "in"), (2, 3, 2), norm=True, smooth=False),
    Case(LInf(0.5, INDEX_LISTS), norm=True, smooth=False),
    Case(L1(0.125) + LInf(0.5) + L2(0.25), smooth=False),
]
# No bend is at a number that examples are drawn at.
CONCAVE = [
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
    Case(Lp(0.5, 1.5), sparse=False),
    Case(Lp(0.5, 1.05), sparse=False),
    Case(Lp(0.5, 3.0), sparse=False),
    Case(Lp(0.5, 2.0), sparse=False),
    Case(Lp(0.5, 1.0), norm=True),
    Case(Lp(0.5, 0.5), continuous=False),
    Case(Lp(0.25, 0.9), continuous=False),
    Case(L0(0.25), continuous=False),
    Case(L0(0.25) + L2(0.5), continuous=False),
]
MATRICES = [
    Case(NuclearNorm(0.5), norm=True, sparse=False, smooth=False),
    Case(NuclearNorm(0.5), (2, 3, 2), norm=True, sparse=False, smooth=False),
    Case(Orthogonality(0.25), sparse=False),
    Case(Orthogonality(0.25), (2, 3, 2), sparse=False),
    Case(Orthogonality(0.25), (5, 2), sparse=False),
]
CONSTRAINTS = [
    Case(NonNegative(), sparse=False),
    Case(Box(-1.0, 0.5), sparse=False),
    Case(Box(0.25, np.inf), sparse=False, fixes_zero=False),
    Case(MaxNorm(1.5), sparse=False),
    Case(MaxNorm(1.5, "in"), (2, 3, 2), sparse=False),
    Case(MaxNorm(1.5, INDEX_LISTS), sparse=False),
    Case(L2Ball(2.0), sparse=False),
    Case(L1Ball(2.0), sparse=False),
    Case(Simplex(1.5), (5,), sparse=False, fixes_zero=False),
    Case(NofM(2, 4), sparse=False),
    Case(NofM(1, 2), (3, 2, 4), sparse=False),
    Case(L1(0.25) + NonNegative(), sparse=False),
    Case(L1(0.25) + L2(0.5) + MaxNorm(1.5), sparse=False),
]
PER_ENTRY = np.arange(16.0).reshape(4, 4) / 8.0  # one of them 0
WITH_ARRAYS = [
    Case(Toward(PER_ENTRY, L1(0.5)), sparse=False, fixes_zero=False, smooth=False),
    Case(Toward(PER_ENTRY, L2(0.5)), sparse=False, fixes_zero=False),
    Case(Toward(PER_ENTRY, GroupLasso(0.5)), sparse=False, fixes_zero=False, smooth=False),
    Case(Weighted(PER_ENTRY, L1(0.5)), sparse=False),
    Case(Weighted(PER_ENTRY, MCP(0.512) + L2(0.25)), sparse=False),
]
FAMILY = [*MIXED, *CONCAVE, *POWERS, *MATRICES, *CONSTRAINTS, *WITH_ARRAYS]
PENALTIES = [*ELEMENTWISE, *GROUPED, *SUMS]

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


BAD_STRENGTHS: list[tuple[Any, type[Exception], str]] = [
    (-1.0, ValueError, "lam must be >= 0 and finite, got -1.0"),
    (float("nan"), ValueError, "lam must be >= 0 and finite, got nan"),
    (float("inf"), ValueError, "lam must be >= 0 and finite, got inf"),
    ("0.1", TypeError, "lam must be a number, got '0.1'"),
    (None, TypeError, "lam must be a number, got None"),
    (True, TypeError, "lam must be a number, got True"),
    (1j, TypeError, "lam must be a number, got 1j"),
]
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
# Those with a strength, and what else they cannot do without.
STRENGTHS: dict[type[Penalty], dict[str, Any]] = {
    **{make: {} for make in (L1, L2, ElasticNet, GroupLasso, SparseGroupLasso, LInf)},
    **{make: {} for make in (L0, MCP, SCAD, LogSum, NuclearNorm, Orthogonality)},
    CappedL1: {"theta": 1.0},
    Lp: {"p": 2.0},
}
BAD_ABOVE: list[tuple[type[Penalty], str, dict[str, Any], str]] = [
    (MCP, "gamma", {"lam": 1}, "0"),
    (SCAD, "a", {"lam": 1}, "2"),
    (CappedL1, "theta", {"lam": 1}, "0"),
    (LogSum, "eps", {"lam": 1}, "0"),
    (Lp, "p", {"lam": 1}, "0"),
    (MaxNorm, "radius", {}, "0"),
    (L1Ball, "radius", {}, "0"),
    (L2Ball, "radius", {}, "0"),
    (Simplex, "total", {}, "0"),
]
BAD = [
    *(
        Bad(make, {"lam": lam, **STRENGTHS[make]}, error, message)
        for make in STRENGTHS
        for lam, error, message in BAD_STRENGTHS
    ),
    *(
        Bad(make, more | {name: number}, ValueError, f"{name} must be > {bound} and finite, got")
        for make, name, more, bound in BAD_ABOVE
        for number in (float(bound), -1.0, float("nan"), float("inf"))
    ),
    *(
        Bad(make, more | {name: "1"}, TypeError, f"{name} must be a number, got '1'")
        for make, name, more, _ in BAD_ABOVE
    ),
    *(
        Bad(make, {"groups": g, **arguments}, error, said)
        for make, arguments in (
            (GroupLasso, {"lam": 1}),
            (SparseGroupLasso, {"lam": 1}),
            (LInf, {"lam": 1}),
            (MaxNorm, {"radius": 1}),
        )
        for g, error, said in BAD_GROUPS
    ),
    Bad(NofM, {"n": 4, "m": 4}, ValueError, "n must be at least 1 and below m, got n=4 and m=4"),
    Bad(NofM, {"n": 0}, ValueError, "n must be at least 1 and below m, got n=0 and m=4"),
    Bad(NofM, {"n": 1.5}, ValueError, "n must be a whole number, got 1.5"),
    Bad(Box, {"low": 1, "high": 0}, ValueError, "low must be <= high, got low=1.0 and high=0.0"),
    Bad(Box, {"low": float("nan"), "high": 0}, ValueError, "low must be <= high, got low=nan"),
    Bad(Box, {"low": 0, "high": "1"}, TypeError, "high must be a number, got '1'"),
    Bad(SparseGroupLasso, {"lam": 1, "l1_ratio": 1.5}, ValueError, "between 0 and 1, got 1.5"),
    Bad(SparseGroupLasso, {"lam": 1, "weight": "p"}, ValueError, 'weight must be "sqrt" or "none"'),
    Bad(Toward, {"reference": "here", "penalty": L1(1)}, ValueError, 'an array or "start", got'),
    Bad(Toward, {"reference": PER_ENTRY, "penalty": 1.0}, TypeError, "penalty must be a penalty"),
    Bad(Weighted, {"weights": [1.0], "penalty": L1(1)}, TypeError, "weights must be an array"),
    Bad(Weighted, {"weights": -PER_ENTRY, "penalty": L1(1)}, ValueError, "weights must be >= 0"),
    Bad(Weighted, {"weights": PER_ENTRY, "penalty": GroupLasso(1)}, ValueError, "single entries"),
    Bad(ElasticNet, {"lam": 1, "l1_ratio": 1.5}, ValueError, "between 0 and 1, got 1.5"),
    Bad(ElasticNet, {"lam": 1, "l1_ratio": -0.5}, ValueError, "l1_ratio must be >= 0"),
    Bad(ElasticNet, {"lam": 1, "l1_ratio": "x"}, TypeError, "l1_ratio must be a number"),
    Bad(GroupLasso, {"lam": 1, "weight": "p"}, ValueError, 'weight must be "sqrt" or "none"'),
    Bad(GroupLasso, {"lam": 1, "weight": []}, ValueError, 'weight must be "sqrt" or "none"'),
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
