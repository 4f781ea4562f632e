"""Set-ups that an audit has something to say about, each with what it must say."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import nn

import shrinkage
import shrinkage.torch
from shrinkage import L1, L2, MCP, ElasticNet, GroupLasso, Weighted
from shrinkage.torch import RDA, Regularizer, audit


@dataclass
class Setup:
    """A model, its optimizer and regularizer, and what `audit` is told of the run."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    regularizer: Regularizer | None = None
    run: dict[str, Any] = field(default_factory=dict)

    def findings(self) -> list[Any]:
        return list(audit(self.model, self.optimizer, self.regularizer, **self.run).findings)

    def mend(self, remedy: str) -> None:
        """Run the lines of a remedy as a user would."""
        names = {**vars(shrinkage), **vars(shrinkage.torch), "torch": torch}
        names |= {"model": self.model, "optimizer": self.optimizer, "regularizer": self.regularizer}
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            exec(remedy, names)
        self.regularizer = names["regularizer"]


def bare() -> nn.Linear:
    return nn.Linear(3, 2, bias=False)


def under(make: Any, model: nn.Module | None = None, **run: Any) -> Setup:
    model = bare() if model is None else model
    return Setup(model, make(model.parameters()), run=run)


def penalized(make: Any, penalty: Any, how: str, model: nn.Module | None = None) -> Setup:
    """With the penalty attached, or in the loss; warnings at attach are another test's."""
    setup = under(make, model)
    setup.regularizer = Regularizer(setup.model, penalty)
    if how != "loss":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            setup.regularizer.attach(setup.optimizer, how=how)
    return setup


def clipped(setup: Setup, norm: float) -> Setup:
    """In a loop that clips gradients to that norm."""
    setup.run = {**setup.run, "clip": norm}
    return setup


def sgd(**options: Any) -> Any:
    return lambda parameters: torch.optim.SGD(parameters, **{"lr": 0.1, **options})


def adam(**options: Any) -> Any:
    return lambda parameters: torch.optim.Adam(parameters, **{"lr": 0.1, **options})


def adamw(**options: Any) -> Any:
    return lambda p: torch.optim.AdamW(p, **{"lr": 0.1, "weight_decay": 0.1, **options})


def held_twice() -> Setup:
    model = bare()
    with pytest.warns(UserWarning, match="duplicate parameters"):
        optimizer = torch.optim.SGD([model.weight, model.weight], lr=0.1)
    return Setup(model, optimizer)


def frozen() -> Setup:
    setup = under(adamw())
    setup.model.weight.grad = torch.zeros(2, 3)  # type: ignore[union-attr]
    setup.model.requires_grad_(False)
    return setup


def half_held() -> Setup:
    model = nn.Sequential(bare(), bare())
    return Setup(model, torch.optim.SGD(model[0].parameters(), lr=0.1))


def elsewhere() -> Setup:
    setup = penalized(sgd(), L2(0.1), "coupled")
    setup.optimizer = torch.optim.SGD(setup.model.parameters(), lr=0.1)
    return setup


def also_in_the_loss() -> Setup:
    setup = penalized(sgd(), L2(0.1), "coupled")
    setup.regularizer = Regularizer(setup.model, L2(0.1))
    return setup


def halved(setup: Setup, **run: Any) -> Setup:
    assert setup.regularizer is not None
    setup.regularizer.factor = 0.5
    setup.run = run
    return setup


def inside() -> Setup:
    return under(lambda parameters: RDA(parameters, penalty=L1(0.1)), nn.Linear(3, 2))


def bare_inside(kind: Any, **options: Any) -> Setup:
    model = nn.Linear(3, 2)
    groups: list[dict[str, Any]] = [{"params": [model.weight]}, {"params": [model.bias], "lr": 0.2}]
    return Setup(model, kind(groups, lr=0.1, penalty=L1(0.1), **options))


def weight_normed() -> nn.Module:
    return nn.utils.parametrizations.weight_norm(bare())


def before_a_normalization() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))


def spared(model: nn.Module) -> list[dict[str, Any]]:
    """Decay on the weights alone."""
    weights = [p for p in model.parameters() if p.ndim > 1]
    rest = [p for p in model.parameters() if p.ndim < 2]
    return [{"params": weights}, {"params": rest, "weight_decay": 0.0}]


def batch_norm() -> Setup:
    model = before_a_normalization()
    return Setup(model, torch.optim.SGD(spared(model), lr=0.1, weight_decay=0.25))


