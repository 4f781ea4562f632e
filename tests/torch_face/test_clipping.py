"""Clipping gradients and strengths by one factor c: the arithmetic of single steps."""

from __future__ import annotations

import copy
import gc
import pickle
from functools import partial
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.nn.utils import clip_grad_norm_

import shrinkage.torch
from fused_twins import attached, ours, parameters, torch_operations
from shrinkage import L1, L2, Box, ElasticNet, GroupLasso
from shrinkage.torch import RDA, Regularizer
from shrinkage.torch.binding.clipping import clipped_share, is_any_clipped

FIVE = [3.0, 4.0]  # a gradient of norm 5


class Two(nn.Module):
    """Two matrices of two weights, 1 and 2, with gradients of norm 5 each."""

    def __init__(self, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor([[1.0, 2.0]], dtype=dtype))
        self.b = nn.Parameter(torch.tensor([[1.0, 2.0]], dtype=dtype))
        self.renew()

    def renew(self) -> None:
        for one in (self.a, self.b):
            one.grad = torch.tensor([FIVE], dtype=one.dtype)

    def flat(self) -> list[float]:
        return torch.cat([self.a, self.b], dim=1)[0].tolist()


def under(how: str, make: Any = None, lam: float = 1.0, **options: Any) -> Any:
    """Two parameters under SGD with lr 0.1 and L1(lam), both or the first alone penalized."""
    model = Two()
    optimizer = (make or partial(torch.optim.SGD, lr=0.1))(model.parameters())
    regularizer = Regularizer(model, L1(lam), **{"on": "all", **options})
    regularizer.attach(optimizer, how=how)
    return model, optimizer, regularizer


def stepped(share: float, *, strength: float | None = None) -> list[float]:
    """Where one step of lr 0.1 brings a parameter: w − 0.1·(c·g + c·lam·sign(w))."""
    lam = share if strength is None else strength
    return [1.0 - 0.1 * (3.0 * share + lam), 2.0 - 0.1 * (4.0 * share + lam)]


@pytest.mark.parametrize("how", ["coupled", "decoupled", "proximal"])
def test_gradient_and_strength_are_scaled_by_one_number(how: str) -> None:
    model, optimizer, regularizer = under(how)
    norm = regularizer.clip_grad_norm_(model.parameters(), 0.5)
    assert norm.item() == pytest.approx(50**0.5)
    optimizer.step()
    assert model.flat() == pytest.approx(2 * stepped(0.5 / 50**0.5), abs=1e-6)


@pytest.mark.parametrize("how", ["coupled", "decoupled", "proximal"])
def test_the_next_step_spends_it(how: str) -> None:
    model, optimizer, regularizer = under(how, on=["a"])
    regularizer.clip_grad_norm_(model.a, 1.0)
    optimizer.step()
    with torch.no_grad():
        model.a.copy_(torch.tensor([[1.0, 2.0]]))
        model.a.grad.copy_(torch.tensor([FIVE]))  # the same tensor, filled anew
    optimizer.step()
    assert model.flat()[:2] == pytest.approx(stepped(1.0))


@pytest.mark.parametrize("how", ["coupled", "proximal"])
def test_each_parameter_has_its_own(how: str) -> None:
    model, optimizer, regularizer = under(how)
    regularizer.clip_grad_norm_(model.a, 1.0)
    regularizer.clip_grad_norm_([model.b], 0.5)
    optimizer.step()
    assert model.flat() == pytest.approx(stepped(0.2) + stepped(0.1), abs=1e-6)


@pytest.mark.parametrize("how", ["coupled", "proximal"])
def test_a_part_is_clipped_and_the_rest_is_not(how: str) -> None:
    model, optimizer, regularizer = under(how)
    regularizer.clip_grad_norm_((one for one in [model.b]), 1.0)  # read once
    optimizer.step()
    assert model.flat() == pytest.approx(stepped(1.0) + stepped(0.2), abs=1e-6)


@pytest.mark.parametrize("how", ["coupled", "proximal"])
def test_clipped_twice_is_the_product(how: str) -> None:
    model, optimizer, regularizer = under(how)
    regularizer.clip_grad_norm_(model.parameters(), 2.0)
    regularizer.clip_grad_norm_(model.a, 1.0)
    optimizer.step()
    shared = 2.0 / 50**0.5
    assert model.flat() == pytest.approx(stepped(0.2) + stepped(shared), abs=1e-6)


