"""A wanted share of zeros: reached exactly, along its ramp, and held."""

import copy
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

import shrinkage.torch
from shrinkage import L0, L1, L2, MCP, SCAD, GroupL0, GroupLasso, LogSum, Penalty
from shrinkage.kernels.smallest import BINS, PIECE, TOP, Worth, count_by_bins, cut_below
from shrinkage.torch import Joint, Regularizer, schedules
from shrinkage.torch.attaching import proximal, scores
from shrinkage.torch.attaching.pursuit import find_factor
from shrinkage.torch.binding.target import Goal, Target
from shrinkage.torch.tensors.smallest import bits_of, take_smallest

MAKES: dict[str, Callable[[Any], Optimizer]] = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=0.01),
    "Adagrad": lambda p: torch.optim.Adagrad(p, lr=0.1),
    "our SGD": lambda p: shrinkage.torch.SGD(p, lr=0.05, momentum=0.9),
    "our Adam": lambda p: shrinkage.torch.Adam(p, lr=0.01),
}
ADAM = MAKES["Adam"]
pytestmark = pytest.mark.usefixtures("torch_operations")  # test_target_in_loops.py has loops


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 20), nn.Tanh(), nn.Linear(20, 5))


def train(model: nn.Module, optimizer: Optimizer, steps: int) -> None:
    x = torch.linspace(-1, 1, 48).view(8, 6).sin()
    for _ in range(steps):
        optimizer.zero_grad()
        (model(x) - x[:, :5] ** 2).square().mean().backward()
        optimizer.step()


def attached(penalty: Any, make: Any = ADAM, **options: Any) -> tuple[Any, Any, Regularizer]:
    model = network()
    optimizer, regularizer = make(model.parameters()), Regularizer(model, penalty)
    options = {"target": 0.8, "target_steps": 20, "target_start": 5} | options
    regularizer.attach(optimizer, how="proximal", **options)
    return model, optimizer, regularizer


@pytest.mark.filterwarnings("ignore:target. 2.weight keeps:UserWarning")
@pytest.mark.parametrize("name", MAKES)
def test_a_count_follows_the_ramp_exactly_and_is_held(name: str) -> None:
    model, optimizer, regularizer = attached(L0(1.0), MAKES[name])
    for step in range(1, 31):
        train(model, optimizer, 1)
        p = min(max((step - 5) / 20, 0.0), 1.0)
        assert regularizer.sparsity().zeros == round(0.8 * (1 - (1 - p) ** 3) * 220)
    before = [w.detach().clone() == 0 for w in model.parameters()]
    regularizer.detach()
    train(model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), 3)
    assert all(torch.equal(a, w == 0) for a, w in zip(before, model.parameters(), strict=True))
    regularizer.release()


