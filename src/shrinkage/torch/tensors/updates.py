"""The updates of one parameter, in place: coupled, decoupled and proximal."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import array_api_compat.torch as xp
import torch
from torch import Tensor

from shrinkage.penalties import Penalty
from shrinkage.penalties.arrays import narrow, soft_threshold, widen
from shrinkage.torch.tensors.kinds import OwnStep

State = dict[str, Tensor]
ReadStep = Callable[[State], OwnStep]

BLOCK = 1 << 18  # entries: a block and its temporaries stay in a core's cache


def add_gradient_(name: str, parameter: Tensor, penalty: Penalty, factor: float) -> None:
    """grad ← grad + factor·∂Ω(w)."""
    absolute, square, others = penalty.split()
    if absolute:
        add_dense_(name, parameter, parameter.sgn(), factor * absolute)
    if square:
        add_dense_(name, parameter, parameter, factor * 2.0 * square)
    for term in others:
        add_dense_(name, parameter, term.gradient(parameter), factor)


def add_dense_(name: str, parameter: Tensor, direction: Tensor, factor: float) -> None:
    """grad ← grad + factor·direction."""
    gradient = parameter.grad
    assert gradient is not None
    if gradient.is_sparse:
        raise RuntimeError(
            f'{name} has a sparse gradient, to which how="coupled" cannot add a dense one; use '
            'how="proximal" or "decoupled"'
        )
    gradient.add_(direction, alpha=factor)


def decay_(parameter: Tensor, penalty: Penalty, amount: float | Tensor) -> None:
    """w ← (1 − 2·amount·lam)·w for squares, w − amount·∂Ω(w) for what has no threshold.

    An entry that would change sign stops at 0, where the penalty pulls towards it.
    """
    _, square, terms = penalty.split()
    others = [term for term in terms if not term.traits.follows_soft_threshold]
    moves = [(term, term.gradient(parameter)) for term in others]
    if square:
        kept = 1 - amount * (2.0 * square)
        parameter.mul_(kept.clamp(min=0.0) if isinstance(kept, Tensor) else max(kept, 0.0))
    for term, move in moves:
        moved = parameter - amount * move
        if term.traits.pulls_to_zero:
            moved = torch.where(moved * parameter < 0, 0.0, moved)
        parameter.copy_(moved)


def threshold_(parameter: Tensor, penalty: Penalty, amount: float | Tensor) -> None:
    """w ← S(w, amount·lam) for L1, then the groups' own shrinkage by amount·lam."""
    absolute, _, others = penalty.split()
    if absolute:
        _soft_threshold_(parameter, amount * absolute)
    for term in others:
        if term.traits.follows_soft_threshold:
            parameter.copy_(limited_prox(parameter, term, OwnStep(amount, math.inf), 1.0))


def prox_(
    parameter: Tensor, penalty: Penalty, read_step: ReadStep, state: State, factor: float
) -> None:
    """w ← prox(w, s·factor), no entry moved farther than the optimizer's limit.

    `read_step` reads the step from the state's tensors entry by entry. So where the penalty too
    acts on single entries or rows, both are done a block at a time, which stays in the cache.
    """
    if not is_active(penalty, factor):
        return
    if not penalty.traits.is_by_row or not _is_plain(parameter, state):
        parameter.copy_(limited_prox(parameter, penalty, read_step(state), factor))
        return
    others = penalty.split().rest
    for block, part in _blocks(parameter.detach(), state, flat=not others):
        step, limit = read_step(part)
        if others or isinstance(limit, Tensor):
            block.copy_(limited_prox(block, penalty, OwnStep(step, limit), factor))
        else:
            _shrink_(block, penalty, _multiply_(step, factor), limit)