def test_what_is_not_penalized_counts_in_the_norm() -> None:
    model, optimizer, regularizer = under("proximal", on=["a"])
    assert regularizer.clip_grad_norm_(model.parameters(), 1.0).item() == pytest.approx(50**0.5)
    optimizer.step()
    share = 50**-0.5
    assert model.flat() == pytest.approx(stepped(share) + stepped(share, strength=0.0), abs=1e-6)


@pytest.mark.parametrize("to_none", [True, False])
@pytest.mark.parametrize("how", ["coupled", "proximal"])
def test_gradients_made_anew_begin_at_one(how: str, to_none: bool) -> None:
    model, optimizer, regularizer = under(how)
    regularizer.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.zero_grad(set_to_none=to_none)  # a step that a scaler left out
    (3.0 * model.a[0, 0] + 4.0 * model.a[0, 1] + (model.b * torch.tensor([FIVE])).sum()).backward()
    regularizer.clip_grad_norm_(model.a, 1.0)
    regularizer.clip_grad_norm_(model.b, 10.0)  # does not bind
    optimizer.step()
    assert model.flat() == pytest.approx(stepped(0.2) + stepped(1.0), abs=1e-6)


def test_gradients_made_anew_without_clipping_have_none() -> None:
    model, optimizer, regularizer = under("proximal")
    regularizer.clip_grad_norm_(model.parameters(), 1.0)
    model.renew()
    optimizer.step()
    assert model.flat() == pytest.approx(2 * stepped(1.0))


def test_gradients_add_up_before_they_are_clipped() -> None:
    model, optimizer, regularizer = under("proximal")
    optimizer.zero_grad()
    for _ in range(4):
        (torch.cat([model.a, model.b]) * torch.tensor(FIVE) / 4).sum().backward()
    regularizer.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    assert model.flat() == pytest.approx(2 * stepped(50**-0.5), abs=1e-6)


def test_a_parameter_without_a_gradient_stays() -> None:
    model, optimizer, regularizer = under("proximal")
    model.b.grad = None
    regularizer.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    assert model.flat() == pytest.approx([*stepped(0.2), 1.0, 2.0], abs=1e-6)


def test_two_regularizers_share_what_one_clips() -> None:
    for max_norm in (None, 1.0):
        model = Two()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        first = Regularizer(model, L1(1.0), on=["a"])
        first.attach(optimizer, how="coupled", max_norm=max_norm)
        Regularizer(model, L1(1.0), on=["b"]).attach(optimizer, how="proximal")
        if max_norm is None:
            first.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        assert model.flat() == pytest.approx(2 * stepped(50**-0.5), abs=1e-6)


@pytest.mark.slow
def test_a_constraint_holds_however_far_gradients_are_clipped() -> None:
    model = Two()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    regularizer = Regularizer(model, Box(0.0, 0.5), on="all")
    regularizer.attach(optimizer, how="proximal")
    regularizer.clip_grad_norm_(model.parameters(), 0.0)
    optimizer.step()
    assert model.flat() == [0.5] * 4


def test_an_unattached_regularizer_clips_as_torch() -> None:
    model, other = Two(), Two()
    regularizer = Regularizer(model, L1(1.0), on="all")
    norm = regularizer.clip_grad_norm_(model.parameters(), 1.0)
    assert torch.equal(norm, clip_grad_norm_(other.parameters(), 1.0))
    assert torch.equal(model.a.grad, other.a.grad)
    assert regularizer.penalty().item() == 6.0


@pytest.mark.quick_where(norm_type=[2.0, "inf"])
@pytest.mark.parametrize("norm_type", [1.0, 2.0, 3, float("inf"), "inf"])
def test_norm_and_gradients_are_those_of_torch(norm_type: Any) -> None:
    for dtype, foreach in product(
        (torch.float32, torch.float64, torch.bfloat16), (None, False, True)
    ):
        check_clips_as_torch(norm_type, foreach, dtype)


