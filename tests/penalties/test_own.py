"""Penalties of one's own: what the docstring of `Penalty` says is so."""

import copy
import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from own import GradientAlone, ProxAlone, TowardOne, UnitNorm, ZeroMean
from shrinkage import L1, L2, Penalty, Toward, Traits, Weighted, to_text


@pytest.mark.parametrize("make", [np.array, torch.tensor], ids=["numpy", "torch"])
def test_value_gradient_and_prox(make: Any) -> None:
    penalty, w = TowardOne(0.5), make([[1.0, 3.0]])
    assert float(penalty(w)) == 2.0  # 0.5·(0 + 4)
    assert np.asarray(penalty.gradient(w)).tolist() == [[0.0, 2.0]]
    assert np.asarray(penalty.prox(w, 1.0)).tolist() == [[1.0, 2.0]]  # (3 + 1)/2
    steps = make([[1.0, 3.0]])
    assert np.asarray(penalty.prox(w, steps)).tolist() == [[1.0, 1.5]]  # (3 + 3)/4


def test_in_sums_and_around() -> None:
    w = np.array([3.0])
    # Of w² + ½(w − 1)²: w/(1 + 2) = 1, then its own prox at step 1/3: (1 + 1/3)/(1 + 1/3) = 1.
    assert (L2(1.0) + TowardOne(0.5)).prox(w, 1.0).tolist() == [1.0]
    assert Toward(np.array([2.0]), TowardOne(0.5)).prox(w, 1.0).tolist() == [3.0]  # 2 + 1
    assert Weighted(np.array([3.0]), TowardOne(0.5)).prox(w, 1.0).tolist() == [1.5]
    with pytest.raises(ValueError, match="has no prox in closed form"):
        (L1(1.0) + TowardOne(0.5)).prox(w, 1.0)


def test_what_it_does_not_write_is_refused_with_the_reason() -> None:
    w = np.ones(3)
    with pytest.raises(ValueError, match='has no prox, as it defines no _prox: use how="coupled"'):
        GradientAlone(1.0).prox(w, 1.0)
    with pytest.raises(ValueError, match='has no gradient, as it defines no _gradient: use how="p'):
        ProxAlone(1.0).gradient(w)
    with pytest.raises(ValueError, match='is a constraint and has no gradient: use how="proximal"'):
        UnitNorm().gradient(np.ones((2, 2)))


def test_it_is_a_dataclass() -> None:
    class Plain(Penalty):
        def __init__(self, lam: float) -> None:
            self.lam = lam

    with pytest.raises(TypeError, match=r"Plain must be a frozen dataclass: write @dataclass\(fro"):
        Plain(1.0)


def test_how_it_reads() -> None:
    assert repr(TowardOne(0.5)) == "TowardOne(lam=0.5)"  # the dataclass' own
    assert (TowardOne(0.5) + L1(1.0)).formula == "TowardOne(w) + 1·Σ|w|"
    with pytest.raises(ValueError, match="has no text form: it is not of this library"):
        to_text(TowardOne(0.5))


def test_a_name_of_the_library_does_not_make_it_the_librarys() -> None:
    class Another(TowardOne):
        name = "l1"

    with pytest.raises(ValueError, match="has no text form"):
        to_text(Another(0.5))


def test_a_number_that_the_type_does_not_hold_is_refused() -> None:
    with pytest.raises(ValueError, match=r"lam=1e\+39 is beyond what float32 holds"):
        TowardOne(1e39)(np.ones(2, np.float32))


def test_a_fact_that_is_misspelt_or_stated_elsewhere_is_refused_at_once() -> None:
    with pytest.raises(TypeError, match="Traits takes no is_indicater: write is_indicator="):
        Traits(is_indicater=True)  # type: ignore[call-arg]
    for wrong, sentence in [
        ({"is_indicator": True}, "from its traits alone: write traits = Traits.is_indicator=True"),
        ({"is_convex": property(bool)}, r"write traits = Traits\(is_convex=...\)"),
        ({"trait": Traits()}, r"Own\.trait must be called traits: write traits = Traits\(\)"),
        ({"traits": {"is_convex": False}}, r"Own\.traits must be Traits\(\.\.\.\) or a property"),
        ({"traits": lambda self: Traits()}, r"Own\.traits must be Traits\(\.\.\.\) or a property"),
    ]:
        with pytest.raises(TypeError, match=sentence):
            type("Own", (Penalty,), wrong)
    with pytest.raises(TypeError, match=r"write traits = Traits\(is_separable=True\)"):
        type("Own", (type("Base", (), {"is_separable": True}), Penalty), {})


@dataclasses.dataclass(slots=True)
class WithSlots(Penalty):
    lam: float


def test_a_copy_of_a_class_with_slots_has_its_numbers() -> None:
    assert copy.deepcopy(WithSlots(0.5)) == WithSlots(0.5)


def test_facts_of_sums_and_of_what_stands_around_a_penalty() -> None:
    def facts(penalty: Penalty) -> set[str]:
        return {
            name
            for name in ("is_convex", "takes_metric", "is_constrained", "pulls_to_zero")
            if getattr(penalty.traits, name)
        }

    everywhere = np.ones((2, 2))
    assert facts(L1(1.0) + L2(1.0)) == {"is_convex", "takes_metric", "pulls_to_zero"}
    assert facts(L1(1.0) + ZeroMean()) == {"is_convex", "is_constrained"}
    assert facts(Toward(everywhere, ZeroMean())) == {"is_convex", "is_constrained"}
    assert facts(Weighted(everywhere, TowardOne(1.0))) == {"is_convex", "takes_metric"}
    assert facts(Weighted(everywhere, L1(1.0) + L2(1.0))) == facts(L1(1.0) + L2(1.0))


def test_what_a_penalty_may_lack_has_three_names() -> None:
    with pytest.raises(ValueError, match='what must be "gradient", "prox" or "metric"'):
        L1(1.0).why_not("proxx")
