"""What a penalty is as a Python object: its arguments, its repr, its identity."""

import dataclasses
import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from cases import BAD, CASES, FREE, INDEX_LISTS, Bad, Case
from penalties.laws import each, each_kind
from shrinkage import L1, L2, ElasticNet, GroupLasso, Toward, Weighted

KINDS = {bad.make.__name__: [b for b in BAD if b.make is bad.make] for bad in BAD}


@pytest.mark.parametrize("bad", KINDS.values(), ids=KINDS)
def test_bad_arguments(bad: list[Bad]) -> None:
    for one in each(bad):
        with pytest.raises(one.error) as error:
            one.make(**one.arguments)
        assert one.message in str(error.value)


def test_any_real_number_is_a_strength() -> None:
    for lam in each([1, np.float32(0.5), np.int64(2), 0]):
        for make in (L1, L2, ElasticNet, GroupLasso):
            assert type(make(lam).lam) is float
            assert make(lam).lam == lam


@each_kind()
def test_frozen_hashable_and_pickled(cases: list[Case]) -> None:
    for case in each(cases):
        penalty: Any = case.penalty
        for field in dataclasses.fields(penalty):
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(penalty, field.name, 2.0)
        pickled = pickle.dumps(penalty)
        assert penalty.traits is not None
        assert pickle.dumps(penalty) == pickled  # caches go by these bytes
        again = pickle.loads(pickled)
        assert isinstance(hash(penalty), int)
        assert repr(again) == repr(penalty)
        w = np.linspace(-1, 1, np.prod(case.shape)).reshape(case.shape)
        np.testing.assert_array_equal(again.prox(w, 0.5), penalty.prox(w, 0.5))
        if not isinstance(penalty, Toward | Weighted):  # arrays are not compared
            assert again == penalty
            assert hash(again) == hash(penalty)


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


def test_repr_shows_the_formula() -> None:
    for penalty, shown in each(REPRS):
        assert repr(penalty) == shown
        assert shown.endswith(f": {penalty.formula}")


def test_is_zero() -> None:
    assert not any(case.penalty.is_zero for case in CASES)
    assert all(penalty.is_zero for penalty in FREE)


def test_only_penalties_add_up() -> None:
    for other in each([1, 0.5, "l1:1", None, [L1(1)]]):
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
