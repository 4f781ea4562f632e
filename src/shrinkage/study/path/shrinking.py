"""The prox of a penalty on a batch of networks, whose first layer is grouped by input."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from shrinkage.penalties import GroupLasso, Penalty
from shrinkage.study.errors import UsageError
from shrinkage.study.method import Method, parse_method
from shrinkage.study.path.inputs import Inputs
from shrinkage.study.path.networks import Parameters


@dataclass(frozen=True)
class Shrinker:
    """Applies a penalty to all weights: on the first layer by input, deeper by unit; no biases."""

    method: Method
    inputs: Inputs

    def shrink_(
        self, parameters: Parameters, step: Tensor, penalty: Penalty | None, factors: Tensor
    ) -> None:
        """Replace all weights by their prox, in place.

        Parameters
        ----------
        step : Tensor
            (S,): of each network.
        factors : Tensor
            (S, inputs): multiplies the strength on the first layer, for each network and input.
        """
        if penalty is None:
            return
        first = parameters[0]
        networks, _, units = first.shape
        start = 0
        for block in self.inputs.blocks:
            inside = slice(block.start, block.stop)
            groups = first[:, inside].reshape(networks, block.inputs, block.width * units)
            steps = step[:, None] * factors[:, start : start + block.inputs]
            first[:, inside] = _prox_rows(penalty, groups, steps).reshape(
                networks, block.inputs * block.width, units
            )
            start += block.inputs
        for weight in parameters[2::2]:
            weight.copy_(_prox_rows(penalty, weight, step[:, None].expand(weight.shape[:2])))


def _prox_rows(penalty: Penalty, rows: Tensor, step: Tensor) -> Tensor:
    """The prox of rows (S, groups, members), each of which is a group, with steps (S, groups)."""
    if isinstance(penalty, GroupLasso):  # the closed form, as a step is one number in each group
        root = rows.shape[2] ** 0.5 if penalty.weight == "sqrt" else 1.0
        threshold = step[..., None] * (penalty.lam * root)
        norms = torch.linalg.vector_norm(rows, dim=2, keepdim=True)
        ratio = threshold / torch.where(norms > threshold, norms, threshold)
        return torch.where(norms > threshold, rows - rows * ratio, 0.0)
    matrix = rows.reshape(-1, rows.shape[2])
    steps = step.reshape(-1, 1).expand(matrix.shape).contiguous()
    return torch.as_tensor(_on_rows(penalty).prox(matrix, steps)).reshape(rows.shape)


def _on_rows(penalty: Penalty) -> Penalty:
    """The penalty, with the rows of a matrix as its groups where it has groups."""
    has_groups = hasattr(penalty, "groups")
    return replace(penalty, groups=0) if has_groups else penalty  # type: ignore[type-var]


def parse_path_penalty(text: str) -> Method:
    """The method that a path follows.

    Raises
    ------
    UsageError
        If it is not proximal, states its own strength, makes no zeros, or groups weights by
        something other than inputs.
    """
    method = parse_method(text)
    if method.how != "proximal":
        raise UsageError(f"penalty {text!r}: a path needs exact zeros, which only @proximal gives")
    if method.strength is not None:
        raise UsageError(
            f"penalty {text!r} states its own strength: leave it out, as the path goes through "
            "all of them"
        )
    penalty = method.make_penalty(1.0)
    if not penalty.traits.makes_zeros:
        raise UsageError(f"penalty {text!r} makes no exact zeros: it drops no input")
    groups = getattr(penalty, "groups", "in")
    if groups != "in":
        raise UsageError(
            f"penalty {text!r} groups weights by {groups!r}: a path drops inputs, so write "
            f"{method.penalty.partition(':')[0]}:groups=in"
        )
    try:
        _prox_rows(penalty, torch.ones(1, 2, 3), torch.ones(1, 2))
    except (TypeError, ValueError, NotImplementedError) as error:
        raise UsageError(f"penalty {text!r} cannot be followed along a path: {error}") from None
    return method
