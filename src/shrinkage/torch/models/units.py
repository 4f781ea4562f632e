"""The entries of a module's weight that belong to one output unit or one input unit."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from shrinkage.penalties.layout import Heads, Layout, heads_in, resolve
from shrinkage.torch.models.attention import find_projections_around
from shrinkage.torch.models.layers import CONVOLUTION, TRANSPOSED, is_conv1d
from shrinkage.torch.models.owners import Owner
from shrinkage.torch.models.parameter_kinds import LAYERS


def lay_out_units(side: str, owner: Owner, parameter: Tensor) -> Layout | str:
    """Find a parameter's groups "out" (an output unit each), "in" (an input unit), "heads:64".

    Where a module's units are not known, axis 0 counts as the output and axis 1 as the input.
    """
    shape = tuple(parameter.shape)
    heads = heads_in(side)
    module, key = owner.module, owner.key
    if len(shape) < 2 and (heads is None or not isinstance(module, nn.MultiheadAttention)):
        return Layout(None if shape else (1,), (0,))  # every entry is a group
    if heads is not None:
        return _lay_out_heads(heads, owner, shape)
    weight = getattr(module, key, parameter)
    if not isinstance(weight, Tensor) or tuple(weight.shape) != shape:
        module = nn.Identity()  # a part of a parametrization, in a shape of its own
    if isinstance(module, CONVOLUTION):
        blocks = module.groups
        transposed = isinstance(module, TRANSPOSED)  # (in, out / groups, ...)
        if (side == "out") != transposed:
            return Layout(None, (0,))
        if blocks == 1:
            return Layout(None, (1,))
        return Layout((blocks, shape[0] // blocks, *shape[1:]), (0, 2))
    if side == "out" and (gates := _count_gates(module, key)) > 1:
        return Layout((gates, shape[0] // gates, *shape[1:]), (1,))
    if type(module).__name__.endswith("Experts") and len(shape) == 3:
        raise ValueError(
            f'groups="{side}": {owner.name} holds a matrix for each expert, and where its '
            f"{side}puts are is not known; write the axes, groups=(0, 1) or groups=(0, 2)"
        )
    return Layout(None, (_find_axis(side, module),))


def _find_axis(side: str, module: nn.Module) -> int:
    """Where the output units ("out") or input units of a weight without blocks are counted."""
    turned = isinstance(module, nn.Embedding | nn.EmbeddingBag | TRANSPOSED)
    return int((side == "out") == (turned or is_conv1d(module)))


def _lay_out_heads(heads: Heads, owner: Owner, shape: tuple[int, ...]) -> Layout:
    """A side or parts that are not written are those of the attention that the module is part of.

    One projection to query, key and value has three parts; in an output projection heads are input
    units. In any other module they are output units.
    """
    module, side, parts = owner.module, heads.side or "out", heads.parts
    if heads.side is None:
        if isinstance(module, NonDynamicallyQuantizableLinear):
            side = "in"
        elif isinstance(module, nn.MultiheadAttention):
            parts = parts or (3 if owner.key.startswith("in_proj_") else 1)
        elif (projections := find_projections_around(module, owner.ancestors)) is not None:
            side = "in" if module is projections.out else "out"
            counts = (
                projection.parts
                for projection in projections.incoming
                if projection.layer is module
            )
            parts = parts or next(counts, 1)
    if isinstance(module, CONVOLUTION) and module.groups > 1 and len(shape) > 1:
        raise ValueError(f"{owner.name} is a convolution in groups, which heads do not divide")
    axis = _find_axis(side, module) if len(shape) > 1 else 0
    try:
        return heads._replace(parts=parts).layout(shape, axis)
    except ValueError as error:
        raise ValueError(f"{owner.name}: {error}") from None


def note_on_units(groups: object, owner: Owner, parameter: Tensor) -> str:
    """A note for the table on groups of a parameter that are a guess or depend on its module."""
    module = owner.module
    known = ("weight" in owner.key and isinstance(module, LAYERS)) or is_conv1d(module)
    if groups in ("out", "in") and parameter.ndim > 1 and not known:
        return f" ({groups}: axis {_find_axis(str(groups), module)}, for want of a known layer)"
    heads = heads_in(groups)
    if heads is None or heads.side is not None or parameter.ndim < 2:
        return ""
    axis = _lay_out_heads(heads, owner, tuple(parameter.shape)).axes[0] - 1
    return f" (heads along axis {axis})"


def _count_gates(module: nn.Module, key: str) -> int:
    """How many rows of a recurrent weight, or entries of its bias, belong to one hidden unit."""
    if key.removeprefix("weight_").removeprefix("bias_")[:2] not in ("ih", "hh"):
        return 1
    if isinstance(module, nn.LSTM | nn.LSTMCell):
        return 4
    return 3 if isinstance(module, nn.GRU | nn.GRUCell) else 1


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
        """How many entries belong to one unit."""
        return math.prod(self.shape) // self.units

    def of(self, w: Tensor) -> Tensor:
        """The matrix (units, entries)."""
        return w.reshape(self.view).permute(self.order).reshape(self.units, self.entries)

    def back(self, rows: Tensor) -> Tensor:
        """Bring a matrix (units, entries) back to the parameter's shape."""
        laid_out = rows.reshape([self.view[axis] for axis in self.order])
        inverse = sorted(range(len(self.order)), key=self.order.__getitem__)
        return laid_out.permute(inverse).reshape(self.shape)


def unit_rows(side: str, owner: Owner, parameter: Tensor) -> Rows:
    """The units of a parameter on a side: "out", "in", an axis ("1") or "heads:64".

    Unlike the groups of one parameter, in one dimension all that belongs to a unit goes together:
    the gates of a recurrent bias, the entries of a head.
    """
    shape = tuple(parameter.shape)
    heads = heads_in(side)
    if heads is not None:
        layout = _lay_out_heads(heads, owner, shape)
    elif side not in ("out", "in"):
        layout = resolve(int(side), shape)
    elif len(shape) == 1:
        gates = _count_gates(owner.module, owner.key)
        layout = Layout((gates, shape[0] // gates), (1,))
    else:
        layout = resolve(lay_out_units(side, owner, parameter), shape)
    view = layout.view or shape
    order = (*layout.axes, *(axis for axis in range(len(view)) if axis not in layout.axes))
    return Rows(shape, view, order, math.prod(view[axis] for axis in layout.axes))
