"""Which parameters have a scale, or a bias, without effect on the model's output.

A normalization divides by the scale of its input. Where the output of a layer goes to a
normalization and nowhere else, the layer's weight can be multiplied by any number above 0, and
nothing after the normalization changes.
"""

from __future__ import annotations

import copy
import itertools
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from shrinkage.torch.models.layers import BATCH_NORM, CONVOLUTION
from shrinkage.torch.models.parameter_kinds import NORMALIZATIONS
from shrinkage.torch.private import drop_forward_hooks

# Doubling the weight doubles the output less the bias.
LINEAR = (nn.Linear, CONVOLUTION, nn.Embedding)


def find_normalized_layers(model: nn.Module) -> dict[nn.Module, nn.Module]:
    """Map each linear layer whose output goes to a normalization alone to that normalization.

    This is read from the graphs of the modules' forward methods; a module that torch.fx cannot
    trace is passed over.
    """

    def divides_by_fixed(norm: nn.Module) -> bool:
        """Whether it divides by a fixed number, since it is in evaluation."""
        return isinstance(norm, BATCH_NORM) and norm.track_running_stats and not norm.training

    uses: dict[nn.Module, list[nn.Module | None]] = defaultdict(list)
    for graph, module in _trace_modules(model):
        for node in graph.nodes:
            if node.op == "call_module":
                uses[module.get_submodule(node.target)].append(
                    _find_only_normalization(node, module)
                )
            elif node.op == "get_attr":  # the weight is used without the layer
                uses[module.get_submodule(node.target.rpartition(".")[0])].append(None)
    return {
        layer: norms[-1]
        for layer, norms in uses.items()
        if isinstance(layer, LINEAR)
        and norms[-1] is not None
        and None not in norms
        and not (model.training and divides_by_fixed(norms[-1]))
    }


def removes_scale(norm: nn.Module, layer: nn.Module) -> bool:
    """Whether `norm` removes the scale of the weight; a bias beside it must go too."""
    return removes_bias(norm) or getattr(layer, "bias", None) is None


def removes_bias(norm: nn.Module) -> bool:
    """Whether `norm` subtracts the mean of each channel."""
    return isinstance(norm, BATCH_NORM)


def find_scale_invariant(model: nn.Module, names: Sequence[str], sample: Any) -> set[str]:
    """The parameters among `names` whose scale leaves ``model(sample)`` in training as it is.

    Doubling the parameter must change the output by less than a hundredth of what adding a random
    direction of the same size does. Model, buffers and random states stay as they were.
    """
    inputs = sample if isinstance(sample, tuple) else (sample,)
    args, kwargs = ((), dict(sample)) if isinstance(sample, Mapping) else (inputs, {})
    modes = [(module, module.training) for module in model.modules()]
    parameters = dict(model.named_parameters(remove_duplicate=False))

    def output(name: str, w: Tensor) -> Tensor:
        buffers = {key: buffer.clone() for key, buffer in model.named_buffers()}
        torch.manual_seed(0)  # the same dropout each time
        result = torch.func.functional_call(model, {**buffers, name: w}, args, kwargs)
        outputs = [tensor for tensor in _find_tensors(result) if tensor.is_floating_point()]
        return torch.cat([tensor.double().flatten() for tensor in outputs])

    invariant = set()
    if not model.training:
        model.train()
    try:
        with torch.no_grad(), torch.random.fork_rng():
            for name in names:
                w = parameters[name].detach()
                torch.manual_seed(1)
                direction = torch.randn_like(w)
                direction *= w.norm() / direction.norm()
                base = output(name, w)
                by_scale = (output(name, 2 * w) - base).norm()
                if by_scale < 0.01 * (output(name, w + direction) - base).norm():
                    invariant.add(name)
    finally:
        for module, mode in modes:
            module.training = mode
    return invariant


class _OwnForward(fx.Tracer):
    """Traces a module's own forward; the modules that it calls are single nodes."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return True


def _trace_modules(model: nn.Module) -> Iterator[tuple[fx.Graph, nn.Module]]:
    """The graph of each module that has others inside, as far as torch.fx can trace it."""
    for module in model.modules():
        if any(module.children()):
            try:
                with warnings.catch_warnings(), torch.random.fork_rng():
                    warnings.simplefilter("ignore")
                    yield _OwnForward().trace(_copy_without_data(module)), module
            except Exception:  # a copy or a forward may raise anything
                continue


def _copy_without_data(module: nn.Module) -> nn.Module:
    """A copy without numbers and hooks, since tracing runs `forward`, which may write to them."""
    tensors = itertools.chain(
        module.parameters(), *(vars(inner).values() for inner in module.modules())
    )
    memo: dict[int, Any] = {
        id(tensor): nn.Parameter(
            torch.empty(tensor.shape, device="meta"), requires_grad=tensor.requires_grad
        )
        for tensor in tensors
        if isinstance(tensor, Tensor)
    }
    copied = copy.deepcopy(module, memo)
    for inner in copied.modules():
        drop_forward_hooks(inner)
    return copied


def _find_tensors(result: object) -> Iterator[Tensor]:
    """The tensors in what a model gives: one, or lists and mappings of them, nested."""
    if isinstance(result, Tensor):
        yield result
    elif isinstance(result, Mapping):
        for value in result.values():
            yield from _find_tensors(value)
    elif isinstance(result, list | tuple):
        for value in result:
            yield from _find_tensors(value)


def _find_only_normalization(call: fx.Node, module: nn.Module) -> nn.Module | None:
    """The normalization that alone uses the output of `call`, or None."""
    norm = None
    for user in call.users:
        if user.op != "call_module" or user.args[:1] != (call,):
            return None
        norm = module.get_submodule(str(user.target))
        if not isinstance(norm, NORMALIZATIONS):
            return None
    return norm
