"""Which entries of a module's weight belong to one output unit, or to one input unit."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from shrinkage.penalties.layout import Layout

FOUR_GATES = (nn.LSTM, nn.LSTMCell)
THREE_GATES = (nn.GRU, nn.GRUCell)


def unit_layout(side: str, module: nn.Module, key: str, parameter: torch.Tensor) -> Layout | str:
    """The groups "out" (an output unit each), "in" (an input unit) or "heads:64" of a parameter.

    Where a module's units are not known, axis 0 counts as the output and axis 1 as the input.
    """
    shape = tuple(parameter.shape)
    if side.startswith("heads:"):
        size = int(side.removeprefix("heads:"))
        together = isinstance(module, nn.MultiheadAttention) and key == "in_proj_weight"
        if not together or shape[0] % (3 * size):
            return side  # rows, or the error that they are not divisible
        return Layout((3, shape[0] // (3 * size), size, *shape[1:]), (1,))
    if len(shape) < 2:
        return Layout(None if shape else (1,), (0,))  # every entry is a group
    shown = getattr(module, key, parameter)
    if not isinstance(shown, torch.Tensor) or tuple(shown.shape) != shape:
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
    gates = 4 if isinstance(module, FOUR_GATES) else 3 if isinstance(module, THREE_GATES) else 1
    if gates > 1 and side == "out" and key.startswith(("weight_ih", "weight_hh")):
        return Layout((gates, shape[0] // gates, *shape[1:]), (1,))
    return Layout(None, (0 if side == "out" else 1,))
