"""An attachment that fails leaves everything as it was, and wrappers of optimizers are known."""

import copy
import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import Optimizer

import shrinkage.torch.attaching.attachment
import shrinkage.torch.binding.checkpoint
from shrinkage import L1, L2, Toward
from shrinkage.torch import Regularizer, audit, schedules

PENALTIES = {"0*": Toward("start", L2(0.1)), "1*": L1(0.1)}


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))


def sgd(model: nn.Module) -> torch.optim.SGD:
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def step(model: nn.Module, optimizer: Any) -> None:
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()


def seen(model: nn.Module, optimizer: Optimizer, regularizer: Regularizer) -> dict[str, Any]:
    """All that an attachment may touch."""
    return {
        "hooks": {key: dict(value) for key, value in vars(optimizer).items() if "hooks" in key},
        "on the optimizer": sorted(vars(optimizer)),
        "defaults": (type(optimizer.defaults), dict(optimizer.defaults)),
        "groups": [{**group, "params": 0} for group in optimizer.param_groups],
        "state": {
            id(p): {key: value.tolist() for key, value in one.items()}
            for p, one in optimizer.state.items()
        },
        "regularizer": str(regularizer.state_dict()),
        "schedule": (regularizer.schedule, regularizer.bound.host),
        "weights": [parameter.tolist() for parameter in model.parameters()],
    }


def resumed() -> tuple[nn.Module, Optimizer, Regularizer]:
    """Ready to be attached to an optimizer that has loaded the state of a run."""
    model = network()
    optimizer = sgd(model)
    Regularizer(model, PENALTIES, schedule=schedules.warmup(8)).attach(optimizer, "proximal")
    step(model, optimizer)
    step(model, optimizer)
    saved = copy.deepcopy(optimizer.state_dict())
    model = network()
    optimizer = sgd(model)
    optimizer.load_state_dict(saved)
    return model, optimizer, Regularizer(model, PENALTIES)


class BrokenError(Exception):
    pass


def broken(*arguments: object, **keywords: object) -> Any:
    raise BrokenError


PLACES = [
    (torch.optim.Optimizer, "register_step_pre_hook"),
    (torch.optim.Optimizer, "register_step_post_hook"),
    (torch.optim.Optimizer, "register_state_dict_post_hook"),
    (torch.optim.Optimizer, "register_load_state_dict_post_hook"),
    (shrinkage.torch.attaching.attachment, "mark"),
    (shrinkage.torch.attaching.attachment, "carry"),
    (shrinkage.torch.attaching.attachment, "check_attachment"),
    (shrinkage.torch.binding.checkpoint, "resume"),
    (shrinkage.torch.binding.checkpoint.Carrier, "update_keys"),
]


@pytest.mark.parametrize("call", [0, 1])
@pytest.mark.parametrize(("place", "name"), PLACES, ids=[name for _, name in PLACES])
def test_a_failed_attachment_leaves_nothing(
    place: Any, name: str, call: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, optimizer, regularizer = resumed()
    before = seen(model, optimizer, regularizer)
    calls, works = itertools.count(), getattr(place, name)

    def breaks(*arguments: Any, **keywords: Any) -> Any:
        return broken() if next(calls) == call else works(*arguments, **keywords)

    with monkeypatch.context() as patch:
        patch.setattr(place, name, breaks)
        try:
            regularizer.attach(optimizer, "proximal", schedule=schedules.warmup(8))
        except BrokenError:
            assert seen(model, optimizer, regularizer) == before
        else:
            regularizer.detach()  # it is called less often
            assert next(calls) <= call
            return
    regularizer.attach(optimizer, "proximal", schedule=schedules.warmup(8))
    assert regularizer.factor == 0.25


def test_a_warning_that_is_an_error_leaves_nothing() -> None:
    model, optimizer, _ = resumed()
    regularizer = Regularizer(model, L1(0.3))
    before = seen(model, optimizer, regularizer)
    with pytest.raises(UserWarning, match="the saved run had other penalties"):
        regularizer.attach(optimizer, "proximal")
    assert seen(model, optimizer, regularizer) == before


def test_a_schedule_that_fails_leaves_nothing() -> None:
    model, optimizer, regularizer = resumed()
    before = seen(model, optimizer, regularizer)
    with pytest.raises(ValueError, match="factor must be >= 0"):
        regularizer.attach(optimizer, "proximal", schedule=lambda step: -1.0)
    assert seen(model, optimizer, regularizer) == before


class AcceleratedOptimizer(Optimizer):
    """As accelerate's: an Optimizer that never called ``super().__init__``."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer

    @property
    def param_groups(self) -> Any:
        return self.optimizer.param_groups

    @property
    def state(self) -> Any:
        return self.optimizer.state

    @property
    def defaults(self) -> Any:
        return self.optimizer.defaults

    def step(self, closure: Any = None) -> Any:
        return self.optimizer.step(closure)


class LightningOptimizer:
    """As Lightning's: it takes the class of what it wraps for one of its own."""

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        kinds = (type(self), type(optimizer))
        self.__class__ = type("Lightning" + type(optimizer).__name__, kinds, {})

    @property
    def optimizer(self) -> Optimizer:
        return self._optimizer

    def step(self, closure: Any = None, **keywords: Any) -> Any:
        return self._optimizer.step(closure=closure, **keywords)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._optimizer, name)


