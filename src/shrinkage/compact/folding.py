"""Where a constant goes once its unit is gone: into the bias of the next layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from torch import nn
from torch.fx import Node

from shrinkage.compact.keeping import KeepSets

CONVOLUTION_LAYERS = (
    *(nn.Conv1d, nn.Conv2d, nn.Conv3d),
    *(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
)


@dataclass(frozen=True)
class Fold:
    """What is added to a bias.

    Attributes
    ----------
    name : str
        The bias, as in "layers.0.bias".
    added : float array
        One number for each unit of the layer, those that go included.
    kept : bool array
        The units that stay.
    """

    name: str
    added: np.ndarray
    kept: np.ndarray


FOLDS: dict[str, Callable[[KeepSets, Node], Iterator[Fold]]] = {}


def bias_of(sets: KeepSets, node: Node, bias: object) -> str | None:
    """The bias that can take constants for one operation, None where there is none.

    A layer without one gets one. A bias that is used twice cannot take what one use needs.
    """
    if isinstance(bias, Node):
        return sets.graph.names.get(bias) if len(bias.users) == 1 else None
    path = sets.graph.path(node)
    layer = sets.model.get_submodule(path)
    calls = sum(sets.graph.path(n) == path for n in sets.graph.nodes if n.target == node.target)
    takes_bias = (
        isinstance(layer, (nn.Linear, *CONVOLUTION_LAYERS)) and layer.bias is None and calls == 1
    )
    return f"{path}.bias" if takes_bias else None
