"""One table of everything there is, with good and bad arguments: it drives the laws."""

from dataclasses import dataclass
from typing import Any

from shrinkage import L1, L2, ElasticNet, GroupLasso, Penalty, Sum
from shrinkage.penalties.layout import Layout


@dataclass(frozen=True)
class Case:
    """A penalty, an array that it fits, and what holds for it beside the laws for all."""

    penalty: Penalty
    shape: tuple[int, ...] = (4, 4)
    norm: bool = False  # Ω(c·w) = |c|·Ω(w)
    sparse: bool = True  # its prox makes exact zeros

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
BAD = [
    *(
        Bad(make, {"lam": lam}, error, message)
        for make in (L1, L2, ElasticNet, GroupLasso)
        for lam, error, message in BAD_STRENGTHS
    ),
    *(Bad(GroupLasso, {"lam": 1, "groups": g}, error, said) for g, error, said in BAD_GROUPS),
    Bad(ElasticNet, {"lam": 1, "l1_ratio": 1.5}, ValueError, "between 0 and 1, got 1.5"),
    Bad(ElasticNet, {"lam": 1, "l1_ratio": -0.5}, ValueError, "l1_ratio must be >= 0"),
    Bad(ElasticNet, {"lam": 1, "l1_ratio": "x"}, TypeError, "l1_ratio must be a number"),
    Bad(GroupLasso, {"lam": 1, "weight": "p"}, ValueError, 'weight must be "sqrt" or "none"'),
    Bad(GroupLasso, {"lam": 1, "weight": []}, ValueError, 'weight must be "sqrt" or "none"'),
    Bad(Sum, {"terms": ()}, ValueError, "a sum needs at least one penalty"),
    Bad(Sum, {"terms": (L1(1), 2)}, TypeError, "a sum is of penalties, got int"),
]

BAD_SHAPES = [
    (GroupLasso(1, 2), (4, 6), "groups=2: an array of shape (4, 6) has no axis 2"),
    (GroupLasso(1, -3), (4, 6), "groups=-3: an array of shape (4, 6) has no axis -3"),
    (GroupLasso(1, (0, 1)), (4,), "groups=(0, 1): an array of shape (4,) has no axis 1"),
    (GroupLasso(1, "3x2"), (4, 6), 'groups="3x2" does not divide an array of shape (4, 6)'),
    (GroupLasso(1, "2x4"), (4, 6), 'groups="2x4" does not divide an array of shape (4, 6)'),
    (GroupLasso(1, [[24]]), (4, 6), "groups has index 24, but the array has 24 entries"),
    (GroupLasso(1, Layout((5, 5), (0,))), (4, 6), "does not fit an array of shape (4, 6)"),
]
