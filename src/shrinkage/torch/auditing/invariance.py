"""Which parameters the model's output does not feel: scales before a normalization, dead biases.

A normalization undoes the scale of what comes in. Where a layer's output goes to one and nowhere
else, the layer's weight can be multiplied by any number above 0 without any change further on.
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
from torch.utils._pytree import tree_leaves

from shrinkage.torch.models.layers import BATCH_NORM, CONVOLUTION
from shrinkage.torch.models.parameter_kinds import NORMALIZATIONS

LINEAR = (
    nn.Linear,
    CONVOLUTION,
    nn.Embedding,
)  # twice the weight is twice the output, less the bias


def normalized(model: nn.Module) -> dict[nn.Module, nn.Module]:
    """Linear modules whose output goes to a normalization and nowhere else, with that one.

    Known from the graph of the model, as far as torch.fx can trace it; a module that it cannot
    trace is left out in silence.
    """
    found: dict[nn.Module, nn.Module] = {}
    for graph, root in _graphs(model):
        calls: dict[str, list[fx.Node]] = defaultdict(list)
        for node in graph.nodes:
            calls[str(node.target).removesuffix(".weight")].append(node)
        for path, nodes in calls.items():
            if all(node.op == "call_module" for node in nodes):
                module, norm = root.get_submodule(path), _common_norm(nodes, root)
                if isinstance(module, LINEAR) and norm is not None and not _is_fixed(norm, model):
                    found[module] = norm
    return found


def undoes_scale(norm: nn.Module, module: nn.Module) -> bool:
    """Whether `norm` undoes the scale of the weight alone: a bias beside it must be dead."""
    return kills_bias(norm) or getattr(module, "bias", None) is None


def kills_bias(norm: nn.Module) -> bool:
    """Whether `norm` takes each channel's mean off."""
    return isinstance(norm, BATCH_NORM)


def without_scale(model: nn.Module, names: Sequence[str], sample: Any) -> set[str]:
    """The parameters among `names` whose scale leaves ``model(sample)`` in training as it is.

    Twice the parameter must change the output by less than a hundredth of what another direction
    of the same size does. Model, buffers and random states stay as they were.
    """
    inputs = sample if isinstance(sample, tuple) else (sample,)
    args, kwargs = ((), dict(sample)) if isinstance(sample, Mapping) else (inputs, {})
    modes = [(module, module.training) for module in model.modules()]
    parameters = dict(model.named_parameters(remove_duplicate=False))

    def output(name: str, w: Tensor) -> Tensor:
        buffers = {key: buffer.clone() for key, buffer in model.named_buffers()}
        torch.manual_seed(0)  # the same dropout each time
        result = torch.func.functional_call(model, {**buffers, name: w}, args, kwargs)
        leaves = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        return torch.cat([leaf.double().flatten() for leaf in leaves if leaf.is_floating_point()])

    found = set()
    if not model.training:
        model.train()
    try:
        with torch.no_grad(), torch.random.fork_rng():
            for name in names:
                w = parameters[name].detach()
                torch.manual_seed(1)
                turned = torch.randn_like(w)
                turned *= w.norm() / turned.norm()
                base = output(name, w)
                by_scale = (output(name, 2 * w) - base).norm()
                if by_scale < 0.01 * (output(name, w + turned) - base).norm():
                    found.add(name)
    finally:
        for module, mode in modes:
            module.training = mode
    return found


def _is_fixed(norm: nn.Module, model: nn.Module) -> bool:
    """Whether a model in training keeps this one from it: it then divides by a fixed number."""
    fixed = isinstance(norm, BATCH_NORM) and norm.track_running_stats and not norm.training
    return model.training and fixed


class _Shallow(fx.Tracer):
    """Traces one module's own forward; those it calls are black boxes."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return True


def _graphs(model: nn.Module) -> Iterator[tuple[fx.Graph, nn.Module]]:
    """The graph of the whole; where it has none, that of each module's own part."""
    hollow = _hollow(model)
    whole = None if hollow is None else _traced(fx.Tracer(), hollow)
    if whole is not None:
        yield whole, model
        return
    own = None if hollow is None else _traced(_Shallow(), hollow)
    if own is not None:
        yield own, model
    for child in model.children():
        yield from _graphs(child)


def _traced(tracer: fx.Tracer, module: nn.Module) -> fx.Graph | None:
    try:
        with warnings.catch_warnings(), torch.random.fork_rng():
            warnings.simplefilter("ignore")
            return tracer.trace(module)
    except Exception:  # whatever a forward raises when it is given no numbers
        return None


def _hollow(model: nn.Module) -> nn.Module | None:
    """A copy without numbers and hooks, since tracing runs `forward`, which may write to them."""
    tensors = itertools.chain(
        model.parameters(),
        (value for module in model.modules() for value in vars(module).values()),
    )
    memo: dict[int, Any] = {
        id(tensor): nn.Parameter(
            torch.empty(tensor.shape, device="meta"), requires_grad=tensor.requires_grad
        )
        for tensor in tensors
        if isinstance(tensor, Tensor)
    }
    try:
        hollow = copy.deepcopy(model, memo)
    except Exception:  # a module may hold anything, such as a lock
        return None
    for module in hollow.modules():
        module._forward_hooks.clear()
        module._forward_pre_hooks.clear()
    return hollow


def _common_norm(calls: Sequence[fx.Node], root: nn.Module) -> nn.Module | None:
    """A normalization that alone takes what each of these calls gives, or None."""
    norm = None
    for call in calls:
        for user in call.users:
            if user.op != "call_module" or user.args[:1] != (call,):
                return None
            norm = root.get_submodule(str(user.target))
            if not isinstance(norm, NORMALIZATIONS):
                return None
        if not call.users:
            return None
    return norm