def check_clips_as_torch(norm_type: Any, foreach: Any, dtype: Any) -> None:
    for spoiled in (None, float("inf"), float("nan")):
        for max_norm in (0.7, 100.0, float("inf"), 0.0, torch.tensor(0.7)):
            model, other = Two(dtype), Two(dtype)
            for one in (model, other):
                if spoiled is not None:
                    one.a.grad[0, 0] = spoiled
            regularizer = Regularizer(model, L1(1.0), on="all")
            regularizer.attach(torch.optim.SGD(model.parameters(), lr=0.1), how="coupled")
            options = {"norm_type": norm_type, "foreach": foreach}
            norm = regularizer.clip_grad_norm_(model.parameters(), max_norm, **options)
            expected = clip_grad_norm_(other.parameters(), max_norm, **options)
            assert torch.equal(norm, expected) or (norm.isnan() and expected.isnan())
            for one, v in zip(model.parameters(), other.parameters(), strict=True):
                torch.testing.assert_close(one.grad, v.grad, rtol=0, atol=0, equal_nan=True)
            clipped = torch.tensor(FIVE, dtype=dtype) * torch.tensor(
                clipped_share(model.b), dtype=dtype
            )
            close = {"rtol": 1e-2 if dtype is torch.bfloat16 else 1e-6, "atol": 0.0}
            torch.testing.assert_close(clipped, model.b.grad[0], equal_nan=True, **close)
            if spoiled is not None:
                with pytest.raises(RuntimeError, match="non-finite"):
                    regularizer.clip_grad_norm_(model.parameters(), 1.0, error_if_nonfinite=True)


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.usefixtures("torch_operations")
def test_decay_is_that_of_adamw_to_the_last_bit(inside: bool) -> None:
    penalty = L2.from_weight_decay(0.3)
    w, v = (nn.ParameterDict({"w": torch.tensor([[1.0, -2.0, 0.5]])}) for _ in range(2))
    adamw = torch.optim.AdamW(v.values(), lr=0.01, weight_decay=0.3, foreach=False)
    if inside:
        options = {"penalty": penalty, "how": "decoupled"}
        optimizer: Any = shrinkage.torch.Adam(w.values(), lr=0.01, max_norm=0.1, **options)
    else:
        optimizer = torch.optim.Adam(w.values(), lr=0.01, foreach=False)
        Regularizer(w, penalty).attach(optimizer, how="decoupled", max_norm=0.1)
    drawn = torch.Generator().manual_seed(0)
    for _ in range(6):
        gradient = torch.randn(1, 3, generator=drawn)
        w["w"].grad, v["w"].grad = gradient.clone(), gradient.clone()
        clip_grad_norm_(v.values(), 0.1)
        adamw.step()
        optimizer.step()
    if inside:
        torch.testing.assert_close(w["w"], v["w"], rtol=1e-6, atol=0)
    else:
        assert torch.equal(w["w"], v["w"])


@pytest.mark.parametrize("scale", ["none", "schedule"])
def test_a_decay_that_is_not_times_lr_stays(scale: str) -> None:
    model = Two()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    regularizer = Regularizer(model, L1(0.1), on="all")
    regularizer.attach(optimizer, how="decoupled", scale=scale, max_norm=1.0)
    optimizer.step()
    share = 50**-0.5
    assert model.flat() == pytest.approx(2 * stepped(share, strength=1.0), abs=1e-6)


KINDS: list[tuple[Any, dict[str, Any]]] = [
    (torch.optim.SGD, {"lr": 0.05, "momentum": 0.9}),
    (torch.optim.Adam, {"lr": 0.05}),
]
SHAPES = {"a": (3, 4), "b": (2, 5), "c": (6,), "d": (4, 3)}


WAYS = [
    (way, how)
    for way in ("loops", "bare", "torch", "attached in loops")
    for how in ("coupled", "proximal", "decoupled")
    if way != "attached in loops" or how == "proximal"
]


