"""The checks on what an optimizer does by itself.

Each check is a function of the picture that yields a finding for each thing to mend.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from torch.optim import Optimizer

from shrinkage.torch.auditing.findings import (
    Check,
    Finding,
    are,
    listed,
    names_of,
    own,
    sources,
)
from shrinkage.torch.auditing.snapshot import Picture, Subject
from shrinkage.torch.facts.precision import add_resolution, cannot_hold, resolution
from shrinkage.torch.facts.weight_decay import highest_lr, in_steps

ROUNDING = 1e-9


def not_held(picture: Picture) -> Iterator[Finding]:
    subjects = [one for one in picture.subjects if one.is_trained and not one.holders]
    if subjects:
        held = [p for one in picture.optimizers for g in one.param_groups for p in g["params"]]
        mine = {id(one.parameter) for one in picture.subjects}
        strangers = sum(id(parameter) not in mine for parameter in held)
        also = f", which holds {strangers} that this model does not have" if strangers else ""
        who = " nor ".join(type(one).__name__ for one in picture.optimizers)
        name = picture.variable(picture.optimizers[0])
        yield Finding(
            "not in the optimizer",
            "warning",
            names_of(subjects),
            f"{listed(subjects)} {are(subjects)} trained by no optimizer: not held by {who}{also}",
            float(len(subjects)),
            f'held = {{p for group in {name}.param_groups for p in group["params"]}}\n'
            "missing = [p for p in model.parameters() if p.requires_grad and p not in held]\n"
            f'{name}.add_param_group({{"params": missing}})',
        )


def held_twice(picture: Picture) -> Iterator[Finding]:
    for optimizer, subjects in _by_optimizer(
        one for one in picture.subjects if len(one.holders) > 1
    ):
        times = max(len(one.holders) for one in subjects)
        yield Finding(
            "held twice",
            "warning",
            names_of(subjects),
            f"{listed(subjects)} {are(subjects)} held {times} times, so each step moves and decays "
            f"{'it' if len(subjects) == 1 else 'them'} {times} times",
            float(times),
            f"for group in {picture.variable(optimizer)}.param_groups:\n"
            '    group["params"] = list(dict.fromkeys(group["params"]))',
        )


def frozen_yet_moving(picture: Picture) -> Iterator[Finding]:
    frozen = (one for one in picture.subjects if not one.is_trained and one.holders)
    for optimizer, subjects in _by_optimizer(p for p in frozen if p.parameter.grad is not None):
        rate = max(one.decay.rate or 0.0 for one in subjects)
        how = f", by decay {rate:.3g} of itself a step" if rate else ""
        yield Finding(
            "frozen, yet it moves",
            "warning",
            names_of(subjects),
            f"{listed(subjects)} {are(subjects)} frozen with a gradient left over, and "
            f"{type(optimizer).__name__} moves whatever has one{how}",
            rate,
            f"{picture.variable(optimizer)}.zero_grad()",
        )


def decay_of_no_weights(picture: Picture) -> Iterator[Finding]:
    decaying = _decaying(picture)
    for optimizer, subjects in _by_optimizer(one for one in decaying if one.kind != "weight"):
        kinds = sorted({one.kind for one in subjects})
        yield Finding(
            "decay on biases and gains",
            "warning",
            names_of(subjects),
            f"{own(optimizer, subjects)} also acts on {len(subjects)} that {are(subjects)} "
            f"no weight{'s' * (len(subjects) > 1)} ({', '.join(kinds)}): {listed(subjects)}",
            max(one.decay.strength for one in subjects),
            by_a_regularizer(picture, optimizer),
        )


def adaptive_decay(picture: Picture) -> Iterator[Finding]:
    adaptive = (one for one in _decaying(picture) if one.decay.kind == "adaptive")
    for optimizer, subjects in _by_optimizer(adaptive):
        yield Finding(
            "decay divided by the gradient's size",
            "warning",
            names_of(subjects),
            f"{own(optimizer, subjects)} joins the gradient and is divided by its size: weights "
            "with large gradients hardly decay, those without any move by lr a step whatever the "
            f"strength; it adds ½·{subjects[0].decay.strength:g}·Σw² to what is solved, but is no "
            "decay",
            max(one.decay.strength for one in subjects),
            by_a_regularizer(picture, optimizer),
        )


def slow_decay(picture: Picture) -> Iterator[Finding]:
    for (optimizer, number, rate), subjects in _by_rate(picture):
        if picture.steps is not None and rate * picture.steps < 1 - ROUNDING:
            yield Finding(
                "decay slower than the run",
                "warning",
                names_of(subjects),
                f"{_pace(optimizer, number, rate, subjects[0])}: the run of {picture.steps:g} "
                f"steps ends before it acts on {listed(subjects)}",
                1 / rate,
                _stronger(picture, optimizer, number, subjects[0], 1 / (rate * picture.steps)),
            )


def fast_decay(picture: Picture) -> Iterator[Finding]:
    epoch = picture.steps_per_epoch
    for (optimizer, number, rate), subjects in _by_rate(picture):
        if epoch is not None and rate * epoch > 1 + ROUNDING:
            yield Finding(
                "decay faster than an epoch",
                "warning",
                names_of(subjects),
                f"{_pace(optimizer, number, rate, subjects[0])}: before an epoch of {epoch:g} "
                f"steps ends, its beginning is forgotten in {listed(subjects)}",
                1 / rate,
                _stronger(picture, optimizer, number, subjects[0], 1 / (rate * epoch)),
            )


def decay_lost_in_rounding(picture: Picture) -> Iterator[Finding]:
    for optimizer, subjects in _by_optimizer(one for one in _decaying(picture) if _is_lost(one)):
        rate = min(one.decay.rate or 0.0 for one in subjects)
        said = add_resolution(subjects[0].parameter, cannot_hold(rate))
        yield Finding(
            "decay lost in rounding",
            "warning",
            names_of(subjects),
            f"{own(optimizer, subjects)} is lost on {listed(subjects)}: {subjects[0].name} {said}",
            rate,
            in_single_precision(picture, optimizer),
        )


def unfelt_decay(picture: Picture) -> Iterator[Finding]:
    squared = [
        one
        for one in picture.subjects
        if one.is_trained and one.holders and (one.decay.strength or one.square)
    ]
    unfelt = picture.unfelt_scales if squared else {}
    for optimizer, subjects in _by_optimizer(one for one in squared if one.name in unfelt):
        undone = sorted({unfelt[one.name] for one in subjects})
        yield Finding(
            "decay of what has no scale",
            "note",
            names_of(subjects),
            f"the output does not feel the size of {listed(subjects)} (undone by "
            f"{' and '.join(undone)}): {sources(optimizer, subjects[0])} does not make the "
            "function simpler there, it only sets how far a step of a given lr turns the weights",
            subjects[0].decay.strength or subjects[0].square,
            "# nothing to mend: tune lr and this decay as one",
        )


def dead_bias(picture: Picture) -> Iterator[Finding]:
    subjects = [one for one in picture.dead_biases if one.is_trained]
    if subjects:
        modules = tuple(one.candidate.owners[0].path.removesuffix(".bias") for one in subjects)
        count = sum(one.parameter.numel() for one in subjects)
        yield Finding(
            "bias without effect",
            "note",
            names_of(subjects),
            f"{listed(subjects)} {are(subjects)} taken off again by the normalization that "
            f"follows: {count} numbers without effect",
            float(count),
            f"for name in {modules}:\n    model.get_submodule(name).bias = None  # bias=False",
        )


OF_THE_OPTIMIZER: tuple[Check, ...] = (
    not_held,
    held_twice,
    frozen_yet_moving,
    decay_of_no_weights,
    adaptive_decay,
    slow_decay,
    fast_decay,
    decay_lost_in_rounding,
    unfelt_decay,
    dead_bias,
)


def in_single_precision(picture: Picture, optimizer: Optimizer) -> str:
    """The lines that widen a model and what an optimizer remembers of it."""
    name = picture.variable(optimizer)
    return (
        "model.float()  # autocast does the rest in 16 bits\n"
        f"{name}.load_state_dict({name}.state_dict())  # in the model's new type"
    )


def without_decay(picture: Picture, optimizer: Optimizer) -> str:
    """The line that turns an optimizer's own decay off."""
    return f'for group in {picture.variable(optimizer)}.param_groups: group["weight_decay"] = 0.0'


