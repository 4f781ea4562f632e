"""Which entries of a module's weight belong to one output unit, or to one input unit."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from shrinkage.penalties.layout import Layout, resolve

FOUR_GATES = (nn.LSTM, nn.LSTMCell)
THREE_GATES = (nn.GRU, nn.GRUCell)


def unit_layout(side: str, module: nn.Module, key: str, parameter: Tensor) -> Layout | str:
    """The groups "out" (an output unit each), "in" (an input unit) or "heads:64" of a parameter.

    Where a module's units are not known, axis 0 counts as the output and axis 1 as the input.
    """
    shape = tuple(parameter.shape)
    if side.startswith("heads:"):
        return _heads(side, module, key, shape)
    if len(shape) < 2:
        return Layout(None if shape else (1,), (0,))  # every entry is a group
    shown = getattr(module, key, parameter)
    if not isinstance(shown, Tensor) or tuple(shown.shape) != shape:
        module = nn.Identity()  # a part of a parametrization, in a shape of its own
    if isinstance(module, _ConvNd):
        blocks = module.groups
        transposed = isinstance(module, _ConvTransposeNd)  # (in, out / groups, ...)
        if (side == "out") != transposed:
            return Layout(None, (0,))
        if blocks == 1:
            return Layout(None, (1,))
        return Layout((blocks, shape[0] // blocks, *shape[1:]), (0, 2))
    if isinstance(module, nn.Embedding | nn.EmbeddingBag):  # (inputs, outputs)
        return Layout(None, (1 if side == "out" else 0,))
    if side == "out" and (gates := _gates(module, key)) > 1:
        return Layout((gates, shape[0] // gates, *shape[1:]), (1,))
    return Layout(None, (0 if side == "out" else 1,))


def _heads(side: str, module: nn.Module, key: str, shape: tuple[int, ...]) -> Layout | str:
    """In torch's attention a head has rows in each of query, key and value, and output columns."""
    size = int(side.removeprefix("heads:"))
    attention = isinstance(module, nn.MultiheadAttention)
    if attention and key in ("in_proj_weight", "in_proj_bias") and shape[0] % (3 * size) == 0:
        return Layout((3, shape[0] // (3 * size), size, *shape[1:]), (1,))
    if isinstance(module, NonDynamicallyQuantizableLinear) and key == "weight":
        if shape[1] % size:
            raise ValueError(f'groups="{side}" does not divide the {shape[1]} columns of {shape}')
        return Layout((shape[0], shape[1] // size, size), (1,))
    return side  # rows, or the error that they are not divisible


def _gates(module: nn.Module, key: str) -> int:
    """How many rows of a recurrent weight, or entries of its bias, belong to one hidden unit."""
    if key.removeprefix("weight_").removeprefix("bias_")[:2] not in ("ih", "hh"):
        return 1
    return 4 if isinstance(module, FOUR_GATES) else 3 if isinstance(module, THREE_GATES) else 1


@dataclass(frozen=True)
class Rows:
    """A parameter seen as a matrix with one row for each unit.

    The parameter is seen as shape `view`, of which the first `axes` in `order` count its units.
    """

    shape: tuple[int, ...]
    view: tuple[int, ...]
    order: tuple[int, ...]
    units: int

    @property
    def entries(self) -> int:
        """How many belong to one unit."""
        return math.prod(self.shape) // self.units

    def of(self, w: Tensor) -> Tensor:
        """The matrix (units, entries)."""
        return w.reshape(self.view).permute(self.order).reshape(self.units, self.entries)

    def back(self, rows: Tensor) -> Tensor:
        """The parameter's shape again."""
        laid_out = rows.reshape([self.view[axis] for axis in self.order])
        inverse = sorted(range(len(self.order)), key=self.order.__getitem__)
        return laid_out.permute(inverse).reshape(self.shape)


def unit_rows(side: str, module: nn.Module, key: str, parameter: Tensor) -> Rows:
    """The units of a parameter on a side: "out", "in", an axis ("1") or "heads:64".

    Unlike the groups of one parameter, in one dimension all that belongs to a unit goes together:
    the gates of a recurrent bias, the entries of a head.
    """
    shape = tuple(parameter.shape)
    if side.startswith("heads:"):
        heads = _heads(side, module, key, shape)
        layout = resolve(heads, shape if len(shape) > 1 else (*shape, 1))
    elif side not in ("out", "in"):
        layout = resolve(int(side), shape)
    elif len(shape) == 1:
        gates = _gates(module, key)
        layout = Layout((gates, shape[0] // gates), (1,))
    else:
        layout = resolve(unit_layout(side, module, key, parameter), shape)
    view = layout.view or shape
    order = (*layout.axes, *(axis for axis in range(len(view)) if axis not in layout.axes))
    return Rows(shape, view, order, math.prod(view[axis] for axis in layout.axes))
