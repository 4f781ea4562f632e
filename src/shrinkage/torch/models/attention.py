"""Which layers of an attention module make its queries, keys and values, and which its output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from shrinkage.torch.models.layers import is_linear
from shrinkage.torch.private import own_children

QUERIES = (
    *("q_proj", "query", "q_lin", "q", "query_proj", "to_q", "wq", "w_q", "Wq", "q_linear"),
    *("linear_q", "q_attn"),
)
TOGETHER = ("qkv", "qkv_proj", "Wqkv", "to_qkv", "c_attn", "in_proj")  # all queries, then all keys
BY_HEAD = ("query_key_value",)  # query, key and value of the first head, then of the second
KEYS_AND_VALUES = ("kv", "kv_proj", "to_kv", "c_attn")  # next to separate queries
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


def find_projections(module: nn.Module, parent: nn.Module | None) -> Projections | None:
    """The layers of an attention module, found by their names; None where it is none.

    BERT keeps the output projection in the parent module, as `output.dense` of `parent`.
    """
    incoming = _find_incoming(module)
    out = _first_linear(module, OUTPUTS)
    if out is None and parent is not None:
        beside = own_children(parent).get("output")
        out = None if beside is None else _first_linear(beside, ("dense",))
    return None if incoming is None or out is None else Projections(incoming, out)


def find_projections_around(layer: nn.Module, ancestors: Sequence[nn.Module]) -> Projections | None:
    """The attention module that a layer is part of, given the modules that hold the layer."""
    for holder in reversed(ancestors[-2:]):
        for module in (holder, *holder.children()):
            projections = find_projections(module, holder)
            if projections and (
                layer is projections.out
                or any(layer is incoming.layer for incoming in projections.incoming)
            ):
                return projections
    return None


def _find_incoming(module: nn.Module) -> tuple[Incoming, ...] | None:
    for query_name in QUERIES:
        query = _first_linear(module, (query_name,))
        if query is None:
            continue
        first = Incoming(query, is_query=True)
        written, others = ("query", ("key", "value")) if "query" in query_name else ("q", "kv")
        start, _, end = query_name.rpartition(written)  # "linear_k" for "linear_q"
        key, value = (_first_linear(module, (start + other + end,)) for other in others)
        if key is not None and value is not None:
            return first, Incoming(key), Incoming(value)
        both = _first_linear(module, KEYS_AND_VALUES)
        return None if both is None else (first, Incoming(both, parts=2))
    together = _first_linear(module, TOGETHER)
    if together is not None:
        return (Incoming(together, parts=3),)
    by_head = _first_linear(module, BY_HEAD)
    return None if by_head is None else (Incoming(by_head),)


def _first_linear(module: nn.Module, names: Sequence[str]) -> nn.Module | None:
    for name in names:
        child = own_children(module).get(name)
        if isinstance(child, nn.Sequential | nn.ModuleList):  # a projection with its dropout
            child = next(iter(child), None)
        if is_linear(child):
            return child
    return None
