"""A model as a graph of ATen operations, with the tensors that it holds."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.export.graph_signature import ConstantArgument, InputKind
from torch.fx import Node

Rule = TypeVar("Rule")
HELD = (InputKind.PARAMETER, InputKind.BUFFER)
DECOMPOSED = (torch.ops.aten.einsum.default,)  # into products of matrices


@dataclass(frozen=True)
class Graph:
    """The operations of a model in the order in which they run.

    Attributes
    ----------
    nodes : list of Node
        The operations.
    tensors : dict of Node to Tensor
        Parameters, buffers and constants.
    names : dict of Node to str
        The dotted names of parameters and buffers.
    inputs : dict of Node to object
        The example, flattened.
    outputs : list of Node
        The tensors that the model returns.
    owner : torch.fx.GraphModule
        Holds what a node of kind ``get_attr`` names.
    """

    nodes: list[Node]
    tensors: dict[Node, Tensor]
    names: dict[Node, str]
    inputs: dict[Node, object]
    outputs: list[Node]
    owner: torch.fx.GraphModule

    def path(self, node: Node) -> str:
        """The module that ran an operation, as in "layers.0.attention"."""
        stack = list((node.meta.get("nn_module_stack") or {}).values())
        return str(stack[-1][0]) if stack else ""

    def where(self, node: Node) -> str:
        """An operation for a reader: its name and the module that ran it."""
        path = self.path(node)
        return f"{operation(node)} in {path}" if path else operation(node)


def operation(node: Node) -> str:
    """The name of an ATen operation, without its overload: "linear"."""
    parts = str(node.target).split(".")
    return parts[1] if parts[0] == "aten" else getattr(node.target, "__name__", str(node.target))


def find_rule(rules: Mapping[str, Rule], node: Node) -> Rule | None:
    """The rule that a table has for an operation by its name, or else for this overload of it.

    Overloads may be different operations: "aten.max.other" is pointwise, "aten.max.dim" is not.
    """
    return rules.get(operation(node), rules.get(str(node.target)))


def shape(node: Node) -> tuple[int, ...]:
    """The shape of the tensor that a node makes, () for what is no tensor."""
    value = node.meta.get("val")
    return tuple(int(size) for size in value.shape) if isinstance(value, Tensor) else ()


def trace(
    model: nn.Module,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    is_known: Callable[[Node], bool],
) -> Graph:
    """Export a model that is in evaluation mode.

    Parameters that share a tensor become one node. Attention's fast path is turned off meanwhile:
    it is one operation that hides the heads. Where every operation is known as it is, none is
    decomposed into simpler ones, which would take longer than all else.
    """
    with without_fast_path(), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(model, args, dict(kwargs))
        program.graph.eliminate_dead_code()
        operations = (n for n in program.graph.nodes if n.op not in ("placeholder", "output"))
        if not all(map(is_known, operations)):
            program = program.run_decompositions(dict(_decompositions()))
            program.graph.eliminate_dead_code()
    return read_program(program, model)


def read_program(program: torch.export.ExportedProgram, model: nn.Module) -> Graph:
    """The graph of an exported program, with the tensors of the model that it came of."""
    held = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    flat = list(flatten(program.example_inputs))
    nodes = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
    tensors: dict[Node, Tensor] = {}
    names: dict[Node, str] = {}
    inputs: dict[Node, object] = {}
    of_tensor: dict[tuple[int, tuple[int, ...]], Node] = {}
    for spec in program.graph_signature.input_specs:
        node = nodes[spec.arg.name]
        if spec.kind is InputKind.USER_INPUT:
            is_number = isinstance(spec.arg, ConstantArgument)
            inputs[node] = spec.arg.value if is_number else flat[len(inputs)]
            continue
        target = str(spec.target)
        tensor = held.get(target, program.state_dict.get(target, program.constants.get(target)))
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{target} is a {type(tensor).__name__}, not a tensor")
        key = (tensor.data_ptr(), tuple(tensor.shape))
        if tensor.numel() and key in of_tensor:
            node.replace_all_uses_with(of_tensor[key])
            continue
        of_tensor[key] = node
        tensors[node] = tensor.detach()
        if spec.kind in HELD and target in held:
            names[node] = target
    (last,) = (node for node in program.graph.nodes if node.op == "output")
    operations = [node for node in program.graph.nodes if node.op not in ("placeholder", "output")]
    outputs = [node for node in flatten(last.args) if isinstance(node, Node)]
    return Graph(operations, tensors, names, inputs, outputs, program.graph_module)


@cache
def _decompositions() -> dict[Any, Callable[..., Any]]:
    """What has to become other operations where the rest becomes free of effects on its inputs."""
    known = torch.export.default_decompositions()
    return {name: known[name] for name in DECOMPOSED if name in known}


def flatten(nested: object) -> Iterator[object]:
    """The leaves of nested lists, tuples and mappings, in order."""
    if isinstance(nested, Mapping):
        nested = list(nested.values())
    if isinstance(nested, list | tuple):
        for part in nested:
            yield from flatten(part)
    else:
        yield nested


@contextmanager
def without_fast_path() -> Iterator[None]:
    """Let torch's attention be the operations it consists of, not one that nothing looks into."""
    was_enabled = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(was_enabled)
