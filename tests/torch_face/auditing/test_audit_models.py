"""An audit of models that people train: what it says of careless set-ups; silence on good ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

import shrinkage.torch
from audit_cases import Setup, adam, adamw, clipped, penalized, sgd, spared, under
from models import ResidualNet, Tagger, TransformerBlock
from shrinkage import L1, L2, ElasticNet, GroupLasso, MaxNorm
from shrinkage.torch import RDA, SGDW, Regularizer, audit


def test_a_transformer_block_under_adamw_as_it_comes() -> None:
    model = TransformerBlock()
    found = audit(model, torch.optim.AdamW(model.parameters()), steps=10_000)
    bias, slow = found.findings
    assert not found.ok
    assert bias.slug == "decay-on-biases"
    assert bias.parameters == tuple(n for n, p in model.named_parameters() if p.ndim < 2)
    assert (slow.slug, slow.number) == ("slow-decay", pytest.approx(1e5))
    assert slow.remedy.endswith('["weight_decay"] *= 10')
    attention = next(row for row in found.table if row.parameter == "attention.in_proj_weight")
    assert attention.kind == "weight"
    assert attention.weight_decay == "0.01: w × (1 − 1e-05) (to 1/e in 100000 steps)"


def test_a_residual_net_under_sgd_as_it_comes() -> None:
    model = ResidualNet()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    found = {one.slug: one for one in audit(model, optimizer, steps_per_epoch=391).findings}
    assert list(found) == [
        "decay-on-biases",
        "scale-invariant-decay",
        "bias-without-effect",
    ]
    assert "project.parametrizations.weight.original0" in found["decay-on-biases"].parameters
    assert found["scale-invariant-decay"].parameters == (
        "stem.0.weight",
        "conv1.weight",
        "conv2.weight",
        "project.parametrizations.weight.original1",
    )
    assert found["bias-without-effect"].parameters == ("conv2.bias",)


def test_a_tagger_with_decay_twice_and_l1_that_gives_no_zeros() -> None:
    model = Tagger()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=0.1)
    regularizer = Regularizer(model, {"lstm*": L1(0.1) + L2(0.2), "head*": L2(0.2)})
    found = {one.slug: one for one in audit(model, optimizer, regularizer).findings}
    assert found["decay-on-biases"].parameters == (
        "lstm.bias_ih_l0",
        "lstm.bias_hh_l0",
        "head.bias",
    )
    assert "embedding.weight" in found["adaptive-decay"].parameters
    assert found["decay-twice"].number == pytest.approx(0.4)
    assert found["no-exact-zeros"].parameters == ("lstm.weight_ih_l0", "lstm.weight_hh_l0")
    assert "decay-beside-penalty" not in found


def block_without_decay_on_norms() -> Setup:
    model = TransformerBlock()
    optimizer = torch.optim.AdamW(spared(model), lr=1e-3, weight_decay=0.1)
    return Setup(model, optimizer, run={"steps": 20_000, "steps_per_epoch": 1000})


def warming_up() -> Setup:
    setup = block_without_decay_on_norms()
    torch.optim.lr_scheduler.LinearLR(setup.optimizer, start_factor=1e-3, total_iters=1000)
    return setup


def one_cycle() -> Setup:
    setup = block_without_decay_on_norms()
    torch.optim.lr_scheduler.OneCycleLR(setup.optimizer, max_lr=1e-3, total_steps=20_000)
    return setup


def frozen_backbone() -> Setup:
    model = TransformerBlock().requires_grad_(False)
    model.down.requires_grad_(True)
    model.down.bias.requires_grad_(False)
    return under(adamw(), model)


def head_alone() -> Setup:
    model = TransformerBlock().requires_grad_(False)
    model.down.requires_grad_(True)
    return Setup(model, torch.optim.Adam(model.down.parameters()))


def low_rank() -> Setup:
    class LowRank(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.base = nn.Linear(6, 6).requires_grad_(False)
            self.A = nn.Parameter(torch.randn(2, 6))
            self.B = nn.Parameter(torch.zeros(6, 2))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.base(x) + x @ self.A.T @ self.B.T

    model = LowRank()
    optimizer = torch.optim.AdamW([model.A, model.B], lr=1e-3, weight_decay=0.1)
    return Setup(model, optimizer, run={"sample": torch.ones(2, 6), "steps": 20_000})


def tied_head() -> Setup:
    model = nn.Sequential(nn.Embedding(8, 4), nn.LayerNorm(4), nn.Linear(4, 8, bias=False))
    model[2].weight = model[0].weight
    optimizer = torch.optim.AdamW(spared(model), lr=1e-3, weight_decay=0.1)
    return Setup(model, optimizer)


def in_bfloat16() -> Setup:
    model = TransformerBlock().bfloat16()
    return Setup(model, torch.optim.AdamW(spared(model), lr=0.1, weight_decay=0.1))


def adversary() -> Setup:
    generator, other = nn.Linear(2, 2), nn.Linear(2, 2)
    parameters = [*generator.parameters(), *other.parameters()]
    return Setup(generator, torch.optim.Adam(parameters))


def wrapped(wrap: Any) -> Setup:
    model = wrap(TransformerBlock())
    return Setup(model, torch.optim.AdamW(spared(model), lr=1e-3, weight_decay=0.1))


def averaging() -> Setup:
    model = nn.Linear(3, 2)
    regularizer = Regularizer(model, L1(0.1))
    return Setup(model, RDA(model.parameters(), penalty=regularizer), regularizer)


def averaging_with_a_frozen_bias() -> Setup:
    model = nn.Linear(3, 2)
    model.bias.requires_grad_(False)
    return under(lambda p: RDA(p, penalty=L1(0.1)), model)


def one_matrix_as_weight_and_bias() -> Setup:
    model = nn.Sequential(nn.Linear(3, 2, bias=False), nn.Identity())
    model[1].register_parameter("bias", model[0].weight)
    return under(adamw(), model)


def warming_up_decoupled() -> Setup:
    setup = penalized(adam(lr=0.01), L2(0.1), "decoupled", Tagger())
    torch.optim.lr_scheduler.LinearLR(setup.optimizer, start_factor=1e-3, total_iters=1000)
    setup.run = {"steps": 1000}
    return setup


def tagged() -> Setup:
    model = Tagger()
    decaying = [p for n, p in model.named_parameters() if "weight" in n]
    rest = [p for n, p in model.named_parameters() if "bias" in n]
    groups = [{"params": decaying, "weight_decay": 0.01}, {"params": rest}]
    return Setup(model, torch.optim.SGD(groups, lr=0.1), run={"steps": 10_000})


def clipping_attachment() -> Setup:
    setup = under(sgd())
    setup.regularizer = Regularizer(setup.model, L1(0.1))
    setup.regularizer.attach(setup.optimizer, how="proximal", max_norm=1.0)
    return clipped(setup, 1.0)


WELL_MADE: dict[str, Callable[[], Setup]] = {
    "AdamW without decay on biases and norms": block_without_decay_on_norms,
    "at the start of a warm-up": warming_up,
    "at the start of a cycle": one_cycle,
    "L1 proximal under Adam": lambda: penalized(adam(), L1(1e-4), "proximal", Tagger()),
    "groups proximal under SGD with momentum": lambda: penalized(
        sgd(momentum=0.9), GroupLasso(1e-4), "proximal", Tagger()
    ),
    "elastic net proximal": lambda: penalized(adam(), ElasticNet(1e-4), "proximal", Tagger()),
    "a constraint": lambda: penalized(sgd(), MaxNorm(1.0), "proximal", Tagger()),
    "L2 coupled under SGD": lambda: penalized(sgd(momentum=0.9), L2(0.01), "coupled", Tagger()),
    "L2 coupled under Adam": lambda: penalized(adam(), L2(0.01), "coupled", Tagger()),
    "L2 in the loss": lambda: penalized(adam(), L2(0.01), "loss", TransformerBlock()),
    "L2 decoupled under Adam": lambda: penalized(adam(), L2(0.01), "decoupled", Tagger()),
    "L1 decoupled under SGD": lambda: penalized(sgd(), L1(0.01), "decoupled", Tagger()),
    "L2 decoupled, at the start of a warm-up": warming_up_decoupled,
    "L2 decoupled under RMSprop's momentum": lambda: penalized(
        partial(torch.optim.RMSprop, momentum=0.9), L2(0.01), "decoupled", Tagger()
    ),
    "a strength of 0": lambda: penalized(sgd(), GroupLasso(0.0), "coupled", Tagger()),
    "one matrix as weight and bias": one_matrix_as_weight_and_bias,
    "L2 in the loss under Adam in bfloat16": lambda: penalized(
        adam(), L2(1e-4), "loss", Tagger().bfloat16()
    ),
    "SGD with momentum in bfloat16": lambda: under(
        sgd(lr=1e-3, momentum=0.9, weight_decay=1e-4), nn.Linear(3, 2, bias=False).bfloat16()
    ),
    "SGDW by L1, whatever the run": lambda: under(
        partial(SGDW, lr=0.1, weight_decay=1e-4, weight_norm=1),
        nn.Linear(3, 2, bias=False),
        steps=10,
        steps_per_epoch=10,
    ),
    "a frozen backbone in the optimizer": frozen_backbone,
    "a frozen backbone outside of it": head_alone,
    "a low-rank adapter": low_rank,
    "tied embeddings": tied_head,
    "bfloat16 that holds its decay": in_bfloat16,
    "an optimizer of two models": adversary,
    "inside DataParallel": lambda: wrapped(nn.DataParallel),
    "compiled": lambda: wrapped(partial(torch.compile, backend="eager")),
    "clipping with the penalty in the loss": lambda: clipped(
        penalized(sgd(), L2(0.1), "loss"), 1.0
    ),
    "clipping beside AdamW's kind of decay": lambda: clipped(
        penalized(adam(), L2(0.1), "decoupled"), 1.0
    ),
    "clipping without a penalty": lambda: clipped(under(adam()), 1.0),
    "clipping by the attachment": clipping_attachment,
    "clipping inside the optimizer": lambda: clipped(
        under(partial(shrinkage.torch.SGD, penalty=L2(0.1), max_norm=1.0)), 1.0
    ),
    "dual averaging of the weights": averaging,
    "dual averaging with a frozen bias": averaging_with_a_frozen_bias,
    "SGDW": lambda: under(partial(SGDW, lr=0.1, weight_decay=1e-4), nn.Linear(3, 2, bias=False)),
    "SGD with decay on an LSTM's weights": tagged,
    "no decay at all": lambda: under(adam(), ResidualNet().stem),
}


@pytest.mark.parametrize("name", WELL_MADE)
def test_no_false_alarm(name: str) -> None:
    found = WELL_MADE[name]().findings()
    in_the_loss = [one.slug for one in found] == ["penalty-at-each-backward"]
    assert found == [] or (in_the_loss and "in the loss" in name)


def test_batch_norm_under_decay_is_a_note_and_no_alarm() -> None:
    model = ResidualNet()
    model.conv2.bias = None
    gain = model.project.parametrizations.weight.original0
    weights = [p for p in model.parameters() if p.ndim > 1 and p is not gain]
    rest = [p for p in model.parameters() if p.ndim < 2 or p is gain]
    groups = [{"params": weights}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.SGD(groups, lr=0.1, momentum=0.9, weight_decay=5e-4)
    found = audit(model, optimizer, steps=78_200, steps_per_epoch=391)
    assert found.ok
    assert [one.severity for one in found.findings] == ["note"]
    assert found.findings[0].slug == "scale-invariant-decay"


def test_sixteen_bits_are_one_finding_for_all_they_lose() -> None:
    setup = penalized(adam(), L1(0.1), "proximal", Tagger().bfloat16())
    (finding,) = setup.findings()
    assert finding.slug == "penalty-lost-in-rounding"
    assert len(finding.parameters) == 4
    assert finding.sentence.startswith(
        "embedding.weight is bfloat16, which does not converge exactly"
    )
    assert "(and so are lstm.weight_ih_l0, lstm.weight_hh_l0 and head.weight)" in finding.sentence


def test_one_regularizer_beside_two_optimizers() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    several = [torch.optim.SGD(layer.parameters(), lr=0.1) for layer in model]
    finding, note = audit(model, several, Regularizer(model, L1(0.1))).findings
    assert note.severity == "note"
    assert finding.parameters == ("0.weight", "1.weight")
    assert finding.remedy.startswith("# with a Regularizer for the parameters of each optimizer")


def test_two_optimizers_share_a_model() -> None:
    model = TransformerBlock()
    matrices = [p for p in model.parameters() if p.ndim > 1]
    muon = torch.optim.Muon(matrices, lr=0.01)
    rest = torch.optim.AdamW([p for p in model.parameters() if p.ndim < 2], weight_decay=0.0)
    assert audit(model, [muon, rest]).findings == ()
    assert [one.slug for one in audit(model, muon).findings] == ["in-no-optimizer"]
    rest.param_groups[0]["weight_decay"] = 0.1
    (finding,) = audit(model, [muon, rest]).findings
    assert finding.remedy == (
        'for group in optimizers[1].param_groups: group["weight_decay"] = 0.0'
    )  # Muon's own decay of the weights is another matter


def test_names_in_wrapped_models_are_those_inside() -> None:
    model = nn.DataParallel(ResidualNet())
    found = audit(model, torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.1))
    assert "conv1.weight" in {name for one in found.findings for name in one.parameters}
    dead = found.findings[-1]
    exec(dead.remedy, {"model": model})
    assert model.module.conv2.bias is None


@pytest.mark.parametrize("name", ["wd", "weight_decay_rate"])
def test_a_decay_under_another_name(name: str) -> None:
    class Own(torch.optim.Optimizer):
        def step(self, closure: Any = None) -> None:
            """Move nothing."""

    model = nn.Linear(2, 1)
    optimizer = Own(model.parameters(), {"lr": 0.1, name: 0.01, "wd_warmup": True})
    (found,) = audit(model, optimizer).findings
    assert found.slug == "decay-on-biases"
    assert found.sentence.startswith(f"Own's {name}=0.01 also acts on 1 that is no weight")
    assert f'for group in optimizer.param_groups: group["{name}"] = 0.0\n' in found.remedy
    with pytest.warns(UserWarning, match=f"set {name}=0 and write L2.from_weight_decay"):
        Regularizer(model, L2(0.1)).attach(optimizer, how="coupled")


def test_while_zeros_are_held_nothing_is_said_of_what_strengths_do() -> None:
    model = nn.Linear(3, 2, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    regularizer = Regularizer(model, L2(0.1))
    attachment = regularizer.attach(optimizer, how="decoupled")
    regularizer.hold_zeros()
    optimizer.param_groups[0]["weight_decay"] = 0.01
    assert audit(model, optimizer, regularizer, clip=1.0).ok
    assert repr(attachment) == (
        "decoupled in SGD: zeros are held, and no strength acts until release()"
    )
    regularizer.release()
    slugs = [each.slug for each in audit(model, optimizer, regularizer, clip=1.0).findings]
    assert slugs == ["decay-twice", "strength-not-clipped", "strength-scaled-by-momentum"]
