"""Step any optimizer as a black box, on chosen weights and with chosen gradients."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from inspect import Parameter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from shrinkage.probe.arguments import (
    MODELS,
    RATES,
    Factory,
    accepts,
    call,
    parameters_of,
    rate_name,
    strength_name,
)
from shrinkage.probe.factories import check_made
from shrinkage.probe.isolation import NO_DEADLINE, Deadline

Gradient = Callable[[int, Tensor], Tensor | None]  # (step from 0, weights) -> gradient
# (step from 0, weights before it, after it) -> weights
Nudge = Callable[[int, Tensor, Tensor], Tensor]
SEED = 7
# Arguments that some constructors need beside the parameters.
SUPPLIED: dict[str, object] = {
    "base_optimizer": torch.optim.SGD,
    "num_data": 1000,
    "num_iterations": 100_000,
    "total_steps": 100_000,
    "max_steps": 100_000,
}


@dataclass(frozen=True)
class Stepper:
    """How one factory is called, and how what it makes is stepped."""

    factory: Factory
    build: str = "parameters"  # or "groups", "named", "model", "around"
    step: str = "plain"  # or "closure", "graph"
    dtype: torch.dtype = torch.float64
    deadline: Deadline = NO_DEADLINE
    momentum: float | None = None  # given to the factory as `momentum`
    seed: int = SEED  # equal for all runs, so that random numbers cancel in differences of two

    @cached_property
    def _parameters(self) -> Mapping[str, Parameter]:
        return parameters_of(self.factory)

    @cached_property
    def _names(self) -> tuple[str | None, str | None]:
        """What the factory calls its learning rate and its decay; None where there is none."""
        return rate_name(self.factory), strength_name(self.factory)

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
        in_eval_mode: bool = False,
    ) -> Tensor:
        """The weights before and after each step, in float64: (steps + 1, *shape).

        `schedule` gives the factor on the learning rate that the optimizer was made with. `nudge`
        moves the weights after each step. `in_eval_mode` reads them as for evaluation, where the
        optimizer has such a mode.
        """
        torch.default_generator.manual_seed(self.seed)  # not a GPU's, on which nothing runs
        np.random.seed(self.seed)  # noqa: NPY002 - the generator that optimizers use
        random.seed(self.seed)
        start = start.to(self.dtype)
        model = _Weights(start)
        optimizer = self._make_optimizer(model, lr, weight_decay)
        first_rates = _read_rates(optimizer)
        # What maximizes needs the gradients of minus the loss.
        maximizes = "maximize" in self._parameters and self._parameters["maximize"].default is True
        path = [start.double()]
        for number in range(steps):
            self.deadline.check()
            if schedule is not None:
                for group, name, first_rate in first_rates:
                    group[name] = first_rate * schedule(number)
            before = path[-1]
            data_gradient = gradient(number, before)
            if maximizes and data_gradient is not None:
                data_gradient = -data_gradient
            self._step(optimizer, model, data_gradient)
            if nudge is not None:
                with torch.no_grad():
                    model.weight.copy_(nudge(number, before, model.read()))
            path.append(model.read())
        if in_eval_mode:
            _set_mode(optimizer, "eval")
            path[-1] = model.read()
        return torch.stack(path)

    def repeats(self, start: Tensor) -> bool:
        """Whether two equal runs give the same weights; else differences mean nothing."""
        first, second = (
            self.run(start, lambda _, w: 0.1 * w, lr=0.01, weight_decay=0.01, steps=3)
            for _ in range(2)
        )
        return torch.allclose(first, second, rtol=1e-9, atol=0.0, equal_nan=True)

    def _make_optimizer(self, model: _Weights, lr: float, weight_decay: float) -> Any:
        factory, arguments = self.factory, self._list_arguments(model, lr, weight_decay)
        if self.build == "model":
            if "params" in self._parameters:
                arguments["params"] = [model.weight]
            optimizer = factory(**arguments)
        elif self.build == "around":
            wrapper = {key: value for key, value in arguments.items() if key in self._parameters}
            inner: dict[str, Any] = {"momentum": self.momentum or 0.0}
            if self._names[1] not in self._parameters:
                inner["weight_decay"] = weight_decay
            optimizer = call(factory, torch.optim.SGD([model.weight], lr=lr, **inner), wrapper)
        else:
            given: Any = [model.weight]
            if self.build == "groups":
                given = [{"params": [model.weight], "use_muon": model.weight.ndim == 2}]
            elif self.build == "named":
                given = list(model.named_parameters())
            optimizer = call(factory, given, arguments)
        check_made(optimizer)
        _set_mode(optimizer, "train")
        return optimizer

    def _list_arguments(self, model: _Weights, lr: float, weight_decay: float) -> dict[str, Any]:
        """The arguments of the factory beside the parameters, by its own names."""
        rate, strength = self._names
        arguments: dict[str, Any] = {}
        if rate is not None:
            arguments[rate] = lr
        if strength is not None:
            arguments[strength] = weight_decay
        if self.momentum is not None and accepts(self.factory, "momentum"):
            arguments["momentum"] = self.momentum
        supplied = {**SUPPLIED, **dict.fromkeys(MODELS, model)}
        for name, parameter in self._parameters.items():
            if parameter.default is parameter.empty and name in supplied:
                arguments[name] = supplied[name]
        return arguments

    def _step(self, optimizer: Any, model: _Weights, gradient: Tensor | None) -> None:
        weight = model.weight
        if gradient is None or self.step == "plain":
            weight.grad = None if gradient is None else gradient.to(self.dtype, copy=True)
            optimizer.step()
            return
        data_gradient, start = gradient.to(self.dtype), weight.detach().clone()
        calls = 0

        def closure() -> Tensor:
            """A loss whose gradient here is the given one, and whose curvature is 1."""
            nonlocal calls
            calls += 1
            weight.grad = None
            with torch.enable_grad():
                loss = (data_gradient * weight).sum() + 0.5 * ((weight - start) ** 2).sum()
                loss.backward(create_graph=self.step == "graph")  # type: ignore[no-untyped-call]
            return loss

        if self.step == "closure":
            optimizer.step(closure)
            if not calls:
                raise TypeError("its step() calls no closure")
        else:
            closure()
            optimizer.step()
            weight.grad = None  # or the graph keeps itself alive


class _Weights(nn.Module):
    """One parameter, named as a layer's weights are."""

    def __init__(self, start: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(start.clone())

    def read(self) -> Tensor:
        """A copy of the weights, in float64."""
        return self.weight.detach().to(torch.float64, copy=True)


def _read_rates(optimizer: Any) -> list[tuple[dict[str, Any], str, Any]]:
    """Each group that has a learning rate, with its name there and its value."""
    groups = getattr(optimizer, "param_groups", [])
    rates = [(group, next((name for name in RATES if name in group), "")) for group in groups]
    return [(group, name, group[name]) for group, name in rates if group.get(name) is not None]


def _set_mode(optimizer: Any, name: str) -> None:
    """Switch to the mode for training or evaluation, where there is one."""
    if callable(getattr(optimizer, "train", None)) and callable(getattr(optimizer, "eval", None)):
        getattr(optimizer, name)()
