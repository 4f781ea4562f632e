"""Black boxes, stepped: any optimizer, on weights and with gradients of one's choice."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from shrinkage.torch.probing.factories import Factory, accepted, takes
from shrinkage.torch.probing.isolation import isolated, shortened

Gradient = Callable[[int, Tensor], Tensor | None]  # (step from 0, weights) -> gradient
# (step from 0, weights before it, after it) -> weights
Nudge = Callable[[int, Tensor, Tensor], Tensor]
SEED = 7
MODELS = ("model", "module", "net", "network")
# What some constructors need, beside parameters.
SUPPLIED: dict[str, object] = {
    "base_optimizer": torch.optim.SGD,
    "num_data": 1000,
    "num_iterations": 100_000,
    "total_steps": 100_000,
    "max_steps": 100_000,
}

# Words of errors that ask for another way of calling, which is tried as well.
WANTED = ("closure", "graph", "require grad", "use_muon", "__contains__", "missing 1 required")


class UnprobeableError(Exception):
    """It cannot be made or stepped; the message says why."""


class OutOfTimeError(Exception):
    """It is too slow for the time that there is."""


@dataclass(frozen=True)
class Driver:
    """How one factory is called, and how what it makes is stepped."""

    factory: Factory
    build: str = "parameters"  # or "groups", "named", "model", "around"
    step: str = "plain"  # or "closure", "graph"
    dtype: torch.dtype = torch.float64
    deadline: float = float("inf")  # on time.process_time's clock: a busy machine changes nothing
    momentum: float | None = None  # given to the factory as `momentum`

    @property
    def climbs(self) -> bool:
        """Whether it was told to maximize: then it is given the gradients of minus the loss."""
        told = accepted(self.factory).get("maximize")
        return told is not None and told.default is True

    def run(
        self,
        start: Tensor,
        gradient: Gradient,
        *,
        lr: float,
        weight_decay: float,
        steps: int,
        schedule: Callable[[int], float] | None = None,
        nudge: Nudge | None = None,
        resting: bool = False,
    ) -> Tensor:
        """The weights before and after each step, in float64: (steps + 1, *shape).

        `schedule` gives the factor on the learning rate that the optimizer was made with. `nudge`
        moves the weights after each step. `resting` reads them as for evaluation, where the
        optimizer has such a mode.
        """
        torch.manual_seed(SEED)
        model = _Weights(start.to(self.dtype))
        optimizer = self._made(model, lr, weight_decay)
        if resting:
            path = list(self._steps(optimizer, model, gradient, steps, schedule, nudge))
            _mode(optimizer, "eval")
            return torch.stack([start, *path[:-1], model.weight.detach().double().clone()])
        return torch.stack(
            [start, *self._steps(optimizer, model, gradient, steps, schedule, nudge)]
        )

    def _steps(
        self,
        optimizer: Any,
        model: _Weights,
        gradient: Gradient,
        steps: int,
        schedule: Callable[[int], float] | None,
        nudge: Nudge | None,
    ) -> Iterator[Tensor]:
        first = [group.get("lr") for group in optimizer.param_groups]
        for number in range(steps):
            if time.process_time() > self.deadline:
                raise OutOfTimeError
            for group, own in zip(optimizer.param_groups, first, strict=True):
                if schedule is not None and own is not None:
                    group["lr"] = own * schedule(number)
            before = model.weight.detach().clone()
            given = gradient(number, before.double())
            self._step(optimizer, model, -given if given is not None and self.climbs else given)
            if nudge is not None:
                with torch.no_grad():
                    after = model.weight.detach().double()
                    model.weight.copy_(nudge(number, before.double(), after).to(self.dtype))
            yield model.weight.detach().double().clone()

    def _made(self, model: _Weights, lr: float, weight_decay: float) -> Any:
        options: dict[str, Any] = {"lr": lr, "weight_decay": weight_decay}
        if self.momentum is not None:
            options["momentum"] = self.momentum
        own: dict[str, Any] = {
            key: value for key, value in options.items() if takes(self.factory, key)
        }
        for name, parameter in accepted(self.factory).items():
            if parameter.default is parameter.empty and name in SUPPLIED:
                own[name] = SUPPLIED[name]
            if parameter.default is parameter.empty and name in MODELS:
                own[name] = model
        if self.build == "model":
            if "params" in accepted(self.factory):
                own["params"] = [model.weight]
            optimizer = self.factory(**own)
        elif self.build == "around":
            named = accepted(self.factory)
            inner = {key: value for key, value in options.items() if key not in named}
            wrapper = {key: value for key, value in own.items() if key in named}
            optimizer = self.factory(
                torch.optim.SGD([model.weight], **{"lr": lr, **inner}), **wrapper
            )
        else:
            optimizer = self.factory(_params(model, self.build), **own)
        _mode(optimizer, "train")
        return optimizer

    def _step(self, optimizer: Any, model: _Weights, gradient: Tensor | None) -> None:
        weight = model.weight
        if gradient is None or self.step == "plain":
            weight.grad = None if gradient is None else gradient.to(self.dtype).clone()
            optimizer.step()
            return
        given, here = gradient.to(self.dtype), weight.detach().clone()

        def closure() -> Tensor:
            """A loss whose gradient here is the given one, and whose curvature is 1."""
            weight.grad = None
            with torch.enable_grad():
                loss = (given * weight).sum() + 0.5 * ((weight - here) ** 2).sum()
                loss.backward(create_graph=self.step == "graph")  # type: ignore[no-untyped-call]
            return loss

        if self.step == "closure":
            optimizer.step(closure)
        else:
            closure()
            optimizer.step()
            weight.grad = None  # or the graph keeps itself alive


class _Weights(nn.Module):
    """One parameter, named as a layer's weights are."""

    def __init__(self, start: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(start.clone())


def _params(model: _Weights, build: str) -> Any:
    if build == "groups":
        return [{"params": [model.weight], "use_muon": model.weight.ndim == 2}]
    return list(model.named_parameters()) if build == "named" else [model.weight]


def _mode(optimizer: Any, name: str) -> None:
    """Into the mode for training or evaluation, where there is one."""
    if callable(getattr(optimizer, "train", None)) and callable(getattr(optimizer, "eval", None)):
        getattr(optimizer, name)()


def _builds(factory: Factory) -> Sequence[str]:
    first = next(iter(accepted(factory)), "params")
    if first in MODELS:
        return ("model",)
    if first in ("optimizer", "base"):
        return ("around",)
    return ("parameters", "groups", "named")


def settled(factory: Factory, start: Tensor, *, deadline: float = float("inf")) -> Driver:
    """The way in which `factory` can be called and stepped, found by trying.

    Raises
    ------
    UnprobeableError
        If there is none, with what the plainest way raised.
    """
    missing = [
        name
        for name, parameter in list(accepted(factory).items())[1:]
        if parameter.default is parameter.empty
        and parameter.kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        and name not in (*SUPPLIED, *MODELS, "lr", "weight_decay", "params")
    ]
    if missing:
        raise UnprobeableError(
            f"it needs {', '.join(missing)}: "
            f"give it by functools.partial(factory, {missing[0]}=...)"
        )
    reasons = []
    unmoved = None  # the first whose weights stay, as in a warm-up, or where gradients miss them
    for dtype in (torch.float64, torch.float32):
        for build in _builds(factory):
            for step in ("plain", "closure", "graph"):
                driver = Driver(factory, build, step, dtype, deadline)
                try:
                    moves = _try(driver, start)
                except OutOfTimeError:
                    raise
                except Exception as error:  # foreign code may raise anything
                    text = str(error) or "it has no step() of the usual kind"
                    reasons.append(f"{type(error).__name__}: {shortened(text)}")
                else:
                    if moves:
                        return driver
                    unmoved = unmoved or driver
    if unmoved is not None:
        return unmoved
    telling = (each for each in reasons if not any(word in each for word in WANTED))
    raise UnprobeableError(next(telling, reasons[0]))


def _try(driver: Driver, start: Tensor) -> bool:
    """Whether two steps move the weights."""
    gradient = start.flip(0) + 0.1
    path = driver.run(start, lambda *_: gradient, lr=0.01, weight_decay=0.01, steps=2)
    if not torch.isfinite(path).all():
        raise ValueError("its weights are not finite after two steps")
    return not torch.equal(path[-1], path[0])


def on_vectors(driver: Driver, start: Tensor) -> Driver | None:
    """The same for one-dimensional parameters; nothing where they are refused."""
    try:
        with isolated():
            _try(driver, start)
    except OutOfTimeError:
        raise
    except Exception:  # foreign code may raise anything
        return None
    return replace(driver)
