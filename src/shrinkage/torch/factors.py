"""L1 and the group lasso without a kink: weights as products of factors under a plain square.

For a weight w = u·v the least ``(lam/2)·(u² + v²)`` is ``lam·|w|``, at |u| = |v| = √|w|. So the
data loss of u·v plus L2(lam/2) on both factors is least exactly where data loss + lam·Σ|w| is, and
any optimizer that finds its way to a smooth minimum will do. It begins with factors of two sizes,
where the squares are more than lam·Σ|w|, and comes down to that. Likewise with one gate γ for a
whole group: ``w_g = γ·v_g`` and ``(κ/2)·(γ² + ‖v_g‖²)`` for ``κ·‖w_g‖``.

The squares must be part of J: in the loss or coupled, not decoupled, where they would stand for
something else. Weights become small at the rate of an exponential, and exactly zero only where they
underflow; after `collapse` a few steps with ``how="proximal"`` make them so.
References: Hoff (2017); for groups Kolb, Weber, Bischl and Rügamer (2025), D-gating.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from shrinkage.penalties import L2, Penalty
from shrinkage.penalties.layout import Layout
from shrinkage.penalties.rebuild import with_groups
from shrinkage.torch.attaching.attachment import Attachment
from shrinkage.torch.binding.bound_model import BoundModel
from shrinkage.torch.models.joint import Joint
from shrinkage.torch.models.owners import candidates
from shrinkage.torch.models.selection import Selected, select
from shrinkage.torch.models.selector_names import On, replace_by_names
from shrinkage.torch.models.units import lay_out_units
from shrinkage.torch.regularizer import Regularizer


class Factors(Regularizer):
    """Squares on the factors of a model's weights; made by `reparametrize`."""

    def __init__(self, model: nn.Module, penalties: Mapping[str, Penalty]) -> None:
        self.bound = BoundModel(model, penalties, select=select_remaining)

    def attach(self, optimizer: torch.optim.Optimizer, how: str, **options: Any) -> Attachment:
        """As `Regularizer.attach`, but not decoupled: the squares are part of the objective."""
        if how == "decoupled":
            raise ValueError(
                'how="decoupled" takes the squares of the factors out of the objective, which is '
                'then another one; use how="coupled", or penalty() in the loss'
            )
        return super().attach(optimizer, how, **options)


def select_remaining(
    model: nn.Module, penalties: Mapping[str, Penalty], on: On | None
) -> list[Selected]:
    """As `select`, but factors that `collapse` multiplied out are penalized no longer."""
    pool = candidates(model)
    names = {candidate.name for candidate in pool}
    remaining = {name: item for name, item in penalties.items() if name in names}
    if remaining:
        return select(model, remaining, on)
    return [Selected(item, item.owners[0], None, "collapsed") for item in pool]


def reparametrize(
    model: nn.Module, penalty: Penalty | Mapping[Any, Penalty | None], on: On | None = None
) -> Factors:
    """Write penalized weights as products of factors; the outputs of the model stay the same.

    Parameters
    ----------
    model : torch.nn.Module
    penalty : L1 or GroupLasso, or a mapping of patterns to these
        As for `Regularizer`; groups of one size each, not index lists.
    on : default "weights"
        As for `Regularizer`.

    Returns
    -------
    Factors
        A regularizer on the factors: add its `penalty` to the loss, or attach it as "coupled".
        Build the optimizer after this call: it needs the factors.

    Raises
    ------
    ValueError
        For another penalty and for tied weights; nothing is changed then.

    Examples
    --------
    >>> from shrinkage import L1
    >>> model = torch.nn.Linear(2, 1)
    >>> factors = reparametrize(model, L1(0.1))
    >>> optimizer = torch.optim.Adam(model.parameters())
    >>> print(factors.attach(optimizer, how="coupled"))
    coupled in Adam: converges to the minimum of J = data loss + Ω; no exact zeros
    >>> collapse(model)
    >>> type(model.weight).__name__
    'Parameter'
    """
    selected = select(model, *replace_by_names(model, penalty, on))
    chosen = [item for item in selected if item.penalty is not None]
    products = [_make_product(item) for item in chosen]  # refuses before anything is changed
    strengths: dict[str, Penalty] = {}
    for item, (product, kappa) in zip(chosen, products, strict=True):
        module, key = item.owner.module, item.owner.key
        parametrize.register_parametrization(module, key, product)
        prefix = item.owner.name.removesuffix(key)
        for number in (0, 1):
            strengths[f"{prefix}parametrizations.{key}.original{number}"] = L2(kappa / 2)
    return Factors(model, strengths)


