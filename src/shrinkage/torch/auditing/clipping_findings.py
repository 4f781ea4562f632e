"""The check on clipping in the loop, which an audit knows of only if it is told."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.optim import Optimizer

from shrinkage.torch.auditing.findings import Check, Finding, listed, names_of, written
from shrinkage.torch.auditing.snapshot import Picture, Pull, Subject
from shrinkage.torch.binding.clipping import scales_strength
from shrinkage.torch.binding.core import attachments_of
from shrinkage.torch.binding.max_norm import SelfClipping


def strength_not_clipped(picture: Picture) -> Iterator[Finding]:
    for optimizer in picture.optimizers:
        subjects = [one for one in picture.subjects if _stays(optimizer, one)]
        if picture.clip is None or not subjects or _clips(optimizer):
            continue
        hows = dict.fromkeys(pull.how for one in subjects for pull in one.pulls)
        yield Finding(
            "strength not clipped",
            "warning",
            names_of(subjects),
            f"clipping the gradients to norm {picture.clip:g} leaves {written(subjects)} "
            f"({' and '.join(hows)}) on {listed(subjects)} as it is: where the norm of the data's "
            f"gradients is above {picture.clip:g}, also at a minimum, it acts norm/"
            f"{picture.clip:g} times as strongly as written",
            picture.clip,
            _remedy(picture, optimizer, subjects[0].pulls[0]),
        )


OF_CLIPPING: tuple[Check, ...] = (strength_not_clipped,)


def _stays(optimizer: Optimizer, subject: Subject) -> bool:
    """Whether the strength of a penalty would have to be clipped together with the gradients."""
    for holder, group in subject.holders[:1]:
        if holder is optimizer:
            is_sgd = isinstance(optimizer, torch.optim.SGD)
            ways = (_way(pull, group) for pull in subject.pulls)
            return any(scales_strength(how, scale, is_sgd=is_sgd) for how, scale in ways)
    return False


def _way(pull: Pull, group: dict[str, object]) -> tuple[str, str | None]:
    attachment = pull.attachment
    scale = group.get("scale") if attachment is None else attachment.scale
    return pull.how, None if scale is None else str(scale)


def _clips(optimizer: Optimizer) -> bool:
    """Whether the optimizer or what is attached to it clips by itself."""
    inside = isinstance(optimizer, SelfClipping) and optimizer.max_norm is not None
    return inside or any(one.max_norm is not None for one in attachments_of(optimizer))


def _remedy(picture: Picture, optimizer: Optimizer, pull: Pull) -> str:
    name, clip, attached = picture.variable(optimizer), picture.clip, attachments_of(optimizer)
    if isinstance(optimizer, SelfClipping) and not attached:
        return f"{name}.max_norm = {clip:g}  # and clip nowhere else"
    call = f"regularizer.clip_grad_norm_(model.parameters(), {clip:g})"
    if len(attached) > 1 or len(picture.optimizers) > 1:
        return f"# in the place of torch.nn.utils.clip_grad_norm_:\n# {call}"
    attach = f'regularizer.attach({name}, how="{pull.how}", max_norm={clip:g})'
    return (
        f"regularizer.detach()\n{attach}  # and clip nowhere else\n"
        f"# or, in the place of torch's: {call}"
    )
