"""Compacted architectures: the same outputs, and how many of the dead units went.

    python benchmarks/compact.py [resnet18 bert ...]

The architectures are timm's and transformers' (random weights, nothing is downloaded), and an MLP,
a U-Net and an LSTM from here. Gains, biases and statistics are drawn at random, so that no branch
is switched off at the start. A unit is what goes as one: a channel with its entries in all weights,
biases and gains that write it, in all branches of a residual connection; units at one place in all
groups of a convolution, or cells of an LSTM, count as one. A third of them is set to 0 at random.
Heads and what else the model cuts an axis into are not among them.

The table says the largest difference of the outputs relative to the largest output, in float64 and
in the model's own float32; how many units there are, were set to 0, and went; and for a sample of
those set to 0, how many could go by an experiment that knows nothing of the analysis
(`tests/dead_units.py`), and how many of these stayed. A row in which the outputs do not
react to the inputs would prove nothing: "reacts" is the largest change between two random inputs,
relative to the largest output. It is printed and, unless some are named, written to
`benchmarks/RESULTS-compact.md` after each architecture, which takes about half a minute for each;
`--missing` goes on where it was stopped. The experiment does not see everything: that weights which
are standardized depend on all inputs (nf_resnet26), and that heads have one width (levit_128s).
"""

from __future__ import annotations

import argparse
import contextlib
import platform
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, max_pool2d

from shrinkage.compact import Compacted, compact
from shrinkage.compact.graph import flatten
from shrinkage.compact.verification import as_sample

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from dead_units import Unit, find_gone, find_removable, find_units, plant, tag
from frameworks.conftest import register_operators

RESULTS = Path(__file__).with_name("RESULTS-compact.md")
TRIED = 32  # units of a model on which there is an experiment
TIMM = (
    *("resnet18", "resnext50_32x4d", "seresnext26d_32x4d", "resnetv2_50", "res2net50_14w_8s"),
    *(
        "resnest14d",
        "skresnet18",
        "ecaresnet26t",
        "tresnet_m",
        "regnetx_002",
        "regnety_002",
        "gernet_s",
    ),
    *("nf_resnet26", "densenet121", "dla34", "dpn48b", "ese_vovnet19b_slim", "hrnet_w18_small"),
    *(
        "darknet53",
        "cspresnet50",
        "cs3darknet_s",
        "selecsls42",
        "vgg11_bn",
        "inception_v3",
        "xception41",
    ),
    *("efficientnet_b0", "tf_efficientnetv2_b0", "mobilenetv2_050", "mobilenetv3_small_050"),
    *(
        "mobilenetv4_conv_small",
        "mnasnet_050",
        "mixnet_s",
        "ghostnet_100",
        "lcnet_050",
        "rexnet_100",
    ),
    *("repvgg_a0", "repvit_m0_9", "mobileone_s0", "hgnet_tiny", "starnet_s1", "rdnet_tiny"),
    *("convnext_atto", "convnextv2_atto", "convmixer_768_32", "inception_next_atto"),
    *("mambaout_femto", "poolformer_s12", "mixer_s32_224", "gmlp_ti16_224", "resmlp_12_224"),
    *("vit_tiny_patch16_224", "deit_tiny_patch16_224", "eva02_tiny_patch14_224"),
    *("cait_xxs24_224", "crossvit_tiny_240", "coat_lite_tiny", "levit_128s", "pit_ti_224"),
    *("pvt_v2_b0", "twins_svt_small", "swin_tiny_patch4_window7_224", "edgenext_xx_small"),
    *("efficientformer_l1", "efficientvit_b0", "mobilevit_xxs", "visformer_tiny"),
    "xcit_nano_12_p16_224",
)