def twice(optimizer: Optimizer) -> Any:
    return LightningOptimizer(AcceleratedOptimizer(optimizer))


@pytest.mark.parametrize("wrap", [AcceleratedOptimizer, LightningOptimizer, twice])
@pytest.mark.parametrize("how", ["coupled", "decoupled", "proximal"])
def test_a_frameworks_wrapper_is_looked_through(wrap: Callable[[Any], Any], how: str) -> None:
    plain, model = network(), network()
    bare = sgd(plain)
    Regularizer(plain, L1(0.5)).attach(bare, how)
    inner = sgd(model)
    wrapped = wrap(inner)
    regularizer = Regularizer(model, L1(0.5))
    attachment = regularizer.attach(wrapped, how)
    for _ in range(3):
        step(plain, bare)
        step(model, wrapped)
    assert attachment.optimizer is inner
    assert torch.equal(plain[0].weight, model[0].weight)
    assert f"{how} in SGD" in repr(regularizer)
    assert audit(model, wrapped, regularizer).table == audit(model, inner, regularizer).table


class Lookahead(Optimizer):
    """Its slow weights undo a prox now and then."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.base_optimizer = optimizer
        self.param_groups = optimizer.param_groups
        self.state = optimizer.state

    def step(self, closure: Any = None) -> Any:
        return self.base_optimizer.step(closure)


class SAM(Lookahead):
    """An Optimizer with hooks of its own, which loops that call its two half steps pass by."""

    def __init__(self, optimizer: Optimizer) -> None:
        Optimizer.__init__(self, optimizer.param_groups, {})
        super().__init__(optimizer)


class Several(Optimizer):
    def __init__(self, optimizers: list[Optimizer]) -> None:
        self.optimizers = optimizers
        self.param_groups = [group for one in optimizers for group in one.param_groups]


class Container:
    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer


@pytest.mark.parametrize("kind", [Lookahead, SAM])
def test_a_wrapper_that_moves_weights_itself_is_refused(kind: type[Lookahead]) -> None:
    model = network()
    wrapper = kind(sgd(model))
    regularizer = Regularizer(model, L1(0.5))
    with pytest.raises(ValueError, match=r"attach to optimizer\.base_optimizer"):
        regularizer.attach(wrapper, "decoupled")
    before = model[0].weight.clone()
    step(model, wrapper)
    assert torch.equal(model[0].weight, before)
    regularizer.attach(wrapper.base_optimizer, "decoupled")
    assert regularizer.value() > 0
    assert audit(model, wrapper).table[0].penalty == "L1(lam=0.5), decoupled"
    assert "under SGD" in str(audit(model, wrapper))


def test_a_wrapper_of_several_names_each() -> None:
    model = network()
    both = [torch.optim.SGD(layer.parameters(), lr=0.1) for layer in model]
    with pytest.raises(
        ValueError, match=r"optimizer\.optimizers\[0\] or optimizer\.optimizers\[1\]"
    ):
        Regularizer(model, L1(0.5)).attach(Several(both), "coupled")  # type: ignore[arg-type]


def test_what_holds_an_optimizer_and_is_none_is_told() -> None:
    model = network()
    with pytest.raises(TypeError, match=r"Optimizer, got .*; attach to optimizer\.optimizer"):
        Regularizer(model, L1(0.5)).attach(Container(sgd(model)), "coupled")  # type: ignore[arg-type]


class Unfinished(Optimizer):
    def __init__(self, parameters: Any) -> None:
        self.param_groups = [{"params": list(parameters), "lr": 0.1}]
        self.state: Any = {}


def test_an_optimizer_without_hooks_is_refused() -> None:
    model = network()
    with pytest.raises(ValueError, match=r"did not call torch\.optim\.Optimizer\.__init__"):
        Regularizer(model, L1(0.5)).attach(Unfinished(model.parameters()), "coupled")