def zeroed(setup: Setup, which: int | None = None) -> Setup:
    with torch.no_grad():
        for number, w in enumerate(setup.model.parameters()):
            if which in (None, number):
                w.zero_()
    return setup


def all_frozen(setup: Setup) -> Setup:
    setup.model.requires_grad_(False)
    return setup


def penalized_where_frozen() -> Setup:
    model = nn.Sequential(bare(), nn.Linear(2, 3))
    model[0].requires_grad_(False)
    regularizer = Regularizer(model, {"0.*": L2(0.1)})
    return Setup(model, torch.optim.SGD(model.parameters(), lr=0.1), regularizer)


def orthogonal() -> nn.Module:
    return nn.utils.parametrizations.orthogonal(bare())


CASES: dict[str, tuple[Callable[[], Setup], str, str, tuple[str, ...], float, str]] = {
    # set-up, slug, severity, parameters, number, words of the sentence
    "missing": (
        half_held,
        "in-no-optimizer",
        "warning",
        ("1.weight",),
        1.0,
        "not held by SGD",
    ),
    "twice": (held_twice, "held-twice", "warning", ("weight",), 2.0, "decays it 2 times"),
    "frozen": (
        frozen,
        "frozen-yet-moving",
        "warning",
        ("weight",),
        0.01,
        "AdamW moves whatever has one, by decay 0.01 of itself a step",
    ),
    "bias": (
        lambda: under(adamw(), nn.Linear(3, 2)),
        "decay-on-biases",
        "warning",
        ("bias",),
        0.1,
        "AdamW's weight_decay=0.1 also acts on 1 that is no weight (bias): bias",
    ),
    "bias under SGD": (
        lambda: under(sgd(weight_decay=0.1), nn.Linear(3, 2)),
        "decay-on-biases",
        "warning",
        ("bias",),
        0.1,
        "SGD's weight_decay=0.1 also acts on 1",
    ),
    "bias beside a penalty": (
        lambda: penalized(adamw(), L1(0.1), "proximal", nn.Linear(3, 2)),
        "decay-on-biases",
        "warning",
        ("bias",),
        0.1,
        "also acts on 1",
    ),
    "Adam": (
        lambda: under(adam(weight_decay=0.1)),
        "adaptive-decay",
        "warning",
        ("weight",),
        0.1,
        "Adam's weight_decay=0.1 joins the gradient and is divided by its size",
    ),
    "slow AdamW": (
        lambda: under(adamw(lr=0.001), steps=500),
        "slow-decay",
        "warning",
        ("weight",),
        10_000.0,
        "takes 0.0001 of a weight a step at lr=0.001, so to 1/e in 10000 steps",
    ),
    "slow SGD": (  # 0.1·0.01/(1 − 0.9) = 0.01 a step
        lambda: under(sgd(momentum=0.9, weight_decay=0.01), steps=30),
        "slow-decay",
        "warning",
        ("weight",),
        100.0,
        "to 1/e in 100 steps",
    ),
    "slow L2": (  # 2·0.1·(0.5·0.01) = 0.001 a step
        lambda: halved(penalized(sgd(), L2(0.01), "coupled"), steps=300),
        "slow-decay",
        "warning",
        ("weight",),
        1000.0,
        "L2(lam=0.01) (coupled) takes 0.001 of a weight a step at lr=0.1, so to 1/e in 1000 steps",
    ),
    "fast AdamW": (
        lambda: under(adamw(), steps_per_epoch=333),
        "fast-decay",
        "warning",
        ("weight",),
        100.0,
        "before an epoch of 333 steps ends, its beginning is forgotten in weight",
    ),
    "bfloat16": (
        lambda: under(adamw(lr=0.001), bare().bfloat16()),
        "decay-lost-in-rounding",
        "warning",
        ("weight",),
        0.0001,
        "weight is bfloat16, which cannot hold a decay of 0.0001 a step",
    ),
    "batch norm": (
        batch_norm,
        "scale-invariant-decay",
        "note",
        ("0.weight",),
        0.25,
        "does not depend on the size of 0.weight (removed by BatchNorm1d)",
    ),
    "dead bias": (
        batch_norm,
        "bias-without-effect",
        "note",
        ("0.bias",),
        2.0,
        "0.bias is subtracted again",
    ),
    "elsewhere": (
        elsewhere,
        "attached-elsewhere",
        "warning",
        ("weight",),
        1.0,
        "none of its 1 penalties acts in these steps",
    ),
    "loss and attached": (
        also_in_the_loss,
        "penalized-twice",
        "warning",
        ("weight",),
        2.0,
        "weight is penalized 2 times: L2(lam=0.1) (coupled) and L2(lam=0.1) (loss)",
    ),
    "a bare penalty": (
        inside,
        "penalty-on-biases",
        "warning",
        ("bias",),
        1.0,
        "a bare penalty in RDA reaches every parameter, also 1 that is no weight: bias",
    ),
    "a bare penalty in our SGD": (
        lambda: bare_inside(shrinkage.torch.SGD),
        "penalty-on-biases",
        "warning",
        ("bias",),
        1.0,
        "a bare penalty in SGD reaches every parameter, also 1 that is no weight: bias",
    ),
    "rows of 0 under weight norm": (
        lambda: penalized(sgd(), GroupLasso(0.1), "proximal", weight_normed()),
        "zero-denominator",
        "warning",
        ("parametrizations.weight.original1",),
        6.0,
        "can set a row of parametrizations.weight.original1 to exactly 0, and weight norm divides",
    ),
    "zeros under spectral norm, inside": (
        lambda: Setup(
            model := nn.utils.parametrizations.spectral_norm(bare()),
            shrinkage.torch.Adam(model.parameters(), lr=0.1, penalty=L1(0.1), how="decoupled"),
        ),
        "zero-denominator",
        "warning",
        ("parametrizations.weight.original",),
        6.0,
        "can set the whole of parametrizations.weight.original to exactly 0, and spectral norm",
    ),
    "decay and L2": (  # L2(0.1) is ½·0.2·Σw²
        lambda: penalized(sgd(weight_decay=0.1), L2(0.1), "coupled"),
        "decay-twice",
        "warning",
        ("weight",),
        0.2,
        "SGD's weight_decay=0.1 decays weight, and L2(lam=0.1) does it again, as weight_decay=0.2",
    ),
    "decay and elastic net": (  # (1 − 0.5)/2·0.4 = 0.1
        lambda: penalized(adamw(), ElasticNet(0.4), "proximal"),
        "decay-twice",
        "warning",
        ("weight",),
        0.2,
        "as weight_decay=0.2 would",
    ),
    "AdamW's decay and L1": (
        lambda: penalized(adamw(), L1(0.1), "proximal"),
        "decay-beside-penalty",
        "warning",
        ("weight",),
        0.1,
        "what is solved is then not data loss + Ω",
    ),
    "SGD's decay and L1": (
        lambda: penalized(sgd(weight_decay=0.1), L1(0.1), "proximal"),
        "decay-beside-penalty",
        "note",
        ("weight",),
        0.1,
        "which adds ½·0.1·Σw² to what is solved",
    ),
    "L1 coupled": (
        lambda: penalized(adam(), L1(0.1), "coupled"),
        "no-exact-zeros",
        "warning",
        ("weight",),
        6.0,
        'by gradients (how="coupled") none of the 6 entries stays exactly there',
    ),
    "groups in the loss": (
        lambda: penalized(sgd(), GroupLasso(0.1), "loss"),
        "no-exact-zeros",
        "warning",
        ("weight",),
        6.0,
        'how="loss"',
    ),
    "MCP coupled": (
        lambda: penalized(sgd(), MCP(0.1), "coupled"),
        "no-exact-zeros",
        "warning",
        ("weight",),
        6.0,
        'how="coupled"',
    ),
    "L1 with a weight for each entry": (
        lambda: penalized(sgd(), Weighted(torch.ones(2, 3), L1(0.1)), "coupled"),
        "no-exact-zeros",
        "warning",
        ("weight",),
        6.0,
        'how="coupled"',
    ),
    "a sum without a prox": (
        lambda: penalized(sgd(), L1(0.1) + MCP(0.1), "coupled"),
        "no-exact-zeros",
        "warning",
        ("weight",),
        6.0,
        'how="coupled"',
    ),
    "L1 coupled in an unknown metric": (
        lambda: penalized(lambda p: torch.optim.Rprop(p), L1(0.1), "coupled"),
        "no-exact-zeros",
        "warning",
        ("weight",),
        6.0,
        'how="coupled"',
    ),
    "proximal in float16": (
        lambda: penalized(sgd(), L1(0.1), "proximal", bare().half()),
        "penalty-lost-in-rounding",
        "warning",
        ("weight",),
        2.0**-11,
        "weight is float16, which does not converge exactly",
    ),
    "decoupled L2 under momentum": (
        lambda: penalized(sgd(momentum=0.75), L2(0.1), "decoupled"),
        "strength-scaled-by-momentum",
        "note",
        ("weight",),
        0.25,
        "converges to where 0.25 times the strength would",
    ),
    "clipping beside a coupled penalty": (
        lambda: clipped(penalized(sgd(), L2(0.1), "coupled"), 0.5),
        "strength-not-clipped",
        "warning",
        ("weight",),
        0.5,
        "clipping the gradients to norm 0.5 leaves L2(lam=0.1) (coupled) on weight as it is",
    ),
    "clipping beside a proximal penalty": (
        lambda: clipped(penalized(adamw(weight_decay=0.0), L1(0.1), "proximal"), 1.0),
        "strength-not-clipped",
        "warning",
        ("weight",),
        1.0,
        "above 1, also at a minimum, it acts norm/1 times as strongly as written",
    ),
    "clipping beside a decay that is the gradient's": (
        lambda: clipped(penalized(sgd(), L2(0.1), "decoupled"), 1.0),
        "strength-not-clipped",
        "warning",
        ("weight",),
        1.0,
        "L2(lam=0.1) (decoupled)",
    ),
    "clipping beside a penalty in our Adam": (
        lambda: clipped(
            under(lambda p: shrinkage.torch.Adam(p, lr=0.1, penalty=L1(0.1), how="proximal")), 2.0
        ),
        "strength-not-clipped",
        "warning",
        ("weight",),
        2.0,
        "leaves L1(lam=0.1) (proximal) on weight",
    ),
    "clipping beside dual averaging": (
        lambda: clipped(under(lambda p: RDA(p, penalty=L1(0.1))), 2.0),
        "strength-not-clipped",
        "warning",
        ("weight",),
        2.0,
        "leaves L1(lam=0.1) (proximal) on weight",
    ),
    "decoupled L1 under momentum": (
        lambda: penalized(sgd(momentum=0.75), L1(0.1), "decoupled"),
        "strength-scaled-by-momentum",
        "note",
        ("weight",),
        0.25,
        "decoupled under momentum=0.75, L1(lam=0.1) on weight",
    ),
    "zeros under spectral norm by hooks": (
        lambda: penalized(sgd(), L1(0.1), "proximal", nn.utils.spectral_norm(bare())),
        "zero-denominator",
        "warning",
        ("weight_orig",),
        6.0,
        "can set the whole of weight_orig to exactly 0, and spectral norm divides",
    ),
    "all frozen": (
        lambda: all_frozen(penalized(sgd(), L1(0.1), "proximal")),
        "nothing-trained",
        "warning",
        ("weight",),
        1.0,
        "all 1 parameters are frozen",
    ),
    "penalized where frozen": (
        penalized_where_frozen,
        "penalty-on-frozen",
        "warning",
        ("0.weight",),
        1.0,
        "all 1 penalized parameters are frozen",
    ),
    "all weights 0": (
        lambda: zeroed(penalized(sgd(), L1(0.1), "proximal")),
        "all-weights-zero",
        "warning",
        ("weight",),
        6.0,
        "all 6 weights are exactly 0, so the model gives the same output for every input; "
        "L1(lam=0.1) may be too strong",
    ),
    "all weights 0 without a penalty": (
        lambda: zeroed(under(sgd())),
        "all-weights-zero",
        "warning",
        ("weight",),
        6.0,
        "all 6 weights are exactly 0",
    ),
    "one layer 0": (
        lambda: zeroed(
            penalized(sgd(), L1(0.1), "proximal", nn.Sequential(bare(), nn.Linear(2, 2))), 0
        ),
        "whole-weight-zero",
        "note",
        ("0.weight",),
        6.0,
        "0.weight is exactly 0 in every entry",
    ),
    "L1 before an orthogonal parametrization": (
        lambda: penalized(sgd(), L1(0.1), "proximal", orthogonal()),
        "penalty-before-parametrization",
        "warning",
        ("parametrizations.weight.original",),
        1.0,
        "from which the parametrization Orthogonal makes the weight",
    ),
    "L2 in the loss": (
        lambda: penalized(sgd(), L2(0.1), "loss"),
        "penalty-at-each-backward",
        "note",
        ("weight",),
        1.0,
        "under gradient accumulation over n micro-batches n times a step",
    ),
}