def by_a_regularizer(picture: Picture, optimizer: Optimizer) -> str:
    """The lines that take an optimizer's own decay off and give it to the weights alone."""
    mine = (one for one in _decaying(picture) if one.holders[0][0] is optimizer)
    weights = [one for one in mine if one.kind == "weight"]
    strengths = {one.decay.strength for one in weights}
    off = without_decay(picture, optimizer)
    if not strengths:
        return off
    penalty = "L2.from_weight_decay({})".format(" or ".join(f"{c:g}" for c in sorted(strengths)))
    if any(one.pulls for one in picture.subjects):
        return f"{off}\n# and add {penalty} to the regularizer's penalties"
    how = {"decoupled": "decoupled", "adaptive": "proximal"}.get(weights[0].decay.kind, "coupled")
    line = f'Regularizer(model, {penalty}).attach(optimizer, how="{how}")'
    trained = [one for one in picture.subjects if one.is_trained and one.kind == "weight"]
    is_whole = len(strengths) == 1 and len(trained) == len(weights)
    return f"{off}\n{line}" if is_whole else f"{off}\n# and on the weights that decayed: {line}"


def _decaying(picture: Picture) -> list[Subject]:
    return [
        one for one in picture.subjects if one.is_trained and one.holders and one.decay.strength
    ]


