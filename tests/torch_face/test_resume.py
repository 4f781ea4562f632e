"""A run goes on from its model and its optimizer alone, as frameworks save them."""

import copy
import io
import itertools
import json
import warnings
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

import shrinkage.torch
from fused_twins import torch_operations
from grid import covering
from shrinkage import L1, L2, Toward
from shrinkage.torch import RDA, Regularizer, schedules

pytestmark = pytest.mark.usefixtures("engine")

Run = tuple[nn.Module, Optimizer, Regularizer]


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """Steps by torch operations, for which nothing is compiled, unless a test asks for loops."""
    name: str = getattr(request, "param", "torch")
    with torch_operations() if name == "torch" else nullcontext():
        yield name


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()


def train(model: nn.Module, optimizer: Optimizer, steps: int) -> None:
    x = torch.linspace(-1, 1, 12).view(4, 3).double()
    for _ in range(steps):
        optimizer.zero_grad()
        (model(x) - 1).square().mean().backward()
        optimizer.step()


def through_a_file(state: Any) -> Any:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def weights(model: nn.Module) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in model.parameters()]


def equal(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


PENALTIES = {"0*": Toward("start", L2(0.3)), "2*": L1(0.02)}
MOMENTUM = partial(torch.optim.SGD, lr=0.05, momentum=0.9)
WAYS: dict[str, tuple[Any, dict[str, Any]]] = {
    "proximal SGD with momentum": (MOMENTUM, {"how": "proximal"}),
    "coupled SGD": (partial(torch.optim.SGD, lr=0.05), {"how": "coupled"}),
    "decoupled Adam": (partial(torch.optim.Adam, lr=0.02), {"how": "decoupled"}),
    "proximal Adam": (partial(torch.optim.Adam, lr=0.02), {"how": "proximal"}),
    "proximal RMSprop": (partial(torch.optim.RMSprop, lr=0.02), {"how": "proximal"}),
    "proximal Adagrad": (partial(torch.optim.Adagrad, lr=0.02), {"how": "proximal"}),
    "decoupled by lr/lr0": (
        partial(torch.optim.Adam, lr=0.02),
        {"how": "decoupled", "scale": "schedule"},
    ),
}
ORDERS = list(itertools.permutations(["model", "optimizer", "attach"]))


@pytest.mark.parametrize(("way", "order"), covering(WAYS, ORDERS), ids=str)
def test_nothing_is_written_for_a_resume_in_any_order(way: str, order: tuple[str, ...]) -> None:
    make, options = WAYS[way]
    schedule = schedules.linear(0.2, 1.0, 10)
    model = network()
    optimizer = make(model.parameters())
    regularizer = Regularizer(model, PENALTIES, schedule=schedule)
    regularizer.attach(optimizer, **options)
    train(model, optimizer, 2)
    optimizer.param_groups[0]["lr"] *= 0.5
    train(model, optimizer, 1)
    saved = through_a_file({"model": model.state_dict(), "optimizer": optimizer.state_dict()})
    train(model, optimizer, 4)

    again = network(seed=1)
    optimizer = make(again.parameters())
    steps: dict[str, Callable[[], Any]] = {
        "model": lambda: again.load_state_dict(saved["model"]),
        "optimizer": lambda: optimizer.load_state_dict(saved["optimizer"]),
        "attach": lambda: Regularizer(again, PENALTIES, schedule=schedule).attach(
            optimizer, **options
        ),
    }
    for one in order:
        steps[one]()
    train(again, optimizer, 4)
    assert equal(weights(again), weights(model))


def test_the_regularizers_state_is_text_in_the_group_of_its_parameters() -> None:
    model = network()
    groups = [{"params": [model[0].bias]}, {"params": [model[0].weight, model[2].weight]}]
    optimizer = torch.optim.SGD(groups, lr=0.1, momentum=0.5)
    regularizer = Regularizer(model, L1(0.1), schedule=schedules.warmup(8))
    regularizer.attach(optimizer, how="proximal")
    train(model, optimizer, 2)
    first, second = optimizer.state_dict()["param_groups"]
    assert "shrinkage" not in first
    assert json.loads(second["shrinkage"]) == [
        {
            "step": 2,
            "factor": 0.25,
            "penalties": {"l1:0.1": [0, 1]},
            "how": "proximal",
            "momentum": {"1.5": [0, 1]},  # 0.5·1 + 1
            "first_lr": 0.1,
        }
    ]


def test_a_schedule_given_to_attach_goes_on() -> None:
    saved: Any = None
    for steps in (3, 2):
        model = network()
        optimizer = torch.optim.Adam(model.parameters())
        regularizer = Regularizer(model, L2(0.1))
        regularizer.attach(optimizer, "coupled", schedule=schedules.warmup(10))
        if saved is not None:
            optimizer.load_state_dict(saved)
        train(model, optimizer, steps)
        saved = optimizer.state_dict()
    assert regularizer.factor == 0.5
    regularizer.detach()
    assert regularizer.factor == 1.0


def old(state: dict[str, Any]) -> dict[str, Any]:
    """The state as it was saved before regularizers travelled in it."""
    state = copy.deepcopy(state)
    for group in state["param_groups"]:
        group.pop("shrinkage")
    for one in state["state"].values():
        one.pop("shrinkage_start", None)
    return state


OLD: list[tuple[Any, dict[str, Any], Any, Any, str]] = [
    (
        torch.optim.Adam,
        {"how": "coupled"},
        L1(0.1),
        schedules.warmup(9),
        r"a run of 3 steps .* the schedule continues from step 0\..* schedule\(step \+ 3\)",
    ),
    (
        partial(torch.optim.SGD, lr=0.1),
        {"how": "coupled"},
        L1(0.1),
        schedules.warmup(9),
        r"a run of unknown length .* from step 0\..* schedule\(step \+ \.\.\.\)",
    ),
    (MOMENTUM, {"how": "proximal"}, L1(0.1), None, "SGD's momentum buffers count as full"),
    (
        torch.optim.RMSprop,
        {"how": "coupled"},
        Toward("start", L2(0.1)),
        None,
        'the start of Toward\\("start"\\) is where the weights were when the Regularizer was made',
    ),
    (
        partial(torch.optim.Adam, lr=0.1),
        {"how": "decoupled", "scale": "schedule"},
        L2(0.1),
        None,
        r"takes the learning rate at attach\(\) for the first \(0\.1\)",
    ),
]


@pytest.mark.parametrize(("make", "options", "penalty", "schedule", "message"), OLD)
def test_an_old_state_is_loaded_told_and_travels_on(
    make: Any, options: dict[str, Any], penalty: Any, schedule: Any, message: str
) -> None:
    def begin() -> Run:
        model = network()
        optimizer = make(model.parameters())
        regularizer = Regularizer(model, penalty, schedule=schedule)
        regularizer.attach(optimizer, **options)
        return model, optimizer, regularizer

    model, optimizer, _ = begin()
    train(model, optimizer, 3)
    state = old(optimizer.state_dict())
    model, optimizer, _ = begin()
    with pytest.warns(UserWarning, match=message) as said:
        optimizer.load_state_dict(state)
    assert len(said) == 1
    train(model, optimizer, 2)
    assert json.loads(optimizer.state_dict()["param_groups"][0]["shrinkage"])[0]["step"] == 2


@pytest.mark.parametrize(
    ("make", "how"),
    [
        (torch.optim.Adam, "proximal"),
        (torch.optim.AdamW, "decoupled"),
        (MOMENTUM, "coupled"),
        (partial(torch.optim.SGD, lr=0.1), "proximal"),
    ],
)
def test_an_old_state_is_loaded_in_silence_where_nothing_is_lost(make: Any, how: str) -> None:
    model = network()
    optimizer = make(model.parameters(), weight_decay=0.0)
    Regularizer(model, L1(0.1)).attach(optimizer, how=how)
    train(model, optimizer, 3)
    optimizer.load_state_dict(old(optimizer.state_dict()))


def test_an_old_state_that_was_loaded_before_is_told_at_attach() -> None:
    model = network()
    optimizer = torch.optim.Adam(model.parameters())
    train(model, optimizer, 9)
    state = through_a_file(optimizer.state_dict())
    Regularizer(model, L1(0.1), schedule=schedules.warmup(9)).attach(optimizer, "coupled")

    model = network()
    optimizer = torch.optim.Adam(model.parameters())
    optimizer.load_state_dict(state)
    with pytest.warns(UserWarning, match=r"run of 9 steps .* continues from step 0"):
        Regularizer(model, L1(0.1), schedule=schedules.warmup(9)).attach(optimizer, "coupled")


@pytest.mark.parametrize("first", ["optimizer", "regularizer"])
@pytest.mark.parametrize("attached", [0, 1, 2])
def test_both_states_may_be_loaded_in_any_order(first: str, attached: int) -> None:
    model = network()
    optimizer = MOMENTUM(model.parameters())
    regularizer = Regularizer(model, PENALTIES, schedule=schedules.warmup(9))
    regularizer.attach(optimizer, "proximal")
    train(model, optimizer, 3)
    parts = {"model": model, "optimizer": optimizer, "regularizer": regularizer}
    saved = through_a_file({name: part.state_dict() for name, part in parts.items()})  # type: ignore[attr-defined]
    train(model, optimizer, 3)
    again = network()
    again.load_state_dict(saved["model"])
    optimizer = MOMENTUM(again.parameters())
    regularizer = Regularizer(again, PENALTIES, schedule=schedules.warmup(9))
    loads: list[Callable[[], Any]] = [
        lambda: optimizer.load_state_dict(saved["optimizer"]),
        lambda: regularizer.load_state_dict(saved["regularizer"]),
    ]
    loads = loads if first == "optimizer" else loads[::-1]
    loads.insert(attached, lambda: regularizer.attach(optimizer, "proximal"))
    for load in loads:
        load()
    train(again, optimizer, 3)
    assert equal(weights(again), weights(model))


def test_a_state_with_a_regularizer_loads_into_a_plain_optimizer() -> None:
    model, plain = network(), network()
    optimizer = torch.optim.Adam(model.parameters())
    Regularizer(model, {"0*": Toward("start", L2(0.0))}).attach(optimizer, "decoupled")
    train(model, optimizer, 3)
    plain.load_state_dict(model.state_dict())
    other = torch.optim.Adam(plain.parameters())
    other.load_state_dict(through_a_file(optimizer.state_dict()))
    train(model, optimizer, 3)
    train(plain, other, 3)
    assert equal(weights(plain), weights(model))


def test_detach_takes_its_state_out_of_the_optimizer() -> None:
    model = network()
    optimizer = torch.optim.Adam(model.parameters())
    before = optimizer.param_groups[0].keys() | optimizer.__dict__.keys()
    with Regularizer(model, {"0*": Toward("start", L2(0.1))}).attach(optimizer, "coupled"):
        train(model, optimizer, 1)
        assert "shrinkage_start" in optimizer.state[model[0].weight]
    assert optimizer.param_groups[0].keys() | optimizer.__dict__.keys() == before
    assert "shrinkage_start" not in optimizer.state[model[0].weight]


def test_a_rollback_takes_the_regularizer_back() -> None:
    model = network()
    optimizer = MOMENTUM(model.parameters())
    regularizer = Regularizer(model, L1(0.1), schedule=schedules.warmup(10))
    regularizer.attach(optimizer, "proximal")
    train(model, optimizer, 2)
    saved = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
    train(model, optimizer, 3)
    after = weights(model)
    model.load_state_dict(saved[0])
    optimizer.load_state_dict(saved[1])
    assert regularizer.factor == 0.2
    train(model, optimizer, 3)
    assert equal(weights(model), after)


def test_several_regularizers_in_one_optimizer_keep_their_own_steps() -> None:
    def begin() -> tuple[list[nn.Module], Optimizer, list[Regularizer]]:
        models: list[nn.Module] = [network(), network(seed=1)]  # under the same names
        optimizer = torch.optim.Adam([p for model in models for p in model.parameters()])
        both = [Regularizer(model, L1(0.1), schedule=schedules.warmup(20)) for model in models]
        return models, optimizer, both

    models, optimizer, both = begin()
    both[0].attach(optimizer, "proximal")
    train(models[0], optimizer, 2)
    both[1].attach(optimizer, "coupled")
    train(models[1], optimizer, 4)
    saved = through_a_file(optimizer.state_dict())
    models, optimizer, both = begin()
    optimizer.load_state_dict(saved)
    both[1].attach(optimizer, "coupled")
    both[0].attach(optimizer, "proximal")
    assert [one.factor for one in both] == [0.3, 0.2]
    both[1].detach()
    optimizer.load_state_dict(saved)
    assert both[0].factor == 0.3


def test_other_penalties_than_the_optimizer_saved_are_told() -> None:
    model = network()
    optimizer = torch.optim.Adam(model.parameters())
    Regularizer(model, {"0*": L1(0.1), "2*": L2(0.1)}).attach(optimizer, "coupled")
    saved = optimizer.state_dict()
    model = network()
    optimizer = torch.optim.Adam(model.parameters())
    Regularizer(model, {"0*": L1(0.2)}).attach(optimizer, "coupled")
    with pytest.warns(UserWarning, match=r"0\.weight: l1:0\.1 then, l1:0\.2 now; the present"):
        optimizer.load_state_dict(saved)


def test_what_no_regularizer_has_written_is_refused() -> None:
    model = network()
    optimizer = torch.optim.Adam(model.parameters())
    optimizer.param_groups[0]["shrinkage"] = "half"
    with pytest.raises(ValueError, match="which no Regularizer has written; delete that key"):
        Regularizer(model, L1(0.1)).attach(optimizer, "coupled")
    assert optimizer.param_groups[0]["shrinkage"] == "half"
    assert not optimizer._optimizer_step_pre_hooks


@pytest.mark.parametrize("copied", [copy.deepcopy, through_a_file])
def test_a_copied_optimizer_holds_the_state_of_now(copied: Any) -> None:
    model = network()
    optimizer = torch.optim.Adam(model.parameters())
    Regularizer(model, L1(0.1), schedule=schedules.warmup(4)).attach(optimizer, "coupled")
    train(model, optimizer, 3)
    groups = copied([{**group, "params": []} for group in optimizer.param_groups])
    assert json.loads(groups[0]["shrinkage"])[0]["step"] == 3


def test_reset_begins_anew() -> None:
    model = network()
    optimizer = MOMENTUM(model.parameters())
    penalty = Toward("start", L2(0.1))
    regularizer = Regularizer(model, penalty, schedule=schedules.linear(1.0, 0.0, 4))
    regularizer.attach(optimizer, "proximal")
    train(model, optimizer, 3)
    assert regularizer.factor == 0.25
    assert regularizer.value() > 0
    regularizer.reset()
    assert regularizer.factor == 1.0
    assert regularizer.value() == 0.0
    state = regularizer.state_dict()
    assert (state["step"], state["momentum"], state["first_lrs"]) == (0, {}, [0.05])
    assert torch.equal(state["starts"]["0.weight"], model[0].weight)


def inside(make: Any, model: nn.Module, how: str) -> tuple[Optimizer, Regularizer]:
    regularizer = Regularizer(model, PENALTIES, schedule=schedules.linear(0.2, 1.0, 10))
    options = {} if make.func is RDA else {"how": how}
    return make(model.parameters(), penalty=regularizer, **options), regularizer


INSIDE = [
    partial(shrinkage.torch.SGD, lr=0.05, momentum=0.9),
    partial(shrinkage.torch.Adam, lr=0.02),
    partial(RDA, lr=0.05),
]


@pytest.mark.quick_where(engine=["torch"])
@pytest.mark.parametrize("engine", ["torch", "loops"], indirect=True)
@pytest.mark.parametrize("first", ["model", "optimizer"])
@pytest.mark.parametrize("make", INSIDE)
def test_a_regularizer_inside_goes_on(make: Any, first: str, engine: str) -> None:
    model = network()
    optimizer, _ = inside(make, model, "proximal")
    train(model, optimizer, 3)
    saved = through_a_file({"model": model.state_dict(), "optimizer": optimizer.state_dict()})
    train(model, optimizer, 4)
    again = network(seed=1)
    optimizer, _ = inside(make, again, "proximal")
    if first == "optimizer":
        optimizer.load_state_dict(saved["optimizer"])
    again.load_state_dict(saved["model"])
    if first == "model":
        optimizer.load_state_dict(saved["optimizer"])
    train(again, optimizer, 4)
    assert equal(weights(again), weights(model))
    if isinstance(optimizer, shrinkage.torch.SGD | shrinkage.torch.Adam):
        assert bool(optimizer.engine_report().in_one_pass) == (engine == "loops")


def test_an_old_state_under_a_regularizer_inside_is_told() -> None:
    model = network()
    make = partial(shrinkage.torch.Adam, lr=0.02)
    optimizer, _ = inside(make, model, "proximal")
    train(model, optimizer, 3)
    state = old(optimizer.state_dict())
    optimizer, _ = inside(make, network(), "proximal")
    with pytest.warns(UserWarning, match=r"run of 3 steps .* continues from step 0"):
        optimizer.load_state_dict(state)


def test_a_step_of_the_framework_that_wraps_the_groups_is_seen() -> None:
    """A wrapper that shares the groups and loads them past the inner optimizer's hooks."""
    model = network()
    optimizer = torch.optim.Adam(model.parameters())
    regularizer = Regularizer(model, L1(0.1), schedule=schedules.warmup(10))
    regularizer.attach(optimizer, "coupled")
    train(model, optimizer, 3)
    groups = through_a_file([{**group, "params": []} for group in optimizer.param_groups])
    train(model, optimizer, 2)
    optimizer.param_groups = [{**groups[0], "params": optimizer.param_groups[0]["params"]}]
    train(model, optimizer, 1)
    assert regularizer.factor == pytest.approx(0.4)


def test_no_warning_stays_unseen_in_a_plain_resume() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = network()
        optimizer = torch.optim.Adam(model.parameters())
        regularizer = Regularizer(model, L1(0.1), schedule=schedules.warmup(4))
        regularizer.attach(optimizer, "coupled")
        optimizer.load_state_dict(optimizer.state_dict())  # as accelerate does at once
        train(model, optimizer, 2)
    assert regularizer.factor == 0.5
