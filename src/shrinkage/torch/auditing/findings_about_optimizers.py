"""Findings about what an optimizer does without a penalty.

Each check is a function of the snapshot that yields a finding for each thing to mend.
"""

from __future__ import annotations

from collections.abc import Iterator

from shrinkage.torch.auditing import remedies
from shrinkage.torch.auditing.finding import (
    Check,
    Finding,
    by_optimizer,
    enumerate_names,
    group_by,
    is_or_are,
    name_all_decay,
    name_own_decay,
    note,
    warning,
)
from shrinkage.torch.auditing.snapshot import Snapshot
from shrinkage.torch.facts.precision import add_resolution, cannot_hold, resolution
from shrinkage.torch.facts.weight_decay import highest_lr, in_steps

ROUNDING = 1e-9


def find_in_no_optimizer(snapshot: Snapshot) -> Iterator[Finding]:
    missing = [each for each in snapshot.parameters if each.is_trained and not each.held_by]
    if missing:
        in_model = {id(each.tensor) for each in snapshot.parameters}
        groups = (group for each in snapshot.optimizers for group in each.param_groups)
        foreign = sum(id(p) not in in_model for group in groups for p in group["params"])
        also = f", which holds {foreign} that this model does not have" if foreign else ""
        optimizers = " nor ".join(type(each).__name__ for each in snapshot.optimizers)
        name = snapshot.variable(snapshot.optimizers[0])
        yield warning(
            "in-no-optimizer",
            missing,
            f"{enumerate_names(missing)} {is_or_are(missing)} trained by no optimizer: not held "
            f"by {optimizers}{also}",
            float(len(missing)),
            f'held = {{p for group in {name}.param_groups for p in group["params"]}}\n'
            "missing = [p for p in model.parameters() if p.requires_grad and p not in held]\n"
            f'{name}.add_param_group({{"params": missing}})',
        )


def find_held_twice(snapshot: Snapshot) -> Iterator[Finding]:
    repeated = (each for each in snapshot.parameters if len(each.held_by) > 1)
    for optimizer, parameters in by_optimizer(repeated):
        times = max(len(each.held_by) for each in parameters)
        them = "it" if len(parameters) == 1 else "them"
        yield warning(
            "held-twice",
            parameters,
            f"{enumerate_names(parameters)} {is_or_are(parameters)} held {times} times, so each "
            f"step moves and decays {them} {times} times",
            float(times),
            f"for group in {snapshot.variable(optimizer)}.param_groups:\n"
            '    group["params"] = list(dict.fromkeys(group["params"]))',
        )


def find_frozen_yet_moving(snapshot: Snapshot) -> Iterator[Finding]:
    moving = (
        each
        for each in snapshot.parameters
        if not each.is_trained and each.held_by and each.tensor.grad is not None
    )
    for optimizer, parameters in by_optimizer(moving):
        rate = max(each.decay.rate or 0.0 for each in parameters)
        by_decay = f", by decay {rate:.3g} of itself a step" if rate else ""
        yield warning(
            "frozen-yet-moving",
            parameters,
            f"{enumerate_names(parameters)} {is_or_are(parameters)} frozen with a gradient left "
            f"over, and {type(optimizer).__name__} moves whatever has one{by_decay}",
            rate,
            f"{snapshot.variable(optimizer)}.zero_grad()",
        )


def find_decay_on_biases(snapshot: Snapshot) -> Iterator[Finding]:
    decayed = (each for each in snapshot.parameters if each.is_decayed and each.kind != "weight")
    for optimizer, parameters in by_optimizer(decayed):
        kinds = sorted({each.kind for each in parameters})
        yield warning(
            "decay-on-biases",
            parameters,
            f"{name_own_decay(optimizer, parameters)} also acts on {len(parameters)} that "
            f"{is_or_are(parameters)} no weight{'s' * (len(parameters) > 1)} ({', '.join(kinds)}): "
            f"{enumerate_names(parameters)}",
            max(each.decay.strength for each in parameters),
            remedies.decay_weights_alone(snapshot, optimizer),
        )


def find_adaptive_decay(snapshot: Snapshot) -> Iterator[Finding]:
    divided = (
        each for each in snapshot.parameters if each.is_decayed and each.decay.kind == "adaptive"
    )
    for optimizer, parameters in by_optimizer(divided):
        yield warning(
            "adaptive-decay",
            parameters,
            f"{name_own_decay(optimizer, parameters)} joins the gradient and is divided by its "
            "size: weights with large gradients hardly decay, those without any move by lr a step "
            f"whatever the strength; it adds ½·{parameters[0].decay.strength:g}·Σw² to what is "
            "solved, but is no decay",
            max(each.decay.strength for each in parameters),
            remedies.decay_weights_alone(snapshot, optimizer),
        )


