"""Where an optimizer with its decay comes to rest, on a quadratic whose minima are known.

    f(w) = Σ ½·hᵢ·(wᵢ − bᵢ)²,   ∂f/∂wᵢ = hᵢ·(wᵢ − bᵢ)

With a strength s of ½·s·Σw² beside it the minimum is hᵢbᵢ/(hᵢ + s), so a rest w says which strength
each entry felt: sᵢ = hᵢ(bᵢ − wᵢ)/wᵢ.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from shrinkage.probe.arguments import parameters_of
from shrinkage.probe.coupling import MOMENTUM
from shrinkage.probe.stepper import Stepper

STRENGTH, LR = 0.5, 0.1
FASTER = (1.0, 5.0)  # learning rates for those whose steps shrink by themselves
STEPS = 600  # a learning rate of LR for the first half, then down to 0
CLOSE = 0.02
NEARLY = 0.05  # of a minimum that Adam's long memory of early gradients lets it approach slowly
LEAST = 1e-3  # a strength that is told from none
ROUGH = 0.15  # under noise
NOISE = 4.0  # times the size of the noise of each entry
CURVATURES = torch.tensor([[0.5, 1.0, 2.0, 4.0], [4.0, 2.0, 1.0, 0.5]], dtype=torch.float64)
CENTRES = torch.tensor([[1.0, -4.0, 1.0, -4.0], [-1.0, 4.0, -1.0, 4.0]], dtype=torch.float64)
NOISES = torch.tensor([[1.0, 2.0, 0.5, 1.0], [0.5, 1.0, 2.0, 1.0]], dtype=torch.float64)
BEGIN = 0.3  # times the centres: where weights start


@dataclass(frozen=True)
class Problem:
    """The h and b of a quadratic."""

    curvatures: Tensor
    centres: Tensor

    def pull(self, w: Tensor) -> Tensor:
        """Minus its gradient, which the decay balances at a rest."""
        return self.curvatures * (self.centres - w)


USUAL = Problem(CURVATURES, CENTRES)
# Of another shape, and with weights from far smaller ones to far larger ones.
WIDE = Problem(
    CURVATURES.repeat(2, 2), torch.cat([0.05 * CENTRES, 3 * CENTRES], dim=1).repeat(2, 1)
)

UNKNOWN = "it is not known what it solves"
RANDOM = f"{UNKNOWN}: its decay is random"
NO_PENALTY = f"{UNKNOWN}: its strength differs from tensor to tensor or from weight to weight"
RESTLESS = f"{UNKNOWN}: it rests nowhere within {STEPS} steps"
UNPENALIZED = "solves the unpenalized problem"
BOX = f"{UNPENALIZED} within the box |w| ≤ 1/wd"
VANISHES = "goes to 0 whatever the loss, as the learning rate does"
PENALTIES = {
    "L2": "solves J with L2 strength {} (½·s·Σw²)",
    "L1": "solves J with L1 strength {} (s·Σ|w|)",
    "sum": "minimizes data loss + {}·Σw, which is no penalty",
}


@dataclass(frozen=True)
class Rest:
    """What a resting point is the minimum of."""

    kind: str  # "L2", "L1", "sum", "unpenalized", "box", "zero", or "" where it is unknown
    strength: float = 0.0


def find_objective(stepper: Stepper) -> str:
    """In a sentence, what the resting point minimizes, found by going there."""
    lr, w = LR, _run_to_rest(stepper)
    rest = identify(w)
    rests = bool(rest.kind) or _is_at_rest(stepper, w)
    is_slow = not rests and float((w - BEGIN * CENTRES).norm()) < 0.35 * float(CENTRES.norm())
    for faster in FASTER if is_slow else ():
        other = identify(_run_to_rest(stepper, lr=faster))
        if other.kind in PENALTIES:
            lr, rest = faster, other
            break
    if rest.kind in PENALTIES:
        if not _holds_elsewhere(stepper, rest, lr):
            return NO_PENALTY
        return _describe_strength(stepper, rest, lr) + _under_momentum(stepper, rest)
    if rest.kind == "zero":
        return _at_constant_lr(stepper)
    if rest.kind:
        return (BOX if rest.kind == "box" else UNPENALIZED) + _under_noise(stepper)
    return UNKNOWN if rests else RESTLESS


def _run_to_rest(
    stepper: Stepper,
    *,
    problem: Problem = USUAL,
    lr: float = LR,
    weight_decay: float = STRENGTH,
    steps: int = STEPS,
    noise: float = 0.0,
    constant: bool = False,
) -> Tensor:
    """The weights at the end; under noise their mean over the last eighth; NaN if it fails."""

    def gradient(number: int, w: Tensor) -> Tensor:
        sign = 1 if number % 2 == 0 else -1
        return sign * noise * NOISES - problem.pull(w) if noise else -problem.pull(w)

    def schedule(number: int) -> float:
        if constant or 2 * number < steps:
            return 1.0
        return 0.5 * (1 + math.cos(math.pi * (2 * number / steps - 1)))

    try:
        path = stepper.run(
            BEGIN * problem.centres,
            gradient,
            lr=lr,
            weight_decay=weight_decay,
            steps=steps,
            schedule=schedule,
            resting=not noise,
        )
    except Exception:  # foreign code may raise anything where weights overflow
        return torch.full_like(problem.centres, torch.nan)
    return path[-steps // 8 :].mean(dim=0) if noise else path[-1]


def _is_at_rest(stepper: Stepper, w: Tensor) -> bool:
    """Whether half the steps end where all of them do, relative to the minimum."""
    halfway = _run_to_rest(stepper, steps=STEPS // 2)
    return float((halfway - w).norm() / CENTRES.norm()) < CLOSE


def measure_strengths(kind: str, w: Tensor, problem: Problem = USUAL) -> Tensor:
    """The s that each entry felt, of ½·s·Σw², s·Σ|w| or s·Σw."""
    pull = problem.pull(w)
    if kind == "L1":
        return (pull * torch.sign(w))[w.abs() > CLOSE]
    return pull / w if kind == "L2" else pull


def identify(w: Tensor) -> Rest:
    """The problem whose minimum `w` is, at a weight_decay of STRENGTH where there is a box."""
    if not torch.isfinite(w).all():
        return Rest("")
    if float(w.abs().max()) < CLOSE:
        return Rest("zero")
    for kind in ("sum", "L2", "L1"):
        felt = measure_strengths(kind, w)
        strength = float(felt.mean())
        if felt.numel() > 2 and strength > LEAST and _is_near(felt, felt.mean(), CLOSE):
            return Rest(kind, strength)
    if _is_near(w, CENTRES, NEARLY):
        return Rest("unpenalized")
    if _is_near(w, CENTRES.clamp(-1 / STRENGTH, 1 / STRENGTH), NEARLY):
        return Rest("box")
    return Rest("")


def _is_near(values: Tensor, expected: Tensor, tolerance: float) -> bool:
    return bool(((values - expected).abs() < tolerance * expected.abs()).all())


def _holds_elsewhere(stepper: Stepper, rest: Rest, lr: float) -> bool:
    """Whether a penalty of this strength is felt on other weights, too, or they do not rest.

    Where the strength depends on ‖w‖, on the shape, or on whether a weight is above a threshold,
    one problem alone looks as if it had a penalty.
    """
    w = _run_to_rest(stepper, problem=WIDE, lr=lr)
    felt = measure_strengths(rest.kind, w, WIDE)
    if _is_near(felt, torch.tensor(rest.strength), ROUGH):
        return True
    halfway = _run_to_rest(stepper, problem=WIDE, lr=lr, steps=STEPS // 2)
    return not bool(((halfway - w).abs() < CLOSE * WIDE.centres.abs()).all())


def _format_multiple(factor: float, of: str) -> str:
    near = round(10 * factor) / 10
    written = f"{near:g}" if near and abs(factor - near) < CLOSE * near else f"{factor:.2g}"
    return of if written == "1" else f"{written}·{of}" if of else written


def _describe_strength(stepper: Stepper, rest: Rest, lr: float) -> str:
    """How the strength goes with wd and lr, from a second rest at a fourth of wd, and half of lr.

    Then a strength of wd is a fourth of what it was, of wd/lr a half, and a number the same. Where
    it is wd by its size the learning rate stays, as a smaller one may be too slow.
    """
    is_wd = abs(rest.strength / STRENGTH - 1) < CLOSE
    w = _run_to_rest(stepper, lr=lr if is_wd else lr / 2, weight_decay=STRENGTH / 4)
    other = identify(w)
    ratio = other.strength / rest.strength if other.kind == rest.kind else math.nan
    readings = (
        (0.25, rest.strength / STRENGTH, "wd"),
        (0.5, rest.strength * lr / STRENGTH, "wd/lr₀"),
        (1.0, rest.strength, ""),
    )
    for expected, factor, of in readings:
        if abs(ratio - expected) < NEARLY * expected:
            return PENALTIES[rest.kind].format(_format_multiple(factor, of))
    if not _is_at_rest(stepper, _run_to_rest(stepper, lr=lr)):
        return RESTLESS
    return PENALTIES[rest.kind].format(f"{rest.strength:.2g} at lr={lr:g}, wd={STRENGTH:g}")


def _at_constant_lr(stepper: Stepper) -> str:
    """A decay that does not fall with the learning rate: several runs say how its strength goes."""
    strengths = torch.cat(
        [
            lr / STRENGTH * measure_strengths("L2", w, problem).flatten()
            for lr, problem in ((LR, USUAL), (LR / 2, USUAL), (LR, WIDE))
            for w in [_run_to_rest(stepper, problem=problem, constant=True, lr=lr)]
        ]
    )
    if not _is_near(strengths, strengths.mean(), ROUGH):
        return VANISHES
    strength = _format_multiple(float(strengths.mean()), "wd/lr")
    return f"{PENALTIES['L2'].format(strength)} at a constant lr, and goes to 0 as lr does"


def _under_noise(stepper: Stepper) -> str:
    """Under gradients whose noise differs from entry to entry."""
    w = _run_to_rest(stepper, noise=NOISE)
    strengths = measure_strengths("L2", w) / STRENGTH
    if not _is_near(strengths, torch.hypot(NOISE * NOISES, USUAL.pull(w)), ROUGH):
        return ""
    return (
        "; with noisy gradients, a problem whose strength depends on each gradient's size "
        "(wd·√E[g²])"
    )


def _under_momentum(stepper: Stepper, alone: Rest) -> str:
    parameter = parameters_of(stepper.factory).get("momentum")
    if parameter is None or parameter.default != 0:
        return ""
    rest = identify(_run_to_rest(replace(stepper, momentum=MOMENTUM)))
    if rest.kind != alone.kind or abs(rest.strength / alone.strength - 1) < NEARLY:
        return ""
    times = _format_multiple(rest.strength / alone.strength, "")
    return f"; under momentum {MOMENTUM:g} at {times} times that strength"
