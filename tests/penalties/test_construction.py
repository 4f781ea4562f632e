"""What a penalty is as a Python object: its arguments, its repr, its identity."""

import dataclasses
import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from cases import BAD, FREE, INDEX_LISTS, PENALTIES, Bad, Case
from shrinkage import L1, L2, ElasticNet, GroupLasso


@pytest.mark.parametrize("bad", BAD, ids=str)
def test_bad_arguments(bad: Bad) -> None:
    with pytest.raises(bad.error) as error:
        bad.make(**bad.arguments)
    assert bad.message in str(error.value)


@pytest.mark.parametrize("lam", [1, np.float32(0.5), np.int64(2), 0])
def test_any_real_number_is_a_strength(lam: Any) -> None:
    for make in (L1, L2, ElasticNet, GroupLasso):
        assert type(make(lam).lam) is float
        assert make(lam).lam == lam


@pytest.mark.parametrize("case", PENALTIES, ids=str)
def test_frozen_hashable_and_pickled(case: Case) -> None:
    penalty: Any = case.penalty
    with pytest.raises(dataclasses.FrozenInstanceError):
        penalty.lam = 2.0
    assert hash(penalty) == hash(pickle.loads(pickle.dumps(penalty)))
    assert penalty == pickle.loads(pickle.dumps(penalty))


def test_equal_by_what_they_say() -> None:
    assert L1(1) == L1(1.0) != L2(1)
    assert GroupLasso(1, INDEX_LISTS) == GroupLasso(1, tuple(map(tuple, INDEX_LISTS)))
    assert len({L1(1), L1(1.0), L2(1), GroupLasso(1), GroupLasso(1, "in")}) == 4


REPRS = [
    (L1(0.5), "L1(lam=0.5): 0.5·Σ|w|"),
    (L2(1e-4), "L2(lam=0.0001): 0.0001·Σw²"),
    (ElasticNet(1, 0.9), "ElasticNet(lam=1.0, l1_ratio=0.9): 0.9·Σ|w| + 0.05·Σw²"),
    (GroupLasso(2), "GroupLasso(lam=2.0): 2·Σ√p_g·‖w_g‖"),
    (
        GroupLasso(2, [[0, 1]], "none"),
        "GroupLasso(lam=2.0, groups=((0, 1),), weight='none'): 2·Σ‖w_g‖",
    ),
    (
        L1(1) + GroupLasso(2, "in"),
        "L1(lam=1.0) + GroupLasso(lam=2.0, groups='in'): 1·Σ|w| + 2·Σ√p_g·‖w_g‖",
    ),
]


@pytest.mark.parametrize(("penalty", "shown"), REPRS, ids=str)
def test_repr_shows_the_formula(penalty: Any, shown: str) -> None:
    assert repr(penalty) == shown
    assert shown.endswith(f": {penalty.formula}")


@pytest.mark.parametrize("case", PENALTIES, ids=str)
def test_is_zero(case: Case) -> None:
    assert not case.penalty.is_zero
    assert all(penalty.is_zero for penalty in FREE)


@pytest.mark.parametrize("other", [1, 0.5, "l1:1", None, [L1(1)]])
def test_only_penalties_add_up(other: Any) -> None:
    with pytest.raises(TypeError, match="unsupported operand"):
        L1(1) + other
    with pytest.raises(TypeError):
        other + L1(1)


def test_import_needs_no_framework() -> None:
    code = (
        "import sys, shrinkage; print(*{'torch', 'numba', 'pandas', 'sklearn'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == ""