@pytest.mark.slow
@pytest.mark.parametrize(("way", "how"), [*WAYS, ("bfloat16", "proximal")])
def test_inside_equals_attached_where_each_parameter_has_its_own(way: str, how: str) -> None:
    """Twins: gradients clipped by torch, then the same step with each strength written out."""
    dtype = torch.bfloat16 if way == "bfloat16" else torch.float64
    penalties = [ElasticNet(0.3), GroupLasso(0.3)] if way == "torch" else [ElasticNet(0.3)]
    for kind, options in KINDS if dtype is torch.float64 else KINDS[-1:]:
        for penalty in penalties:
            model, other = parameters(SHAPES, dtype), parameters(SHAPES, torch.float64)
            regularizer = Regularizer(model, penalty, on="all")
            if way == "attached in loops":
                optimizer, _ = attached(model, kind, options, penalty, how)
            else:
                inside: Any = penalty if way == "bare" else regularizer
                optimizer = ours(model, kind, options, inside, how)
            by_hand = [kind([w], **options) for w in other.values()]
            scales = how != "decoupled" or kind is torch.optim.SGD
            held = [
                Regularizer(nn.ParameterDict({"w": w}), penalty, on="all") for w in other.values()
            ]
            for one, its in zip(held, by_hand, strict=True):
                one.attach(its, how=how)
            for step in range(4):
                drawn = torch.Generator().manual_seed(step)
                for (name, w), v in zip(model.items(), other.values(), strict=True):
                    v.grad = torch.randn(w.shape, generator=drawn, dtype=torch.float64)
                    w.grad = v.grad.to(dtype, copy=True)
                    if step != 2:
                        regularizer.clip_grad_norm_(w, 0.3 + ord(name) / 200)
                for (name, v), one, its in zip(other.items(), held, by_hand, strict=True):
                    norm = float(v.grad.norm())
                    share = 1.0 if step == 2 else min(1.0, (0.3 + ord(name) / 200) / (norm + 1e-6))
                    v.grad *= share
                    one.factor = share if scales else 1.0
                    its.step()
                if way == "torch":
                    with torch_operations():
                        optimizer.step()
                else:
                    optimizer.step()
            for w, v in zip(model.values(), other.values(), strict=True):
                close = 0.05 if dtype is torch.bfloat16 else 1e-12
                torch.testing.assert_close(w.double(), v, rtol=close, atol=close)


AMP: dict[str, Any] = {
    f"{kind.__name__} {'fused' if fused else 'plain'}": partial(kind, fused=fused, lr=0.05)
    for kind in (torch.optim.SGD, torch.optim.Adam)
    for fused in (False, True)
} | {"ours": partial(shrinkage.torch.Adam, lr=0.05)}


def amp(make: Any, how: str, way: str, scaler: GradScaler | None) -> list[Tensor]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    regularizer = Regularizer(model, L1(0.05))
    max_norm = 0.1 if way == "max_norm" else None
    if make is AMP["ours"]:
        inside = {"penalty": regularizer, "how": how, "max_norm": max_norm}
        optimizer = make(model.parameters(), **inside)
    else:
        optimizer = make(model.parameters())
        regularizer.attach(optimizer, how=how, max_norm=max_norm)
    x = torch.linspace(-1, 1, 12).view(4, 3).double()
    for step in range(5):
        optimizer.zero_grad()
        loss = (model(x) - 1).square().mean()
        loss = loss if scaler is None else scaler.scale(loss)
        loss.backward()
        spoiled = step == 2
        if spoiled and scaler is not None:
            model[2].bias.grad[0] = float("inf")
        if way == "method":
            if scaler is not None:
                scaler.unscale_(optimizer)
            regularizer.clip_grad_norm_(model.parameters(), 0.1)
        if scaler is not None:
            scaler.step(optimizer)
            scaler.update()
        elif not spoiled:
            optimizer.step()
    return [parameter.detach() for parameter in model.parameters()]


@pytest.mark.slow
@pytest.mark.parametrize("make", AMP.values(), ids=AMP)
@pytest.mark.parametrize("how", ["coupled", "proximal"])
def test_under_amp_with_a_skipped_step(make: Any, how: str) -> None:
    unclipped = amp(make, how, "none", None)
    for way in ("method", "max_norm"):
        scaled = amp(make, how, way, GradScaler("cpu", init_scale=2.0**10))
        plain = amp(make, how, way, None)
        for one, other in zip(scaled, plain, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-12)
        assert max((a - b).abs().max() for a, b in zip(plain, unclipped, strict=True)) > 1e-3