def collapse(model: nn.Module) -> None:
    """Multiply the factors of `reparametrize` out again: plain weights, and the same outputs.

    >>> from shrinkage import L1
    >>> model = torch.nn.Linear(2, 1)
    >>> factors = reparametrize(model, L1(0.1))
    >>> collapse(model)
    >>> sorted(name for name, _ in model.named_parameters())
    ['bias', 'weight']
    """
    for module in model.modules():
        for key, stack in dict(getattr(module, "parametrizations", {})).items():
            if any(isinstance(part, Product | Gate) for part in stack):
                parametrize.remove_parametrizations(module, key, leave_parametrized=True)


class Product(nn.Module):
    """w = u·v, entry by entry."""

    def forward(self, u: Tensor, v: Tensor) -> Tensor:
        return u * v

    def right_inverse(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """v larger than u: at one size they would stay so, and no weight could change its sign."""
        v = (w.abs() + _average_size(w)).sqrt()
        return w / v, v


class Gate(nn.Module):
    """w_g = γ_g·v_g, one γ for each group."""

    def __init__(self, layout: Layout, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.view, self.shape = layout.view or shape, shape
        self.members = tuple(axis for axis in range(len(self.view)) if axis not in layout.axes)

    def forward(self, gate: Tensor, v: Tensor) -> Tensor:
        return (gate * v.reshape(self.view)).reshape(self.shape)

    def right_inverse(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """The gate larger than its group, so that groups of zeros can leave zero."""
        laid_out = w.reshape(self.view)
        norm = (laid_out.abs() ** 2).sum(dim=self.members, keepdim=True).sqrt()
        gate = (norm + _average_size(norm)).sqrt()
        return gate, (laid_out / gate).reshape(self.shape)


def _average_size(sizes: Tensor) -> Tensor:
    """The mean size, or 1 where all are 0."""
    mean = sizes.abs().mean()
    return torch.where(mean > 0, mean, torch.ones_like(mean))


def _make_product(selected: Selected) -> tuple[nn.Module, float]:
    """The parametrization for a parameter, and the κ of κ·Σ|w| or κ·Σ‖w_g‖."""
    owner, parameter, penalty = selected.owner, selected.candidate.parameter, selected.penalty
    if isinstance(selected.by, Joint):
        raise ValueError(f"{selected.by!r}: factors are of one parameter; use its pattern")
    if len(selected.candidate.owners) > 1:
        raise ValueError(
            f"{owner.name} is tied to {selected.candidate.owners[1].name}: its factors "
            "would not be; leave it out with on= or a None in the mapping"
        )
    assert penalty is not None  # only penalized parameters are divided into factors
    absolute, square, others = penalty.split()
    if not (square or others):
        return Product(), absolute
    bound = with_groups(penalty, lambda side: lay_out_units(side, owner, parameter))
    grouped = bound._as_group_norms(tuple(parameter.shape))
    if grouped is not None:
        layout, strength = grouped
        gate = Gate(layout, tuple(parameter.shape))
        return (gate if gate.members else Product()), strength  # or every entry is a group
    raise ValueError(
        f"{owner.name}: only L1 and GroupLasso with groups of one size are products of factors, "
        f"got {penalty!r}"
    )
