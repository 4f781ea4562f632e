"""Make a smaller model that computes the same."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from torch.optim import Optimizer

from shrinkage.compact.constants import Constants, find_constants
from shrinkage.compact.graph import Graph, operation, shape, trace
from shrinkage.compact.keeping import KeepSets, find_keep_sets, keep_more
from shrinkage.compact.measuring import count_multiplications, time_calls
from shrinkage.compact.operations.pointwise import is_known, register_pointwise
from shrinkage.compact.report import Change, Report, count_parameters, describe_layers
from shrinkage.compact.slicing import Plan, apply_plan, make_plan, slice_optimizer
from shrinkage.compact.verification import (
    Sample,
    as_sample,
    check_model,
    largest_difference,
    make_samples,
    map_tensors,
    run,
    run_all,
    run_example,
)

Space = tuple[tuple[str, int], ...]  # axes of parameters that lose units together


@dataclass(frozen=True)
class Compacted:
    """A smaller model, what was taken out, and its optimizer.

    Attributes
    ----------
    model : torch.nn.Module
        Of the same class, on the same device, in the same mode.
    report : Report
        Layer by layer; ``print(report)``.
    optimizer : torch.optim.Optimizer or None
        The optimizer that was given, of the smaller model, with what remains of its state.

    Examples
    --------
    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    >>> compacted = compact(model, torch.randn(8, 3), time_it=False)
    >>> compacted.report.parameters.ratio, compacted.optimizer
    (1.0, None)
    """

    model: nn.Module
    report: Report
    optimizer: Optimizer | None = None


@dataclass
class Candidate:
    """A way to make the model smaller that was tried."""

    sets: KeepSets
    plan: Plan
    heads_only: bool
    difference: float


@dataclass
class Search:
    """Finds the largest part of what could go that leaves the outputs as they are."""

    model: nn.Module
    graph: Graph
    constants: Constants
    reference: list[tuple[Sample, list[Tensor]]]
    tolerance: float
    rejected: list[tuple[Space, str]] = field(default_factory=list)

    def run(self) -> Candidate:
        """Try everything at once, and where that fails halves of it, down to single spaces."""
        least = find_keep_sets(self.graph, self.constants, self.model)
        spaces = find_spaces(least)
        best, _ = self.attempt(least)
        if best is not None:
            return best
        accepted: list[Space] = []
        groups = [spaces]
        while groups:
            group = groups.pop()
            allowed = [*accepted, *group]
            found, why = self.attempt(_freeze(least, [s for s in spaces if s not in allowed]))
            if found is not None:
                accepted, best = allowed, found
            elif len(group) == 1:
                self.rejected.append((group[0], why))
            else:
                middle = len(group) // 2
                groups += [group[middle:], group[:middle]]
        if best is None:
            best, why = self.attempt(_freeze(least, spaces))
        if best is None:
            raise RuntimeError(f"the copy of the model does not compute what the model does: {why}")
        return best

    def attempt(self, sets: KeepSets) -> tuple[Candidate | None, str]:
        """Take out what need not be kept; returns None and the reason where the outputs differ."""
        plan = make_plan(sets)
        why = ""
        for heads_only in (True, False) if any(plan.sizes.values()) else (True,):
            small = copy.deepcopy(self.model)
            try:
                apply_plan(plan, small, heads_only)
                difference = largest_difference(small, self.reference, self.tolerance)
            except (
                Exception
            ) as error:  # whatever a model raises whose sizes are written in its code
                why = why or f"the model raised {type(error).__name__} without it: {error}"
                continue
            if difference <= self.tolerance:
                return Candidate(sets, plan, heads_only, difference), ""
            why = f"the outputs differed by {difference:.1e} without it"
        return None, why


def _freeze(sets: KeepSets, spaces: Sequence[Space]) -> KeepSets:
    """Sets that keep some spaces whole."""
    return keep_more(sets, [axis for space in spaces for axis in space])


def find_spaces(sets: KeepSets) -> list[Space]:
    """The axes of parameters that lose units, those together that decide on each other."""
    spaces: dict[object, list[tuple[str, int]]] = {}
    for node, name in sets.graph.names.items():
        for axis in range(len(shape(node))):
            if not sets.kept(node, axis).all() and sets.kept(node, axis).any():
                spaces.setdefault(sets.space((node, axis)), []).append((name, axis))
    return [tuple(space) for space in spaces.values()]


def compact(
    model: nn.Module,
    example_inputs: Any,
    optimizer: Optimizer | None = None,
    *,
    time_it: bool = True,
) -> Compacted:
    r"""Return the same function from a smaller model: without the units that are provably dead.

    A unit whose incoming weights are all 0 is a constant :math:`\varphi(b)`, which goes into the
    biases of what follows; one whose outgoing weights are all 0 goes as it is. What cannot be
    proved stays, and the report says why. The outputs of both models in evaluation mode are
    compared on the example and on random inputs, in float64 where the model allows; what makes a
    difference stays as well. The model that is given is left as it is.

    Parameters
    ----------
    model : torch.nn.Module
        One that `torch.export.export` takes.
    example_inputs : Tensor, tuple or dict
        What the model is called with; a dict holds keyword arguments.
    optimizer : torch.optim.Optimizer, optional
        Its state is sliced along, so that training can go on.
    time_it : bool
        Measure the latency of both models on the example, for the report.

    Returns
    -------
    Compacted
        With `model`, `report` and `optimizer`.

    Raises
    ------
    TypeError
        If the model is no module, the example neither a tensor nor a tuple nor a dict, or the
        optimizer none of torch's kind.
    ValueError
        If the example is not finite, or the model does not take it, holds no numbers (on the meta
        device, or lazy), or shares no parameter with the optimizer.

    Examples
    --------
    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    >>> with torch.no_grad():
    ...     _ = model[0].weight[1:3].zero_()
    >>> small = compact(model, torch.randn(8, 3), time_it=False)
    >>> small.model[0].weight.shape
    torch.Size([2, 3])
    """
    check_model(model, optimizer)
    sample = as_sample(example_inputs)
    run_example(copy.deepcopy(model).eval(), sample)
    memo: dict[int, Any] = {}
    small = copy.deepcopy(model, memo)
    search = _prepare(model, *sample)
    if isinstance(search, str):
        report = _report(model, small, sample, None, (search,), time_it)
        return Compacted(small, report, copy.deepcopy(optimizer, memo))
    best = search.run()
    new = apply_plan(best.plan, small, best.heads_only)
    small_optimizer = copy.deepcopy(optimizer, memo)
    if small_optimizer is not None:
        slice_optimizer(best.plan, small, new, small_optimizer)
    remarks = tuple(
        f"stays whole: {', '.join(f'{name} (axis {axis})' for name, axis in space)}: {why}"
        for space, why in search.rejected
    )
    report = _report(model, small, sample, best, remarks, time_it)
    return Compacted(small, report, small_optimizer)


def _report(
    model: nn.Module,
    small: nn.Module,
    sample: Sample,
    best: Candidate | None,
    remarks: tuple[str, ...],
    time_it: bool,
) -> Report:
    """Count and time copies in evaluation mode, so that the models stay in theirs."""
    pair = (copy.deepcopy(model).eval(), copy.deepcopy(small).eval())
    as_it_is = [(sample, run(pair[0], sample))]
    (before, bytes_before), (after, bytes_after) = map(count_parameters, pair)
    return Report(
        layers=describe_layers(best.sets) if best is not None else (),
        parameters=Change(before, after),
        multiplications=Change(*(count_multiplications(each, sample) for each in pair)),
        bytes=Change(bytes_before, bytes_after),
        seconds=Change(*time_calls(pair, sample)) if time_it else None,
        difference=best.difference if best is not None else 0.0,
        rounding=largest_difference(pair[1], as_it_is),
        remarks=remarks,
    )


def _prepare(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Search | str:
    """The graph and the reference outputs in float64, else in the model's own type."""
    if isinstance(model, torch.jit.ScriptModule):
        return "nothing was removed: a scripted module hides its code; compact what it was made of"
    if any(isinstance(part, PackedSequence) for part in (*args, *kwargs.values())):
        return "nothing was removed: what runs on a PackedSequence depends on its lengths"
    problem = ""
    for dtype, tolerance in ((torch.float64, 1e-10), (None, 1e-5)):
        reference = copy.deepcopy(model).eval().cpu()
        sample = map_tensors((args, kwargs), lambda tensor: tensor.detach().cpu())
        if dtype is torch.float64:
            reference = reference.double()
            sample = map_tensors(sample, lambda t: t.double() if t.is_floating_point() else t)
        try:
            graph = trace(reference, sample[0], sample[1], is_known)
            register_pointwise(graph)
            constants = find_constants(graph)
            outputs = list(run_all(reference, make_samples(*sample)))
        except Exception as error:  # whatever a model raises that torch.export cannot follow
            problem = f"{type(error).__name__}: {error}"
            continue
        if any(operation(node) == "_to_copy" for node in graph.nodes):
            tolerance = 1e-5  # parts of it are not in float64
        return Search(reference, graph, constants, outputs, tolerance)
    return (
        f"nothing was removed: torch.export could not follow the model ({problem.splitlines()[0]})"
    )