def prox_rows_(
    parameter: Tensor, penalty: Penalty, read_step: ReadStep, state: State, factor: float
) -> None:
    """`prox_` on the rows that the sparse gradient holds, the only ones that the step moved.

    A constraint holds for the others as well, which may be outside from the start.
    """
    if not is_active(penalty, factor):
        return
    assert parameter.grad is not None
    rows = torch.unique(parameter.grad.coalesce().indices()[0])
    part = {
        key: value[rows] if value.shape == parameter.shape else value
        for key, value in state.items()
    }
    parameter[rows] = limited_prox(parameter[rows], penalty, read_step(part), factor)
    if penalty.traits.is_constrained:
        for block, _ in _blocks(parameter.detach(), {}, flat=False):
            block.copy_(limited_prox(block, penalty, OwnStep(0.0, math.inf), 1.0))


def is_active(penalty: Penalty, factor: float) -> bool:
    """Whether its prox may move a weight; constraints hold at any factor, even 0."""
    return penalty.traits.is_constrained if factor == 0.0 else not penalty.is_zero


def limited_prox(w: Tensor, penalty: Penalty, own_step: OwnStep, factor: float) -> Tensor:
    """prox(w, s·factor), no entry moved farther than the limit (a group's move: scaled whole)."""
    wide = widen(xp, w)
    step = own_step.step * factor
    if isinstance(step, Tensor):
        step = step.to(wide.abs().dtype)
    target = penalty._prox(xp, wide, step)
    limit = own_step.limit
    if isinstance(limit, Tensor) or limit < math.inf:
        if isinstance(limit, Tensor):  # of no dimension where lr is a tensor
            limit = limit.to(w.device).expand_as(w)
        target = penalty._cap_move(xp, wide, target, limit)
    result: Tensor = penalty._round_to(xp, target, w)
    return result


def _blocks(w: Tensor, state: State, *, flat: bool) -> Iterator[tuple[Tensor, State]]:
    """Pieces of `w` along axis 0, each with the same piece of the state."""
    if w.numel() <= BLOCK or w.device.type != "cpu":
        yield w, state
        return
    shape = w.shape
    if flat:
        w = w.view(-1)
    rows = max(1, BLOCK * len(w) // w.numel())
    same = {key: value.view_as(w) for key, value in state.items() if value.shape == shape}
    for start in range(0, len(w), rows):
        block = slice(start, start + rows)
        yield w[block], state | {key: value[block] for key, value in same.items()}


def _shrink_(block: Tensor, penalty: Penalty, step: float | Tensor, limit: float) -> None:
    """The limited prox of absolute values and squares, with few temporaries; overwrites `step`."""
    absolute, square, _ = penalty.split()
    if not square:
        threshold = _multiply_(step, absolute)
        if isinstance(threshold, Tensor):
            threshold.clamp_(max=limit)
        else:
            threshold = min(threshold, limit)
        _soft_threshold_(block, threshold)
        return
    shrink = 1.0 + step * (2.0 * square)
    target = block / shrink
    if absolute:
        _soft_threshold_(target, _multiply_(step, absolute) / shrink)
    if limit < math.inf:
        block.add_(target.sub_(block).clamp_(-limit, limit))
    else:
        block.copy_(target)


def _multiply_(step: float | Tensor, strength: float) -> float | Tensor:
    """step·strength; a tensor of steps for each entry is overwritten."""
    return step.mul_(strength) if isinstance(step, Tensor) and step.ndim else step * strength


def _soft_threshold_(parameter: Tensor, threshold: float | Tensor) -> None:
    if not _is_plain(parameter, {}):
        wide = widen(xp, parameter)
        parameter.copy_(narrow(xp, soft_threshold(xp, wide, threshold), parameter))
        return
    number = not isinstance(threshold, Tensor) or threshold.ndim == 0
    data = parameter.detach()
    in_blocks = number and data.device.type == "cpu"
    for block in torch.split(data.view(-1), BLOCK) if in_blocks else (data,):
        block.sub_(torch.clamp(block, -threshold, threshold))  # type: ignore[arg-type]


def _is_plain(parameter: Tensor, state: State) -> bool:
    """Whether it and its state are real, contiguous, of 32 bits or more, and no shards."""
    return (
        parameter.dtype in (torch.float32, torch.float64)
        and type(parameter.data) is Tensor
        and parameter.is_contiguous()
        and all(value.is_contiguous() for value in state.values())
    )