class UNet(nn.Module):
    """Two levels, with skips and transposed convolutions."""

    def __init__(self) -> None:
        super().__init__()

        def block(before: int, after: int) -> nn.Sequential:
            convolution = nn.Conv2d(before, after, 3, padding=1, bias=False)
            return nn.Sequential(convolution, nn.BatchNorm2d(after), nn.ReLU(inplace=True))

        self.down1, self.down2, self.bottom = block(3, 32), block(32, 64), block(64, 128)
        self.up2, self.up1 = (nn.ConvTranspose2d(n, n // 2, 2, stride=2) for n in (128, 64))
        self.merge2, self.merge1 = block(128, 64), block(64, 32)
        self.head = nn.Conv2d(32, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        one = self.down1(x)
        two = self.down2(max_pool2d(one, 2))
        x = self.up2(self.bottom(max_pool2d(two, 2)))
        x = self.merge2(torch.cat([two, x], 1))
        x = self.merge1(torch.cat([one, interpolate(self.up1(x), one.shape[2:])], 1))
        return self.head(x)


class LSTM(nn.Module):
    """Two layers in two directions over an embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(50, 32)
        self.lstm = nn.LSTM(32, 64, 2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(128, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(self.embedding(x))[0])


def make_mlp() -> tuple[nn.Module, Any]:
    model = nn.Sequential(
        *(nn.Linear(20, 128), nn.ReLU(), nn.Linear(128, 64), nn.GELU(), nn.Linear(64, 5))
    )
    return model, torch.randn(16, 20)


def make_bert() -> tuple[nn.Module, Any]:
    from transformers import BertConfig, BertForSequenceClassification

    sizes = {"hidden_size": 96, "num_attention_heads": 6, "intermediate_size": 192}
    model = BertForSequenceClassification(BertConfig(vocab_size=100, num_hidden_layers=3, **sizes))
    return model, {"input_ids": torch.randint(0, 100, (2, 12))}


def make_llama() -> tuple[nn.Module, Any]:
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"hidden_size": 96, "num_attention_heads": 6, "num_key_value_heads": 3}
    config = LlamaConfig(vocab_size=100, intermediate_size=192, num_hidden_layers=3, **sizes)
    config.use_cache = False
    return LlamaForCausalLM(config), {"input_ids": torch.randint(0, 100, (2, 12))}


OWN: dict[str, Callable[[], tuple[nn.Module, Any]]] = {
    "mlp": make_mlp,
    "unet": lambda: (UNet(), torch.randn(2, 3, 32, 32)),
    "lstm": lambda: (LSTM(), torch.randint(0, 50, (2, 12))),
    "bert": make_bert,
    "llama": make_llama,
}


def make(name: str) -> tuple[nn.Module, Any]:
    """A model with random weights, and what it is called with."""
    if name in OWN:
        return OWN[name]()
    import timm

    model = timm.create_model(name, pretrained=False, num_classes=10)
    size = model.default_cfg["input_size"][-1]
    if not model.default_cfg.get("fixed_input_size"):
        size = min(size, 96 if "inception" in name else 64)
    else:
        with contextlib.suppress(TypeError, AssertionError, RuntimeError):
            model = timm.create_model(name, pretrained=False, num_classes=10, img_size=112)
            size = 112
    return model, torch.randn(2, 3, size, size)


def stir(model: nn.Module) -> None:
    """Random gains, biases and statistics, and no weight that is 0 as a whole."""
    with torch.no_grad():
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            if name.endswith("running_var") or (tensor.ndim == 1 and name.endswith("weight")):
                tensor.uniform_(0.5, 1.5)
            elif name.endswith("running_mean") or (tensor.ndim == 1 and "gamma" not in name):
                if tensor.is_floating_point() and "inv_freq" not in name:
                    tensor.normal_(0.0, 0.1)
            elif "gamma" in name:
                tensor.uniform_(0.5, 1.5)
            elif tensor.is_floating_point() and not tensor.any():
                tensor.normal_(0.0, 0.05)


class Row(NamedTuple):
    """What came of one architecture."""

    name: str
    error: str = ""
    in_float64: float = 0.0
    in_float32: float = 0.0
    reacts: float = 0.0
    units: tuple[int, int, int] = (0, 0, 0)  # all, set to 0, gone
    tried: tuple[int, int, int] = (0, 0, 0)  # in the sample, that could go, of which stayed
    parameters: tuple[int, int] = (0, 0)
    seconds: float = 0.0
    why: str = ""

    def __str__(self) -> str:
        if self.error:
            return f"| {self.name} | {self.error} {'| ' * (len(COLUMNS) - 2)}|"
        before, after = self.parameters
        return (
            f"| {self.name} | {self.in_float64:.0e} | {self.in_float32:.0e} | {self.reacts:.0e} "
            f"| {' | '.join(f'{number:,}' for number in (*self.units, *self.tried))} "
            f"| {before / 1e6:.2f} → {after / 1e6:.2f} | {self.seconds:.0f} | {self.why} |"
        )


def call(model: nn.Module, inputs: Any) -> list[Tensor]:
    with torch.no_grad():
        result = model(**inputs) if isinstance(inputs, dict) else model(inputs)
    return [part for part in flatten(result) if isinstance(part, Tensor)]


def difference(model: nn.Module, other: nn.Module, first: Any, second: Any) -> float:
    """The largest difference of outputs, relative to the largest output."""
    pairs = zip(call(model, first), call(other, second), strict=True)
    return max(float((one - two).abs().max() / one.abs().max()) for one, two in pairs)


def redraw(inputs: Any) -> Any:
    if isinstance(inputs, dict):
        return {key: redraw(value) for key, value in inputs.items()}
    if inputs.is_floating_point():
        return torch.randn_like(inputs)
    return inputs.flatten()[torch.randperm(inputs.numel())].reshape(inputs.shape)


def main_reason(small: Compacted, units: list[Unit]) -> str:
    """The reason for which most of some units stay, without the layer's name."""
    reasons = {layer.layer: layer.why_they_stay for layer in small.report.layers}
    counts: Counter[str] = Counter()
    for unit in units:
        of_unit = {reasons.get(name.rpartition(".")[0], "") for name, _, _ in unit.written} - {""}
        for part in "; ".join(sorted(of_unit)).split("; ")[:1]:
            first, *others = part.partition(": ")[2].split(" in ")
            counts[" … ".join([first, *(o.partition(" ")[2] for o in others)])] += 1
    return counts.most_common(1)[0][0] if counts else ""


def try_one(name: str) -> Row:
    torch.manual_seed(0)
    model, inputs = make(name)
    model.eval()
    stir(model)
    sample = as_sample(inputs)
    try:
        units = find_units(model, sample)
        dead = plant(model, units)
        start = time.perf_counter()
        small = compact(model, inputs, tag(model), time_it=False)
        seconds = time.perf_counter() - start
    except Exception as error:
        return Row(name, f"{type(error).__name__}: {error}".splitlines()[0])
    report, fresh = small.report, redraw(inputs)
    if report.remarks and not report.layers:
        return Row(name, report.remarks[0])
    gone = dict(zip(dead, find_gone(model, small, dead), strict=True))
    sources = [unit for unit in dead if list(unit.sources(model))]
    tried = [sources[number] for number in torch.randperm(len(sources))[:TRIED].tolist()]
    note = f"; {len(report.remarks)} spaces stay whole" if report.remarks else ""
    try:
        answers = zip(tried, find_removable(model, sample, tried), strict=True)
        removable = [unit for unit, can_go in answers if can_go]
    except Exception as error:  # a batch that the model does not take
        tried, removable, note = [], [], f"{note}; no experiment: {type(error).__name__}"
    missed = [unit for unit in removable if not gone[unit]]
    why = main_reason(small, missed or [unit for unit in dead if not gone[unit]])
    return Row(
        name,
        in_float64=report.difference,
        in_float32=difference(model, small.model, fresh, fresh),
        reacts=difference(model, model, inputs, fresh),
        units=(len(units), len(dead), sum(gone.values())),
        tried=(len(tried), len(removable), len(missed)),
        parameters=(int(report.parameters.before), int(report.parameters.after)),
        seconds=seconds,
        why=(why + note).removeprefix("; "),
    )


COLUMNS = (
    *("architecture", "float64", "float32", "reacts", "units", "set to 0", "gone", "tried"),
    *("could go", "of these stayed", "parameters, millions", "seconds"),
    "most of those stay because",
)
HEAD = f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="of architectures; all if none is given")
    parser.add_argument(
        "--missing", action="store_true", help="those that are not in the table, which stay there"
    )
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    register_operators()  # so that torchvision can be imported
    rows = read() if given.missing else {}
    print(HEAD)
    for name in given.names or (*OWN, *TIMM):
        if name not in rows:
            rows[name] = str(try_one(name))
            print(rows[name], flush=True)
            if given.missing or not given.names:
                write(rows)


def read() -> dict[str, str]:
    """The rows of the table as it is."""
    lines = RESULTS.read_text(encoding="utf-8").splitlines() if RESULTS.exists() else []
    rows = [line for line in lines if line.startswith("| ") and line not in HEAD]
    return {row.split(" ")[1]: row for row in rows}


def write(rows: dict[str, str]) -> None:
    """The table, in the order of the lists above, and a summary."""
    found = [row for name in (*OWN, *TIMM) if (row := rows.get(name))]
    cells = [[cell.strip() for cell in row.split("|")[1:-1]] for row in found]
    same = [c for c in cells if c[1][:1].isdigit() and float(c[1]) <= 1e-10 and float(c[2]) <= 1e-5]
    complete = [c for c in same if c[8] != "0" and c[9] == "0"]
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "timm", "transformers"))
    lines = [
        "# Compacted architectures",
        "",
        "Written by `benchmarks/compact.py`, which says what the columns are.",
        f"One thread of {platform.machine()}, Python {platform.python_version()}, {packages}.",
        "",
        f"Of {len(found)} architectures {len(same)} compute the same: at most 1e-10 apart in "
        f"float64 and 1e-5 in float32. In {len(complete)} of them every unit of the sample went "
        "that could go by experiment.",
        "",
        HEAD,
        *found,
    ]
    RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
