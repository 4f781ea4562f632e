"""What was taken out of a model, layer by layer, and why the rest stays."""

from __future__ import annotations

import html
from collections import Counter
from dataclasses import dataclass

import numpy as np
from torch import nn
from torch.fx import Node

from shrinkage.compact.graph import operation, shape
from shrinkage.compact.keeping import KeepSets
from shrinkage.compact.operations.convolutions import CONVOLUTIONS, TRANSPOSED
from shrinkage.compact.operations.recurrent import GATES
from shrinkage.text_table import align, rows_of, to_html

LAYERS = ("linear", "addmm", "mm", *CONVOLUTIONS, *TRANSPOSED)


@dataclass(frozen=True)
class Layer:
    """One layer of the report.

    Attributes
    ----------
    layer : str
        Its dotted name.
    units_before, units_after : int
        Output features, channels or hidden units.
    dead_left : int
        Units that stay although they are the same for every input.
    why_they_stay : str
        With how many stay for which reason.
    """

    layer: str
    units_before: int
    units_after: int
    dead_left: int
    why_they_stay: str


@dataclass(frozen=True)
class Change:
    """A number before and after."""

    before: float
    after: float

    @property
    def ratio(self) -> float:
        return self.before / self.after if self.after else 1.0


@dataclass(frozen=True)
class Report:
    """What `compact` did; print it, or look at it in a notebook.

    Attributes
    ----------
    layers : tuple of Layer
        In the order in which they run.
    parameters, multiplications, bytes : Change
        Of the model, and for one call on the example. Multiplications are those of products of
        matrices and of convolutions, as ``torch.utils.flop_counter`` counts them.
    seconds : Change or None
        Median latency of one call on the example, None where it was not measured.
    difference : float
        The largest difference between the outputs of both models that was seen, relative to the
        largest output: in float64 where the model allows.
    rounding : float
        The same for the example in the model's own type.
    remarks : tuple of str
        What kept more from being removed.

    Examples
    --------
    >>> import torch
    >>> from shrinkage.compact import compact
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1))
    >>> with torch.no_grad():
    ...     _ = model[0].weight[1:].zero_()
    >>> report = compact(model, torch.randn(8, 2), time_it=False).report
    >>> print(report)
    layer  units before  units after  dead left  why they stay
    0      4             1            0
    2      1             1            0
    <BLANKLINE>
    parameters: 17 to 5 (3.4 times fewer)
    multiplications: 96 to 24 (4.0 times fewer)
    bytes: 68 to 20 (3.4 times fewer)
    largest relative difference of the outputs: ...
    """

    layers: tuple[Layer, ...]
    parameters: Change
    multiplications: Change
    bytes: Change
    seconds: Change | None
    difference: float
    rounding: float
    remarks: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join([align(self._rows()), "", *self._lines()])

    def _repr_html_(self) -> str:
        lines = "".join(f"<li>{html.escape(line)}</li>" for line in self._lines())
        return f"{to_html(self._rows())}<ul>{lines}</ul>"

    def _rows(self) -> list[tuple[str, ...]]:
        return rows_of(Layer, self.layers)

    def _lines(self) -> list[str]:
        counted = [
            f"{name}: {int(change.before):,} to {int(change.after):,} "
            f"({change.ratio:.1f} times fewer)"
            for name, change in (
                ("parameters", self.parameters),
                ("multiplications", self.multiplications),
                ("bytes", self.bytes),
            )
        ]
        if self.seconds is not None:
            before, after = self.seconds.before * 1e3, self.seconds.after * 1e3
            counted.append(
                f"latency: {before:.3g} to {after:.3g} ms ({self.seconds.ratio:.2f} times faster)"
            )
        return [
            *counted,
            f"largest relative difference of the outputs: {self.difference:.1e}, "
            f"as the model is {self.rounding:.1e}",
            *self.remarks,
        ]


def describe_layers(sets: KeepSets) -> tuple[Layer, ...]:
    """A row for each layer that has units, in the order in which they run."""
    rows: dict[str, Layer] = {}
    for node in sets.graph.nodes:
        name = operation(node)
        if name in LAYERS:
            axis = len(shape(node)) - 1 if name in LAYERS[:3] else 1
            path = sets.graph.path(node)
            weight = next((n for n in node.all_input_nodes if n in sets.graph.names), None)
            label = sets.graph.names[weight].rpartition(".")[0] if weight else path
            rows.setdefault(label, _describe(sets, label, node, axis))
        elif name in GATES:
            for tensor in node.all_input_nodes:
                label = sets.graph.names.get(tensor, "")
                if "weight_hh" in label:
                    rows.setdefault(label, _describe(sets, label, tensor, 1))
    return tuple(rows.values())


def _describe(sets: KeepSets, label: str, node: Node, axis: int) -> Layer:
    reasons = sets[node, axis]
    is_constant = sets.constants.along(node, axis, len(reasons)).is_constant
    left = is_constant & (reasons > 0)
    counts = Counter(reasons[left].tolist())
    sentences = [
        f"shared with units that are not dead, since {cause}"
        if cause.endswith("uses it")
        else cause
        for cause in sets.causes
    ]
    why = "; ".join(f"{count}: {sentences[number]}" for number, count in counts.most_common())
    return Layer(label, len(reasons), int(np.sum(reasons > 0)), int(left.sum()), why)


def count_parameters(model: nn.Module) -> tuple[int, int]:
    """How many parameters a model has, and the bytes of parameters and buffers."""
    parameters = list(model.parameters())
    held = [*parameters, *model.buffers()]
    return sum(p.numel() for p in parameters), sum(t.numel() * t.element_size() for t in held)
