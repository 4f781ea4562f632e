"""The penalized parameters of an optimizer, each with the parameter group that holds it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from torch.optim import Optimizer

from shrinkage.torch.binding.bindings import Binding, BoundParameter
from shrinkage.torch.binding.bound_model import BoundModel
from shrinkage.torch.binding.checkpoint import resume_loaded
from shrinkage.torch.facts.momentum import Named
from shrinkage.torch.facts.own_step import Group

Pair = tuple[Binding, list[Group | None]]  # a group for each part


class Pairs:
    """Bindings with the optimizer's groups, looked up again where either has changed."""

    def __init__(self, bound: BoundModel, optimizer: Optimizer) -> None:
        self._bound, self._optimizer = bound, optimizer
        self.pairs: list[Pair] = []
        self._absent: list[BoundParameter] = []
        self._made_from: tuple[object, ...] = ()

    def refresh(self) -> None:
        """Find the group of each penalized parameter.

        Raises
        ------
        RuntimeError
            If the optimizer does not hold one that is not frozen.
        """
        groups, bindings = self._optimizer.param_groups, self._bound.bindings
        sizes = (len(group["params"]) for group in groups)
        made_from = (bindings, *groups, *sizes, any(self._find_thawed()))
        if len(made_from) == len(self._made_from) and all(
            now is before or (isinstance(now, int) and now == before)
            for now, before in zip(made_from, self._made_from, strict=True)
        ):
            return
        holder = {parameter: group for group in groups for parameter in group["params"]}
        self.pairs = [
            (binding, [holder.get(part.parameter) for part in binding.parts])
            for binding in bindings
        ]
        resume_loaded(self._optimizer)
        self._absent = [part for part in self._bound.parts if part.parameter not in holder]
        for part in self._find_thawed():
            raise RuntimeError(
                f"{part.name} is penalized but {type(self._optimizer).__name__} does not hold it: "
                "the model has changed since attach(); give it to the optimizer with "
                "add_param_group(), or build both again"
            )
        self._made_from = made_from

    def moving(self, *, without_gradient: bool = False) -> Iterator[Pair]:
        """The bindings that a step moves, with the group of each part; None for one that stays."""
        for binding, groups in self.pairs:
            moving = [
                group if part.parameter.requires_grad and (without_gradient or part.moves) else None
                for part, group in zip(binding.parts, groups, strict=True)
            ]
            if any(moving):
                yield binding, moving

    def _find_thawed(self) -> Iterator[BoundParameter]:
        """The penalized parameters that the optimizer does not hold, and that are not frozen."""
        return (part for part in self._absent if part.parameter.requires_grad)


def named_in(pairs: Iterable[Pair]) -> Iterator[Named]:
    """Each parameter that the optimizer holds, with its group and its name."""
    for binding, groups in pairs:
        for part, group in zip(binding.parts, groups, strict=True):
            if group is not None:
                yield group, part.name, part.parameter
