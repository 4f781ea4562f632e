"""Where an optimizer with its decay converges to, on a quadratic whose minima are known.

    f(w) = Σ ½·hᵢ·(wᵢ − bᵢ)²,   ∂f/∂wᵢ = hᵢ·(wᵢ − bᵢ)

With a penalty ½·s·Σw² beside it the minimum is hᵢbᵢ/(hᵢ + s), so the limit w tells which strength
acted on each entry: sᵢ = hᵢ(bᵢ − wᵢ)/wᵢ.
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
NEARLY = 0.05  # relative to a minimum, which Adam approaches slowly after early gradients
LEAST = 1e-3  # the smallest strength that differs visibly from 0
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
        """Minus its gradient, which the decay balances at the limit."""
        return self.curvatures * (self.centres - w)


USUAL = Problem(CURVATURES, CENTRES)
# Another shape, with weights that are far smaller and far larger.
WIDE = Problem(
    CURVATURES.repeat(2, 2), torch.cat([0.05 * CENTRES, 3 * CENTRES], dim=1).repeat(2, 1)
)

UNKNOWN = "it is not known what it solves"
RANDOM = f"{UNKNOWN}: its decay is random"
NO_PENALTY = f"{UNKNOWN}: its strength differs from tensor to tensor or from weight to weight"
NOT_CONVERGED = f"{UNKNOWN}: it does not converge within {STEPS} steps"
UNPENALIZED = "solves the unpenalized problem"
BOX = f"{UNPENALIZED} within the box |w| ≤ 1/wd"
VANISHES = "goes to 0 whatever the loss, as the learning rate does"
PENALTIES = {
    "L2": "solves J with L2 strength {} (½·s·Σw²)",
    "L1": "solves J with L1 strength {} (s·Σ|w|)",
    "sum": "minimizes data loss + {}·Σw, which is no penalty",
}


@dataclass(frozen=True)
class Objective:
    """What the optimizer's limit is the minimum of."""

    kind: str  # "L2", "L1", "sum", "unpenalized", "box", "zero", or "" where it is unknown
    strength: float = 0.0


def find_objective(stepper: Stepper) -> str:
    """Train until the weights converge, and say in a sentence what they minimize there."""
    lr, w = LR, _run_to_convergence(stepper)
    objective = identify(w)
    converged = bool(objective.kind) or _has_converged(stepper, w)
    is_slow = not converged and float((w - BEGIN * CENTRES).norm()) < 0.35 * float(CENTRES.norm())
    for faster in FASTER if is_slow else ():
        other = identify(_run_to_convergence(stepper, lr=faster))
        if other.kind in PENALTIES:
            lr, objective = faster, other
            break
    if objective.kind in PENALTIES:
        if not _holds_elsewhere(stepper, objective, lr):
            return NO_PENALTY
        return _describe_strength(stepper, objective, lr) + _describe_under_momentum(
            stepper, objective
        )
    if objective.kind == "zero":
        return _describe_at_constant_lr(stepper)
    if objective.kind:
        return (BOX if objective.kind == "box" else UNPENALIZED) + _describe_under_noise(stepper)
    return UNKNOWN if converged else NOT_CONVERGED