def test_a_step_that_a_fused_optimizer_skips_spends_it() -> None:
    make = partial(torch.optim.SGD, lr=0.1, fused=True)
    model, optimizer, regularizer = under("proximal", make)
    regularizer.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.found_inf = torch.tensor(1.0)
    optimizer.step()
    assert model.flat() == [1.0, 2.0, 1.0, 2.0]
    assert not is_any_clipped() or clipped_share(model.a) == 1.0
    optimizer.found_inf = torch.tensor(0.0)
    for one in model.parameters():
        one.grad.copy_(torch.tensor([FIVE]))
    optimizer.step()
    assert model.flat() == pytest.approx(2 * stepped(1.0))


def test_sparse_gradients_are_clipped_too() -> None:
    ends = []
    for sparse in (True, False):
        torch.manual_seed(0)
        model = nn.Embedding(5, 2, sparse=sparse).double()
        make = torch.optim.SparseAdam if sparse else partial(torch.optim.Adam, eps=1e-8)
        optimizer = make(model.parameters(), lr=0.1)
        regularizer = Regularizer(model, L1(0.5))
        regularizer.attach(optimizer, how="proximal")
        (model(torch.arange(5).repeat(2)) * torch.tensor(FIVE)).sum().backward()
        norm = regularizer.clip_grad_norm_(model.parameters(), 1.0)
        assert norm.item() == pytest.approx(10 * 5**0.5)
        optimizer.step()
        ends.append(model.weight.detach())
    torch.testing.assert_close(ends[0], ends[1], rtol=1e-6, atol=1e-8)


def test_dual_averaging_counts_a_clipped_step_as_a_part_of_one() -> None:
    """w = prox(w₀ − lr·Σcg/h, (Σc)·lr/h)."""
    for way in ("method", "max_norm"):
        model = Two()
        regularizer = Regularizer(model, L1(1.0), on="all")
        max_norm = 1.0 if way == "max_norm" else None
        optimizer = RDA(model.parameters(), lr=0.1, penalty=regularizer, max_norm=max_norm)
        for _ in range(2):
            model.renew()
            if way == "method":
                regularizer.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        share = 50**-0.5
        expected = [
            w - 0.1 * (2 * share * g + 2 * share) / (2 * (share * g) ** 2) ** 0.5
            for w, g in [(1.0, 3.0), (2.0, 4.0)]
        ]
        assert model.flat() == pytest.approx(2 * expected, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("make", [torch.optim.SGD, shrinkage.torch.SGD])
def test_a_closure_is_clipped_in_the_step(make: Any) -> None:
    for how in ("coupled", "decoupled", "proximal"):
        model = Two()
        for one in model.parameters():
            one.grad = None
        regularizer = Regularizer(model, L1(1.0), on="all")
        if make is torch.optim.SGD:
            optimizer = make(model.parameters(), lr=0.1)
            regularizer.attach(optimizer, how=how, max_norm=1.0)
        else:
            inside = {"penalty": regularizer, "how": how, "max_norm": 1.0}
            optimizer = make(model.parameters(), lr=0.1, **inside)
        optimizer.step(model.renew)
        assert model.flat() == pytest.approx(2 * stepped(50**-0.5), abs=1e-6), how


@pytest.mark.parametrize(
    ("bad", "kind", "said"),
    [
        (-1.0, ValueError, "max_norm must be >= 0, got -1.0"),
        (float("nan"), ValueError, "max_norm must be >= 0, got nan"),
        ("1.0", TypeError, "max_norm must be a number"),
        (None, TypeError, "max_norm must be a number"),
    ],
)
def test_a_norm_that_is_none_is_refused(bad: Any, kind: Any, said: str) -> None:
    model, _, regularizer = under("proximal")
    with pytest.raises(kind, match=said):
        regularizer.clip_grad_norm_(model.parameters(), bad)
    assert model.a.grad.tolist() == [FIVE]


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), "1"])
def test_the_option_is_refused_likewise(bad: Any) -> None:
    kind = TypeError if isinstance(bad, str) else ValueError
    model = Two()
    optimizer = torch.optim.SGD(model.parameters())
    regularizer = Regularizer(model, L1(1.0), on="all")
    with pytest.raises(kind, match="max_norm must be"):
        regularizer.attach(optimizer, how="coupled", max_norm=bad)
    for make in (shrinkage.torch.SGD, shrinkage.torch.Adam, RDA):
        with pytest.raises(kind, match="max_norm must be"):
            make(model.parameters(), lr=0.1, penalty=L1(1.0), max_norm=bad)
    regularizer.attach(optimizer, how="coupled")  # nothing was left behind