def find_slow_or_fast_decay(snapshot: Snapshot) -> Iterator[Finding]:
    """Compare the time-scale of decay, 1/rate steps, with the run and with an epoch."""
    rated = (each for each in snapshot.parameters if each.is_stepped and each.rate)
    alike = group_by(rated, lambda each: (each.optimizer, id(each.held_by[0][1]), each.rate))
    for (optimizer, key, rate), parameters in alike.items():
        assert rate is not None
        number = [id(group) for group in optimizer.param_groups].index(key)
        lr = highest_lr(optimizer.param_groups[number])
        pace = (
            f"{name_all_decay(optimizer, parameters[0])} takes {rate:.3g} of a weight a step at "
            f"lr={lr:g}, so {in_steps(rate)}"
        )
        run, epoch, misfits = snapshot.steps, snapshot.steps_per_epoch, []
        if run is not None and rate * run < 1 - ROUNDING:
            ends = f"the run of {run:g} steps ends before it acts on"
            misfits.append(("slow-decay", run, ends))
        if epoch is not None and rate * epoch > 1 + ROUNDING:
            forgets = f"before an epoch of {epoch:g} steps ends, its beginning is forgotten in"
            misfits.append(("fast-decay", epoch, forgets))
        for slug, steps, why in misfits:
            factor = 1 / (rate * steps)
            yield warning(
                slug,
                parameters,
                f"{pace}: {why} {enumerate_names(parameters)}",
                1 / rate,
                remedies.scale_decay(snapshot, optimizer, number, parameters[0], factor),
            )


def find_decay_lost_in_rounding(snapshot: Snapshot) -> Iterator[Finding]:
    lost = (
        each
        for each in snapshot.parameters
        if each.is_decayed
        and each.decay.is_outside
        and 0.0 < (each.decay.rate or 0.0) < (resolution(each.tensor) or 0.0)
    )
    for optimizer, parameters in by_optimizer(lost):
        rate = min(each.decay.rate or 0.0 for each in parameters)
        why = add_resolution(parameters[0].tensor, cannot_hold(rate))
        yield warning(
            "decay-lost-in-rounding",
            parameters,
            f"{name_own_decay(optimizer, parameters)} is lost on {enumerate_names(parameters)}: "
            f"{parameters[0].name} {why}",
            rate,
            remedies.use_single_precision(snapshot, optimizer),
        )


def find_scale_invariant_decay(snapshot: Snapshot) -> Iterator[Finding]:
    decayed = [
        each
        for each in snapshot.parameters
        if each.is_stepped and (each.decay.strength or each.square)
    ]
    invariant = snapshot.scale_invariant if decayed else {}
    for optimizer, parameters in by_optimizer(each for each in decayed if each.name in invariant):
        removed_by = " and ".join(sorted({invariant[each.name] for each in parameters}))
        yield note(
            "scale-invariant-decay",
            parameters,
            f"the output does not depend on the size of {enumerate_names(parameters)} (removed by "
            f"{removed_by}): {name_all_decay(optimizer, parameters[0])} does not make the function "
            "simpler there, it only sets how far a step of a given lr turns the weights",
            parameters[0].decay.strength or parameters[0].square,
            "# nothing to mend: tune lr and this decay as one",
        )


def find_bias_without_effect(snapshot: Snapshot) -> Iterator[Finding]:
    biases = [each for each in snapshot.biases_without_effect if each.is_trained]
    if biases:
        layers = tuple(each.candidate.owners[0].path.removesuffix(".bias") for each in biases)
        count = sum(each.tensor.numel() for each in biases)
        yield note(
            "bias-without-effect",
            biases,
            f"{enumerate_names(biases)} {is_or_are(biases)} subtracted again by the normalization "
            f"that follows: {count} numbers without effect",
            float(count),
            f"for name in {layers}:\n    model.get_submodule(name).bias = None  # bias=False",
        )


ABOUT_OPTIMIZERS: tuple[Check, ...] = (
    find_in_no_optimizer,
    find_held_twice,
    find_frozen_yet_moving,
    find_decay_on_biases,
    find_adaptive_decay,
    find_slow_or_fast_decay,
    find_decay_lost_in_rounding,
    find_scale_invariant_decay,
    find_bias_without_effect,
)