def _by_optimizer(subjects: Iterable[Subject]) -> list[tuple[Optimizer, list[Subject]]]:
    found: dict[int, tuple[Optimizer, list[Subject]]] = {}
    for subject in subjects:
        optimizer, _ = subject.holders[0]
        found.setdefault(id(optimizer), (optimizer, []))[1].append(subject)
    return list(found.values())


def _by_rate(picture: Picture) -> list[tuple[tuple[Optimizer, int, float], list[Subject]]]:
    """Parameters that decay at a known rate, by optimizer, group and rate."""
    found: dict[tuple[Optimizer, int, float], list[Subject]] = {}
    for subject in picture.subjects:
        if subject.is_trained and subject.holders and (rate := subject.rate):
            optimizer, group = subject.holders[0]
            number = [id(one) for one in optimizer.param_groups].index(id(group))
            found.setdefault((optimizer, number, rate), []).append(subject)
    return list(found.items())


def _pace(optimizer: Optimizer, number: int, rate: float, subject: Subject) -> str:
    lr = highest_lr(optimizer.param_groups[number])
    return (
        f"{sources(optimizer, subject)} takes {rate:.3g} of a weight a step at lr={lr:g}, so "
        f"{in_steps(rate)}"
    )


def _stronger(
    picture: Picture, optimizer: Optimizer, number: int, subject: Subject, factor: float
) -> str:
    """The line that multiplies a decay by about `factor`: rounded away from 1, to two digits."""
    unit = 10.0 ** (math.floor(math.log10(factor)) - 1)
    times = (math.ceil if factor > 1 else math.floor)(round(factor / unit, 6)) * unit
    if not subject.decay.strength:
        return f"regularizer.factor *= {times:.2g}"
    return f'{picture.variable(optimizer)}.param_groups[{number}]["weight_decay"] *= {times:.2g}'


def _is_lost(subject: Subject) -> bool:
    finest, decay = resolution(subject.parameter), subject.decay
    return finest is not None and decay.is_outside and 0.0 < (decay.rate or 0.0) < finest