def test_clippings_that_would_meet_are_refused() -> None:
    model = Two()
    optimizer = torch.optim.SGD(model.parameters())
    Regularizer(model, L1(1.0), on=["a"]).attach(optimizer, how="coupled", max_norm=1.0)
    second = Regularizer(model, L1(1.0), on=["b"])
    with pytest.raises(ValueError, match=r"attached first, where max_norm is 1\.0; leave it out"):
        second.attach(optimizer, how="coupled", max_norm=1.0)
    own = shrinkage.torch.SGD(model.parameters(), max_norm=1.0)
    with pytest.raises(ValueError, match="clips inside its step"):
        second.attach(own, how="coupled")
    with pytest.raises(ValueError, match="differentiable=True"):
        shrinkage.torch.SGD(model.parameters(), differentiable=True, max_norm=1.0)
    with pytest.raises(ValueError, match="a group has none"):
        shrinkage.torch.SGD([{"params": [model.a], "max_norm": 1.0}])


def test_names_are_no_parameters() -> None:
    model, _, regularizer = under("proximal")
    with pytest.raises(TypeError, match=r"must be tensors, as of model\.parameters"):
        regularizer.clip_grad_norm_(model.named_parameters(), 1.0)
    with pytest.warns(UserWarning, match="parameters is empty") as caught:
        regularizer.clip_grad_norm_(iter([]), 1.0)
    assert caught[0].filename == __file__


def test_it_is_no_part_of_a_checkpoint_and_goes_with_a_copy() -> None:
    model = Two()
    optimizer = shrinkage.torch.SGD(model.parameters(), penalty=L1(1.0), max_norm=1.0)
    optimizer.add_param_group({"params": [nn.Parameter(torch.ones(2))]})
    assert "max_norm" not in str(optimizer.state_dict())
    for again in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        assert again.max_norm == 1.0
    regularizer = Regularizer(model, L1(1.0), on="all")
    regularizer.clip_grad_norm_(model.parameters(), 1.0)
    assert "clip" not in str(regularizer.state_dict())
    copy.deepcopy(regularizer)


@pytest.mark.slow
def test_nothing_is_kept_of_parameters_that_are_gone() -> None:
    model, _, regularizer = under("proximal")
    regularizer.clip_grad_norm_(model.parameters(), 1.0)
    assert is_any_clipped()
    assert clipped_share(model.a) < 1.0
    regularizer.detach()
    del model, _, regularizer
    gc.collect()
    assert not is_any_clipped()


def test_a_printed_attachment_says_so() -> None:
    model = Two()
    optimizer = torch.optim.SGD(model.parameters())
    attachment = Regularizer(model, L1(1.0), on="all").attach(
        optimizer, how="proximal", max_norm=0.5
    )
    assert repr(attachment).endswith("exact zeros; gradients are clipped to norm 0.5")
    regularizer = Regularizer(model, L1(1.0), on="all")
    shrinkage.torch.SGD(model.parameters(), penalty=regularizer, max_norm=0.5)
    assert "; gradients are clipped to norm 0.5" in repr(regularizer)


def test_a_norm_that_is_set_after_attaching_is_refused_as_before_it() -> None:
    model = nn.Linear(2, 1)
    optimizer = shrinkage.torch.SGD(model.parameters(), lr=0.1)
    attachment = Regularizer(model, L1(0.1)).attach(optimizer, "proximal")
    with pytest.raises(ValueError, match="clips inside its step, after attached penalties"):
        optimizer.max_norm = 1.0
    assert optimizer.max_norm is None
    optimizer.max_norm = None
    attachment.detach()
    optimizer.max_norm = 1.0
    assert optimizer.max_norm == 1.0