@pytest.mark.parametrize("name", ["momentum", "Adam"])
def test_what_becomes_zero_is_worth_least_in_the_optimizers_metric(name: str) -> None:
    """The twin sorts w²/(2s) of a step without a penalty; the others are not shrunk."""
    model, optimizer, regularizer = attached(
        {"0.weight": L0(2.0), "2.weight": L0(0.5)}, MAKES[name], target_start=0, target_steps=4
    )
    train(model, optimizer, 1)
    twin = network()
    plain = MAKES[name](twin.parameters())
    train(twin, plain, 1)
    if name == "Adam":
        roots = [plain.state[w]["exp_avg_sq"].sqrt() / 0.001**0.5 for w in twin.parameters()]
        steps = [0.01 / (root + 1e-8) for root in roots]
    else:
        steps = [torch.tensor(0.05)] * 4
    weights = [twin[0].weight.detach(), twin[2].weight.detach()]
    worth = [
        (w**2 / (2 * s) / lam).ravel()
        for w, s, lam in zip(weights, [steps[0], steps[2]], [2.0, 0.5], strict=True)
    ]
    count = round(0.8 * (1 - 0.75**3) * 220)
    threshold = torch.cat(worth).sort()[0][count - 1]
    for w, cost, mine in zip(weights, worth, [model[0].weight, model[2].weight], strict=True):
        expected = torch.where(cost.view(w.shape) <= threshold, 0.0, w)
        torch.testing.assert_close(mine.detach(), expected, rtol=1e-5, atol=1e-7)
    assert regularizer.factor == pytest.approx(float(threshold), rel=1e-4)
    regularizer.detach()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "dtype"),
    [*((name, torch.float32) for name in MAKES if name != "SGD"), ("SGD", torch.float64)],
)
def test_compiled_loops_choose_the_same(
    name: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = []
    for large in (0, 1 << 40):
        monkeypatch.setattr(proximal, "LARGE", large)
        model = network().to(dtype)
        optimizer, regularizer = MAKES[name](model.parameters()), Regularizer(model, L0(0.5))
        regularizer.attach(optimizer, "proximal", target=0.7, target_steps=4, target_floor=0.0)
        x = torch.linspace(-1, 1, 48, dtype=dtype).view(8, 6).sin()
        for _ in range(3):
            optimizer.zero_grad()
            (model(x) - x[:, :5] ** 2).square().mean().backward()
            optimizer.step()
        trained.append(([w.detach() for w in model.parameters()], regularizer))
    for one, other in zip(trained[0][0], trained[1][0], strict=True):
        assert torch.equal(one, other)
    assert trained[0][1].factor == pytest.approx(trained[1][1].factor, rel=1e-5)


@pytest.mark.quick_where(dtype=[np.float32])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_loops_count_and_cut_by_bins(dtype: Any) -> None:
    """Over more than one piece, with NaN on top, against NumPy."""
    random = np.random.default_rng(0)
    w = random.standard_normal(PIECE + 5000).astype(dtype)
    w[7], v = np.nan, random.random(len(w)).astype(dtype)
    worth = Worth(w, v, 2.0, 0.1)
    keys = (w * w * (dtype(2.0) * np.sqrt(v) + dtype(0.1))).astype(np.float32).view(np.int32)
    keys &= 0x7FFFFFFF
    counts = count_by_bins(worth, 2)
    assert np.array_equal(counts.sum(0), np.bincount(keys >> TOP, minlength=BINS))
    middle = int(np.searchsorted(np.cumsum(counts.sum(0)), len(w) // 2))
    places, found = cut_below(worth, middle, counts[:, middle], 2)
    assert np.array_equal(places, np.flatnonzero(keys >> TOP == middle))
    assert np.array_equal(found, keys[places])
    assert np.array_equal(w == 0, keys >> TOP < middle)


def test_ties_and_sleeping_optimizers_give_exactly_k() -> None:
    model, optimizer, regularizer = attached(L0(1.0), MAKES["SGD"], target_start=0, target_steps=1)
    for w in model.parameters():
        nn.init.constant_(w, 0.5)
        w.grad = torch.ones_like(w)
    optimizer.param_groups[0]["lr"] = 0.0
    optimizer.step()
    assert regularizer.sparsity().zeros == 176
    regularizer.release()


@pytest.mark.filterwarnings("ignore:target. 2.weight keeps:UserWarning")
@pytest.mark.parametrize(
    "penalty", [L1(1e-3), L1(10.0), MCP(0.1, 1.0), SCAD(0.1), LogSum(1e-3, 0.03)], ids=str
)
@pytest.mark.parametrize("name", ["momentum", "our Adam"])
def test_a_steered_strength_follows_the_ramp_and_holds_its_zeros(
    penalty: Penalty, name: str
) -> None:
    """Without a warning: at the end the strength holds nearly all zeros by itself."""
    model, optimizer, regularizer = attached(penalty, MAKES[name])
    for step in range(1, 26):
        train(model, optimizer, 1)
        p = min(max((step - 5) / 20, 0.0), 1.0)
        wanted = round(0.8 * (1 - (1 - p) ** 3) * 220)
        assert wanted <= regularizer.sparsity().zeros <= wanted + 1
    assert regularizer.factor != 1.0
    assert "reached at step 25" in repr(regularizer)
    regularizer.release()


def test_the_strength_does_not_depend_on_the_one_that_was_written() -> None:
    found = []
    for lam in (1e-6, 10.0):
        model, optimizer, regularizer = attached(L1(lam), target_floor=0.0, target_steps=40)
        train(model, optimizer, 45)
        found.append(lam * regularizer.factor)
        regularizer.release()
    assert max(found) < 1.3 * min(found)


def test_a_strength_that_has_had_no_time_is_told() -> None:
    model, optimizer, regularizer = attached(L1(1e-3), target_start=0, target_steps=1)
    with pytest.warns(UserWarning, match=r"at step 1 the strength holds 0\.0% zeros, where 80\.0%"):
        train(model, optimizer, 1)
    assert regularizer.sparsity().zeros == 176
    assert "the last 80.0% the smallest" in repr(regularizer)
    regularizer.release()


@pytest.mark.parametrize("penalty", [L1(1e-3), SCAD(0.1), L1(1e-3) + L2(1e-2)], ids=str)
@pytest.mark.parametrize("name", ["momentum", "Adam", "Adagrad"])
def test_a_sample_says_how_many_zeros_a_strength_leaves(
    penalty: Penalty, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = nn.Linear(300, 100, bias=False)
    optimizer, regularizer = MAKES[name](model.parameters()), Regularizer(model, penalty)
    attachment = regularizer.attach(optimizer, "proximal", target=0.5, target_steps=10)
    model(torch.randn(8, 300)).square().mean().backward()
    optimizer.step()
    (units,) = attachment._pursuit._aims[0].units
    readings = attachment._proximal.read((units.binding, optimizer.param_groups))
    whole = units.zeros_after(readings)
    monkeypatch.setattr(scores, "SAMPLE", 10_000)
    sample = units.zeros_after(readings)
    for factor in (0.1, 10.0, 1000.0):
        assert sample(factor) == pytest.approx(whole(factor), abs=600)  # four standard errors
    assert whole(1e6) == 30_000
    assert sample(1e6) == 30_000


def test_the_factor_that_leaves_so_many_zeros_is_found_from_anywhere() -> None:
    at_least = [1e-3, 1e-3, 0.5, 2.0, 2.1, 2.2, 7.0, 1e4]

    def zeros_at(factor: float) -> int:
        return sum(factor >= score for score in at_least)

    for last in (1e-9, 1.0, 1e9):
        assert 2.2 <= find_factor(zeros_at, last, 6) <= 7.0
    assert find_factor(zeros_at, 1.0, 9) == 1.0  # never so many: it stays
    assert find_factor(lambda factor: 5, 1.0, 3) == 0.0  # more without a penalty
    answers = iter([0.0] * 100)  # and then an error, where the search would go on for ever
    assert np.isnan(find_factor(lambda factor: next(answers), float("nan"), 3))
    assert find_factor(lambda factor: next(answers), float("inf"), 3) == float("inf")
    factor = 6.9
    for _ in range(200):
        factor = find_factor(zeros_at, factor, 6)
    assert factor == pytest.approx(2.2, rel=0.1)  # the least one, in the course of many steps


@pytest.mark.filterwarnings("ignore:target:UserWarning")
@pytest.mark.parametrize("penalty", [GroupL0(1.0), GroupL0(1.0, "in"), GroupLasso(1e-3)], ids=str)
def test_of_groups_the_share_of_dead_ones_is_meant(penalty: Penalty) -> None:
    model, optimizer, regularizer = attached(penalty, target=0.6, target_floor=0.0)
    train(model, optimizer, 30)
    zeros = regularizer.sparsity().parameters.values()
    groups = sum(z.groups for z in zeros)
    assert sum(z.dead_groups for z in zeros) == round(0.6 * groups)
    regularizer.release()


def test_dead_units_of_a_joint_stay_dead_with_their_biases() -> None:
    unit = Joint("0.weight", "0.bias", "2.weight:in")
    model, optimizer, regularizer = attached({unit: GroupL0(1.0)}, target=0.5)
    train(model, optimizer, 40)
    dead = (model[0].weight == 0).all(1)
    assert int(dead.sum()) == 10
    assert torch.equal(dead, model[0].bias == 0)
    assert torch.equal(dead, (model[2].weight == 0).all(0))
    regularizer.release()


def test_no_layer_dies_unasked_and_it_is_said_once() -> None:
    model, optimizer, regularizer = attached(
        L0(1.0), MAKES["SGD"], target=0.5, target_floor=0.25, target_start=0, target_steps=2
    )
    with torch.no_grad():
        model[2].weight *= 1e-3
    with pytest.warns(UserWarning, match=r"2\.weight keeps 25 of its 100 entries"):
        train(model, optimizer, 3)
    rows = regularizer.sparsity().parameters
    assert rows["2.weight"].zeros == 75
    assert regularizer.sparsity().zeros == 110
    regularizer.release()


@pytest.mark.filterwarnings("ignore:target. at step:UserWarning")
def test_the_floor_holds_under_a_steered_strength() -> None:
    penalty = {"0.weight": L1(1e-6), "2.weight": L1(1.0)}
    model, optimizer, regularizer = attached(penalty, target=0.3, target_floor=0.5)
    with pytest.warns(UserWarning, match=r"2\.weight keeps 50 of its 100 entries") as caught:
        train(model, optimizer, 30)
    assert {warning.filename for warning in caught} == {__file__}
    assert regularizer.sparsity().parameters["2.weight"].zeros <= 50
    regularizer.release()


def test_a_mapping_has_a_share_for_each_pattern() -> None:
    model, optimizer, regularizer = attached(
        {"0*": L0(1.0), "2*": GroupL0(1.0), "*.bias": L2(0.1)}, target={"0*": 0.9, "2*": 0.4}
    )
    train(model, optimizer, 30)
    rows = regularizer.sparsity().parameters
    assert rows["0.weight"].zeros == 108
    assert rows["2.weight"].dead_groups == 2
    assert "in 0*" in repr(regularizer)
    regularizer.release()


@pytest.mark.quick_where(stop=[12])
@pytest.mark.filterwarnings("ignore:target:UserWarning")
@pytest.mark.parametrize("penalty", [L0(1.0), L1(1e-3)], ids=str)
@pytest.mark.parametrize("stop", [3, 12, 27])
def test_a_resumed_run_is_the_same(penalty: Penalty, stop: int) -> None:
    model, optimizer, regularizer = attached(penalty)
    train(model, optimizer, stop)
    saved: Any = copy.deepcopy(
        (model.state_dict(), optimizer.state_dict(), regularizer.state_dict())
    )
    train(model, optimizer, 30 - stop)
    for by in ("optimizer", "optimizer before attach", "regularizer"):
        again, resumed = resume_by(by, penalty, *copy.deepcopy(saved), steps=30 - stop)
        for a, b in zip(model.parameters(), again.parameters(), strict=True):
            assert torch.equal(a, b), by
        assert resumed.factor == regularizer.factor, by
        resumed.release()
    regularizer.release()


def resume_by(
    by: str, penalty: Penalty, weights: Any, state: Any, own_state: Any, steps: int
) -> tuple[nn.Module, Regularizer]:
    """Train on from what was saved, where `by` says whose state has the target's."""
    model = network()
    model.load_state_dict(weights)
    optimizer, regularizer = ADAM(model.parameters()), Regularizer(model, penalty)
    if by == "optimizer before attach":
        optimizer.load_state_dict(state)
    if by == "regularizer":
        regularizer.load_state_dict(own_state)
        for group in state["param_groups"]:
            group.pop("shrinkage", None)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            optimizer.load_state_dict(state)
    regularizer.attach(optimizer, "proximal", target=0.8, target_steps=20, target_start=5)
    if by == "optimizer":
        optimizer.load_state_dict(state)
    train(model, optimizer, steps)
    return model, regularizer


@pytest.mark.parametrize("loads_first", [True, False])
def test_a_resumed_run_with_another_target_or_another_how_is_told(loads_first: bool) -> None:
    model, optimizer, regularizer = attached(L0(1.0), target=0.5, target_start=0, target_steps=4)
    train(model, optimizer, 5)
    state = optimizer.state_dict()
    regularizer.detach()
    regularizer.release()

    def resume(how: str, penalty: Penalty, **options: Any) -> tuple[Any, Regularizer]:
        other, resumed = ADAM(model.parameters()), Regularizer(model, penalty)
        if loads_first:
            other.load_state_dict(copy.deepcopy(state))
        resumed.attach(other, how, **options)
        if not loads_first:
            other.load_state_dict(copy.deepcopy(state))
        return other, resumed

    with pytest.warns(UserWarning, match=r"the target 0.5, .* 0.9: .* ends at step 4 .*zeros stay"):
        other, resumed = resume("proximal", L0(1.0), target=0.9, target_steps=4)
    train(model, other, 3)
    assert resumed.sparsity().zeros == 110
    resumed.detach()
    resumed.release()
    options = {"target": 0.9, "target_start": 5, "target_steps": 4}  # as the warning advises
    with pytest.warns(UserWarning, match="the target 0.5, .* 0.9: the ramp goes on"):
        other, resumed = resume("proximal", L0(1.0), **options)
    train(model, other, 6)
    assert resumed.sparsity().zeros == 198
    resumed.release()
    how = 'by how="proximal", and this one does by how="coupled"'
    with pytest.warns(UserWarning, match="other penalties"), pytest.warns(UserWarning, match=how):
        _, resumed = resume("coupled", L1(0.1))
    resumed.release()


BAD: list[tuple[dict[str, Any], Any, str]] = [
    ({"target": 1.0}, L0(1), "a share of zeros between 0 and 1, both excluded, got 1"),
    ({"target": 90}, L0(1), "got 90; 90 % is 0.9"),
    ({"target": "0.9"}, L0(1), "target must be a number, got '0.9'; write 0.9 without quotes"),
    ({"target": {}}, L0(1), "target is an empty mapping"),
    (
        {"target": {"0*": 0.5, "00.*": 0.5}},
        L0(1),
        "pattern '00.*' matches no penalized parameter; the nearest are 0.weight",
    ),
    (
        {"target": {"*": 0.5, "0*": 0.9}},
        L0(1),
        "'0*' is left with nothing, since the earlier pattern '*' takes all it matches; put '0*' f",
    ),
    ({"target": {"0*": 0.5, "2*": 0.5}}, {"0*": L0(1), "2*": L2(1)}, "no penalty in '2*' makes"),
    ({"target_steps": 0}, L0(1), "target_steps must be a whole number of steps >= 1, got 0"),
    ({"target_steps": None}, L0(1), "target needs target_steps"),
    ({"target_start": -1}, L0(1), "target_start must be a whole number of steps >= 0, got -1"),
    ({"target_floor": 0.5}, L0(1), "target_floor must be between 0 and 1 − target = 0.2, got 0.5"),
    ({"target": None, "target_steps": 5}, L0(1), "target_start goes with target="),
    ({"how": "decoupled"}, L1(1), 'goes with how="proximal" alone'),
    ({"schedule": schedules.warmup(3)}, L1(1), "a schedule would both set the strength"),
    ({}, L2(1), "target: no penalty makes zeros whose share could be led"),
    ({}, {"0*": L0(1), "2*": GroupL0(1)}, "entries in 0.weight and groups in 2.weight together"),
]


@pytest.mark.parametrize(("options", "penalty", "message"), BAD, ids=[row[2] for row in BAD])
def test_bad_arguments(options: dict[str, Any], penalty: Any, message: str) -> None:
    model = network()
    optimizer, regularizer = ADAM(model.parameters()), Regularizer(model, penalty)
    options = {"how": "proximal", "target": 0.8, "target_steps": 20, "target_start": 5} | options
    with pytest.raises((TypeError, ValueError)) as error:
        regularizer.attach(optimizer, **options)
    assert message in str(error.value)
    regularizer.attach(optimizer, how="proximal")


def test_a_strength_that_is_zero_or_held_zeros_are_refused() -> None:
    model = network()
    optimizer, regularizer = ADAM(model.parameters()), Regularizer(model, L1(1.0))
    regularizer.factor = 0.0
    with pytest.raises(ValueError, match="which is 0; set it to 1"):
        regularizer.attach(optimizer, "proximal", target=0.5, target_steps=3)
    regularizer.factor = 1.0
    regularizer.hold_zeros()
    with pytest.raises(ValueError, match=r"call release\(\) before attach"):
        regularizer.attach(optimizer, "proximal", target=0.5, target_steps=3)
    regularizer.release()


class Numbers:
    """A pool of plain numbers, which remembers what was taken."""

    def __init__(self, numbers: Tensor, most: int) -> None:
        self.bits, self.most, self.is_full = bits_of(numbers.clone()), most, False
        self.sharded_like = self.bits

    def histogram(self) -> Tensor:
        return torch.bincount(self.bits >> TOP, minlength=BINS)

    def take_below(self, bin: int) -> Tensor:
        self.taken = (self.bits >> TOP) < bin
        self.places = ((self.bits >> TOP) == bin).nonzero()[:, 0]
        return self.bits[self.places]

    def take(self, mask: Tensor) -> None:
        self.taken[self.places[mask]] = True


def test_the_smallest_of_several_pools_are_found_without_sorting() -> None:
    for seed in range(20):
        check_the_smallest(seed)


def check_the_smallest(seed: int) -> None:
    """The twin sorts all numbers, and skips those of a pool that has given its most."""
    random = np.random.default_rng(seed)
    sizes = random.integers(0, 60, 4)
    pools = [torch.tensor(random.exponential(size=n), dtype=torch.float32) for n in sizes]
    pools = [(w * 4).round() / 4 if random.random() < 0.5 else w for w in pools]
    if seed % 3 == 0 and sizes[0]:
        pools[0][0] = float("nan")
    most = [int(random.integers(0, n + 1)) for n in sizes]
    count = int(random.integers(0, sum(most) + 2))
    numbered = [(float(x), i, j) for i, pool in enumerate(pools) for j, x in enumerate(pool)]
    expected, left = [np.zeros(n, bool) for n in sizes], list(most)
    for _, i, j in sorted(numbered, key=lambda n: (np.isnan(n[0]), n[0], n[1], n[2])):
        if left[i] and sum(int(e.sum()) for e in expected) < count:
            left[i] -= 1
            expected[i][j] = True
    found = [Numbers(pool, limit) for pool, limit in zip(pools, most, strict=True)]
    take_smallest(found, count)
    for pool, mask in zip(found, expected, strict=True):
        assert pool.taken.tolist() == mask.tolist(), seed


def test_the_ramp_and_the_floors() -> None:
    goal = Goal(0.9)
    target = Target({"*": goal}, start=100, steps=200, floor=None)
    wanted = []
    for goal.done in (0, 100, 200, 300, 400):
        wanted.append(round(target.wanted(goal), 10))
    assert wanted == [0.0, 0.0, 0.7875, 0.9, 0.9]
    assert target.most(goal, 1000, by_groups=False) == 980
    assert target.most(goal, 10, by_groups=False) == 9
    assert target.most(goal, 100, by_groups=True) == 95


def test_the_table_says_what_a_step_does_before_the_target_on_its_ramp_and_after_it() -> None:
    model = network()
    optimizer = ADAM(model.parameters())
    regularizer = Regularizer(model, {"*weight": L0(1.0)})
    regularizer.attach(optimizer, how="proximal", target=0.5, target_start=1, target_steps=2)
    said = []
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.randn(4, 6)).square().sum().backward()
        optimizer.step()
        said.append(repr(regularizer))
    assert "as many as its target asks for" in said[0]
    assert "as many as its target asks for" in said[1]
    assert "nothing: its zeros are held" in said[2]
    assert "no entry by more than" not in "".join(said)
    later = Regularizer(network(), {"*weight": L0(1.0)})
    later.attach(
        ADAM(later.model.parameters()), how="proximal", target=0.5, target_start=5, target_steps=2
    )
    assert "nothing before step 5" in repr(later)
    regularizer.release()
