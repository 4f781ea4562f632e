"""Which layers of an attention module make its queries, keys and values, and which its output."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from shrinkage.torch.models.layers import CONVOLUTION

QUERIES = (
    *("q_proj", "query", "q_lin", "q", "query_proj", "to_q", "wq", "w_q", "Wq", "q_linear"),
    *("linear_q", "q_attn"),
)
TOGETHER = ("qkv", "qkv_proj", "Wqkv", "to_qkv", "c_attn", "in_proj")  # all queries, then all keys
BY_HEAD = ("query_key_value",)  # query, key and value of the first head, then of the second
KEYS_AND_VALUES = ("kv", "kv_proj", "to_kv", "c_attn")  # beside queries of their own
OUTPUTS = (
    *("o_proj", "out_proj", "c_proj", "proj", "o", "out_lin", "to_out", "wo", "w_o", "Wo"),
    *("linear_out", "out_linear", "dense", "out"),
)


@dataclass(frozen=True)
class Incoming:
    """A layer whose outputs are queries, keys or values of all heads."""

    layer: nn.Module
    parts: int = 1  # 3 where queries, keys and values come one after the other
    is_query: bool = False  # of queries alone


@dataclass(frozen=True)
class Projections:
    """The layers of one attention module."""

    incoming: tuple[Incoming, ...]
    out: nn.Module

    @property
    def is_by_head(self) -> bool:
        """Whether one layer holds query, key and value of each head in turn."""
        return len(self.incoming) == 1 and self.incoming[0].parts == 1


def is_conv1d(module: nn.Module) -> bool:
    """Whether it is transformers' Conv1D: a linear layer that stores (inputs, outputs)."""
    named_so = any(kind.__name__ == "Conv1D" for kind in type(module).__mro__)
    weight = module._parameters.get("weight")
    return (
        named_so and not isinstance(module, CONVOLUTION) and weight is not None and weight.ndim == 2
    )


def is_linear(module: object) -> bool:
    """Whether it maps channels to channels: linear, or a convolution by one pixel."""
    if isinstance(module, CONVOLUTION):
        return set(module.kernel_size) == {1} and module.groups == 1 and not module.transposed
    return isinstance(module, nn.Linear) or (isinstance(module, nn.Module) and is_conv1d(module))


def sizes(layer: nn.Module) -> tuple[int, int]:
    """How many outputs and how many inputs a linear layer has."""
    assert isinstance(layer.weight, Tensor)
    first, second = layer.weight.shape[:2]
    return (second, first) if is_conv1d(layer) else (first, second)


def held(layer: nn.Module) -> list[str]:
    """The names of a linear layer's own parameters."""
    return [key for key in ("weight", "bias") if getattr(layer, key, None) is not None]


def projections_of(module: nn.Module, parent: nn.Module | None) -> Projections | None:
    """The layers of an attention module, found by their names; None where it is none.

    BERT keeps the output projection beside the module, as `output.dense` of `parent`.
    """
    incoming = _incoming(module)
    out = _linear_child(module, OUTPUTS)
    if out is None and parent is not None:
        beside = parent._modules.get("output")
        out = None if beside is None else _linear_child(beside, ("dense",))
    return None if incoming is None or out is None else Projections(incoming, out)


def projections_with(layer: nn.Module, ancestors: Sequence[nn.Module]) -> Projections | None:
    """The attention module that a layer is part of, given the modules that hold the layer."""
    for holder in reversed(ancestors[-2:]):
        for module in (holder, *holder.children()):
            found = projections_of(module, holder)
            if found and (layer is found.out or any(layer is one.layer for one in found.incoming)):
                return found
    return None


def _incoming(module: nn.Module) -> tuple[Incoming, ...] | None:
    for query_name in QUERIES:
        query = _linear_child(module, (query_name,))
        if query is None:
            continue
        first = Incoming(query, is_query=True)
        names = [query_name.replace("query", other) for other in ("key", "value")]
        if "query" not in query_name:
            names = [_renamed(query_name, other) for other in "kv"]
        key, value = (_linear_child(module, (name,)) for name in names)
        if key is not None and value is not None:
            return first, Incoming(key), Incoming(value)
        both = _linear_child(module, KEYS_AND_VALUES)
        return None if both is None else (first, Incoming(both, parts=2))
    together = _linear_child(module, TOGETHER)
    if together is not None:
        return (Incoming(together, parts=3),)
    by_head = _linear_child(module, BY_HEAD)
    return None if by_head is None else (Incoming(by_head),)


def _renamed(query: str, other: str) -> str:
    """ "k_proj" for "q_proj", "to_k" for "to_q", "linear_k" for "linear_q"."""
    place = query.rindex("q")
    return query[:place] + other + query[place + 1 :]


def _linear_child(module: nn.Module, names: Sequence[str]) -> nn.Module | None:
    for name in names:
        child = module._modules.get(name)
        if isinstance(child, nn.Sequential | nn.ModuleList):  # a projection with its dropout
            child = next(iter(child), None)
        if child is not None and is_linear(child):
            return child
    return None


def warn_of_rest(
    function: str, what: str, model: nn.Module, found: Sequence[object], unknown: Sequence[str]
) -> None:
    """Say what `heads` or `neurons` leaves out, or that there is nothing for it."""
    if unknown:
        warnings.warn(
            f"{function}() leaves out {', '.join(sorted(set(unknown)))}: how its units are laid "
            "out is not known; write their Joint by hand",
            stacklevel=3,
        )
    elif not found:
        warnings.warn(f"{function}() knows no {what} in {type(model).__name__}", stacklevel=3)
