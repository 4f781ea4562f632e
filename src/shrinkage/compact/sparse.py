"""Store weights with single zeros sparsely, where that is measured to be faster."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from shrinkage.compact.measuring import time_calls
from shrinkage.compact.verification import Sample, as_sample, run
from shrinkage.text_table import align

WORTH = 1.1  # how many times faster a layer has to be
FEWEST_ZEROS = 0.5  # below this no layer was ever faster, so none is timed


@dataclass(frozen=True)
class SparseLayer:
    """A dense layer, its share of zeros, and how many times faster it is when stored sparsely.

    `form` is "csr", "2:4" or "dense", which is what it stays where it gains nothing.
    """

    layer: str
    zeros: float
    form: str
    times_faster: float


@dataclass(frozen=True)
class Sparse:
    """A model for inference with some weights stored sparsely; print it to see what that gains.

    Attributes
    ----------
    model : torch.nn.Module
        A copy; as it was where nothing is gained.
    layers : tuple of SparseLayer
        Those with enough zeros to be tried.

    Examples
    --------
    >>> Sparse(torch.nn.Linear(2, 2), (SparseLayer("0", 0.97, "csr", 1.8),)).layers[0].form
    'csr'
    """

    model: nn.Module
    layers: tuple[SparseLayer, ...]

    def __str__(self) -> str:
        if all(layer.form == "dense" for layer in self.layers):
            tried = f"; tried: {len(self.layers)}" if self.layers else ""
            return f"no layer is faster on this machine when it is stored sparsely{tried}"
        rows = [("layer", "zeros", "stored as", "times faster")]
        for layer in self.layers:
            numbers = f"{layer.zeros:.1%}", layer.form, f"{layer.times_faster:.2f}"
            rows.append((layer.layer, *numbers))
        return align(rows)


def to_sparse(model: nn.Module, example_inputs: Any) -> Sparse:
    """Store the weights of dense layers sparsely where that is faster on the machine at hand.

    On a CPU as rows of non-zeros (CSR), on a GPU in torch's semi-structured form where of each four
    weights two are 0 (2:4). Each layer is timed in both forms on what it gets from the example.
    Units that are dead as a whole are better taken out by `compact`, first.

    Parameters
    ----------
    model : torch.nn.Module
        It is left as it is.
    example_inputs : Tensor, tuple or dict
        What the model is called with; its number of rows decides what is faster.

    Returns
    -------
    Sparse
        With `model`, for inference, and `layers`.

    Examples
    --------
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.ReLU())
    >>> print(to_sparse(model, torch.randn(4, 8)))
    no layer is faster on this machine when it is stored sparsely
    """
    small = copy.deepcopy(model).eval()
    seen = _inputs_of_layers(small, as_sample(example_inputs))
    rows = []
    for name, layer in small.named_modules():
        zeros = float((layer.weight == 0).float().mean()) if isinstance(layer, nn.Linear) else 0.0
        if isinstance(layer, nn.Linear) and name in seen and zeros >= FEWEST_ZEROS:
            candidate, form = _store(layer)
            dense, sparse = time_calls((layer, candidate), ((seen[name],), {}), at_most=0.3)
            is_faster = form != "dense" and dense > WORTH * sparse
            if is_faster:
                layer.weight = candidate.weight
            rows.append(SparseLayer(name, zeros, form if is_faster else "dense", dense / sparse))
    small.train(model.training)
    return Sparse(small, tuple(rows))


def _inputs_of_layers(model: nn.Module, sample: Sample) -> dict[str, Tensor]:
    """What each dense layer gets from the example."""
    seen: dict[str, Tensor] = {}

    def note(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        return lambda _, args: seen.update({name: args[0]})

    layers = [(n, layer) for n, layer in model.named_modules() if isinstance(layer, nn.Linear)]
    hooks = [layer.register_forward_pre_hook(note(name)) for name, layer in layers]
    run(model, sample)
    for hook in hooks:
        hook.remove()
    return seen


def _store(layer: nn.Linear) -> tuple[nn.Linear, str]:
    """The layer with a sparse weight, and its form; "dense" where this machine knows none."""
    candidate = copy.deepcopy(layer)
    weight = layer.weight.detach()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch says that its sparse tensors are in beta
            if weight.is_cuda:
                by_four = weight.reshape(len(weight), -1, 4)
                if bool(((by_four != 0).sum(-1) > 2).any()):
                    return layer, "dense"
                stored: Tensor = torch.sparse.to_sparse_semi_structured(weight)
                form = "2:4"
            else:
                stored, form = weight.to_sparse_csr(), "csr"
            candidate.weight = nn.Parameter(stored, requires_grad=False)
    except RuntimeError:  # shapes and types that torch does not store so
        return layer, "dense"
    return candidate, form