def _run_to_convergence(
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
            in_eval_mode=not noise,
        )
    except Exception:  # foreign code may raise anything where weights overflow
        return torch.full_like(problem.centres, torch.nan)
    return path[-steps // 8 :].mean(dim=0) if noise else path[-1]


def _has_converged(stepper: Stepper, w: Tensor) -> bool:
    """Whether half of the steps end at the same weights as all of them, relative to the minimum."""
    halfway = _run_to_convergence(stepper, steps=STEPS // 2)
    return float((halfway - w).norm() / CENTRES.norm()) < CLOSE


def measure_strengths(kind: str, w: Tensor, problem: Problem = USUAL) -> Tensor:
    """The strength s that acted on each entry, of ½·s·Σw², s·Σ|w| or s·Σw."""
    pull = problem.pull(w)
    if kind == "L1":
        return (pull * torch.sign(w))[w.abs() > CLOSE]
    return pull / w if kind == "L2" else pull


def identify(w: Tensor) -> Objective:
    """The problem whose minimum `w` is, at a weight_decay of STRENGTH where there is a box."""
    if not torch.isfinite(w).all():
        return Objective("")
    if float(w.abs().max()) < CLOSE:
        return Objective("zero")
    for kind in ("sum", "L2", "L1"):
        felt = measure_strengths(kind, w)
        strength = float(felt.mean())
        if felt.numel() > 2 and strength > LEAST and _is_near(felt, felt.mean(), CLOSE):
            return Objective(kind, strength)
    if _is_near(w, CENTRES, NEARLY):
        return Objective("unpenalized")
    if _is_near(w, CENTRES.clamp(-1 / STRENGTH, 1 / STRENGTH), NEARLY):
        return Objective("box")
    return Objective("")


def _is_near(values: Tensor, expected: Tensor, tolerance: float) -> bool:
    return bool(((values - expected).abs() < tolerance * expected.abs()).all())


def _holds_elsewhere(stepper: Stepper, objective: Objective, lr: float) -> bool:
    """Whether a penalty of this strength acts on other weights too, or these do not converge.

    Where the strength depends on ‖w‖, on the shape, or on whether a weight is above a threshold,
    one problem alone looks as if it had a penalty.
    """
    w = _run_to_convergence(stepper, problem=WIDE, lr=lr)
    felt = measure_strengths(objective.kind, w, WIDE)
    if _is_near(felt, torch.tensor(objective.strength), ROUGH):
        return True
    halfway = _run_to_convergence(stepper, problem=WIDE, lr=lr, steps=STEPS // 2)
    return not bool(((halfway - w).abs() < CLOSE * WIDE.centres.abs()).all())


def _format_multiple(factor: float, of: str) -> str:
    near = round(10 * factor) / 10
    written = f"{near:g}" if near and abs(factor - near) < CLOSE * near else f"{factor:.2g}"
    return of if written == "1" else f"{written}·{of}" if of else written


def _describe_strength(stepper: Stepper, objective: Objective, lr: float) -> str:
    """How the strength depends on wd and lr, from a second run with wd/4 and lr/2.

    There a strength of wd is a fourth of what it was, one of wd/lr a half, and a constant the same.
    Where the strength equals wd the learning rate stays, since a smaller one may be too slow.
    """
    is_wd = abs(objective.strength / STRENGTH - 1) < CLOSE
    w = _run_to_convergence(stepper, lr=lr if is_wd else lr / 2, weight_decay=STRENGTH / 4)
    other = identify(w)
    ratio = other.strength / objective.strength if other.kind == objective.kind else math.nan
    readings = (
        (0.25, objective.strength / STRENGTH, "wd"),
        (0.5, objective.strength * lr / STRENGTH, "wd/lr₀"),
        (1.0, objective.strength, ""),
    )
    for expected, factor, of in readings:
        if abs(ratio - expected) < NEARLY * expected:
            return PENALTIES[objective.kind].format(_format_multiple(factor, of))
    if not _has_converged(stepper, _run_to_convergence(stepper, lr=lr)):
        return NOT_CONVERGED
    return PENALTIES[objective.kind].format(
        f"{objective.strength:.2g} at lr={lr:g}, wd={STRENGTH:g}"
    )


def _describe_at_constant_lr(stepper: Stepper) -> str:
    """Describe a decay that does not fall with the learning rate, from several runs."""
    strengths = torch.cat(
        [
            lr / STRENGTH * measure_strengths("L2", w, problem).flatten()
            for lr, problem in ((LR, USUAL), (LR / 2, USUAL), (LR, WIDE))
            for w in [_run_to_convergence(stepper, problem=problem, constant=True, lr=lr)]
        ]
    )
    if not _is_near(strengths, strengths.mean(), ROUGH):
        return VANISHES
    strength = _format_multiple(float(strengths.mean()), "wd/lr")
    return f"{PENALTIES['L2'].format(strength)} at a constant lr, and goes to 0 as lr does"


def _describe_under_noise(stepper: Stepper) -> str:
    """The clause on gradients whose noise differs between entries; "" where it changes nothing."""
    w = _run_to_convergence(stepper, noise=NOISE)
    strengths = measure_strengths("L2", w) / STRENGTH
    if not _is_near(strengths, torch.hypot(NOISE * NOISES, USUAL.pull(w)), ROUGH):
        return ""
    return (
        "; with noisy gradients, a problem whose strength depends on each gradient's size "
        "(wd·√E[g²])"
    )


def _describe_under_momentum(stepper: Stepper, alone: Objective) -> str:
    parameter = parameters_of(stepper.factory).get("momentum")
    if parameter is None or parameter.default != 0:
        return ""
    objective = identify(_run_to_convergence(replace(stepper, momentum=MOMENTUM)))
    if objective.kind != alone.kind or abs(objective.strength / alone.strength - 1) < NEARLY:
        return ""
    times = _format_multiple(objective.strength / alone.strength, "")
    return f"; under momentum {MOMENTUM:g} at {times} times that strength"
