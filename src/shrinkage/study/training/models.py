"""Models by name or from a user's function, and the count of dead neurons."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

from shrinkage.probe.factories import current_directory_importable
from shrinkage.study.errors import UsageError
from shrinkage.study.training.foreign_code import describe_error, exits_as_errors
from shrinkage.study.training.model_function import import_function
from shrinkage.study.training.model_text import check_size, names_function, parse_widths


def build_model(text: str, features: int, outputs: int) -> nn.Module:
    """Build a model, initialized from torch's global generator.

    Parameters
    ----------
    text : str
        "linear"; "mlp:64,32", the widths of hidden layers with ReLU between; or a function
        "package.module:function", called as function(features, outputs), from the current
        directory or the environment.

    Raises
    ------
    UsageError
        If `text` names no model or one that is too large, or the function cannot be imported,
        fails, tries to end the program, or returns no model.
    """
    if not names_function(text):
        layers = [nn.Linear(*pair) for pair in pairwise(parse_widths(text, features, outputs))]
        return layers[0] if text == "linear" else _join_layers(layers)
    function = import_function(text)
    with current_directory_importable():
        try:
            with exits_as_errors():
                model = function(features, outputs)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # the user's function may raise anything, SystemExit too
            raise UsageError(
                f"model {text!r} fails when called with ({features}, {outputs}), features and "
                f"outputs: {describe_error(error)}"
            ) from None
    if not isinstance(model, nn.Module):
        raise UsageError(
            f"model {text!r} returned {type(model).__name__}: it must return a torch.nn.Module"
        )
    check_size(text, sum(parameter.numel() for parameter in model.parameters()))
    return model


def count_neurons(model: nn.Module) -> tuple[int, int]:
    """The numbers of dead and of all hidden units, between consecutive Linear layers.

    A unit is dead when all its incoming or all its outgoing weights are exactly zero.
    """
    layers = [module for module in model.modules() if isinstance(module, nn.Linear)]
    dead = total = 0
    with torch.no_grad():
        for first, second in pairwise(layers):
            if first.out_features != second.in_features:
                continue
            silent = (first.weight == 0).all(dim=1) | (second.weight == 0).all(dim=0)
            dead += int(silent.sum())
            total += first.out_features
    return dead, total


def _join_layers(layers: list[nn.Linear]) -> nn.Module:
    modules: list[nn.Module] = [module for layer in layers for module in (layer, nn.ReLU())]
    return nn.Sequential(*modules[:-1])
