"""The attention heads of a model, as Joints."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from shrinkage.torch.models.attention import Incoming, Projections, find_projections
from shrinkage.torch.models.joint import Joint, find_joints
from shrinkage.torch.models.layers import count_units, looks_like, parameter_keys
from shrinkage.torch.models.owners import Modules
from shrinkage.torch.private import own_parameters

HEADS = ("num_heads", "num_attention_heads", "n_heads", "n_head", "nhead", "heads")
KEY_VALUE_HEADS = ("num_key_value_heads", "num_kv_heads", "n_kv_heads", "kv_heads")


def heads(model: nn.Module) -> list[Joint]:
    """The attention heads of a model: one `Joint` for each attention module, a unit for each head.

    A unit holds the rows and biases of a head in the projections to queries, keys and values, and
    its columns in the output projection. Where several heads of queries share one of keys and
    values (grouped-query attention), they are one unit.

    Parameters
    ----------
    model : torch.nn.Module
        With `torch.nn.MultiheadAttention`, or with attention whose projections have the names that
        transformers, timm and others give them (``q_proj``, ``query``, ``qkv``, ``c_attn``, ...).
        The number of heads is read from the module (``num_heads``, ...) or from a ``config``.

    Returns
    -------
    list of Joint
        Keys of a `Regularizer`'s mapping, or its `on`.

    Warns
    -----
    UserWarning
        For attention that is left out because it is not known, and where there is none.

    Examples
    --------
    >>> import torch
    >>> from shrinkage import GroupLasso
    >>> from shrinkage.torch import Regularizer
    >>> model = torch.nn.TransformerEncoderLayer(8, nhead=2, dim_feedforward=16)
    >>> (attention,) = heads(model)
    >>> print(attention.members[0])
    self_attn.in_proj_weight:out:heads:3x4
    >>> regularizer = Regularizer(model, GroupLasso(1e-3), on=heads(model))
    >>> regularizer.sparsity().parameters[str(attention)].groups
    2
    """
    return find_joints("heads", "attention", model, _find)


def _find(module: nn.Module, modules: Modules) -> list[Joint] | None:
    if isinstance(module, nn.MultiheadAttention):
        prefix, size = modules.prefix(module), module.embed_dim // module.num_heads
        parts = dict.fromkeys(("q_proj_weight", "k_proj_weight", "v_proj_weight"), "")
        parts |= dict.fromkeys(("in_proj_weight", "in_proj_bias"), "3x")
        there = {key: part for key, part in parts.items() if getattr(module, key) is not None}
        incoming = (f"{prefix}{key}:out:heads:{part}{size}" for key, part in there.items())
        return [Joint(*incoming, f"{modules.prefix(module.out_proj)}weight:in:heads:{size}")]
    ancestors = modules.ancestors(module)
    projections = find_projections(module, ancestors[-1] if ancestors else None)
    if projections is None:
        return None if looks_like("Attention|Attn", module) else []
    members = _list_members(module, projections, modules)
    return None if members is None else [Joint(*members)]


def _list_members(
    module: nn.Module, projections: Projections, modules: Modules
) -> list[str] | None:
    """The members of one attention module; None where its sizes do not fit its heads."""
    holders = (module, *reversed(modules.ancestors(module)))
    count = _find_number(HEADS, holders)
    if count is None:
        return None
    shared = _find_number(KEY_VALUE_HEADS, holders) or count
    columns = count_units(projections.out)[1]
    if columns % count or count % shared:
        return None
    members: list[str] = []
    for projection in projections.incoming:
        layer = projection.layer
        side = _choose_side(
            projection, count_units(layer)[0], count, shared, projections.is_by_head
        )
        if side is None:
            return None
        members += [f"{modules.prefix(layer)}{key}{side}" for key in parameter_keys(layer)]
    parameters = own_parameters(module)
    biases = [key for key in ("q_bias", "k_bias", "v_bias") if parameters.get(key) is not None]
    members += [f"{modules.prefix(module)}{key}:out:heads:{columns // shared}" for key in biases]
    return [*members, f"{modules.prefix(projections.out)}weight:in:heads:{columns // shared}"]


def _choose_side(
    projection: Incoming, rows: int, count: int, shared: int, is_by_head: bool
) -> str | None:
    """The side of a projection's units, of which there are as many as heads of keys and values."""
    if is_by_head:  # query, key and value of one head, then those of the next
        return None if shared != count or rows % (3 * count) else f":out:heads:{rows // count}"
    if projection.parts == 3 and shared != count:
        return None  # parts of two sizes
    if rows % (projection.parts * (count if projection.is_query else shared)):
        return None
    parts = f"{projection.parts}x" if projection.parts > 1 else ""
    return f":out:heads:{parts}{rows // projection.parts // shared}"


def _find_number(names: Sequence[str], holders: Sequence[nn.Module]) -> int | None:
    """The first of these numbers that a module or its configuration has, from inside out."""
    for holder in holders:
        for place in (holder, getattr(holder, "config", None)):
            for name in names:
                if isinstance(number := getattr(place, name, None), int) and number > 0:
                    return number
    return None
