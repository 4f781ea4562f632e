"""Where an optimizer with its decay comes to rest, on a quadratic whose minima are known.

    f(w) = Σ ½·hᵢ·(wᵢ − bᵢ)²,   ∂f/∂wᵢ = hᵢ·(wᵢ − bᵢ)

With a strength s of ½·s·Σw² beside it the minimum is hᵢbᵢ/(hᵢ + s), so a rest w says which strength
each entry felt: sᵢ = hᵢ(bᵢ − wᵢ)/wᵢ.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from shrinkage.torch.probing.coupling import MOMENTUM
from shrinkage.torch.probing.driving import Driver
from shrinkage.torch.probing.factories import accepted

STRENGTH, LR = 0.5, 0.1
FASTER = (1.0, 5.0)  # learning rates for those whose steps shrink by themselves
STEPS = 600  # a learning rate of LR for the first half, then down to 0
CLOSE = 0.02
NEARLY = 0.05  # of a minimum that Adam's long memory of early gradients lets it approach slowly
ROUGH = 0.15  # under noise
NOISE = 4.0  # times the size of the noise of each entry
CURVATURES = torch.tensor([[0.5, 1.0, 2.0, 4.0], [4.0, 2.0, 1.0, 0.5]], dtype=torch.float64)
CENTRES = torch.tensor([[1.0, -4.0, 1.0, -4.0], [-1.0, 4.0, -1.0, 4.0]], dtype=torch.float64)
SIZES = torch.tensor([[1.0, 2.0, 0.5, 1.0], [0.5, 1.0, 2.0, 1.0]], dtype=torch.float64)
PENALIZED = "solves J with"
UNKNOWN = "it is not known what it solves"


def objective(driver: Driver) -> str:
    """In a sentence, what the resting point minimizes, found by going there."""
    rest = _rest(driver)
    found = _named(rest)
    if found == "":
        faster = (_named(_rest(driver, lr=lr)) for lr in FASTER)
        found = next((name for name in faster if name.startswith(PENALIZED)), "")
    if found == "":
        again = _rest(driver, steps=2 * STEPS)
        moves = float((again - rest).norm() / CENTRES.norm())
        return UNKNOWN if moves < CLOSE else f"{UNKNOWN}: it rests nowhere within {STEPS} steps"
    if found == "0":
        return _at_constant_lr(driver)
    if "box" in found or found == "solves the unpenalized problem":
        return found + _under_noise(driver)
    return found + _under_momentum(driver, found)


def _down(number: int, steps: int) -> float:
    """The factor on the learning rate."""
    return min(1.0, 0.5 * (1 + math.cos(math.pi * (2 * number / steps - 1))))


def _rest(
    driver: Driver,
    *,
    lr: float = LR,
    steps: int = STEPS,
    noise: float = 0.0,
    constant: bool = False,
) -> Tensor:
    def gradient(number: int, w: Tensor) -> Tensor:
        sign = 1 if number % 2 == 0 else -1
        return CURVATURES * (w - CENTRES) + sign * noise * SIZES

    def schedule(number: int) -> float:
        return 1.0 if constant or 2 * number < steps else _down(number, steps)

    path = driver.run(
        0.3 * CENTRES,
        gradient,
        lr=lr,
        weight_decay=STRENGTH,
        steps=steps,
        schedule=schedule,
        resting=not noise,
    )
    return path[-steps // 8 :].mean(dim=0) if noise else path[-1]


def strengths(rest: Tensor) -> Tensor:
    """The s of ½·s·Σw² that each entry felt."""
    return CURVATURES * (CENTRES - rest) / rest


def _named(rest: Tensor) -> str:
    """The problem whose minimum this is; "0" where all weights are gone, "" where it is unknown."""
    if not torch.isfinite(rest).all():
        return ""
    if _near(rest, CENTRES):
        return "solves the unpenalized problem"
    if float(rest.abs().max()) < CLOSE:
        return "0"
    limit = 1 / STRENGTH
    if _near(rest, CENTRES.clamp(-limit, limit)):
        return "solves the unpenalized problem within the box |w| ≤ 1/wd"
    felt = CURVATURES * (CENTRES - rest)
    if _is_one(felt, CLOSE):
        pull = _times(float(felt.mean()) / STRENGTH, "wd")
        return f"minimizes data loss + {pull}·Σw, which is no penalty"
    felt = strengths(rest)
    if _is_one(felt, CLOSE):
        return f"{PENALIZED} L2 strength {_times(float(felt.mean()) / STRENGTH, 'wd')} (½·s·Σw²)"
    felt = (CURVATURES * (CENTRES - rest) * torch.sign(rest))[rest.abs() > CLOSE]
    if len(felt) > 2 and _is_one(felt, CLOSE):
        return f"{PENALIZED} L1 strength {_times(float(felt.mean()) / STRENGTH, 'wd')} (s·Σ|w|)"
    return ""


def _near(rest: Tensor, minimum: Tensor) -> bool:
    return bool(((rest - minimum).abs() < NEARLY * minimum.abs()).all())


def _is_one(values: Tensor, tolerance: float) -> bool:
    middle = values.mean()
    return bool(((values - middle).abs() < tolerance * middle.abs()).all())


def _times(factor: float, of: str) -> str:
    near = round(10 * factor) / 10
    written = f"{near:g}" if near and abs(factor - near) < CLOSE * near else f"{factor:.2g}"
    return of if written == "1" else f"{written}·{of}"


def _at_constant_lr(driver: Driver) -> str:
    """A decay that does not fall with the learning rate: two of these say how its strength goes."""
    felt = [lr * strengths(_rest(driver, constant=True, lr=lr)) / STRENGTH for lr in (LR, LR / 2)]
    by_rate = torch.stack(felt)
    if not _is_one(by_rate, ROUGH):
        return "goes to 0 whatever the loss, as the learning rate does"
    strength = _times(float(by_rate.mean()), "wd/lr")
    return f"{PENALIZED} L2 strength {strength} at a constant lr, and goes to 0 as lr does"


def _under_noise(driver: Driver) -> str:
    """Under gradients whose noise differs from entry to entry."""
    rest = _rest(driver, noise=NOISE)
    felt = strengths(rest) / STRENGTH
    if not torch.isfinite(felt).all():
        return ""
    by_size = felt / torch.hypot(NOISE * SIZES, CURVATURES * (rest - CENTRES))
    if _is_one(by_size, ROUGH):
        return (
            "; with noisy gradients, a problem whose strength depends on each gradient's size "
            f"({_times(float(by_size.mean()), 'wd·√E[g²]')})"
        )
    return ""


def _under_momentum(driver: Driver, alone: str) -> str:
    own = accepted(driver.factory).get("momentum")
    if own is None or own.default != 0:
        return ""
    try:
        found = _named(_rest(replace(driver, momentum=MOMENTUM)))
    except (TypeError, ValueError):  # refused, beside the factory's other options
        return ""
    return "" if found in (alone, "") else f"; under momentum {MOMENTUM:g} it {found}"
