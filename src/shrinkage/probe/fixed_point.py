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

from shrinkage.probe.arguments import accepted
from shrinkage.probe.coupling import MOMENTUM
from shrinkage.probe.stepper import Driver

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
START = 0.3 * CENTRES
SIZES = torch.tensor([[1.0, 2.0, 0.5, 1.0], [0.5, 1.0, 2.0, 1.0]], dtype=torch.float64)

UNKNOWN = "it is not known what it solves"
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


def objective(driver: Driver) -> str:
    """In a sentence, what the resting point minimizes, found by going there."""
    lr, w = LR, _rest(driver)
    found = named(w)
    rests = bool(found.kind) or _moved(driver, w) < CLOSE
    is_slow = not rests and float((w - START).norm()) < 0.5 * float((CENTRES - START).norm())
    for faster in FASTER if is_slow else ():
        other = named(_rest(driver, lr=faster))
        if other.kind in PENALTIES:
            lr, found = faster, other
            break
    if found.kind in PENALTIES:
        return _penalized(driver, found, lr) + _under_momentum(driver, found)
    if found.kind == "zero":
        return _at_constant_lr(driver)
    if found.kind:
        return (BOX if found.kind == "box" else UNPENALIZED) + _under_noise(driver)
    return UNKNOWN if rests else RESTLESS


def _rest(
    driver: Driver,
    *,
    lr: float = LR,
    weight_decay: float = STRENGTH,
    steps: int = STEPS,
    noise: float = 0.0,
    constant: bool = False,
) -> Tensor:
    """The weights at the end; under noise their mean over the last eighth; NaN if it fails."""

    def gradient(number: int, w: Tensor) -> Tensor:
        sign = 1 if number % 2 == 0 else -1
        return CURVATURES * (w - CENTRES) + sign * noise * SIZES

    def schedule(number: int) -> float:
        if constant or 2 * number < steps:
            return 1.0
        return 0.5 * (1 + math.cos(math.pi * (2 * number / steps - 1)))

    try:
        path = driver.run(
            START,
            gradient,
            lr=lr,
            weight_decay=weight_decay,
            steps=steps,
            schedule=schedule,
            resting=not noise,
        )
    except Exception:  # foreign code may raise anything where weights overflow
        return torch.full_like(CENTRES, torch.nan)
    return path[-steps // 8 :].mean(dim=0) if noise else path[-1]


def _moved(driver: Driver, w: Tensor) -> float:
    """How far half the steps end from where all of them do, relative to the minimum."""
    return float((_rest(driver, steps=STEPS // 2) - w).norm() / CENTRES.norm())


def strengths(w: Tensor) -> Tensor:
    """The s of ½·s·Σw² that each entry felt."""
    return CURVATURES * (CENTRES - w) / w


def named(w: Tensor) -> Rest:
    """The problem whose minimum `w` is, at a weight_decay of STRENGTH where there is a box."""
    if not torch.isfinite(w).all():
        return Rest("")
    if float(w.abs().max()) < CLOSE:
        return Rest("zero")
    pull = CURVATURES * (CENTRES - w)
    there = w.abs() > CLOSE
    felt = {"sum": pull, "L2": strengths(w), "L1": (pull * torch.sign(w))[there]}
    for kind, each in felt.items():
        strength = float(each.mean())
        if each.numel() > 2 and strength > LEAST and _is_one(each, CLOSE):
            return Rest(kind, strength)
    if _near(w, CENTRES):
        return Rest("unpenalized")
    if _near(w, CENTRES.clamp(-1 / STRENGTH, 1 / STRENGTH)):
        return Rest("box")
    return Rest("")


def _near(w: Tensor, minimum: Tensor) -> bool:
    return bool(((w - minimum).abs() < NEARLY * minimum.abs()).all())


def _is_one(values: Tensor, tolerance: float) -> bool:
    middle = values.mean()
    return bool(((values - middle).abs() < tolerance * middle.abs()).all())


def _times(factor: float, of: str) -> str:
    near = round(10 * factor) / 10
    written = f"{near:g}" if near and abs(factor - near) < CLOSE * near else f"{factor:.2g}"
    return of if written == "1" else f"{written}·{of}" if of else written


def _penalized(driver: Driver, found: Rest, lr: float) -> str:
    """How the strength goes with wd and lr, from a second rest at a fourth of wd, and half of lr.

    Then a strength of wd is a fourth of what it was, of wd/lr a half, and a number the same. Where
    it is wd by its size the learning rate stays, as a smaller one may be too slow.
    """
    is_wd = abs(found.strength / STRENGTH - 1) < CLOSE
    other = named(_rest(driver, lr=lr if is_wd else lr / 2, weight_decay=STRENGTH / 4))
    ratio = other.strength / found.strength if other.kind == found.kind else math.nan
    ways = (
        (0.25, found.strength / STRENGTH, "wd"),
        (0.5, found.strength * lr / STRENGTH, "wd/lr₀"),
        (1.0, found.strength, ""),
    )
    for expected, factor, of in ways:
        if abs(ratio - expected) < NEARLY * expected:
            return PENALTIES[found.kind].format(_times(factor, of))
    if _moved(driver, _rest(driver, lr=lr)) > CLOSE:
        return RESTLESS
    at = f"{found.strength:.2g} at lr={lr:g}, wd={STRENGTH:g}"
    return PENALTIES[found.kind].format(at)


def _at_constant_lr(driver: Driver) -> str:
    """A decay that does not fall with the learning rate: two of these say how its strength goes."""
    felt = [lr * strengths(_rest(driver, constant=True, lr=lr)) / STRENGTH for lr in (LR, LR / 2)]
    by_rate = torch.stack(felt)
    if not _is_one(by_rate, ROUGH):
        return VANISHES
    strength = _times(float(by_rate.mean()), "wd/lr")
    return f"{PENALTIES['L2'].format(strength)} at a constant lr, and goes to 0 as lr does"


def _under_noise(driver: Driver) -> str:
    """Under gradients whose noise differs from entry to entry."""
    w = _rest(driver, noise=NOISE)
    felt = strengths(w) / STRENGTH
    by_size = felt / torch.hypot(NOISE * SIZES, CURVATURES * (w - CENTRES))
    if not bool(((by_size - 1).abs() < ROUGH).all()):
        return ""
    return (
        "; with noisy gradients, a problem whose strength depends on each gradient's size "
        "(wd·√E[g²])"
    )


def _under_momentum(driver: Driver, alone: Rest) -> str:
    own = accepted(driver.factory).get("momentum")
    if own is None or own.default != 0:
        return ""
    found = named(_rest(replace(driver, momentum=MOMENTUM)))
    if found.kind != alone.kind or abs(found.strength / alone.strength - 1) < NEARLY:
        return ""
    times = _times(found.strength / alone.strength, "")
    return f"; under momentum {MOMENTUM:g} at {times} times that strength"
